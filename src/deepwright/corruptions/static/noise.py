"""Sensor noise."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from deepwright.corruptions.engine import Context, Perturbation


def gaussian_noise(x: Tensor, deviation: float, context: Context) -> Tensor:
    """x + N(0, sd)."""
    return context.streams.normal(*x.shape[1:]).mul_(deviation).add_(x)


def poisson_noise(x: Tensor, photons: float, context: Context) -> Tensor:
    """Poisson(x f) / f, by inverting the distribution of each of 256 brightnesses at one uniform number a pixel.

    Brightness between two table rows is rounded at random to one of them, which keeps the mean exact.
    """
    table = _poisson_table(photons, x.device)
    place = context.streams.uniform(*x.shape[1:]).mul_(table.shape[1]).floor_()
    row = (x * 255).add_(context.streams.uniform(*x.shape[1:])).floor_().clamp_(0, 255)
    return table.take(place.add_(row, alpha=table.shape[1]).long()).float() / photons


@lru_cache(maxsize=64)  # of 256 KB each, which stays in the cache of a core
def _poisson_table(photons: float, device: torch.device, resolution: int = 1024) -> Tensor:
    """(256, resolution) counts: row b holds quantiles of Poisson(b / 255 * photons), evenly spaced in probability."""
    from scipy.special import pdtr

    rates = torch.arange(256, dtype=torch.float64) / 255 * photons
    most = int(photons + 10 * photons**0.5 + 10)
    cumulative = torch.from_numpy(pdtr(torch.arange(most, dtype=torch.float64).numpy()[None], rates.numpy()[:, None]))
    grid = (torch.arange(resolution, dtype=torch.float64) + 0.5) / resolution
    counts = torch.searchsorted(cumulative, grid.expand(256, -1).contiguous())
    return counts.clamp_max(255).to(torch.uint8).to(device)


def impulse_noise(x: Tensor, share: float, context: Context) -> Tensor:
    """A share of the elements becomes black or white, half each."""
    u = context.streams.uniform(*x.shape[1:])
    return torch.where(u < share / 2, 0.0, torch.where(u > 1 - share / 2, 1.0, x))


def impulse_noise_per_pixel(x: Tensor, share: float, context: Context) -> Tensor:
    """A share of the pixels becomes black or white in all channels, half each."""
    u = context.streams.uniform(1, *x.shape[2:])
    return torch.where(u < share / 2, 0.0, torch.where(u > 1 - share / 2, 1.0, x))


def speckle_noise(x: Tensor, deviation: float, context: Context) -> Tensor:
    """x N(1, sd)."""
    return context.streams.normal(*x.shape[1:]).mul_(deviation).add_(1).mul_(x)


_SHARES = (0.01, 0.02, 0.04, 0.065, 0.10)
NOISE = (
    Perturbation("gaussian_noise", "noise", gaussian_noise, (0.03, 0.06, 0.12, 0.18, 0.22), identity=0),
    Perturbation("poisson_noise", "noise", poisson_noise, (120, 105, 87, 55, 30), differentiable=False),
    Perturbation("impulse_noise", "noise", impulse_noise, _SHARES, identity=0),
    Perturbation("speckle_noise", "noise", speckle_noise, (0.02, 0.05, 0.09, 0.14, 0.2), identity=0),
)
# Other readings of the above: found by name, and in no suite beside them.
NOISE_VARIANTS = (Perturbation("impulse_noise_per_pixel", "noise", impulse_noise_per_pixel, _SHARES, identity=0),)
