"""What can go wrong when a network is taken apart: each says what, where and what to do."""

from __future__ import annotations

import re
import traceback

from deepwright.core.errors import InputError

_FREE_BATCH = "a batch size that stays free"
_FREE_HINT = "take the batch size from x.shape[0], not from len(x)"
_PLAIN = "a forward pass of tensor operations"
_BRANCH_HINT = "use torch.where or torch.cond, or wrap the part that branches so that it returns a fixed shape"
_OWN_HINT = "freeze or rewrite what the message names; the network itself runs"


class ShapeError(InputError):
    """The example inputs don't fit the network."""


class ExportError(InputError):
    """`torch.export` can't follow the network.

    Args:
        error: what it said.
    """

    def __init__(self, error: Exception) -> None:
        text = str(error)
        place, line = _users_line(error)
        where = f" at {place}" if place else ""
        said = line or next((row.strip() for row in text.splitlines() if row.strip()), type(error).__name__)[:200]
        if "specialized it to be a constant" in text:
            super().__init__(
                f"torch.export cannot follow the network{where}", given=said, expected=_FREE_BATCH, hint=_FREE_HINT
            )
        elif "data-dependent" in text:
            super().__init__(
                f"the network branches on a tensor's value{where}", given=said, expected=_PLAIN, hint=_BRANCH_HINT
            )
        else:
            super().__init__(
                f"torch.export cannot follow the network{where}", given=said, expected=_PLAIN, hint=_OWN_HINT
            )


class OnnxError(ExportError):
    """ONNX has no form for the network.

    Args:
        error: what the exporter said.
    """

    def __init__(self, error: Exception) -> None:
        reasons = [str(e) for e in _chain(error)]
        ops = [m.group(1) for r in reasons for m in re.finditer(r"op='([\w.]+)'", r)]
        last = re.sub(r"\x1b\[\d+m", "", reasons[-1]).strip().splitlines() or [type(error).__name__]
        InputError.__init__(
            self,
            "ONNX has no form for the network",
            given=f"the operation {ops[0]}" if ops else last[0][:200],
            expected="operations that torch.onnx writes",
            hint="write it with other operations, or use network.pt2 (torch.export) in place of ONNX",
        )


def _chain(error: BaseException) -> list[BaseException]:
    """An error and its causes, the first cause last."""
    found = [error]
    while (cause := found[-1].__cause__) is not None and cause not in found:
        found.append(cause)
    return found


def _users_line(error: Exception) -> tuple[str, str]:
    """File and line of the user's code in an error's trace or its text, and the code there; empty for none."""
    frames = [f for e in _chain(error) for f in traceback.extract_tb(e.__traceback__)]
    own = [
        f for f in frames if "/torch/" not in f.filename and "/deepwright/" not in f.filename and f.name == "forward"
    ]
    if own:
        return f"{own[-1].filename}:{own[-1].lineno}", (own[-1].line or "")[:120]
    told = [f for f in re.findall(r'File "([^"]+)", line (\d+)', str(error)) if "/torch/" not in f[0]]
    return (f"{told[-1][0]}:{told[-1][1]}", "") if told else ("", "")


class FrozenAxisError(InputError):
    """Something was asked of an axis that can't be pruned."""


class OverPruneError(InputError):
    """A plan leaves too little of a group."""


class SurgeryError(InputError, RuntimeError):
    """The shrunk network isn't equal to its masked original: nothing is returned, the caller's model is untouched."""


class FusionError(InputError):
    """An index map doesn't fit the networks."""


class MismatchError(InputError, RuntimeError):
    """A written file doesn't compute what the network does."""
