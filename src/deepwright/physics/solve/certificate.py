"""What can be said of a trained solution without knowing the true one.

Residuals on fresh, denser points (a fit that only knows its own points shows there), the drift of what should be
conserved, a spectrum of the residual along each axis, and the linearised problem: how large a correction would be that
fits the equations better, and how large one could be that residuals hardly notice. Where that is too large, or can't be
told, the answer is "not certified".
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.devices import device_of, dtype_of, to_model
from deepwright.core.errors import InputError
from deepwright.physics.domains import SpaceTime
from deepwright.physics.points import unit_points
from deepwright.physics.solve.block import Block
from deepwright.physics.solve.least_squares import LeastSquaresProblem
from deepwright.physics.solve.problem import PDEProblem
from deepwright.physics.solve.sensitivity import sensitivity

OVERFIT = 2.0
MISSED = 0.02  # of the solution's size: a larger smooth correction is told


@dataclass
class Certificate:
    """A report on a solution.

    Attributes:
        trained: RMS of each block on its training points.
        fresh: on new points, as many; conditions at points of the user's own have no others, and aren't here.
        dense: on four times as many, likewise.
        drift: conserved quantity -> largest change over time, relative to its size at the start (or its mean size).
        bands: interior block -> axis -> share of the residual's energy in the lowest 3 of 64 modes along that axis.
        missed: RMS of the best smooth correction (waves, linearised) over that of the solution: an estimate of the
            relative error; None where it isn't looked for.
        bound: `missed`, and what the residuals that are left allow in the worst case, as far as corrections are looked
            at (`seen`); None where residuals give no bound.
        amplification: RMS of the solution's change for residuals of RMS 1 (weighted), in the worst case.
        undetermined: independent corrections that no residual notices.
        seen: how fine the corrections are.
        doubts: why the solution isn't certified.
        errors: relative L2, where the exact solution is known (RMS under "..., absolute" where that is 0).
        warnings: what a reader must know.
    """

    trained: dict[str, float]
    fresh: dict[str, float]
    dense: dict[str, float]
    drift: dict[str, float] = field(default_factory=dict)
    bands: dict[str, list[float]] = field(default_factory=dict)
    missed: float | None = None
    bound: float | None = None
    amplification: float | None = None
    undetermined: int | None = None
    seen: str = ""
    doubts: list[str] = field(default_factory=list)
    errors: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [
            f"{k}: RMS {self.trained[k]:.3g} trained, {self.fresh[k]:.3g} fresh, {self.dense[k]:.3g} dense"
            if k in self.fresh
            else f"{k}: RMS {self.trained[k]:.3g} at its own points, not checked between them"
            for k in self.trained
        ]
        return "\n".join([*lines, *self.lines(), *self.warnings])

    @property
    def certified(self) -> bool:
        """Whether residuals bound the error: the problem was linearised, and nothing speaks against it."""
        return self.bound is not None and math.isfinite(self.bound) and not self.doubts

    @property
    def verdict(self) -> str:
        """Certified or not, and what that means, in one sentence."""
        if self.certified:
            assert self.bound is not None
            return f"certified: relative error at most {self.bound:.2g}, for errors of {self.seen}"
        looked = "the linearised problem wasn't looked at" if self.bound is None else f"the bound is {self.bound:g}"
        return "not certified: " + "; ".join(self.doubts or [looked])

    def to_dict(self) -> dict[str, Any]:
        """Plain data, the verdict among them."""
        return vars(self) | {"certified": self.certified, "verdict": self.verdict}

    def lines(self) -> list[str]:
        """The verdict, errors, the smooth correction and drifts, in words."""
        words = {k: f"relative L2 error of {k}" for k in self.errors}
        words |= {
            k: f"RMS error of {k.split(',')[0]} (the truth is 0)" for k in self.errors if k.endswith(", absolute")
        }
        found = [self.verdict, *(f"{words[k]}: {v:.3g}" for k, v in self.errors.items())]
        found += (
            [] if self.missed is None else [f"smooth correction that fits better: {self.missed:.2g} of the solution"]
        )
        return found + [f"drift of {k}: {v:.3g}" for k, v in self.drift.items()]


def certify(problem: PDEProblem, u: nn.Module, *, seed: int = 0, times: int = 4) -> Certificate:
    """Look at a solution with fresh eyes, where it lives and in its dtype.

    Args:
        problem: the equation.
        u: the trained network; it stays as it is.
        seed: the one it was trained with (fresh points come from others).
        times: how much denser the dense points are.

    Raises:
        InputError: points that aren't denser; something conserved where there is no time.
    """
    if times < 2:
        raise InputError("times", given=times, expected="2 or more")
    if not isinstance(u, nn.Module):
        raise InputError("u", given=type(u).__name__, expected="a torch.nn.Module")
    place: dict[str, Any] = {"dtype": dtype_of(u), "device": device_of(u)}
    trained = _rms(u, problem.blocks(seed, **place))
    fresh = problem.blocks(seed + 7919, **place)
    drawn = {b.name for b in fresh if b.draw is not None}
    dense = _rms(u, [b for b in problem.blocks(seed + 7919, times=times, **place) if b.name in drawn])
    report = Certificate(trained, _rms(u, [b for b in fresh if b.name in drawn]), dense, errors=problem.error(u))
    for name, density in problem.conserved.items():
        report.drift[name] = _drift(problem, u, density)
    for c in problem.conditions:
        if isinstance(c.where, str) and c.where == "interior":
            report.bands[c.name] = _low_share(problem, u, c.name)
    for name in dense:
        if dense[name] > OVERFIT * max(trained[name], 1e-14):
            report.warnings.append(
                f"{name}: residuals are {dense[name] / max(trained[name], 1e-14):.1f} times larger between the "
                "training points than on them; train on more points"
            )
    seen = sensitivity(problem, u, seed + 7919)
    report.missed, report.bound, report.amplification = seen.missed, seen.bound, seen.amplification
    report.undetermined, report.seen = seen.undetermined, seen.seen
    report.doubts = [*_lacking(problem), *seen.doubts]
    if report.missed is not None and report.missed > MISSED:
        report.warnings.append(
            f"a smooth correction of {report.missed:.2g} of the solution's size fits the equations better, however "
            "small their residuals are: try several grid levels or longer training"
        )
    return report


def _rms(u: nn.Module, blocks: list[Block]) -> dict[str, float]:
    return LeastSquaresProblem(u, blocks).breakdown() if blocks else {}


def _lacking(problem: PDEProblem) -> list[str]:
    """Conditions that an equation can hardly do without, and that aren't there."""
    if problem.hard is not None:
        return []  # the linearised problem knows what the network keeps
    places = {c.where if isinstance(c.where, str) else "own" for c in problem.conditions}
    if places == {"interior"}:
        return ["there is no condition besides the equation: it has many solutions, and any of them fits"]
    if not isinstance(problem.domain, SpaceTime) or "own" in places:
        return []
    wanted = {"initial": "at the start", "boundary": "on the boundary"}
    return [f"there is no condition {where}" for place, where in wanted.items() if place not in places]


def _drift(problem: PDEProblem, u: nn.Module, density: Any, slices: int = 9, n: int = 4096) -> float:
    """Change of an integral over space, by the same quasi-random points at every time."""
    if not isinstance(problem.domain, SpaceTime):
        raise InputError("conserved", given="a problem without time", expected="a SpaceTime domain")
    x = to_model(problem.domain.space.sample(n, generator=torch.Generator().manual_seed(1)), u)
    start, end = problem.domain.span
    values = []
    for t in torch.linspace(start, end, slices, dtype=x.dtype, device=x.device):
        with torch.no_grad():
            values.append(density(u, torch.cat([x, t.expand(n, 1)], 1)))
    means = torch.stack([v.mean() for v in values])
    size = torch.stack([v.abs().mean() for v in values]).mean()
    return float((means - means[0]).abs().max() / size.clamp_min(1e-300))


def _low_share(problem: PDEProblem, u: nn.Module, name: str, lines: int = 64, n: int = 64) -> list[float]:
    """Share of energy in the three lowest cosine modes, along lines parallel to each axis (box-shaped bounds)."""
    place: dict[str, Any] = {"dtype": dtype_of(u), "device": device_of(u)}
    low, high = torch.tensor(problem.domain.bounds, **place).T
    shares = []
    step = (torch.arange(n, **place) + 0.5) / n
    modes = torch.cos(torch.pi * torch.arange(n, **place)[:, None] * step)
    modes[0] /= 2**0.5
    for axis in range(problem.domain.dim):
        base = to_model(unit_points(lines, problem.domain.dim, "lhs", torch.Generator().manual_seed(axis)), u)
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
