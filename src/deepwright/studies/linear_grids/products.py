"""How many products of functions of one coordinate a solution needs: what every separable network has to find."""

from __future__ import annotations

import torch
from torch import Tensor

from deepwright.studies.linear_grids.methods import PROBLEMS

COUNTS = (1, 2, 4, 8, 16)


def products_needed(n: int = 128) -> dict[str, list[float]]:
    """By solution, the relative L2 error of its best sum of so many products, over a plane of its domain.

    Args:
        n: places along each of the plane's axes.
    """
    last = {"flow-mixing-3d": 4.0}
    found = {}
    for name, make in PROBLEMS.items():
        stated = make()
        assert stated.exact is not None
        axes = [torch.linspace(a, b, n, dtype=torch.float64) for a, b in stated.domain.bounds[:2]]
        z = torch.cartesian_prod(*axes)
        if name in last:
            z = torch.cat([z, torch.full((len(z), 1), last[name], dtype=torch.float64)], 1)
        found[f"{name}, at the end" if name in last else name] = _left(stated.exact(z).reshape(n, n))
    return found


def _left(values: Tensor) -> list[float]:
    """What the best sum of r products leaves, by Eckart and Young."""
    energy = torch.linalg.svdvals(values).square()
    left = energy.flip(0).cumsum(0).flip(0)
    return [float((left[r] / energy.sum()).sqrt()) for r in COUNTS]
