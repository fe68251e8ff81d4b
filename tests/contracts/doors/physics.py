"""The doors of the solvers of physics: least squares, problems, two fluids."""

from __future__ import annotations

import warnings

import torch

from deepwright.physics import (
    Block,
    Box,
    Condition,
    GradNormBalancer,
    LeastSquaresProblem,
    PDEProblem,
    Slabs,
    TwoPhasePINN,
    field,
    fit_problem,
    laplacian,
)
from deepwright.physics.two_phase import PointCounts, droplet
from doors import Door

FEW = PointCounts(12, 8, 8, 8, 4)


def stop_at_seven(step, _):
    if step == 7:
        raise KeyboardInterrupt


def without_times(training):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in training.history]


def equation(strength):
    """The equation as a user writes it: what it depends on is in its closure."""
    return lambda u, x: laplacian(u, x) + strength


def other_equation(strength):
    return lambda u, x: laplacian(u, x) + strength + u(x)


def fit(folder, *, source=equation, strength=1.0, points=0, start=0, width=8, lr=1e-2, every=4, seed=0, stop=None):
    box = Box((0, 1), (0, 1))
    inside = box.sample(40, generator=torch.Generator().manual_seed(points))
    edge, _ = box.sample_boundary(20)
    blocks = [
        Block("equation", source(strength), (inside,), draw=lambda g: (box.sample(40, generator=g),)),
        Block("edge", lambda u, x: u(x), (edge,), 10.0),
    ]
    problem = LeastSquaresProblem(field(2, 1, (width,), seed=start), blocks)
    training = fit_problem(
        problem,
        [("adam", 20, lr), ("lm", 10)],
        resample=5,
        balancer=GradNormBalancer(every),
        checkpoint=folder / "fit.pt",
        every=3,
        seed=seed,
        on_step=stop,
    )
    return problem.vector(), without_times(training)


def solve(folder, *, source=equation, strength=1.0, side=1.0, weight=10.0, level=0.0, seed=0, steps=12):
    sensors = torch.tensor([[0.5, 0.5], [0.2, 0.7]], dtype=torch.float64)
    conditions = [
        Condition("equation", source(strength), points=40),
        Condition("edge", lambda u, x: u(x), "boundary", 20, weight),
        Condition("seen", lambda u, x, y: u(x) - y, sensors, data=(torch.full((2, 1), level).double(),)),
    ]
    problem = PDEProblem("membrane", Box((0, side), (0, 1)), conditions, network=lambda: field(2, 1, (8,)))
    found = problem.solve(schedule=[("lm", steps)], seed=seed, checkpoint=folder / "solve.pt")
    return found.least_squares.vector(), without_times(found.training)


def flow(folder, *, rho=2.0, tension=1.0, scale=True, beta=25.0, stream=False, steps=8):
    problem = droplet((2.0, 1.0), (rho, 1.0), tension=tension)
    solver = TwoPhasePINN(problem, (4,), counts=FEW, scale=scale, beta=beta, stream=stream)
    training = solver.fit([("lm", steps)], checkpoint=folder / "flow.pt")
    return without_times(training), list(solver.model.parameters())


def free_flow(folder, *, rho=2.0, markers=16, steps=4):
    solver = TwoPhasePINN(droplet((2.0, 1.0), (rho, 1.0), free=markers), (4,), counts=FEW)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tracked = solver.fit_free(
            first=[("lm", steps)], later=[("lm", 3)], sweeps=3, steps=10, tolerance=0.0, checkpoint=folder / "flow.pt"
        )
    return tracked.moves, tracked.interface.path, list(solver.model.parameters())


def slabs(folder, *, rho=2.0, slab=0.1, steps=5):
    long = Slabs(droplet((2.0, 1.0), (rho, 1.0), end=0.2), slab, (4,), counts=FEW)
    long.fit([("lm", steps)], checkpoint=folder / "flow.pt")
    return [list(s.model.parameters()) for s in long.solvers]


DOORS = [
    Door(
        "fit_problem",
        fit,
        file="fit.pt",
        changes={
            "residual of equation": {"strength": 1.5},
            "another residual of equation": {"source": other_equation},
            "points of equation": {"points": 1},
            "model": {"start": 1},
            "another model": {"width": 9},
            "schedule": {"lr": 2e-2},
            "balancer": {"every": 5},
            "seed": {"seed": 1},
        },
        interrupt={"stop": stop_at_seven},
    ),
    Door(
        "PDEProblem.solve",
        solve,
        file="solve.pt",
        changes={
            "residual of equation": {"strength": 1.5},
            "another residual of equation": {"source": other_equation},
            "points of equation": {"side": 2.0},
            "weight of edge": {"weight": 20.0},
            "points of seen": {"level": 1.0},
            "seed": {"seed": 1},
            "schedule": {"steps": 13},
        },
    ),
    Door(
        "TwoPhasePINN.fit",
        flow,
        file="flow.pt",
        changes={
            "residual of flow 0": {"rho": 3.0},
            "residual of interface": {"tension": 2.0},
            "residual of flow 1": {"scale": False},
            "weight of edge": {"beta": 30.0},
            "model": {"stream": True},
            "schedule": {"steps": 9},
        },
    ),
    Door(
        "TwoPhasePINN.fit_free",
        free_flow,
        file="flow.sweep-0.pt",
        changes={"residual of flow 0": {"rho": 3.0}, "points of interface": {"markers": 20}, "schedule": {"steps": 5}},
    ),
    Door(
        "Slabs.fit",
        slabs,
        file="flow.slab-0.pt",
        changes={"residual of flow 0": {"rho": 3.0}, "points of flow 0": {"slab": 0.2}, "schedule": {"steps": 6}},
    ),
]
