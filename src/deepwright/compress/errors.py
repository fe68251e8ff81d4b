"""What can go wrong when a network is taken apart: each says what, where and what to do."""

from __future__ import annotations

import re

from deepwright.core.errors import InputError

_FREE_BATCH = "a batch size that stays free"
_FREE_HINT = "take the batch size from x.shape[0], not from len(x)"
_BRANCH_HINT = "write such branches with torch.cond, or wrap the sub-module so that it returns a fixed shape"


class ShapeError(InputError):
    """The example inputs don't fit the network."""


class ExportError(InputError):
    """`torch.export` can't follow the network.

    Args:
        error: what it said.
    """

    def __init__(self, error: Exception) -> None:
        text = str(error)
        frames = re.findall(r'File "([^"]+)", line (\d+)', text)
        own = [f for f in frames if "/torch/" not in f[0]] or frames
        where = f" at {own[-1][0]}:{own[-1][1]}" if own else ""
        first = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
        fixed = "specialized it to be a constant" in text
        super().__init__(
            f"torch.export cannot follow the network{where}",
            given=first[:300],
            expected=_FREE_BATCH if fixed else "a forward pass without control flow that depends on values",
            hint=_FREE_HINT if fixed else _BRANCH_HINT,
        )


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
