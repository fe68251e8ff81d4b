"""The ways that are compared, each with as many parameters, and the settings that each is tried with."""

from __future__ import annotations

import itertools
from typing import Any

from deepwright.physics.solve import Phase
from deepwright.physics.two_phase import (
    PointCounts,
    Smeared,
    TwoPhasePINN,
    TwoPhaseProblem,
    droplet,
    one_network,
)

OURS, STREAM = "a network per phase", "a network per phase, stream function"
ONE, SMEARED, DISTANCE = "one network", "one network, smeared interface", "one network, |phi| as input"
NUMBERED, WIDE = "one network, the phase as input", "one network, the phase as input, width 18"
RIVALS = (ONE, SMEARED, DISTANCE, NUMBERED, WIDE)
WAYS = (OURS, *RIVALS, STREAM)
BETAS, DAMPINGS, LAYERS = (10.0, 50.0), (1e-3, 1e-1), (0.05, 0.1)
WIDE_BETAS = (5.0, 10.0, 25.0, 50.0)
PAIRS, SINGLES = (8, 12), (12, 18)  # widths: two networks of 2 x 12 have 486 parameters, one of 2 x 18 has 471
ADAM, LBFGS = "a network per phase, Adam", "a network per phase, L-BFGS"
ADAM_RATES = (1e-2, 3e-2, 1e-1)
STEPS = {
    "lm": 60,
    "adam": 750,
    "lbfgs": 36,
}  # of equal CPU time, as timed one after another; L-BFGS: 20 iterations each
RADIUS = 0.5


def settings_of(what: str) -> list[dict[str, Any]]:
    """Eight settings: weight of interface, edge and start; width; and damping, or the layer of a smeared interface.

    Args:
        what: of `WAYS`.
    """
    if what == WIDE:
        return [
            {"beta": beta, "width": SINGLES[1], "damping": d} for beta, d in itertools.product(WIDE_BETAS, DAMPINGS)
        ]
    own = ("layer", LAYERS) if what == SMEARED else ("damping", DAMPINGS)
    widths = PAIRS if what in (OURS, STREAM) else SINGLES
    found = itertools.product(BETAS, widths, own[1])
    return [{"beta": beta, "width": width, own[0]: value} for beta, width, value in found]


def solver_for(
    what: str,
    setting: dict[str, Any],
    seed: int,
    problem: TwoPhaseProblem | None = None,
    counts: PointCounts | None = None,
) -> TwoPhasePINN:
    """One of the ways, untrained.

    Args:
        what: of `WAYS`, or one of the trainers of ours.
        setting: of `settings_of`.
        seed: of network and points.
        problem: a droplet where not given.
        counts: of points.
    """
    flow = droplet() if problem is None else problem
    hidden = (setting["width"],) * 2
    if what == SMEARED:
        solver: TwoPhasePINN = Smeared(flow, hidden, RADIUS, setting["layer"], counts=counts, seed=seed)
    elif what in (ONE, DISTANCE, NUMBERED, WIDE):
        solver = one_network(flow, hidden, seed, what == DISTANCE, numbered=what in (NUMBERED, WIDE), counts=counts)
    else:
        solver = TwoPhasePINN(flow, hidden, stream=what == STREAM, counts=counts, seed=seed)
    solver.beta = setting["beta"]
    return solver


def schedule_of(setting: dict[str, Any], steps: int, optimizer: str = "lm") -> list[Phase]:
    """So many steps.

    Args:
        setting: with a damping, or a learning rate.
        steps: of the optimizer.
        optimizer: "lm", "adam" or "lbfgs".
    """
    if optimizer == "adam":
        return [Phase("adam", steps, setting["lr"], True)]
    return [Phase(optimizer, steps, setting.get("damping", 1e-3) if optimizer == "lm" else None)]
