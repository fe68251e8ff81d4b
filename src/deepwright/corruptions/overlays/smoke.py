"""Smoke: three octaves of smooth noise, each at a speed of its own in the wind, so that it changes as it drifts."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.randomness import Streams
from deepwright.corruptions.overlays.clock import turned

# Pixels (of 240 lines) a cell of the lattice, cells a side, weight, and how much faster than the wind.
_OCTAVES = ((80.0, 8, 1.0, 1.0), (40.0, 12, 0.5, 1.25), (20.0, 20, 0.25, 1.6))


def smoke(streams: Streams, size: tuple[int, int], unit: float, t: float | None) -> Float[Tensor, "n h w"]:
    """Clouds of it, denser where the noise is high.

    Args:
        streams: one a sample.
        size: height and width.
        unit: pixels per pixel of 240 lines.
        t: frames; None where it stands still.
    """
    u = streams.uniform(4)
    across = torch.where(u[:, 0] < 0.5, -1.0, 1.0) * (0.8 + 0.8 * u[:, 1])
    wind = torch.stack([0.3 + 0.5 * u[:, 2], across], 1)  # upwards and to a side, pixels (of 240 lines) a frame
    total = torch.zeros(streams.n, *size, device=u.device)
    for cell, cells, weight, faster in _OCTAVES:
        lattice = streams.uniform(cells, cells)
        moved = turned(u[:, 3:], wind.abs() * (faster / (cell * cells)), t)
        moved = torch.where(wind < 0, 1 - moved, moved) * cells
        rows = _weights(size[0], cell * unit, moved[:, 0], cells)
        columns = _weights(size[1], cell * unit, moved[:, 1], cells)
        total += weight * (rows @ lattice @ columns.transpose(1, 2))
    density = ((total / sum(octave[2] for octave in _OCTAVES) - 0.45) / 0.15).clamp(0, 1)
    return density.square() * (3 - 2 * density)


def _weights(pixels: int, cell: float, moved: Tensor, cells: int) -> Float[Tensor, "n pixels cells"]:
    """How much of each lattice value is in each pixel of a line: cubic B-splines on a closed lattice.

    Args:
        pixels: of the line.
        cell: pixels a cell.
        moved: (N,) cells that the lattice has moved.
        cells: of the lattice.
    """
    place = torch.arange(pixels, device=moved.device) / cell + moved[:, None]
    gap = place[..., None] - torch.arange(cells, device=moved.device)
    gap = (gap - cells * (gap / cells).round()).abs()
    near = 2 / 3 - gap.square() * (1 - gap / 2)
    far = (2 - gap).clamp_min(0) ** 3 / 6
    return torch.where(gap < 1, near, far)
