"""What is asked for: severities, whole or between two levels, and the identity of each sample."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deepwright.core.errors import InputError

Level = Any


def described(samples: Any) -> str:
    """What was given in place of samples, for the message that refuses it.

    Args:
        samples: anything.
    """
    if not isinstance(samples, Tensor):
        return type(samples).__name__
    broken = samples.is_floating_point() and not bool(torch.isfinite(samples).all())
    return f"{samples.dtype} of shape {tuple(samples.shape)}" + (" with NaN or infinity" if broken else "")


def identities(ids: Tensor | None, n: int) -> Tensor:
    """(N,) identity of each sample, for its random stream.

    Args:
        ids: as given; None for 0..N-1.
        n: number of samples.

    Raises:
        InputError: anything but n whole numbers.
    """
    found = torch.arange(n) if ids is None else torch.as_tensor(ids)
    if found.shape != (n,) or found.is_floating_point() or found.is_complex():
        given = f"{found.dtype} of shape {tuple(found.shape)}"
        raise InputError("ids", given=given, expected=f"whole numbers ({n},), one an image")
    return found


def severities_of(severity: Any, n: int, least: float | None = None) -> Tensor:
    """(N,) severities on the CPU: whole ones, or float64 where what lies between two levels is known.

    Args:
        severity: one number, or one a sample.
        n: number of samples.
        least: the lowest severity from which on there is something between two levels; None where there is nothing.

    Raises:
        InputError: what is between two severities that have nothing between them, outside 0..5, or no number; as many
            as neither one nor n.
    """
    try:
        found = None if isinstance(severity, str | bool | None) else torch.as_tensor(severity).cpu()
    except (TypeError, ValueError, RuntimeError):
        found = None
    good = found is not None and found.dtype != torch.bool and not found.is_complex() and found.ndim <= 1
    if good:
        assert found is not None
        good = found.numel() in {1, n} and bool(((found >= 0) & (found <= 5)).all())
        whole = found == found.round()
        good = good and bool((whole if least is None else whole | (found > least)).all())
    if not good or found is None:
        given = severity if isinstance(severity, Tensor) else repr(severity)
        hint, expected = None, "0..5, one whole number or one an image"
        if isinstance(severity, float) or (isinstance(severity, Tensor) and severity.is_floating_point()):
            hint = "no level lies between two severities"
            if least is not None:
                hint = None if least == 0 else "its first level isn't reached from none: nothing lies between 0 and 1"
        if least is not None:
            expected = f"0..5, one number or one an image{'' if least == 0 else '; whole below 1'}"
        raise InputError("severity", given=given, expected=expected, hint=hint)
    kept = found.long() if least is None else found.double()
    return kept.reshape(-1).expand(n)


def between(low: Level, high: Level, share: float) -> Level:
    """The level that lies so far on the way from one to another: number by number.

    Args:
        low: a number, or a tuple of them.
        high: of the same form.
        share: 0 for the one, 1 for the other.
    """
    if isinstance(low, tuple):
        return tuple(between(a, b, share) for a, b in zip(low, high, strict=True))
    return low + (high - low) * share
