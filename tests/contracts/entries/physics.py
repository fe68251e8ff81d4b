"""Calls of the room of physics."""

import math
import tempfile
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
from deepwright.physics.linear_grids.celg import CELG, als_polish
from deepwright.physics.solve.certificate import certify
from deepwright.physics.unifluids.forecasts import evaluate
from deepwright.physics.linear_grids.baselines import CellGrid, Separable
from deepwright.physics.kinetic.scheme import KineticJKO, substep
from deepwright.physics.kinetic.controls import PotentialVelocity
from deepwright.physics.kinetic.shared import train_shared
from deepwright.physics.kinetic.systems import GaussianMixture, Harmonic, KineticFokkerPlanck, sliced_w2
from deepwright.physics.unifluids.baselines import FNO, UNet, train_next_frame
from deepwright.physics.pde_data.corpus import line_corpus, unified
from deepwright.physics.bundled import poisson
from deepwright.physics.splines import NaturalCubicSpline1d
from deepwright.physics.two_phase.solver import PointCounts, TwoPhasePINN
from deepwright.physics.two_phase.problems import droplet
from deepwright.physics.solve.uncertainty import covariance
from deepwright.physics.pde_data.batches import ChannelRegistry
from deepwright.physics.unifluids.model import UniFluids
from deepwright.physics.unifluids.training import train
from entries import Entry, Placed, normal, seeded, uniform

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


def mixture(device):
    mean, spread = torch.tensor([1.5, -0.5]), torch.tensor([[0.6, 0.1], [0.1, 0.3]])
    return GaussianMixture.gaussian(mean.double().to(device), spread.double().to(device))


def jko(device, **options):
    system = KineticFokkerPlanck(Harmonic(1.0), 1.0, 0.5, 1)
    return KineticJKO(system, mixture(device), step_size=0.1, batch=32, particles=32, **options)


def jko_step(device):
    return jko(device, iterations=4, first=4).step().after


def shared(device):
    solver = jko(device)
    network = solver.control().to(device)
    train_shared(solver, 2, network, iterations=2)
    return network


def flow_substep(device):
    x, v = (normal(10, 3, seed=i, dtype=DOUBLE).to(device) for i in (0, 1))
    system = KineticFokkerPlanck(Harmonic(1.0), 1.0, 0.5, 3)
    return list(substep(system, PotentialVelocity(3, seed=0).to(device), 0.0, 0.05, x, v)[:4])


def mixture_density(device):
    x, v = (normal(10, 1, seed=i, dtype=DOUBLE).to(device) for i in (0, 1))
    return mixture(device).log_prob(x, v), mixture(device).sample(8, seeded())


def distance(device):
    return sliced_w2(normal(30, 2).double().to(device), normal(30, 2, seed=1).double().to(device))


def corpus():
    registry = ChannelRegistry()
    return registry, unified(line_corpus(6, 3), registry)


def fluids(device):
    registry, sets = corpus()
    model = UniFluids(registry, list(sets), "tiny")
    model.fit_units([a for a, _ in sets.values()])
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.05 * torch.randn(p.shape, generator=seeded(7)))
    return model.eval().to(device), next(iter(sets.values()))


def fluids_loss(where):
    def call(device):
        model, (known, _) = fluids(device)
        if where == "device":
            known = replace(known, u=known.u.to(device), params=known.params.to(device))
        value = model.loss(known, seeded())
        value.backward()
        return value, model.channel.grad, model

    return call


def fluids_forecast(device):
    model, (_, held) = fluids(device)
    held = replace(held, u=held.u.to(device), params=held.params.to(device))
    return model.predict(held), model.sample(held, steps=2, solver="heun"), model.rollout(held, 1)


def fluids_forecast_of_host_data(device):
    model, (_, held) = fluids(device)
    return model.predict(held)


def fluids_trained(device):
    registry, sets = corpus()
    known = [a for a, _ in sets.values()]
    model = UniFluids(registry, [a.pde for a in known], "tiny", seed=1).to(device)
    return Placed(train(model, known, steps=2, batch=4)[0])


def fluids_stored(device):
    model, _ = fluids(device)
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/m.pt")
        model.load(f"{folder}/m.pt")
    return model


def fluids_evaluated(device):
    model, (_, held) = fluids(device)
    return [[c for c in row[:4] if isinstance(c, int | float)] for row in evaluate(model, held).rows]


def operator(kind):
    def call(device):
        _, sets = corpus()
        known, held = next(iter(sets.values()))
        torch.manual_seed(0)
        model = kind(len(known.channels), known.context, known.dim).to(device)
        held = replace(held, u=held.u.to(device), params=held.params.to(device))
        return model.rollout(held), train_next_frame(model, known, epochs=1).history[-1]["loss"], model

    return call


def laplace(device):
    return covariance(LeastSquaresProblem(net(device, hidden=(3,)), blocks(device)), {"edge": 0.1})


ON_CPU = "core.fit takes the network to the CPU"
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
    Entry("KineticJKO.step", jko_step, fails=MIXES),
    Entry("train_shared", shared, fails=MIXES),
    Entry("substep", flow_substep),
    Entry("GaussianMixture", mixture_density, fails=MIXES),
    Entry("sliced_w2", distance, fails=MIXES),
    Entry("UniFluids.loss, data on the CPU", fluids_loss("cpu")),
    Entry("UniFluids.loss, data on the device", fluids_loss("device")),
    Entry("UniFluids.predict, sample, rollout", fluids_forecast),
    Entry("UniFluids.predict, data on the CPU", fluids_forecast_of_host_data, returns="cpu"),
    Entry("unifluids_training.train", fluids_trained, fails=ON_CPU),
    Entry("UniFluids.save, load", fluids_stored),
    Entry("forecasts.evaluate", fluids_evaluated, slow=True),
    *(Entry(f"{k.__name__}.rollout, train_next_frame", operator(k), fails=ON_CPU) for k in (FNO, UNet)),
    Entry("covariance", laplace, tolerance=1e-3),
]
