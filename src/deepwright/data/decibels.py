"""Radar products from one unit to another."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_within


def to_amplitude(values: Float[Tensor, "..."], unit: str = "decibels", percentile: float = 99.9) -> Tensor:
    """Radar products as amplitudes in [0, 1], cut at a percentile.

    Args:
        values: decibels of power, intensities, or amplitudes.
        unit: "decibels", "intensity" or "amplitude".
        percentile: of the amplitudes, that becomes 1; all above are cut there.

    Raises:
        InputError: an unknown unit, negative intensities or amplitudes, numbers that aren't finite.
    """
    require_within(0, 100, ends="(]", percentile=percentile)
    if unit not in ("decibels", "intensity", "amplitude"):
        raise InputError("unit", given=repr(unit), expected="'decibels', 'intensity' or 'amplitude'")
    if values.numel() == 0 or not bool(torch.isfinite(values).all()):
        raise InputError("values", given="none, NaN or infinity", expected="finite numbers")
    if unit != "decibels" and bool((values < 0).any()):
        hint = "negative values are decibels" if bool((values < -1).any()) else None
        raise InputError("values", given=f"{unit} down to {float(values.min()):.4g}", expected="0 or more", hint=hint)
    amplitude = 10 ** (values / 20) if unit == "decibels" else values.sqrt() if unit == "intensity" else values
    flat = amplitude.flatten().sort().values
    top = flat[min(len(flat) - 1, math.ceil(percentile / 100 * len(flat)) - 1)].clamp_min(1e-30)
    return (amplitude / top).clamp(0, 1)


def to_decibels(amplitude: Float[Tensor, "..."], floor: float = -60.0) -> Tensor:
    """20 log10 of amplitudes, no lower than a floor.

    Args:
        amplitude: 0 or more.
        floor: of the result.

    Raises:
        InputError: negative amplitudes.
    """
    if bool((amplitude < 0).any()):
        raise InputError("amplitude", given=f"{float(amplitude.min()):.4g}", expected="0 or more")
    return (20 * amplitude.clamp_min(1e-30).log10()).clamp_min(floor)
