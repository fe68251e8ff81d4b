"""What can be said of a trained solution without knowing the true one.

Residuals on fresh, denser points (a fit that only knows its own points shows there), the drift of what should be conserved,
and a spectrum of the residual along each axis: a smooth leftover that no point set shows hides there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.physics.lsq import Block, LeastSquaresProblem
from deepwright.physics.points import SpaceTime, unit_points
from deepwright.physics.problem import PDEProblem

OVERFIT = 2.0
SMOOTH = 0.4  # of the residual's energy in 3 of 64 modes; without any structure it would be 0.05


@dataclass
class Certificate:
    """A report on a solution.

    Attributes:
        trained: RMS of each block on its training points; fresh: on new points, as many; dense: on four times as many.
        drift: conserved quantity -> largest change over time, relative to its size at the start (or its mean size).
        bands: interior block -> axis -> share of the residual's energy in the lowest 3 of 64 modes along that axis.
        errors: relative L2, where the exact solution is known.
        warnings: what a reader must know.
    """

    trained: dict[str, float]
    fresh: dict[str, float]
    dense: dict[str, float]
    drift: dict[str, float] = field(default_factory=dict)
    bands: dict[str, list[float]] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [
            f"{k}: RMS {self.trained[k]:.3g} trained, {self.fresh[k]:.3g} fresh, {self.dense[k]:.3g} dense"
            for k in self.trained
        ]
        lines += [f"conserved {k}: drift {v:.3g}" for k, v in self.drift.items()]
        lines += [f"relative L2 error of {k}: {v:.3g}" for k, v in self.errors.items()]
        return "\n".join([*lines, *self.warnings])


def certify(problem: PDEProblem, u: Any, *, seed: int = 0, times: int = 4) -> Certificate:
    """Look at a solution with fresh eyes.

    Args:
        problem: the equation; u: the trained network.
        seed: the one it was trained with (fresh points come from others).
        times: how much denser the dense points are.
    """
    if times < 2:
        raise InputError("times", given=times, expected="2 or more")
    dtype = next(u.parameters()).dtype
    trained = _rms(u, problem.blocks(seed, dtype=dtype))
    fresh = _rms(u, problem.blocks(seed + 7919, dtype=dtype))
    dense = _rms(u, problem.blocks(seed + 7919, times=times, dtype=dtype))
    report = Certificate(trained, fresh, dense, errors=problem.error(u))
    for name, density in problem.conserved.items():
        report.drift[name] = _drift(problem, u, density, dtype)
    for c in problem.conditions:
        if c.where == "interior":
            report.bands[c.name] = _low_share(problem, u, c.name, dtype)
    for name in trained:
        if dense[name] > OVERFIT * max(trained[name], 1e-14):
            report.warnings.append(
                f"{name}: residuals are {dense[name] / max(trained[name], 1e-14):.1f} times larger between the training points "
                "than on them; train on more points"
            )
    for name, shares in report.bands.items():
        for axis, share in enumerate(shares):
            if share > SMOOTH and dense[name] > 1e-8:
                report.warnings.append(
                    f"{name}: {share:.0%} of what is left is smooth along axis {axis}; a solution can be far off with a small "
                    "residual there: try several grid levels or longer training"
                )
    return report


def _rms(u: Any, blocks: list[Block]) -> dict[str, float]:
    return LeastSquaresProblem(u, blocks).breakdown()


def _drift(problem: PDEProblem, u: Any, density: Any, dtype: torch.dtype, slices: int = 9, n: int = 4096) -> float:
    """Change of an integral over space, by the same quasi-random points at every time."""
    if not isinstance(problem.domain, SpaceTime):
        raise InputError("conserved", given="a problem without time", expected="a SpaceTime domain")
    x = problem.domain.space.sample(n, generator=torch.Generator().manual_seed(1)).to(dtype)
    start, end = problem.domain.span
    values = []
    for t in torch.linspace(start, end, slices, dtype=dtype):
        with torch.no_grad():
            values.append(density(u, torch.cat([x, t.expand(n, 1)], 1)))
    means = torch.stack([v.mean() for v in values])
    size = torch.stack([v.abs().mean() for v in values]).mean()
    return float((means - means[0]).abs().max() / size.clamp_min(1e-300))


def _low_share(problem: PDEProblem, u: Any, name: str, dtype: torch.dtype, lines: int = 64, n: int = 64) -> list[float]:
    """Share of energy in the three lowest cosine modes, along lines parallel to each axis (box-shaped bounds)."""
    low, high = torch.tensor(problem.domain.bounds, dtype=dtype).T
    shares = []
    step = (torch.arange(n, dtype=dtype) + 0.5) / n
    modes = torch.cos(torch.pi * torch.arange(n, dtype=dtype)[:, None] * step)
    modes[0] /= 2**0.5
    for axis in range(problem.domain.dim):
        base = unit_points(lines, problem.domain.dim, "lhs", torch.Generator().manual_seed(axis)).to(dtype)
        x = base[:, None].repeat(1, n, 1)
        x[..., axis] = step
        flat = (low + (high - low) * x).reshape(-1, problem.domain.dim)
        if not bool(problem.domain.contains(flat).all()):
            return []
        with torch.no_grad():
            r: Tensor = problem.residuals(u, {name: flat})[name].reshape(lines, n, -1)
        energy = torch.einsum("kn,lnm->lkm", modes, r).square().sum((0, 2))
        shares.append(float(energy[:3].sum() / energy.sum().clamp_min(1e-300)))
    return shares
