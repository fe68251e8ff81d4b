"""One two-phase flow solved and measured against its known solution."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from deepwright.physics.two_phase import (
    PointCounts,
    Slabs,
    TwoPhasePINN,
    core_flow,
    droplet,
    general,
    layers,
    static_ball,
    static_droplet,
)
from deepwright.studies._clock import one_thread
from deepwright.studies.two_phase.ways import ADAM, LBFGS, OURS, schedule_of, solver_for

NOISE = 0.01
SPREADS = {
    "half inside": PointCounts(240, 80, 80, 120, 16),
    "default": PointCounts(220, 120, 120, 160, 16),
    "30 % moved to the edges": PointCounts(154, 164, 164, 204, 16),
    "most at the edges": PointCounts(90, 210, 210, 240, 16),
}


def trial(what: str, setting: dict[str, Any], seed: int, steps: int, picture: bool = False) -> dict[str, Any]:
    """A droplet by one of the ways.

    Args:
        what: of `WAYS`, `ADAM` or `LBFGS`.
        setting: see `ways.settings_of`.
        seed: of network and points.
        steps: of Levenberg-Marquardt, or of the other optimizer.
        picture: also fields at the end.
    """
    with one_thread():
        solver = solver_for(what, setting, seed)
        optimizer = {ADAM: "adam", LBFGS: "lbfgs"}.get(what, "lm")
        begin = time.process_time()
        solver.fit(schedule_of(setting, steps, optimizer))
        assert solver.training is not None
        history = solver.training.history
        places = sorted({max(0, round(len(history) * k / 20) - 1) for k in range(1, 21)})
        found: dict[str, Any] = {
            "seconds": time.process_time() - begin,
            "parameters": solver.least_squares().size,
            "curve": [history[i]["loss"] for i in places],
            **solver.errors(),
        }
        found["both"] = math.sqrt(found["u"] * found["p"])
        if picture:
            found["picture"] = _picture(solver)
        return found


def further_trial(what: str, setting: dict[str, Any], seed: int, steps: int) -> dict[str, Any]:
    """Another flow, contrast or spread of points with a network per phase.

    Args:
        what: "general", "free", "static", "three fluids", "core flow", "ball", "unknown", "slabs", "whole",
            "contrast MU" or "points SPREAD".
        setting: of a network per phase.
        seed: of network and points.
        steps: of Levenberg-Marquardt.
    """
    with one_thread():
        begin = time.process_time()
        found = _further(what, setting, seed, steps)
        return {"seconds": time.process_time() - begin} | found


def _further(what: str, setting: dict[str, Any], seed: int, steps: int) -> dict[str, Any]:
    if what == "free":
        return _free(setting, seed, steps)
    if what == "unknown":
        return _unknown(setting, seed, steps)
    if what in ("slabs", "whole"):
        hidden, beta = (setting["width"],) * 2, setting["beta"]
        problem = droplet(center=(-0.3, -0.1), end=1.2)
        run = Slabs(problem, 0.4 if what == "slabs" else 1.2, hidden, beta=beta, seed=seed)
        run.fit(schedule_of(setting, steps if what == "slabs" else 3 * steps))
        return run.errors()
    flows: dict[str, Any] = {
        "general": general,
        "static": static_droplet,
        "three fluids": layers,
        "core flow": core_flow,
        "ball": static_ball,
    }
    if what.startswith("contrast "):
        problem = droplet(mu=(float(what[9:]), 1.0))
    else:
        problem = flows[what]() if what in flows else droplet()
    counts = SPREADS[what[7:]] if what.startswith("points ") else None
    solver = solver_for(OURS, setting, seed, problem, counts)
    solver.fit(schedule_of(setting, steps))
    found: dict[str, Any] = {"parameters": solver.least_squares().size} | solver.errors()
    if what in ("static", "ball"):
        return found | _still(solver)
    return found | ({"indicator": solver.error_indicator()} if counts is not None or what == "general" else {})


def _still(solver: TwoPhasePINN) -> dict[str, float]:
    """Of fluids at rest: what moves all the same, and the pressure's jump."""
    z = solver.space.sample(4000)
    phase, u = solver.problem.interface.phase(z), solver.predict(z)
    return {
        "spurious": float(u[:, :2].norm(dim=1).max()),
        "jump": float(u[phase == 0, 2].mean() - u[phase == 1, 2].mean()),
    }


def _free(setting: dict[str, Any], seed: int, steps: int) -> dict[str, Any]:
    """An interface that is carried by the flow, started frozen."""
    solver = solver_for(OURS, setting, seed, droplet(free=64))
    first, later = (schedule_of(setting, n) for n in (steps, steps // 2))
    tracked = solver.fit_free(first=first, later=later, sweeps=8, tolerance=5e-4)
    assert tracked.interface is not None
    centre = tracked.interface.path[-1].mean(0)
    return solver.errors() | {
        "sweeps": float(len(tracked.moves)),
        "converged": tracked.converged,
        "centre error": float((centre - torch.tensor([0.1, 0.1])).norm()),
        "area error": abs(tracked.interface.area(0.5) / (np.pi * 0.25) - 1),
    }


def _unknown(setting: dict[str, Any], seed: int, steps: int) -> dict[str, Any]:
    """A droplet's outer viscosity and tension from 80 places with noise of 1 %, first guesses off twofold."""
    problem = droplet((2.0, 1.0))
    draw = torch.Generator().manual_seed(seed)
    z = TwoPhasePINN(problem, (4,)).space.sample(80, generator=draw)
    assert problem.exact is not None
    truth = torch.where((problem.interface.phase(z) == 0)[:, None], problem.exact(0, z), problem.exact(1, z))
    noisy = truth + NOISE * torch.randn(truth.shape, generator=draw, dtype=torch.float64)
    measured = replace(problem, observations=(z, noisy[:, :2]), pressures=(z, noisy[:, 2]))
    hidden, first = (setting["width"],) * 2, {"mu1": 2.0, "gamma": 0.5}
    solver = TwoPhasePINN(measured, hidden, unknown=first, beta=setting["beta"], seed=seed)
    solver.fit(schedule_of(setting, steps))
    found = solver.estimates(NOISE)
    return {
        "estimates": found,
        "worst": max(abs(v - 1) for v, _ in found.values()),
        "deviations": max(abs(v - 1) / s for v, s in found.values()),
    }


def _picture(solver: TwoPhasePINN, n: int = 110) -> dict[str, torch.Tensor]:
    """Error of the velocity, and pressure, at the end, with the truth."""
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
