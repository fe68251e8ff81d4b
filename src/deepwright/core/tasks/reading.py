"""From whatever a network returns to one checked tensor: which, how many columns, finite, logits or probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.requirements import array_tensor

SCALES = ("auto", "logits", "probabilities", "log-probabilities")

# How far from 1 the sum of a row of probabilities may lie: a softmax in half precision rounds each of its terms.
_SUM_TOLERANCE = {torch.float16: 5e-3, torch.bfloat16: 2e-2}
# Rows in which probabilities are told from logits: smaller batches are best looked at together.
TELLING_ROWS = 16
# Rows that are looked at: as many say as much as all of them, in a fixed time.
_LOOK_AT = 4096


def require_scale(outputs: str) -> None:
    """Refuse an unknown word for what the columns are."""
    if outputs not in SCALES:
        raise unknown_name("outputs", outputs, SCALES)


def raised(out: Tensor) -> Tensor:
    """Half precision as float32; anything else as it is."""
    return out.float() if out.dtype in (torch.float16, torch.bfloat16) else out


def unwrap(out: Any, n: int | None, fits: Callable[[Tensor], bool], expected: str) -> Tensor:
    """The one tensor that a task can read.

    A field or key `logits` (or torchvision's `out`) is taken; of other tuples and dicts the only tensor that fits.

    Args:
        out: a tensor, an array, a tuple, a dict, or an object with `.logits`.
        n: number of samples, or None where it isn't known.
        fits: whether the task can read a tensor.
        expected: the form in words.

    Raises:
        InputError: no tensor fits, or several do.
    """
    if isinstance(out, np.ndarray):
        out = array_tensor(out, "the network's output")
    if isinstance(out, Tensor):
        return out
    if isinstance(getattr(out, "logits", None), Tensor):
        return out.logits
    parts = out if isinstance(out, Mapping) else dict(enumerate(out)) if isinstance(out, list | tuple) else {}
    for key in ("logits", "out"):
        if isinstance(parts.get(key), Tensor):
            return parts[key]
    fitting = [t for t in parts.values() if isinstance(t, Tensor) and t.ndim and n in (None, len(t)) and fits(t)]
    if len(fitting) != 1:
        seen = ", ".join(f"{key}: {_shape(value)}" for key, value in parts.items())
        raise InputError(
            "the network's output",
            given=f"{type(out).__name__}{f' of {seen}' if seen else ''}",
            expected=expected,
            hint="several of them fit: let the network return one, or take it by its place or name: "
            "deepwright.nets.Output(model, 0)"
            if fitting
            else "let the network return one tensor",
        )
    return fitting[0]


def _shape(value: object) -> str:
    return f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__


def columns(out: Tensor, n: int | None) -> Tensor:
    """(N,) as (N, 1), and (N, C, 1, 1) as (N, C)."""
    if out.ndim == 1:
        return out[:, None]
    if out.ndim > 2 and all(size == 1 for size in out.shape[2:]):
        return out.flatten(1)
    return out


def require_form(out: Tensor, n: int | None, allowed: bool, expected: str, hint: str | None = None) -> None:
    """Refuse integers and complex numbers, another number of rows, and shapes that the task can't read."""
    if not out.is_floating_point() or out.layout != torch.strided:
        raise InputError(
            "the network's output",
            given=f"{out.dtype} ({out.layout}) of shape {tuple(out.shape)}",
            expected=f"floats, {expected}",
            hint="return dense scores, not the indices of the predicted classes",
        )
    if not allowed or (n is not None and len(out) != n):
        samples = "" if n is None else f" for {n} samples"
        raise InputError(
            "the network's output", given=f"shape {tuple(out.shape)}{samples}", expected=expected, hint=hint
        )


def finite_rows(out: Tensor) -> Tensor:
    """(N,) whether all numbers of a sample are finite."""
    return torch.isfinite(out).flatten(1).all(1)


def require_finite(out: Tensor) -> None:
    """Refuse NaN and infinity, and name the first samples that have them."""
    bad = ~finite_rows(out)
    if bool(bad.any()):
        rows = bad.nonzero().flatten()[:5].tolist()
        raise InputError(
            "the network's output",
            given=f"NaN or infinity in samples {rows}",
            expected="finite numbers",
            hint="check the weights and the range of the input",
        )


def as_logits(out: Float[Tensor, "n classes ..."], outputs: str, strict: bool) -> Float[Tensor, "n classes ..."]:
    """Columns (dim 1) that exclude each other, as logits.

    Args:
        out: logits, probabilities or log-probabilities.
        outputs: which of them; "auto" takes logits and log-probabilities (their softmax is the same), and refuses rows
            that can only be probabilities.
        strict: whether values are looked at.

    Raises:
        InputError: probabilities where logits were expected, or the other way round.
    """
    if strict and outputs == "auto" and looks_like_probabilities(out):
        raise _unexpected_probabilities("rows that are 0 or more and sum to 1", may_be_logits=False)
    if outputs == "probabilities":
        if strict and not bool(_are_probabilities(out).all()):
            total = out.sum(1)
            raise InputError(
                "the network's output",
                given=f"values {float(out.min()):.4g}..{float(out.max()):.4g}, "
                f"rows that sum to {float(total.min()):.4g}..{float(total.max()):.4g}",
                expected="rows that are 0 or more and sum to 1, for outputs='probabilities'",
                hint="outputs='logits' where no softmax was applied",
            )
        return floored_log(out)
    if strict and outputs == "log-probabilities" and float(out.logsumexp(1).abs().max()) > 10 * _tolerance(out):
        raise InputError(
            "the network's output",
            given="rows whose exponentials don't sum to 1",
            expected="log-softmax rows, for outputs='log-probabilities'",
            hint="outputs='logits' where no log-softmax was applied",
        )
    return out


def floored_log(p: Tensor) -> Tensor:
    """log p; a probability that rounded to 0 counts as the smallest normal number of its type."""
    return p.clamp_min(torch.finfo(p.dtype).tiny).log()


def column_logit(out: Float[Tensor, "n columns ..."], outputs: str, strict: bool) -> Float[Tensor, "n columns ..."]:
    """Columns that don't exclude each other (one sigmoid each), as logits log(p / (1 - p)).

    Args:
        out: logits, or sigmoids of them.
        outputs: which of them; "auto" takes logits, and refuses 8 different rows or more that all lie within
            [0, 1].
        strict: whether values are looked at.

    Raises:
        InputError: probabilities where logits were expected, or the other way round.
    """
    if outputs in ("auto", "logits"):
        if strict and outputs == "auto" and _within(out, 0.0, 1.0) and _distinct(_some_rows(out)) >= 8:
            raise _unexpected_probabilities(f"{len(out)} samples, all within [0, 1]", may_be_logits=True)
        return out
    high = 1.0 if outputs == "probabilities" else 0.0
    low = 0.0 if outputs == "probabilities" else -torch.inf
    if strict and not _within(out, low, high):
        raise InputError(
            "the network's output",
            given=f"values {float(out.min()):.4g}..{float(out.max()):.4g}",
            expected=f"{low:g}..{high:g}, for outputs={outputs!r}",
            hint="outputs='logits' where no sigmoid was applied",
        )
    p = raised(out)
    if outputs == "probabilities":
        return floored_log(p) - floored_log(1 - p)
    return p - floored_log(-torch.expm1(p))


def looks_like_probabilities(out: Float[Tensor, "n classes ..."]) -> bool:
    """Whether rows over dim 1 can hardly be anything else than probabilities.

    All are 0 or more and sum to 1. For real numbers that is no accident from two different rows on (eight in half
    precision, where sums are coarse); rows of zeros and a single one are also what hand-made logits look like, so 16 of
    them are asked for.
    """
    rows = _some_rows(out)
    if len(rows) < 2 or not bool(_are_probabilities(rows).all()):
        return False
    if bool((rows == rows.round()).all()):
        return len(rows) >= 16
    return _distinct(rows) >= (8 if out.dtype in _SUM_TOLERANCE else 2)


def looks_like_log_probabilities(out: Float[Tensor, "n classes ..."]) -> bool:
    """Whether the exponentials of all rows sum to 1: harmless, since a log-softmax changes no softmax."""
    rows = _some_rows(out)
    return len(rows) > 1 and float(rows.logsumexp(1).abs().max()) <= 10 * _tolerance(out)


def _are_probabilities(rows: Tensor) -> Tensor:
    return (rows >= 0).all(1) & ((raised(rows).sum(1) - 1).abs() <= _tolerance(rows))


def _tolerance(out: Tensor) -> float:
    return _SUM_TOLERANCE.get(out.dtype, 1e-4)


def _some_rows(out: Tensor) -> Tensor:
    """(rows, classes), evenly spread over samples and positions."""
    rows = out.detach().movedim(1, -1).reshape(-1, out.shape[1])
    return rows[:: max(1, len(rows) // _LOOK_AT)]


def _distinct(rows: Tensor) -> int:
    return len(torch.unique(rows.detach()[:: max(1, len(rows) // _LOOK_AT)], dim=0))


def _within(out: Tensor, low: float, high: float) -> bool:
    return bool(((out >= low) & (out <= high)).all())


def _unexpected_probabilities(seen: str, *, may_be_logits: bool) -> InputError:
    insisting = "outputs='logits' says that they are logits; " if may_be_logits else ""
    return InputError(
        "the network's output",
        given=f"{seen}: these look like probabilities",
        expected="logits",
        hint="--outputs probabilities on the command line, or outputs='probabilities' of the task from Python "
        "(Classification(classes, outputs='probabilities') of deepwright.core.tasks), reads their logarithm; "
        f"{insisting}or take the last softmax or sigmoid out of the network",
    )
