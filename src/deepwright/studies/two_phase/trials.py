"""One two-phase flow solved by Levenberg-Marquardt and measured against its known solution."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from deepwright.physics.two_phase.baselines import Smeared, one_network
from deepwright.physics.two_phase.problems import core_flow, droplet, general, layers, static_ball, static_droplet
from deepwright.physics.two_phase.slabs import Slabs
from deepwright.physics.two_phase.solver import PointCounts, TwoPhasePINN

# the same number of parameters for everybody: two networks of 2 x 16 have 774, one of 2 x 24 has 771
WAYS = (
    "a network per phase",
    "one network",
    "one network, smeared interface",
    "one network, |phi| as input",
    "a network per phase, stream function",
)
OURS = WAYS[0]
MORE = ("three fluids", "core flow", "ball", "unknown", "slabs", "whole")
NOISE = 0.01
SPREADS = {
    "half inside": PointCounts(240, 80, 80, 120, 16),
    "default": PointCounts(220, 120, 120, 160, 16),
    "30 % moved to the edges": PointCounts(154, 164, 164, 204, 16),
    "most at the edges": PointCounts(90, 210, 210, 240, 16),
}


def _solver(what: str, seed: int) -> TwoPhasePINN:
    if what == "one network":
        return one_network(droplet(), (24, 24), seed)
    if what == "one network, smeared interface":
        return Smeared(droplet(), (24, 24), 0.5, seed=seed)
    if what == "one network, |phi| as input":
        return one_network(droplet(), (24, 24), seed, distance=True)
    if what == "general":
        return TwoPhasePINN(general(), (16, 16), seed=seed)
    if what == "static":
        return TwoPhasePINN(static_droplet(), (16, 16), seed=seed)
    if what == "free":
        return TwoPhasePINN(droplet(free=64), (16, 16), seed=seed)
    if what.startswith("contrast "):
        return TwoPhasePINN(droplet(mu=(float(what[9:]), 1.0)), (16, 16), seed=seed)
    counts = SPREADS[what[7:]] if what.startswith("points ") else None
    return TwoPhasePINN(droplet(), (16, 16), stream="stream" in what, counts=counts, seed=seed)


def _further(what: str, seed: int, steps: int) -> dict[str, Any]:
    """Three fluids, flows around an axis, unknown properties from noisy data, and a longer time in slabs."""
    begin = time.process_time()
    if what in ("slabs", "whole"):
        problem = droplet(center=(-0.3, -0.1), end=1.2)
        found = Slabs(problem, 0.4 if what == "slabs" else 1.2, (16, 16), seed=seed)
        found.fit(schedule=[("lm", steps if what == "slabs" else 3 * steps)])
        return found.errors() | {"seconds": time.process_time() - begin}
    if what == "unknown":
        return _unknown(seed, steps)
    make: dict[str, Any] = {"three fluids": layers, "core flow": core_flow, "ball": static_ball}
    solver = TwoPhasePINN(make[what](), (16, 16), seed=seed)
    solver.fit([("lm", steps)])
    out: dict[str, Any] = {"seconds": time.process_time() - begin} | solver.errors()
    z = solver.space.sample(4000)
    u, phase = solver.predict(z), solver.problem.interface.phase(z)
    return out | {"jump": float(u[phase == 0, 2].mean() - u[phase == 1, 2].mean())}


def _unknown(seed: int, steps: int) -> dict[str, Any]:
    """A droplet's outer viscosity and tension from 80 places with noise of 1 %, first guesses off twofold."""
    problem = droplet((2.0, 1.0))
    draw = torch.Generator().manual_seed(seed)
    z = TwoPhasePINN(problem, (4,)).space.sample(80, generator=draw)
    assert problem.exact is not None
    truth = torch.where((problem.interface.phase(z) == 0)[:, None], problem.exact(0, z), problem.exact(1, z))
    noisy = truth + NOISE * torch.randn(truth.shape, generator=draw, dtype=torch.float64)
    measured = replace(problem, observations=(z, noisy[:, :2]), pressures=(z, noisy[:, 2]))
    solver = TwoPhasePINN(measured, (16, 16), unknown={"mu1": 2.0, "gamma": 0.5}, seed=seed)
    solver.fit([("lm", steps)])
    found = solver.estimates(NOISE)
    return {
        "estimates": found,
        "worst": max(abs(v - 1) for v, _ in found.values()),
        "deviations": max(abs(v - 1) / s for v, s in found.values()),
    }


def trial(what: str, seed: int, steps: int, picture: bool) -> dict[str, Any]:
    """Levenberg-Marquardt for the same number of steps."""
    if what in MORE:
        return _further(what, seed, steps)
    solver = _solver(what, seed)
    begin = time.process_time()
    out: dict[str, Any] = {}
    if what == "free":
        tracked = solver.fit_free(first=[("lm", steps)], later=[("lm", steps // 2)], sweeps=8, tolerance=5e-4)
        assert tracked.interface is not None
        centre = tracked.interface.path[-1].mean(0)
        out |= {
            "moves": tracked.moves,
            "converged": tracked.converged,
            "centre error": float((centre - torch.tensor([0.1, 0.1])).norm()),
            "area error": abs(tracked.interface.area(0.5) / (np.pi * 0.25) - 1),
        }
    else:
        solver.fit([("lm", steps)])
    assert solver.training is not None
    out |= {
        "seconds": time.process_time() - begin,
        "parameters": solver.least_squares().size,
        "loss": solver.training.loss,
        "curve": [(r["seconds"], r["loss"]) for r in solver.training.history[:: max(1, steps // 40)]],
    }
    if what == "static":
        z = solver.space.sample(4000)
        phase = solver.problem.interface.phase(z)
        u = solver.predict(z)
        return out | {
            "spurious": float(u[:, :2].norm(dim=1).max()),
            "jump": float(u[phase == 0, 2].mean() - u[phase == 1, 2].mean()),
        }
    out |= solver.errors()
    out["indicator"] = solver.error_indicator()
    out["picture"] = _picture(solver) if picture else None
    return out


def _picture(solver: TwoPhasePINN, n: int = 110) -> dict[str, torch.Tensor]:
    """Speed relative to the droplet and pressure at the end, with the truth."""
    axis = torch.linspace(-1, 1, n, dtype=torch.float64)
    z = torch.cat([torch.cartesian_prod(axis, axis), torch.full((n * n, 1), 0.5, dtype=torch.float64)], 1)
    guess, exact = solver.predict(z), solver.problem.exact
    assert exact is not None
    inside = (solver.problem.interface.phase(z) == 0)[:, None]
    truth = torch.where(inside, exact(0, z), exact(1, z))
    shift = (guess - truth)[:, 2].mean()
    return {
        "p": (guess[:, 2] - shift).reshape(n, n),
        "p exact": truth[:, 2].reshape(n, n),
        "gap": (guess - truth)[:, :2].norm(dim=1).reshape(n, n),
    }
