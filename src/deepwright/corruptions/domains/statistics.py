"""Moving pictures to another domain without weights: its low frequencies, or its colours."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from deepwright.corruptions.domains.targets import drawn, target_pictures
from deepwright.corruptions.engine import Context, Perturbation

# RGB to the responses of the eye's cones, whose logarithms are turned so that natural pictures' axes hardly correlate.
_CONES = ((0.3811, 0.5783, 0.0402), (0.1967, 0.7244, 0.0782), (0.0241, 0.1288, 0.8444))
_AXES = (
    (1 / math.sqrt(3), 1 / math.sqrt(3), 1 / math.sqrt(3)),
    (1 / math.sqrt(6), 1 / math.sqrt(6), -2 / math.sqrt(6)),
    (1 / math.sqrt(2), -1 / math.sqrt(2), 0.0),
)
_DARKEST = 1 / 255


@dataclass(frozen=True)
class _Swapped:
    """Amplitudes of low frequencies from a target, all phases from the picture."""

    targets: Tensor = field(repr=False)

    def __call__(self, x: Tensor, beta: float, context: Context) -> Tensor:
        h, w = x.shape[-2:]
        target = F.interpolate(drawn(self.targets, context.streams), size=(h, w), mode="bilinear", antialias=True)
        down = torch.fft.fftfreq(h, 1 / h, device=x.device)
        across = torch.fft.rfftfreq(w, 1 / w, device=x.device)
        low = down.square()[:, None] + across.square() <= (beta * min(h, w)) ** 2
        own, other = torch.fft.rfft2(x), torch.fft.rfft2(target)
        size = own.abs()
        turned = own * (other.abs() / size.clamp_min(1e-12))
        # a frequency that the picture hasn't has no phase either: the target's
        turned = torch.where(size > 1e-12, turned, other.abs().to(own.dtype))
        return torch.fft.irfft2(torch.where(low, turned, own), s=(h, w))


@dataclass(frozen=True)
class _Recoloured:
    """Mean and deviation of each colour axis from a target."""

    targets: Tensor = field(repr=False)

    def __call__(self, x: Tensor, mix: float, context: Context) -> Tensor:
        own, other = _to_axes(x), _to_axes(drawn(self.targets, context.streams))
        mean, deviation = own.mean((2, 3), keepdim=True), own.std((2, 3), keepdim=True)
        ratio = other.std((2, 3), keepdim=True) / deviation.clamp_min(1e-6)
        moved = (own - mean) * ratio + other.mean((2, 3), keepdim=True)
        return torch.lerp(x, _from_axes(moved), mix)


def _matrices(like: Tensor) -> tuple[Tensor, Tensor]:
    return tuple(torch.tensor(m, device=like.device, dtype=like.dtype) for m in (_CONES, _AXES))  # type: ignore[return-value]


def _to_axes(x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
    cones, axes = _matrices(x)
    return torch.einsum("ij,njhw->nihw", axes, torch.einsum("ij,njhw->nihw", cones, x).clamp_min(_DARKEST).log10())


def _from_axes(x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
    cones, axes = _matrices(x)
    back = torch.linalg.inv(cones.double()).to(x)
    return torch.einsum("ij,njhw->nihw", back, 10 ** torch.einsum("ij,njhw->nihw", axes.T, x))


def fourier_swap(targets: Tensor | Path | str, name: str = "fourier_swap") -> Perturbation:
    """A perturbation that gives pictures the low frequencies of another domain: light, haze, tint.

    Below a radius of beta min(H, W) (beta .01, .02, .05, .09, .15) the amplitudes of the Fourier spectrum become those
    of a target, drawn for each picture; phases, which hold the shapes, stay. Source: arXiv 2004.05498.

    Args:
        targets: pictures of that domain; see `target_pictures`.
        name: of the perturbation, and of its streams.
    """
    levels = (0.01, 0.02, 0.05, 0.09, 0.15)
    function = _Swapped(target_pictures(targets))
    return Perturbation(name, "domain", function, levels, monotone=False, color=True, between="picture")


def colour_transfer(targets: Tensor | Path | str, name: str = "colour_transfer") -> Perturbation:
    """A perturbation that gives pictures the colours of another domain, mixed in by .2, .4, .6, .8 and 1.

    Mean and deviation of the picture on each axis of a decorrelated logarithmic colour space become those of a target,
    drawn for each picture. Source: Reinhard et al., Color Transfer between Images, IEEE CG&A 2001.

    Args:
        targets: pictures of that domain; see `target_pictures`.
        name: of the perturbation, and of its streams.
    """
    function = _Recoloured(target_pictures(targets))
    return Perturbation(name, "domain", function, (0.2, 0.4, 0.6, 0.8, 1.0), color=True, identity=0)
