"""Calls of the room of physics."""

import math
from dataclasses import replace

import torch

from deepwright.physics import (
    Block,
    Box,
    GradNormBalancer,
    LeastSquaresProblem,
    LevenbergMarquardt,
    NTKBalancer,
    field,
    fit_problem,
    jet,
    laplacian,
)
from deepwright.physics.bundled import poisson
from deepwright.physics.linear_grids.baselines import CellGrid, Separable
from deepwright.physics.linear_grids.celg import CELG, als_polish
from deepwright.physics.solve.certificate import certify
from deepwright.physics.solve.uncertainty import covariance
from deepwright.physics.splines import NaturalCubicSpline1d
from deepwright.physics.two_phase.problems import droplet
from deepwright.physics.two_phase.solver import PointCounts, TwoPhasePINN
from entries import Entry, normal, seeded, uniform

DOUBLE = torch.float64
SQUARE = [(0, 1), (0, 1)]


def net(device, d=2, c=1, hidden=(6,), **options):
    return field(d, c, hidden, seed=1, **options).to(device)


def points(device, n=20, d=2):
    return uniform(n, d, dtype=DOUBLE).to(device)


def jets(activation):
    def call(device):
        x, u = normal(4, 3, dtype=DOUBLE).to(device), net(device, 3, 2, activation=activation)
        out = []
        for engine in ("jet", "autograd", "func"):
            for operator in ("laplacian", "hessian", "diagonal"):
                found = jet(u, x, None, operator, engine=engine)
                out += [found.v, found.J, found.S]
            out.append(jet(u, x, None, "diagonal", order=3, engine=engine).T)
        return out

    return call


def jets_of_host_directions(device):
    return jet(net(device), points(device), torch.eye(2), torch.diag(torch.tensor([1.0, 0.0]))[None]).S


def blocks(device):
    box = Box((0, 1), (0, 1))
    inside, edge = (
        box.sample(40, generator=seeded()).to(device),
        box.sample_boundary(16, generator=seeded(1))[0].to(device),
    )

    def equation(u, x):
        found = laplacian(u, x)
        return found + 8 * math.pi**2 * torch.sin(2 * math.pi * x).prod(1).reshape(found.shape)

    return [Block("equation", equation, (inside,)), Block("edge", lambda u, x: u(x), (edge,), 100.0)]


def solved(*schedule):
    def call(device):
        problem = LeastSquaresProblem(net(device), blocks(device))
        return fit_problem(problem, list(schedule)).loss, problem.vector()

    return call


def steps(device):
    problem = LeastSquaresProblem(net(device), blocks(device))
    free = LevenbergMarquardt(problem, dense_limit=10)
    found = [free.step().after for _ in range(2)]
    dual = LevenbergMarquardt(LeastSquaresProblem(net(device, hidden=(20,)), blocks(device)))
    return found, dual.step().after, NTKBalancer()(problem), GradNormBalancer()(problem)


def solve(device):
    found = poisson(40).solve(schedule=[("lm", 3)], network=net(device))
    return found.training.loss


def certified(device):
    found = certify(poisson(40), net(device))
    return found.trained, found.missed


def celg(device):
    u, x = CELG(SQUARE, 1, 9, 2, (4,), levels=(5, 9)).to(device), points(device)
    found = jet(u, x, None, "laplacian")
    loss = fit_problem(LeastSquaresProblem(u, blocks(device)), [("lm", 2)]).loss
    torch.manual_seed(0)
    spline = NaturalCubicSpline1d(9, 3, -1, 2).to(device)
    return found.v, found.S, loss, list(spline.derivatives(x[:, 0]))


def celg_refined(device):
    u, x = CELG(SQUARE, 1, 9, 2, (4,)).to(device), points(device)
    refined, moved = u.refine(17), u.move_knots([torch.ones(30), torch.ones(30)])
    return refined, refined(x), moved, moved(x)


def polished(device):
    return als_polish(LeastSquaresProblem(CELG(SQUARE, 1, 9, 2, (), seed=1).to(device), blocks(device)), 1)


def grids(device):
    x = points(device)
    return [kind(SQUARE).to(device, DOUBLE)(x) for kind in (CellGrid, Separable)]


def drop(device):
    solver = TwoPhasePINN(droplet(), (4, 4), counts=PointCounts(20, 12, 12, 12, 6))
    return solver, solver.model.to(device)


def drop_fitted(device):
    solver, model = drop(device)
    return solver.fit([("lm", 2)]).loss, model


def drop_read(device):
    solver, model = drop("cpu")
    solver.fit([("lm", 1)])
    model.to(device)
    return solver.predict(uniform(8, 3, dtype=DOUBLE).to(device)), solver.errors(50)


def drop_by_hand(device):
    solver, model = drop(device)
    parts = [replace(b, tensors=tuple(t.to(device) for t in b.tensors)) for b in solver.blocks()]
    return fit_problem(LeastSquaresProblem(model, parts), [("lm", 2)]).loss


def laplace(device):
    return covariance(LeastSquaresProblem(net(device, hidden=(3,)), blocks(device)), {"edge": 0.1})


MIXES = "tensors made on the CPU beside those of the device"

ENTRIES = [
    *(Entry(f"jet, {a}", jets(a)) for a in ("tanh", "sin", "gelu")),
    Entry("jet, directions on the CPU", jets_of_host_directions),
    Entry("fit_problem lm", solved(("lm", 3)), tolerance=1e-3),
    Entry("fit_problem ssbroyden", solved(("ssbroyden", 3)), tolerance=1e-3),
    Entry("fit_problem adam, lbfgs", solved(("adam", 3, 1e-3), ("lbfgs", 1)), tolerance=1e-3),
    Entry("LevenbergMarquardt, balancers", steps, tolerance=1e-3),
    Entry("PDEProblem.solve", solve, fails=MIXES),
    Entry("PDEProblem.error", lambda d: poisson(40).error(net(d))),
    Entry("certify", certified, fails=MIXES),
    Entry("CELG, NaturalCubicSpline1d", celg, tolerance=1e-3),
    Entry("CELG.refine, move_knots", celg_refined, fails=MIXES),
    Entry("als_polish", polished),
    Entry("CellGrid, Separable", grids),
    Entry("TwoPhasePINN.fit", drop_fitted, fails=MIXES),
    Entry("TwoPhasePINN.predict, errors", drop_read, fails=MIXES),
    Entry("TwoPhasePINN.blocks", drop_by_hand),
    Entry("covariance", laplace, tolerance=1e-3),
]
