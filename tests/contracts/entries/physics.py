"""Calls of the solvers of physics."""

import math
import warnings
from dataclasses import replace

import torch
from torch import nn

from deepwright.physics import (
    Ball,
    Block,
    Box,
    Condition,
    Difference,
    GradNormBalancer,
    Hard,
    Intersection,
    LeastSquaresProblem,
    LevelSet,
    LevenbergMarquardt,
    Mesh,
    NTKBalancer,
    PDEProblem,
    Polygon,
    QuasiNewton,
    SpaceTime,
    Union,
    adaptive,
    causal_weights,
    certify,
    covariance,
    curl2d,
    divergence,
    field,
    fit_problem,
    hessian_diag,
    jacobian,
    jet,
    laplacian,
    require_inside,
)
from deepwright.physics.bundled import PROBLEMS, poisson
from deepwright.physics.linear_grids import CELG, CellGrid, LinearGridEncoding, Separable, als_polish, leave_one_out
from deepwright.physics.solve import relative_errors
from deepwright.physics.splines import NaturalCubicSpline1d
from deepwright.physics.two_phase import (
    Interface,
    Markers,
    PointCounts,
    Slabs,
    Smeared,
    TwoPhasePINN,
    carry,
    core_flow,
    droplet,
    general,
    layers,
    moving_integral,
    one_network,
    ring,
    static_ball,
    static_droplet,
    transport_gap,
)
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


def parts(device):
    u = net(device, hidden=(6, 6), fourier=(3, 0.5), residual=True, bounds=SQUARE)
    out = jet(u, points(device), None, "diagonal", order=3)
    return u(points(device)), out.J, out.S, out.T


def operators(device):
    x, u = points(device), net(device, c=2)
    found = [f(u, x) for f in (jacobian, hessian_diag, divergence, curl2d)]
    plain = nn.Sequential(nn.Linear(2, 4), nn.LayerNorm(4), nn.Tanh(), nn.Linear(4, 1)).to(DOUBLE)
    torch.manual_seed(0)
    for p in plain.parameters():
        nn.init.normal_(p, generator=seeded())
    return [*found, laplacian(plain.to(device), x)]  # without a rule: nested gradients


def drawn(device):
    box = Box((-1, 1), (-1, 1))
    inside = points(device) - 0.5
    disc = LevelSet(lambda x: x.square().sum(1) - 1, box)
    for domain in (box, Ball((0.0, 0.0), 1.0), disc):
        require_inside(domain, inside)
    require_inside(SpaceTime(box, (0, 1)), torch.cat([inside, inside[:, :1] + 0.5], 1))
    return adaptive(uniform(30).to(device), 8, generator=seeded()), causal_weights(uniform(5).to(device))


def regions(device):
    """Distances of built regions, asked on the device."""
    x = points(device).double()
    corners = [(0, 0), (1, 0), (1, 0.5), (0.5, 0.5), (0.5, 1), (0, 1)]
    mesh = Mesh(corners, [[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 5]])
    built = [
        Polygon(corners),
        mesh,
        Union(Box((0, 1), (0, 0.6)), Ball((0.5, 0.6), 0.3)),
        Difference(Box((0, 1), (0, 1)), Ball((0.5, 0.5), 0.2)),
        Intersection(Polygon(corners), Ball((0.0, 0.0), 1.0)),
    ]
    return [(r.contains(x), r.distance(x), r.level(x), r.smooth_distance(x)) for r in built]


def held(device, dtype=DOUBLE):
    """A hard condition: jets through it, a step, a certificate."""
    box = Box((0, 1), (0, 1))
    hard = Hard(box.smooth_distance, lambda x: x[:, :1])
    problem = PDEProblem("p", box, [Condition("law", lambda u, x: laplacian(u, x) - 1, points=20)], hard=hard)
    found = problem.solve(schedule=[("lm", 2)], network=net(device).to(dtype))
    return found.training.loss, found.network, found(points(device).to(dtype))


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


def stepped(kind, device):
    optimiser = QuasiNewton(LeastSquaresProblem(net(device), blocks(device)), kind)
    return [optimiser.step().after for _ in range(3)]


def host_blocks(device):
    """Points on the CPU beside a network on the device."""
    problem = LeastSquaresProblem(net(device), blocks("cpu"))
    return fit_problem(problem, [("lm", 2)]).loss, problem.vector(), problem.breakdown(), problem.jacobian()


def solve(device, dtype=DOUBLE):
    found = poisson(40).solve(schedule=[("lm", 3)], network=net(device).to(dtype))
    return found.training.loss, found.network, found(points(device).to(dtype))


def solved_there(device):
    """A network of the problem's own, made on the device."""
    found = poisson(40).solve(schedule=[("adam", 3)], device=device)
    return found.training.loss, found.network


def solved_with_data(device):
    """Sensors and sides, with the user's data on the CPU or on the device."""
    seen = points(device, 8)
    conditions = [
        Condition("equation", lambda u, x: laplacian(u, x), points=20),
        Condition("sides", lambda u, x, n: u(x) * n[:, :1], "boundary", 10, keep=lambda x: x[:, 0] > 0, normal=True),
        Condition("seen", lambda u, x, y: u(x) - y, seen, data=(seen[:, :1],)),
        Condition("host", lambda u, x, y: u(x) - y, seen.cpu(), data=(seen[:, :1].cpu(),)),
    ]
    problem = PDEProblem("p", Box((0, 1), (0, 1)), conditions)
    found = problem.solve(schedule=[("lm", 2)], network=net(device))
    return found.training.loss, found.network


def read_on_host(device):
    found = poisson(20).solve(schedule=[("lm", 1)], network=net(device))
    return found(points("cpu"))


def residuals(name):
    """Every condition of a bundled problem, and its error, with a network on the device."""

    def call(device):
        problem = replace(PROBLEMS[name](), evaluate=64)
        few = [replace(c, points=12) for c in problem.conditions]
        problem = replace(problem, conditions=few)
        u = problem.make_network().to(device)
        return LeastSquaresProblem(u, problem.blocks(device=device)).breakdown(), problem.error(u)

    return call


def certified(device, dtype=DOUBLE):
    problem = PDEProblem(
        "heat",
        SpaceTime(Box((0, 1)), (0, 1)),
        [
            Condition("equation", lambda u, z: jet(u, z).J[1] - 0.1 * laplacian(u, z, 1), points=30),
            Condition("start", lambda u, z: u(z), "initial", 10),
        ],
        exact=lambda z: z[:, :1] + 1,
        conserved={"heat": lambda u, z: u(z)[:, 0]},
        evaluate=200,
    )
    found = certify(problem, net(device).to(dtype))
    return found.trained, found.fresh, found.dense, found.drift, found.bands, found.missed, found.errors


def errors_on(device):
    return relative_errors(net(device), lambda x: 1 + x[:, :1], points(device)), relative_errors(
        net(device), lambda x: 1 + x[:, :1], points("cpu")
    )


def celg(device):
    u, x = CELG(SQUARE, 1, 9, 2, (4,), levels=(5, 9)).to(device), points(device)
    found = jet(u, x, None, "laplacian")
    loss = fit_problem(LeastSquaresProblem(u, blocks(device)), [("lm", 2)]).loss
    torch.manual_seed(0)
    spline = NaturalCubicSpline1d(9, 3, -1, 2).to(device)
    return found.v, found.S, loss, list(spline.derivatives(x[:, 0]))


def celg_refined(device):
    u, x = CELG(SQUARE, 1, 9, 2, (4,)).to(device), points(device)
    refined, moved = u.refine(17), u.move_knots([torch.ones(30).to(device), torch.ones(30)])
    again = moved.refine(11)
    return refined, refined(x), moved, moved(x), again, again(x)


def celg_in(device, dtype=DOUBLE):
    u = CELG(SQUARE, 1, 9, 2, (4,), extrapolate=True).to(device, dtype)
    x = points(device).to(dtype)
    return u(x), laplacian(u, x), u.refine(17), u.move_knots([torch.ones(9)] * 2)


def encoded(device):
    torch.manual_seed(0)
    x = points(device)
    found = [
        LinearGridEncoding(SQUARE, 7, 3, kernel=k, periodic=[k == "natural_cubic"] * 2).to(device)(x)
        for k in ("natural_cubic", "linear", "cosine", "hermite", "bspline3")
    ]
    return [*found, *leave_one_out([x, x + 1, x + 2])]


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


def drop_in(device, dtype=DOUBLE):
    """A model moved to another dtype after it was made, points on the CPU in float64."""
    solver, model = drop(device)
    model.to(dtype)
    solver.fit([("lm", 1)])
    z = uniform(8, 3, dtype=DOUBLE).to(device)
    return model, solver.predict(z), solver.stress(z, 0)


def drop_read_on_host(device):
    solver, _ = drop(device)
    z = uniform(8, 3, dtype=DOUBLE)
    return solver.predict(z), solver.stress(z, 1)


def drop_free(device):
    solver = TwoPhasePINN(droplet(free=16), (4,), counts=PointCounts(20, 12, 12, 12, 6))
    solver.model.to(device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = solver.fit_free(first=[("lm", 1)], later=[("lm", 1)], sweeps=2, steps=10, keep_area=True, tolerance=0.0)
    z = uniform(8, 3, dtype=DOUBLE).to(device)
    return found.moves, found.shifts, solver.predict(z)


def slabs(device):
    flow = Slabs(droplet(end=0.2), 0.1, (4,), counts=PointCounts(20, 12, 12, 12, 6), device=device).fit([("lm", 1)])
    z = uniform(8, 3, dtype=DOUBLE) * 0.2
    return flow.predict(z.to(device)), flow.errors(50), [s.model for s in flow.solvers]


def flows(*makers):
    """Every residual of bundled flows, with networks on the device."""

    def call(device):
        few, found = PointCounts(4, 4, 4, 4, 2), []
        for make in makers:
            solver = make(few)
            solver.model.to(device)
            found.append(solver.least_squares().breakdown())
        return found

    return call


def of(flow, **options):
    return lambda few: TwoPhasePINN(flow, (4,), counts=few, **options)


FLOWS = (of(layers()), of(static_ball()), of(droplet(), stream=True))
SLOW_FLOWS = (of(general()), of(core_flow()), of(static_droplet(dim=3)))
BASELINES = (
    lambda few: one_network(droplet(), (4,), 0, counts=few),
    lambda few: Smeared(droplet(), (4,), 0.5, counts=few),
)
SLOW_BASELINES = (
    lambda few: one_network(droplet(), (4,), 0, distance=True, counts=few),
    lambda few: one_network(droplet(), (4,), 0, numbered=True, counts=few),
)


def drop_unknown(device):
    z = uniform(12, 3, dtype=DOUBLE) * 0.4
    known = droplet()
    measured = replace(known, observations=(z.to(device), known.exact(1, z)[:, :2].to(device)), pressures=(z, z[:, 0]))
    pulled = replace(measured, traction=(lambda z: z[:, 0] > 0.9, lambda z, n: n))
    solver = TwoPhasePINN(pulled, (4,), counts=PointCounts(20, 12, 12, 12, 6), unknown={"mu1": 2.0, "gamma": 0.5})
    solver.model.to(device)
    return solver.fit([("lm", 1)]).loss, solver.estimates(0.1), solver.error_indicator(1.0)


def interfaces(device):
    z = (uniform(12, 3, dtype=DOUBLE) - 0.5).to(device)
    curve = Markers.moved(ring((0.0, 0.0), 0.4, 16).to(device), lambda z: z[:, :2].flip(1), (0.0, 1.0), 10)
    circle = Interface.circle((0.0, 0.0), 0.4)
    path = carry(ring((0.0, 0.0), 0.4, 16).to(device), lambda z: z[:, :2].flip(1), (0.0, 1.0), 10)
    gap = transport_gap(lambda z: z[:, 0] ** 2, lambda z: 0 * z[:, 0], lambda z: 0 * z[:, :2], circle, 0.1)
    area = moving_integral(lambda z: torch.ones_like(z[:, 0]), circle, 0.1)
    return curve.phase(z), circle.phase(z), path, gap, area


def drop_by_hand(device):
    solver, model = drop(device)
    parts = [replace(b, tensors=tuple(t.to(device) for t in b.tensors)) for b in solver.blocks()]
    return fit_problem(LeastSquaresProblem(model, parts), [("lm", 2)]).loss


def laplace(device):
    return covariance(LeastSquaresProblem(net(device, hidden=(3,)), blocks(device)), {"edge": 0.1})


QUASI = ("bfgs", "bfgs-unscaled", "ssbfgs", "ssbroyden")

ENTRIES = [
    *(Entry(f"jet, {a}", jets(a)) for a in ("tanh", "sin", "gelu")),
    Entry("FourierFeatures, ResidualBlock, Rescale", parts),
    Entry("jet, directions on the CPU", jets_of_host_directions),
    Entry("jacobian, hessian_diag, divergence, curl2d, a module without a rule", operators),
    Entry("require_inside, adaptive, causal_weights", drawn),
    Entry("Union, Difference, Intersection, Polygon, Mesh", regions),
    Entry("Hard", held, tolerance=1e-3, dtypes=(torch.float32,)),
    Entry("fit_problem lm", solved(("lm", 3)), tolerance=1e-3),
    Entry("fit_problem ssbroyden", solved(("ssbroyden", 3)), tolerance=1e-3),
    Entry("fit_problem adam, lbfgs", solved(("adam", 3, 1e-3), ("lbfgs", 1)), tolerance=1e-3),
    Entry("LevenbergMarquardt, balancers", steps, tolerance=1e-3),
    Entry("QuasiNewton", lambda d: [stepped(k, d) for k in QUASI], tolerance=1e-3),
    Entry("LeastSquaresProblem, points on the CPU", host_blocks, tolerance=1e-3),
    Entry("PDEProblem.solve", solve, tolerance=1e-3, dtypes=(torch.float32,)),
    Entry("PDEProblem.solve(device=)", solved_there, tolerance=1e-3),
    Entry("PDEProblem.solve, the user's points", solved_with_data, tolerance=1e-3),
    Entry("Solution, points on the CPU", read_on_host, returns="cpu", tolerance=1e-3),
    *(Entry(f"bundled {n}", residuals(n)) for n in PROBLEMS),
    Entry("PDEProblem.error", lambda d: poisson(40).error(net(d))),
    Entry("relative_errors", errors_on),
    Entry("certify", certified, tolerance=1e-3),
    Entry("CELG, NaturalCubicSpline1d", celg, tolerance=1e-3),
    Entry("CELG.refine, move_knots", celg_refined),
    Entry("CELG in float32", celg_in, dtypes=(torch.float32,)),
    Entry("LinearGridEncoding, leave_one_out", encoded),
    Entry("als_polish", polished),
    Entry("CellGrid, Separable", grids),
    Entry("TwoPhasePINN.fit", drop_fitted, tolerance=1e-3),
    Entry("TwoPhasePINN.predict, errors", drop_read, tolerance=1e-3),
    Entry("TwoPhasePINN, model in float32", drop_in, tolerance=1e-2, dtypes=(torch.float32,)),
    Entry("TwoPhasePINN.predict, stress, points on the CPU", drop_read_on_host, returns="cpu"),
    Entry("TwoPhasePINN.fit_free", drop_free, tolerance=1e-3),
    Entry("TwoPhasePINN.estimates, error_indicator", drop_unknown, tolerance=1e-3),
    Entry("Slabs", slabs, tolerance=1e-3),
    Entry("flows: layers, static_ball, a stream function", flows(*FLOWS)),
    Entry("flows: general, core_flow, static_droplet in space", flows(*SLOW_FLOWS), slow=True),
    Entry("one_network, Smeared", flows(*BASELINES)),
    Entry("one_network with |phi|, or the phase", flows(*SLOW_BASELINES), slow=True),
    Entry("Interface, Markers, carry, moving_integral, transport_gap", interfaces),
    Entry("TwoPhasePINN.blocks", drop_by_hand),
    Entry("covariance", laplace, tolerance=1e-3),
]
