"""Numbers that come with their uncertainty: a deviation or an interval beside each, or quantiles in their place."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.requirements import require_within
from deepwright.core.tasks.reading import raised, require_finite, require_form, unwrap

SPREADS = ("none", "deviation", "variance", "log-variance", "quantiles", "interval")
_POINTS = ("mean", "median", "point")  # what the number of an interval is called


def require_levels(spread: str, levels: Sequence[float]) -> tuple[float, ...]:
    """The levels of quantiles as a tuple; none for what has no quantiles."""
    if spread not in SPREADS:
        raise unknown_name("spread", str(spread), SPREADS)
    if isinstance(levels, str) or not isinstance(levels, Iterable):
        raise InputError("levels", given=repr(levels), expected="several numbers, as (0.05, 0.5, 0.95)")
    found = tuple(levels)
    if spread not in ("quantiles", "interval"):
        if found:
            raise InputError(
                "levels", given=f"{found} beside spread={spread!r}", expected="none: they are of quantiles"
            )
        return ()
    for level in found:
        require_within(0, 1, ends="()", levels=level)
    if len(found) < 2 or any(a >= b for a, b in itertools.pairwise(found)):
        raise InputError("levels", given=f"{found}", expected="two or more, rising, as (0.05, 0.5, 0.95)")
    if spread == "interval" and len(found) != 2:
        raise InputError("levels", given=f"{found}", expected="those of both ends, as (0.05, 0.95)")
    return tuple(map(float, found))


def width_of(spread: str, levels: Sequence[float]) -> int:
    """Numbers an output: 1, 2 with a deviation, 3 with an interval, or one a quantile.

    Args:
        spread: what stands beside the numbers.
        levels: of quantiles.
    """
    return {"none": 1, "quantiles": len(levels), "interval": 3}.get(spread, 2)


def read(
    out: Any, n: int | None, outputs: int, spread: str, levels: Sequence[float], strict: bool
) -> Float[Tensor, "n outputs width"]:
    """(N, D, 2) of numbers and deviations, (N, D, 3) of numbers and the ends of their intervals, or (N, D, levels).

    Args:
        out: that shape, (N, width) for one output, or two tensors of (N, D), the number and its spread; an interval as
            a dict of "low", "high" and "mean", "median" or "point".
        n: number of samples, if known.
        outputs: D.
        spread: what stands beside the numbers.
        levels: of quantiles.
        strict: whether values are looked at.

    Raises:
        InputError: another shape; a spread that isn't above 0.
    """
    width = width_of(spread, levels)
    expected = f"(N, {outputs}, {width})" + (f" or (N, {width})" if outputs == 1 else "")
    if spread == "interval":
        expected += f', or {{"mean": (N, {outputs}), "low": ..., "high": ...}}'
    elif spread != "quantiles":
        expected += f", or two tensors (N, {outputs}), the number and its {spread}"
    z = None
    if spread == "interval" and isinstance(out, Mapping):
        z = _interval_of(out, outputs)
    elif isinstance(out, list | tuple) and spread not in ("quantiles", "interval"):
        z = _pair(out, outputs)
    if z is None:
        z = unwrap(out, n, lambda t: _fits(t, outputs, width), expected)
    require_form(z, n, _fits(z, outputs, width), expected)
    z = z.reshape(len(z), outputs, width)
    if strict:
        require_finite(z)
    if spread in ("quantiles", "interval"):
        return z
    beside = z[..., 1]
    if strict and spread != "log-variance" and not bool((beside > 0).all()):
        rows = (beside <= 0).any(1).nonzero().flatten()[:5].tolist()
        hint = "spread='log-variance' where the network gives its logarithm"
        raise InputError("the network's output", given=f"a {spread} of 0 or less in samples {rows}", hint=hint)
    deviation = {"deviation": lambda s: s, "variance": torch.sqrt, "log-variance": lambda s: (s / 2).exp()}[spread]
    found = deviation(beside)
    bad = (~torch.isfinite(found) | (found <= 0)).any(1)
    if strict and bool(bad.any()):
        rows, seen = bad.nonzero().flatten()[:5].tolist(), beside[bad].abs().max()
        raise InputError(
            "the network's output",
            given=f"a {spread} of size {float(seen):.4g} in samples {rows}, whose deviation is 0 or infinite",
            expected="deviations that a number can hold",
        )
    return torch.stack([z[..., 0], found], -1)


def _pair(out: Sequence[Any], outputs: int) -> Tensor | None:
    """Number and spread of each output side by side; None where that isn't what there is."""
    if len(out) != 2 or not all(isinstance(t, Tensor) and t.ndim in (1, 2) for t in out):
        return None
    both = [t[:, None] if t.ndim == 1 else t for t in out]
    return torch.stack(both, -1) if all(t.shape[1] == outputs for t in both) and len(both[0]) == len(both[1]) else None


def _interval_of(out: Mapping[Any, Any], outputs: int) -> Tensor | None:
    """The number and both ends of its interval side by side; None where a dict doesn't have these three."""
    points = [name for name in _POINTS if name in out]
    parts = [out.get(name) for name in (*points, "low", "high")]
    if len(parts) != 3 or not all(isinstance(t, Tensor) and t.ndim in (1, 2) for t in parts):
        return None
    columns = [t[:, None] if t.ndim == 1 else t for t in parts if isinstance(t, Tensor)]
    return torch.stack(columns, -1) if {tuple(t.shape) for t in columns} == {(len(columns[0]), outputs)} else None


def _fits(out: Tensor, outputs: int, width: int) -> bool:
    return tuple(out.shape[1:]) in {(outputs, width), *({(width,)} if outputs == 1 else ())}


def median(out: Float[Tensor, "n outputs levels"], levels: Sequence[float]) -> Float[Tensor, "n outputs"]:
    """The quantile of 0.5, linearly between its neighbours; the nearest where it lies outside of all levels."""
    above = next((i for i, level in enumerate(levels) if level >= 0.5), len(levels) - 1)
    below = max(above - 1, 0) if levels[above] > 0.5 else above
    if above == below:
        return out[..., above]
    share = (0.5 - levels[below]) / (levels[above] - levels[below])
    return out[..., below] + share * (out[..., above] - out[..., below])


def interval(out: Tensor, spread: str, levels: Sequence[float], level: float) -> tuple[Tensor, Tensor] | None:
    """Ends of the central interval of a level: mean -+ z deviations, or the two quantiles, where both are given."""
    if spread == "interval":
        out = out[..., 1:]
    elif spread != "quantiles":
        half = math.sqrt(2) * float(torch.erfinv(torch.tensor(level, dtype=torch.float64)))
        return out[..., 0] - half * out[..., 1], out[..., 0] + half * out[..., 1]
    ends = [
        next((i for i, p in enumerate(levels) if abs(p - wanted) < 1e-9), None)
        for wanted in ((1 - level) / 2, (1 + level) / 2)
    ]
    return None if ends[0] is None or ends[1] is None else (out[..., ends[0]], out[..., ends[1]])


def losses(out: Tensor, y: Tensor, spread: str, levels: Sequence[float]) -> dict[str, Float[Tensor, " n"]]:
    """The proper scores of what is claimed, one number a sample (the mean over the outputs); none without a claim.

    Of an interval the pinball loss is that of its two ends.

    CRPS of a Gaussian, with z = (y - m) / s: s (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)). Pinball loss of a quantile
    q at level p: max(p (y - q), (p - 1) (y - q)).

    Source: T. Gneiting, A. E. Raftery, "Strictly proper scoring rules, prediction, and estimation", JASA 102, 2007.
    """
    if spread == "none":
        return {}
    z, truth = raised(out).double(), raised(y).double()
    if spread in ("quantiles", "interval"):
        z = z[..., 1:] if spread == "interval" else z
        p = torch.tensor(levels, dtype=torch.float64, device=z.device)
        gap = truth[..., None] - z
        return {"pinball": torch.maximum(p * gap, (p - 1) * gap).mean((1, 2))}
    mean, deviation = z[..., 0], z[..., 1]
    unit = (truth - mean) / deviation
    density = (-unit.square() / 2).exp() / math.sqrt(2 * math.pi)
    crps = deviation * (unit * torch.erf(unit / math.sqrt(2)) + 2 * density - 1 / math.sqrt(math.pi))
    nll = unit.square() / 2 + deviation.log() + math.log(2 * math.pi) / 2
    return {"crps": crps.mean(1), "nll": nll.mean(1)}
