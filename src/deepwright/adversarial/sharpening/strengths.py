"""How strongly a picture is sharpened: a number, or what reaches a PSNR, an SSIM or a squared error, image by image.

Nothing here waits for a value but the last look: a fixed number of halvings, for all pictures at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from deepwright.adversarial.sharpening.fidelity import mean_squared_of, similarity, squared_error
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_number

Finish = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(pictures, what a strength multiplies, strengths) -> published pictures."""

HIGHEST_PSNR = 48.0
"""Decibels above which the steps of 8 bits are coarser than `DECIBELS`."""
DECIBELS, SIMILARITY = 0.05, 0.002
"""How near a target is reached."""
_OCTAVES, _ROUGH, _FINE, _HALVINGS = 10, 4, 3, 20
_DECIBELS_OF_AN_OCTAVE = 10 * math.log10(2)
_SIMILAR = (-12, 8)  # octaves about a change of a twentieth of the range


class Strengths(NamedTuple):
    """Of each picture.

    Attributes:
        strength: that meets the target; 0 where none does.
        reached: whether the target is met.
    """

    strength: Float[Tensor, " n"]
    reached: Bool[Tensor, " n"]


@dataclass(frozen=True)
class Aimed:
    """What a strength is chosen for.

    Attributes:
        kind: "fixed", "psnr", "ssim" or "error" (a mean squared error).
        value: the strength itself, decibels, similarity, or (N,) errors.
    """

    kind: str
    value: float | Tensor

    def __str__(self) -> str:
        words = {"fixed": "strength {:g}", "psnr": "PSNR {:g} dB", "ssim": "SSIM {:g}"}
        return words[self.kind].format(self.value) if self.kind in words else "squared error of another method"


def aimed(strength: float | str, quantize: int | None = None) -> Aimed:
    """A strength as a user gives it.

    Args:
        strength: 0 or more, "psnr:30" or "ssim:0.95".
        quantize: levels that pictures are rounded to, or None.

    Raises:
        InputError: anything else; a PSNR that 8 bits can't tell.
    """
    if not isinstance(strength, str):
        require_number(0, strength=strength)
        return Aimed("fixed", float(strength))
    kind, _, text = strength.partition(":")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    good = {"psnr": 0 < value < math.inf, "ssim": 0 < value < 1}
    if not good.get(kind, False):
        expected = "0 or more, 'psnr:30' (decibels) or 'ssim:0.95' (below 1)"
        raise InputError("strength", given=repr(strength), expected=expected)
    if kind == "psnr":
        require_tellable(value, quantize)
    return Aimed(kind, value)


def require_tellable(decibel: float, quantize: int | None) -> None:
    """Refuse a PSNR beside which a step of 8 bits is too coarse.

    Args:
        decibel: the PSNR.
        quantize: levels that pictures are rounded to, or None.

    Raises:
        InputError: it is.
    """
    if quantize is not None and quantize <= 255 and decibel > HIGHEST_PSNR:
        expected = f"at most {HIGHEST_PSNR:g} dB on {quantize} levels, whose rounding alone is seen in it"
        raise InputError("strength", given=f"psnr:{decibel:g}", expected=expected)


def found_for(target: Aimed, x: Float[Tensor, "n c h w"], detail: Tensor, finish: Finish) -> Strengths:
    """The strengths that meet a target.

    Args:
        target: any but a fixed one too.
        x: pictures.
        detail: what a strength multiplies, of a shape that broadcasts to x's.
        finish: pointwise, and never farther from x at a smaller strength.
    """
    with torch.no_grad():
        if target.kind == "fixed":
            fixed = torch.full((len(x),), float(target.value), dtype=x.dtype, device=x.device)
            return Strengths(fixed, torch.ones_like(fixed, dtype=torch.bool))
        if target.kind == "ssim":
            return _similar(float(target.value), x, detail, finish)
        if target.kind == "psnr":
            error = torch.full((len(x),), mean_squared_of(float(target.value)), dtype=x.dtype, device=x.device)
        else:
            error = torch.as_tensor(target.value).to(x)
        return _at_error(error, x, detail, finish)


def _at_error(error: Tensor, x: Tensor, detail: Tensor, finish: Finish) -> Strengths:
    """Where nothing is clipped an error goes with the square of its strength: corrected so, else bisected.

    First on a quarter of the pixels, then on all of them.
    """
    size = detail.expand_as(x).flatten(1).square().mean(1).sqrt()
    moves = (size > 0) & (error > 0)
    unclipped = torch.where(moves, error.sqrt() / size.clamp_min(1e-30), 1.0)
    octaves = torch.log2(unclipped)

    def over(pictures: Tensor, along: Tensor, at: Tensor) -> Tensor:
        """Octaves by which the error is too large."""
        found = squared_error(finish(pictures, along, torch.exp2(at)), pictures)
        return torch.log2(found.clamp_min(1e-30) / error.clamp_min(1e-30))

    at = octaves
    for pictures, along, times in ((x[..., ::2, ::2], detail[..., ::2, ::2], _ROUGH), (x, detail, _FINE)):
        for _ in range(times):
            at = (at - over(pictures, along, at) / 2).clamp(octaves - 1, octaves + _OCTAVES)

    def met(at: Tensor) -> Tensor:
        return moves & (over(x, detail, at).abs() * _DECIBELS_OF_AN_OCTAVE <= DECIBELS)

    reached = met(at)
    if bool((moves & ~reached).any()):  # much is clipped, or no strength does it
        halved = _halved(lambda a: over(x, detail, torch.log2(a)) > 0, octaves - 1, octaves + _OCTAVES, _HALVINGS)
        at = torch.where(reached, at, halved)
        reached = met(at)
    return Strengths(torch.where(reached, torch.exp2(at), 0.0), reached)


def _similar(value: float, x: Tensor, detail: Tensor, finish: Finish) -> Strengths:
    size = detail.expand_as(x).flatten(1).square().mean(1).sqrt()
    moves = size > 0
    middle = torch.log2(0.05 / size.clamp_min(1e-30))

    def at(octave: Tensor) -> Tensor:
        return similarity(finish(x, detail, torch.exp2(octave)), x)

    found = _halved(
        lambda a: similarity(finish(x, detail, a), x) < value, middle + _SIMILAR[0], middle + _SIMILAR[1], 24
    )
    reached = moves & ((at(found) - value).abs() <= SIMILARITY)
    return Strengths(torch.where(reached, torch.exp2(found), 0.0), reached)


def _halved(exceeds: Callable[[Tensor], Tensor], low: Tensor, high: Tensor, times: int) -> Tensor:
    """The largest power of two (its exponent) that doesn't exceed, within a bracket of exponents."""
    for _ in range(times):
        middle = (low + high) / 2
        too_much = exceeds(torch.exp2(middle))
        low, high = torch.where(too_much, low, middle), torch.where(too_much, middle, high)
    return low
