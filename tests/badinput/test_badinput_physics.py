"""Bad input to what solves differential equations: regions, conditions, residuals, schedules, particles, operators."""

import math
from dataclasses import replace

import numpy as np
import torch
from refusals import Bad, command, over

from deepwright.physics import (
    CELG,
    Ball,
    Block,
    Box,
    Condition,
    Difference,
    GaussianMixture,
    Hard,
    Harmonic,
    Intersection,
    KineticFokkerPlanck,
    KineticJKO,
    LeastSquaresProblem,
    LevelSet,
    Mesh,
    PDEProblem,
    Phase,
    Polygon,
    SpaceTime,
    TwoPhasePINN,
    UniFluids,
    Union,
    Unknown,
    adaptive,
    certify,
    curl2d,
    divergence,
    field,
    fit_problem,
    jet,
    laplacian,
    read_pdebench,
    require_inside,
    schedule_for,
)
from deepwright.physics.kinetic import (
    PhaseSpaceParticles,
    PotentialVelocity,
    gaussian_flow,
    grid_solution,
    harmonic_matrices,
)
from deepwright.physics.linear_grids import als_polish
from deepwright.physics.pde_data import (
    ChannelRegistry,
    PDEDataset,
    advection1d,
    burgers1d,
    field_errors,
    line_corpus,
    to_unified,
)
from deepwright.physics.two_phase import PointCounts, Slabs, droplet
from deepwright.physics.unifluids import train_unifluids
from deepwright.workflows import SolveOptions, solve

NAN, INF = math.nan, math.inf
SQUARE, NET = Box((0, 1), (0, 1)), field(2, hidden=(3,))
X = SQUARE.sample(6)
EYE2 = torch.eye(2, dtype=torch.float64)


def value(u, x):
    return u(x)


LAW = Condition("law", value, points=5)
PROBLEM = PDEProblem("p", SQUARE, [LAW], network=lambda: field(2, hidden=(3,)))


def squares(residual, **options):
    return LeastSquaresProblem(NET, [Block("law", residual, (X,), **options)])


def own(where, **options):
    return Condition("seen", value, where, **options)


def file(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def archive(folder, **arrays):
    np.savez(folder / "mesh.npz", **arrays)
    return folder / "mesh.npz"


def h5(folder, **arrays):
    import h5py

    with h5py.File(folder / "data.h5", "w") as held:
        for name, values in arrays.items():
            held[name] = values
    return folder / "data.h5"


FIELDS = [
    Bad("jet at whole numbers", lambda _: jet(NET, torch.zeros(3, 2, dtype=torch.long)), ("points", "int64")),
    Bad("jet at one point without rows", lambda _: jet(NET, torch.zeros(2)), ("points", "(N, d)")),
    Bad("jet along no axis", lambda _: jet(NET, X, 0), ("directions", "0")),
    Bad("jet along more axes than there are", lambda _: jet(NET, X, 3), ("directions", "1 to 2")),
    Bad("jet of another operator", lambda _: jet(NET, X, None, "laplace"), ("operators", "laplacian")),
    Bad("jet of a matrix that isn't symmetric", lambda _: jet(NET, X, None, X[None, :2]), ("symmetric",)),
    Bad("jet of order 4", lambda _: jet(NET, X, None, "diagonal", order=4), ("order", "4")),
    Bad("jet of third order without operators", lambda _: jet(NET, X, order=3), ("diagonal",)),
    Bad("jet by another engine", lambda _: jet(NET, X, engine="jax"), ("engine", "autograd")),
    Bad("laplacian over no axes", lambda _: laplacian(NET, X, 0), ("directions",)),
    Bad("divergence of more components than axes", lambda _: divergence(field(2, 3), X), ("3 components",)),
    Bad("curl of one component", lambda _: curl2d(NET, X), ("2 or more",)),
    Bad("field of no width", lambda _: field(2, hidden=(0,)), ("1 or more",)),
    Bad("field of no axes", lambda _: field(0), ("1 or more",)),
    Bad("field of another activation", lambda _: field(2, activation="relu6"), ("activation", "tanh")),
    Bad("field over bounds that fall", lambda _: field(1, bounds=[(1, 0)]), ("bounds", "low < high")),
    Bad("field over bounds that are NaN", lambda _: field(1, bounds=[(NAN, 1)]), ("bounds",)),
    Bad("field over bounds of another dimension", lambda _: field(2, bounds=[(0, 1)]), ("bounds", "2")),
    Bad("field with no random features", lambda _: field(2, fourier=(0, 1.0)), ("fourier",)),
    Bad("grid of one knot", lambda _: CELG([(0, 1)], num_knots=1), ("knots",)),
    Bad("grid of no features", lambda _: CELG([(0, 1)], num_features=0), ("features",)),
    Bad("grid over bounds that fall", lambda _: CELG([(1, 0)]), ("axis", "lower < upper")),
    Bad("grid over bounds that are NaN", lambda _: CELG([(0, NAN)]), ("axis", "nan")),
    Bad("grid without axes", lambda _: CELG([]), ("bounds",)),
    Bad("grid levels of one knot", lambda _: CELG([(0, 1)], levels=(1, 9)), ("knots",)),
    Bad("grid of another kernel", lambda _: CELG([(0, 1)], kernel="quintic"), ("kernel",)),
    Bad("grid of another fusion", lambda _: CELG([(0, 1)], fusion="mean"), ("fusion",)),
    Bad("grid with knots for another number of axes", lambda _: CELG([(0, 1)], num_knots=[5, 5]), ("knots",)),
    Bad("polishing for no sweeps", lambda _: als_polish(squares(value), sweeps=0), ("sweeps",)),
]

REGIONS = [
    Bad("box without axes", lambda _: Box(), ("Box", "low < high")),
    Bad("box that is empty", lambda _: Box((0, 0)), ("Box", "low < high")),
    Bad("box that is turned round", lambda _: Box((1, 0)), ("Box", "low < high")),
    Bad("box to NaN", lambda _: Box((0, NAN)), ("Box", "finite")),
    Bad("box without end", lambda _: Box((0, INF)), ("Box", "finite")),
    Bad("box of two numbers", lambda _: Box(0, 1), ("Box", "(low, high)")),
    Bad("box of words", lambda _: Box(("a", "b")), ("Box", "(low, high)")),
    Bad("ball of no radius", lambda _: Ball((0, 0), 0), ("radius", "0")),
    Bad("ball of a NaN radius", lambda _: Ball((0, 0), NAN), ("radius", "nan")),
    Bad("ball without a centre", lambda _: Ball((), 1), ("centre",)),
    Bad("level set of a number", lambda _: LevelSet(0.5, SQUARE), ("phi", "float")),
    Bad("level set of two columns", lambda _: LevelSet(lambda x: x, SQUARE).sample(5), ("phi", "(N,)")),
    Bad("level set without an inside", lambda _: LevelSet(lambda x: x[:, 0] + 1, SQUARE).sample(5), ("phi < 0",)),
    Bad("time that goes back", lambda _: SpaceTime(SQUARE, (1, 0)), ("span", "start < end")),
    Bad("time from NaN", lambda _: SpaceTime(SQUARE, (NAN, 1)), ("span", "finite")),
    Bad("time of three ends", lambda _: SpaceTime(SQUARE, (0, 1, 2)), ("span", "start")),
    Bad("box with no points", lambda _: SQUARE.sample(0), ("points", "0")),
    Bad("fewer points than none", lambda _: SQUARE.sample_boundary(-3), ("points", "-3")),
    Bad("points of a ball, none", lambda _: Ball((0, 0), 1).sample_boundary(0), ("points", "0")),
    Bad("points of a combination, none", lambda _: Difference(SQUARE, Ball((0, 0), 0.1)).sample(0), ("points", "0")),
    Bad("points by another method", lambda _: SQUARE.sample(5, "halton"), ("method", "sobol")),
    Bad("points of another dimension", lambda _: require_inside(SQUARE, torch.zeros(3, 3)), ("points", "(N, 2)")),
    Bad("points outside", lambda _: require_inside(SQUARE, X + 1), ("outside", "6")),
    Bad("points that are NaN", lambda _: require_inside(SQUARE, X * NAN), ("outside",)),
    Bad("more candidates than there are", lambda _: adaptive(X[:, 0], 9, generator=torch.Generator()), ("n", "1..6")),
    Bad("candidates that are NaN", lambda _: adaptive(X[:, 0] * NAN, 2, generator=torch.Generator()), ("NaN",)),
    Bad("union of one", lambda _: Union(SQUARE), ("Union", "two or more")),
    Bad("union of a plane and a line", lambda _: Union(SQUARE, Box((0, 1))), ("Union", "one dimension")),
    Bad("union with a name", lambda _: Union(SQUARE, "disc"), ("Union", "str")),
    Bad("intersection of what lies apart", lambda _: Intersection(SQUARE, Box((2, 3), (0, 1))), ("nothing in common",)),
    Bad("difference of all", lambda _: Difference(SQUARE, Box((-1, 2), (-1, 2))).sample(5), ("Difference", "empty")),
    Bad("polygon of two corners", lambda _: Polygon([(0, 0), (1, 1)]), ("corners", "3")),
    Bad("polygon in space", lambda _: Polygon([(0, 0, 0), (1, 0, 0), (0, 1, 0)]), ("corners", "(K, 2)")),
    Bad("polygon with NaN", lambda _: Polygon([(0, 0), (1, NAN), (0, 1)]), ("corners", "NaN")),
    Bad("polygon of words", lambda _: Polygon(["a", "b", "c"]), ("corners", "numbers")),
    Bad("polygon of rows of unlike lengths", lambda _: Polygon([(0, 0), (1,), (0, 1)]), ("corners",)),
    Bad("polygon on a line", lambda _: Polygon([(0, 0), (1, 1), (2, 2)]), ("corners",)),
    Bad("polygon from no file", lambda p: Polygon.read(p / "a.csv"), ("polygon", "does not exist")),
    Bad("polygon from a picture", lambda p: Polygon.read(file(p, "a.png", b"\x89PNG")), ("polygon", ".csv")),
    Bad("polygon from text", lambda p: Polygon.read(file(p, "a.csv", "x,y\n0,0\n")), ("polygon", "a.csv")),
    Bad("polygon from bytes", lambda p: Polygon.read(file(p, "a.csv", b"\xff\xfe\x00")), ("polygon", "a.csv")),
    Bad("polygon from an array of objects", lambda p: Polygon.read(_objects(p)), ("polygon", "a.npy")),
    Bad("polygon from a table of names", lambda p: Polygon.read(file(p, "a.json", '{"a": 1}')), ("polygon", "a.json")),
    Bad("mesh without cells", lambda _: Mesh([[0, 0], [1, 0], [0, 1]], []), ("cells",)),
    Bad("mesh of numbers from 1", lambda _: Mesh([[0, 0], [1, 0], [0, 1]], [[1, 2, 3]]), ("cells", "subtract 1")),
    Bad("mesh of floats", lambda _: Mesh([[0, 0], [1, 0], [0, 1]], [[0.0, 1, 2]]), ("cells", "whole numbers")),
    Bad("mesh of a flat cell", lambda _: Mesh([[0, 0], [1, 0], [2, 0]], [[0, 1, 2]]), ("cell 0", "volume")),
    Bad("mesh of quadrilaterals", lambda _: Mesh(np.eye(4)[:, :2], [[0, 1, 2, 3]]), ("cells", "(T, 3)")),
    Bad("mesh of NaN", lambda _: Mesh([[0, 0], [1, NAN], [0, 1]], [[0, 1, 2]]), ("vertices", "NaN")),
    Bad("mesh from no file", lambda p: Mesh.read(p / "m.npz"), ("mesh", "does not exist")),
    Bad("mesh from another kind of file", lambda p: Mesh.read(file(p, "m.msh", "$Mesh")), (".npz", "savez")),
    Bad("mesh from a broken archive", lambda p: Mesh.read(file(p, "m.npz", b"PK\x03\x04")), ("mesh", "m.npz")),
    Bad("mesh from other arrays", lambda p: Mesh.read(archive(p, a=np.zeros(3))), ("arrays a", "vertices")),
    Bad("hard condition of a number", lambda _: Hard(0.0), ("Hard", "functions")),
]


def _objects(folder):
    np.save(folder / "a.npy", np.array([object()]), allow_pickle=True)
    return folder / "a.npy"


def with_hard(distance, value=None):
    return replace(PROBLEM, hard=Hard(distance, value)).solve(schedule=[("lm", 1)])


PROBLEMS = [
    Bad("condition at another place", lambda _: Condition("c", value, "edge"), ("place", "boundary")),
    Bad("condition at a list of points", lambda _: own([[0.0, 0.0]]), ("points", "list", "tensor")),
    Bad("condition at points of rank 1", lambda _: own(torch.zeros(3)), ("points", "(N, d)")),
    Bad("condition at no points", lambda _: own(torch.zeros(0, 2)), ("points", "(0, 2)")),
    Bad("condition at whole numbers", lambda _: own(torch.zeros(3, 2, dtype=torch.long)), ("points", "int64")),
    Bad("condition at NaN", lambda _: own(X * NAN), ("points", "NaN")),
    Bad("condition with fewer data than points", lambda _: own(X, data=(X[:2],)), ("data", "2 rows for 6")),
    Bad("condition with NaN data", lambda _: own(X, data=(X * NAN,)), ("data", "NaN")),
    Bad("condition with data that is a list", lambda _: own(X, data=([1.0] * 6,)), ("data", "tensors")),
    Bad("condition with data on drawn points", lambda _: Condition("c", value, data=(X,)), ("points of your own",)),
    Bad("condition with normals inside", lambda _: Condition("c", value, normal=True), ("normals", "boundary")),
    Bad("condition of scale 0", lambda _: Condition("c", value, scale=0), ("scale", "0")),
    Bad("condition of a NaN weight", lambda _: Condition("c", value, weight=NAN), ("weight", "nan")),
    Bad("condition of a weight below 0", lambda _: Condition("c", value, weight=-1), ("weight", "-1")),
    Bad("condition of no drawn points", lambda _: Condition("c", value, points=0), ("points", "0")),
    Bad("condition of a name for a residual", lambda _: Condition("c", "u_xx"), ("residual", "str")),
    Bad("problem without conditions", lambda _: PDEProblem("p", SQUARE, []), ("conditions", "at least one")),
    Bad("problem with two conditions of one name", lambda _: PDEProblem("p", SQUARE, [LAW, LAW]), ("name",)),
    Bad("problem with a condition, not a list", lambda _: PDEProblem("p", SQUARE, LAW), ("conditions", "Condition")),
    Bad("problem over a tuple", lambda _: PDEProblem("p", (0, 1), [LAW]), ("domain", "tuple")),
    Bad("problem with a start and no time", lambda _: _solved(Condition("c", value, "initial")), ("initial", "time")),
    Bad("problem with points outside", lambda _: _solved(own(X + 3)), ("points", "outside")),
    Bad("problem that keeps no point", lambda _: _solved(replace(LAW, keep=lambda x: x[:, 0] > 9)), ("no point",)),
    Bad("problem with an exact solution of two columns", lambda _: _exact(lambda x: x), ("exact", "(2, 2)")),
    Bad("problem with an unknown that nothing reads", lambda _: _unknown(), ("unknown 'k'", "no residual")),
    Bad("residuals for a name that isn't", lambda _: PROBLEM.residuals(NET, {"lwa": X}), ("condition", "law")),
    Bad("hard condition of another length", lambda _: with_hard(lambda x: x[:2]), ("distance of Hard",)),
    Bad("hard condition of a number for points", lambda _: with_hard(lambda x: 1.0), ("distance of Hard", "float")),
    Bad("hard condition of two columns", lambda _: with_hard(lambda x: x), ("distance of Hard", "2 components")),
    Bad("hard value of three columns", lambda _: with_hard(_ones, lambda x: x[:, [0, 0, 0]]), ("value of Hard",)),
    Bad("network in half precision", lambda _: PROBLEM.solve(network=field(2).half()), ("network", "float16")),
    Bad("device beside a network", lambda _: PROBLEM.solve(network=field(2), device="cpu"), ("device",)),
    Bad("network of another number of axes", lambda _: PROBLEM.solve(network=field(3)), ("law", "shape")),
    Bad("certificate of a function", lambda _: certify(PROBLEM, lambda x: x), ("u", "Module")),
    Bad("certificate on fewer points", lambda _: certify(PROBLEM, NET, times=1), ("times", "1")),
    Bad("blocks without tensors", lambda _: Block("b", value, ()), ("tensors",)),
    Bad("blocks of unlike lengths", lambda _: Block("b", value, (X, X[:2])), ("rows",)),
    Bad("blocks of whole numbers", lambda _: Block("b", value, (torch.zeros(2, 1).long(),)), ("float",)),
    Bad("residual that is a number", lambda _: squares(lambda u, x: 3.0), ("residual", "float 3.0")),
    Bad("residual that is text", lambda _: squares(lambda u, x: "u"), ("residual", "str")),
    Bad("residual that is nothing", lambda _: squares(lambda u, x: None), ("residual", "NoneType")),
    Bad("residual that is complex", lambda _: squares(lambda u, x: u(x) * 1j), ("residual", "complex")),
    Bad("residual of rank 3", lambda _: squares(lambda u, x: u(x)[None]), ("residual", "shape")),
    Bad("residual of a mean", lambda _: squares(lambda u, x: u(x).mean()), ("residual", "pointwise=False")),
    Bad("residual (N,) less (N, 1)", lambda _: squares(lambda u, x: u(x) - x[:, 0]), ("(N,)", "(N, 1)", "sub")),
    Bad("residual that is NaN", lambda _: squares(lambda u, x: u(x) * NAN), ("residual", "NaN", "at point")),
    Bad("residual of one argument", lambda _: squares(lambda u: u), ("residual", "(u, points)")),
    Bad("residual without u", lambda _: fit_problem(squares(lambda u, x: x), [("lm", 1)]), ("depend",)),
]


def _ones(x):
    return torch.ones_like(x[:, :1])


def _solved(condition):
    return PDEProblem("p", SQUARE, [condition]).solve(schedule=[("lm", 1)])


def _exact(exact):
    return replace(PROBLEM, exact=exact).solve(schedule=[("lm", 1)])


def _unknown():
    return replace(PROBLEM, unknowns=[Unknown("k")]).solve(schedule=[("lm", 1)])


def fitted(**options):
    return fit_problem(squares(value), [("lm", 1)], **options)


FITS = [
    Bad("fit for less than no time", lambda _: fitted(max_time=-1), ("max_time", "-1")),
    Bad("fit for a NaN time", lambda _: fitted(max_time=NAN), ("max_time", "nan")),
    Bad("fit that saves after 0 steps", lambda _: fitted(every=0), ("every=0",)),
    Bad("fit that draws anew after -1 steps", lambda _: fitted(resample=-1), ("resample=-1",)),
    Bad("fit by another optimizer", lambda _: Phase("sgd", 3), ("sgd", "adam")),
    Bad("fit of -1 steps", lambda _: Phase("adam", -1), ("-1",)),
    Bad("fit of 1.5 steps", lambda _: Phase("adam", 1.5), ("1.5",)),
    Bad("fit at rate 0", lambda _: Phase("adam", 1, 0.0), ("above 0",)),
    Bad("fit at a NaN rate", lambda _: Phase("adam", 1, NAN), ("above 0",)),
    Bad("fit by a line search at a rate", lambda _: Phase("bfgs", 1, 0.1), ("line search",)),
    Bad("fit by a word, not a schedule", lambda _: fit_problem(squares(value), "lm"), ("schedule", "'lm'")),
    Bad("schedule of fewer than no steps", lambda _: schedule_for(100, -5), ("steps", "-5")),
    Bad("solve for -1 seconds", lambda p: SolveOptions("poisson", max_time=-1, out=p), ("max_time", "-1")),
    Bad("solve in 0 steps", lambda p: SolveOptions("poisson", steps=0, out=p), ("steps", "0")),
    Bad("solve by adam without steps", lambda p: SolveOptions("poisson", optimizer="adam", out=p), ("steps",)),
    Bad("solve in half precision", lambda p: SolveOptions("poisson", precision="16-true", out=p), ("precision",)),
    Bad("solve a number", lambda p: solve(SolveOptions(3, out=p)), ("problem", "int")),
    Bad("solve a folder", lambda p: _named(p, "dir.py"), ("does not exist",)),
    Bad("solve bytes", lambda p: command("solve", file(p, "a.py", b"\x00\xff"), "--out", p), ("a.py",)),
    Bad(
        "solve what ends the process",
        lambda p: _file(p, "import sys\nsys.exit(0)"),
        ("ended the process", "sys.exit(0)"),
    ),
    Bad("solve what has a mistake", lambda p: _file(p, "x = 1\ny = z"), ("NameError", "line 2")),
    Bad("solve what states nothing", lambda p: _file(p, "x = 1"), ("problem is NoneType",)),
    Bad("command: -1 seconds", lambda p: command("solve", "poisson", "--max-time", -1, "--out", p), ("max", "-1")),
    Bad("command: NaN seconds", lambda p: command("solve", "poisson", "--max-time", "nan", "--out", p), ("max",)),
    Bad("command: 0 steps", lambda p: command("solve", "poisson", "--steps", 0, "--out", p), ("steps", "0")),
    Bad("command: another name", lambda p: command("solve", "poison", "--out", p), ("poisson",)),
    Bad("command: another device", lambda p: command("solve", "poisson", "--device", "tpu9", "--out", p), ("tpu9",)),
]


def _file(folder, text):
    return command("solve", file(folder, "mine.py", text), "--out", folder / "o")


def _named(folder, name):
    (folder / name).mkdir()
    return command("solve", folder / name, "--out", folder / "o")


SYSTEM = KineticFokkerPlanck(Harmonic(1.0), 1.0, 0.5)
START = GaussianMixture.gaussian(torch.zeros(2), torch.eye(2))


def kinetic(system=SYSTEM, start=START, **options):
    return KineticJKO(system, start, **{"particles": 8, "batch_size": 8, "iterations": 1, "first": 1, **options})


KINETIC = [
    Bad("equation of negative friction", lambda _: KineticFokkerPlanck(Harmonic(1.0), -1.0), ("friction=-1",)),
    Bad("equation of a NaN temperature", lambda _: KineticFokkerPlanck(Harmonic(1.0), 1.0, NAN), ("temperature=nan",)),
    Bad("equation of infinite friction", lambda _: KineticFokkerPlanck(Harmonic(1.0), INF), ("friction=inf",)),
    Bad("equation in no dimension", lambda _: KineticFokkerPlanck(Harmonic(1.0), dim=0), ("dim=0",)),
    Bad("well of NaN stiffness", lambda _: Harmonic(NAN), ("Harmonic", "finite")),
    Bad("mixture of weights over 1", lambda _: GaussianMixture(torch.ones(2), *_two()), ("weights", "sum of 1")),
    Bad("mixture of NaN", lambda _: GaussianMixture.gaussian(torch.tensor([0, NAN]), EYE2.float()), ("NaN",)),
    Bad("mixture of an odd dimension", lambda _: GaussianMixture.gaussian(torch.zeros(3), torch.eye(3)), ("2 d",)),
    Bad(
        "mixture of a flat covariance",
        lambda _: GaussianMixture.gaussian(torch.zeros(2), torch.zeros(2, 2)),
        ("positive",),
    ),
    Bad("flow of a lopsided covariance", lambda _: flow(EYE2 + torch.tensor([[0, 1.0], [0, 0]])), ("symmetric",)),
    Bad("flow of a negative covariance", lambda _: flow(-EYE2), ("positive",)),
    Bad("flow of another dimension", lambda _: flow(torch.eye(3).double()), ("shape",)),
    Bad("Gaussian back in time", lambda _: flow(EYE2, t=-1.0), ("t = -1",)),
    Bad("matrices of negative friction", lambda _: harmonic_matrices(1.0, -1.0, 0.5), ("friction",)),
    Bad("matrices of no dimension", lambda _: harmonic_matrices(1.0, 1.0, 0.5, 0), ("dim",)),
    Bad("run without friction", lambda _: kinetic(replace(SYSTEM, friction=0.0)), ("friction=0",)),
    Bad("run of NaN steps", lambda _: kinetic(step_size=NAN), ("step_size=nan",)),
    Bad("run of endless steps", lambda _: kinetic(step_size=INF), ("step_size=inf",)),
    Bad("run of another scheme", lambda _: kinetic(scheme="euler"), ("constrained",)),
    Bad("run of another control", lambda _: kinetic(velocity="cubic"), ("velocity", "affine")),
    Bad("run of half a substep", lambda _: kinetic(substeps=0.5), ("substeps", "0.5")),
    Bad("run of no particles", lambda _: kinetic(particles=0), ("particles", "0")),
    Bad("run of half an iteration", lambda _: kinetic(iterations=1.5), ("iterations", "1.5")),
    Bad("run at a NaN rate", lambda _: kinetic(lr=NAN), ("lr", "nan")),
    Bad("run at tolerance 0", lambda _: kinetic(tolerance=0.0), ("tolerance", "0")),
    Bad("run from a start of another dimension", lambda _: kinetic(replace(SYSTEM, dim=2)), ("start", "2")),
    Bad("run without end", lambda _: kinetic().run(), ("no end", "until")),
    Bad("run of -1 steps", lambda _: kinetic().run(-1), ("steps=-1",)),
    Bad("run until NaN", lambda _: kinetic().run(until=NAN), ("until=nan",)),
    Bad("run until before it began", lambda _: kinetic().run(until=-1.0), ("until=-1",)),
    Bad("density after a step that isn't", lambda _: kinetic().log_prob(X[:, :1], X[:, 1:], 3), ("step", "0..0")),
    Bad("density of unlike numbers of points", lambda _: kinetic().log_prob(X[:, :1], X[:2, 1:]), ("shape",)),
    Bad("no samples", lambda _: kinetic().sample(0), ("sample",)),
    Bad("particles of unlike numbers", lambda _: PhaseSpaceParticles(X, X[:2], X[:, 0]), ("particles", "(2, 2)")),
    Bad("particles with NaN", lambda _: PhaseSpaceParticles(X, X, X[:, 0] * NAN), ("log-densities", "NaN")),
    Bad("control of one layer", lambda _: PotentialVelocity(1, layers=1), ("layers=1",)),
    Bad("control of no dimension", lambda _: PotentialVelocity(0), ("dim",)),
    Bad("grid of times that fall", lambda _: gridded(times=[1.0, 0.5]), ("times",)),
    Bad("grid of two points", lambda _: gridded(points=(2, 2)), ("points",)),
    Bad("grid of an empty span", lambda _: gridded(x_span=(1, 0)), ("x_span",)),
    Bad("grid of steps of 0", lambda _: gridded(step=0.0), ("step",)),
    Bad("grid of no velocities", lambda _: gridded(v_max=0.0), ("v_max",)),
]


def _two():
    return torch.zeros(2, 2), torch.eye(2).expand(2, 2, 2)


def flow(covariance, t=1.0):
    return gaussian_flow(torch.zeros(2).double(), covariance, *harmonic_matrices(1.0, 1.0, 0.5), t)


def gridded(**options):
    given = {"times": [0.0, 0.1], "x_span": (-3, 3), "v_max": 3.0, "points": (16, 16), **options}
    return grid_solution(SYSTEM, START, given.pop("times"), **given)


REGISTRY = ChannelRegistry()
WAVES = advection1d(3, 0.5, nx=16, t=0.4, dt_save=0.1)


def operator(**options):
    return UniFluids(REGISTRY, ["advection"], **{"size": (16, 1, 2), **options})


def batch(**options):
    return to_unified(replace(WAVES, **options), REGISTRY, 1)


def trained(*sets, **options):
    return train_unifluids(operator(patch={1: (1, 4, 1, 1)}), list(sets), **{"steps": 1, **options})


def sampled(**options):
    return operator(patch={1: (1, 4, 1, 1)}).sample(batch(), **options)


DATA = [
    Bad("waves of no trajectory", lambda _: advection1d(0, 0.5), ("n=0",)),
    Bad("waves at one speed too many", lambda _: advection1d(2, np.ones(3)), ("beta",)),
    Bad("waves at a NaN speed", lambda _: advection1d(2, NAN), ("beta", "finite")),
    Bad("waves on no points", lambda _: advection1d(2, 0.5, nx=0), ("nx", "0")),
    Bad("waves back in time", lambda _: advection1d(2, 0.5, t=-1.0), ("t", "-1")),
    Bad("waves saved after 0", lambda _: advection1d(2, 0.5, dt_save=0.0), ("dt_save",)),
    Bad("waves of another shape", lambda _: line_corpus(2, 1, shape="wavy"), ("shape", "folded")),
    Bad("Burgers of no viscosity", lambda _: burgers1d(1, 0.0, nx=16, t=0.1, dt_save=0.1), ("nu", "above 0")),
    Bad("Burgers by another method", lambda _: burgers1d(1, 0.1, method="dg"), ("method", "spectral")),
    Bad("trajectories of rank 2", lambda _: PDEDataset(np.zeros((2, 3)), {}, np.zeros((2, 0)), "p"), ("u", "(2, 3)")),
    Bad("PDEBench from no file", lambda p: read_pdebench(p / "a.h5"), ("cannot read", "a.h5")),
    Bad("PDEBench from text", lambda p: read_pdebench(file(p, "a.h5", "text")), ("cannot read", "HDF5")),
    Bad("PDEBench of rank 1", lambda p: read_pdebench(h5(p, tensor=np.zeros(5))), ("tensor", "(5,)")),
    Bad("PDEBench of a number", lambda p: read_pdebench(h5(p, tensor=1.0)), ("tensor", "()")),
    Bad("PDEBench gas of rank 2", lambda p: read_pdebench(h5(p, **_gas((3, 4)))), ("density", "(3, 4)")),
    Bad("PDEBench gas of unlike shapes", lambda p: read_pdebench(h5(p, **_unlike())), ("shape", "Vx")),
    Bad("PDEBench flow of rank 2", lambda p: read_pdebench(h5(p, velocity=np.zeros((2, 3)))), ("velocity", "(2, 3)")),
    Bad("PDEBench of words", lambda p: read_pdebench(h5(p, tensor=np.array([b"a"]).reshape(1, 1, 1))), ("tensor",)),
    Bad("PDEBench of other names", lambda p: read_pdebench(h5(p, pixels=np.zeros(3))), ("pixels", "layouts")),
    Bad("PDEBench without trajectories", lambda p: read_pdebench(h5(p, tensor=np.zeros((0, 3, 4)))), ("samples",)),
    Bad(
        "PDEBench rows out of range",
        lambda p: read_pdebench(h5(p, tensor=np.zeros((2, 3, 4))), samples=5),
        ("samples",),
    ),
    Bad("PDEBench every 0 points", lambda p: read_pdebench(p / "a.h5", reduce_x=0), ("reduce", "0")),
    Bad("batch with a context of all frames", lambda _: to_unified(WAVES, REGISTRY, 5), ("context", "5")),
    Bad("batch with no context", lambda _: to_unified(WAVES, REGISTRY, 0), ("context", "0")),
    Bad("batch with NaN", lambda _: batch(u=WAVES.u * NAN), ("NaN", "0")),
    Bad("batch of another channel", lambda _: batch(channels=("spin",)), ("channel", "spin")),
    Bad(
        "errors of unlike shapes",
        lambda _: field_errors(torch.zeros(1, 2, 4, 1), torch.zeros(1, 2, 5, 1)),
        ("fields", "equal"),
    ),
    Bad("operator of another size", lambda _: operator(size="huge"), ("size", "nano")),
    Bad("operator of heads that don't fit", lambda _: operator(size=(10, 1, 3)), ("size", "multiple")),
    Bad("operator of another prediction", lambda _: operator(prediction="y"), ("Parameterization", "eps")),
    Bad("operator of another loss", lambda _: operator(loss="y"), ("Parameterization", "'y'")),
    Bad("operator of another embedding", lambda _: operator(embed="sum"), ("embed",)),
    Bad("operator of another target", lambda _: operator(target="z"), ("target",)),
    Bad("operator of other attention", lambda _: operator(attention="flash"), ("attention", "axial")),
    Bad("operator of negative noise", lambda _: operator(noise=-1.0), ("noise", "-1")),
    Bad("operator of no tokens", lambda _: operator(max_tokens=0), ("max_tokens", "0")),
    Bad("operator of no equations", lambda _: UniFluids(REGISTRY, []), ("pdes",)),
    Bad("operator of one equation twice", lambda _: UniFluids(REGISTRY, ["a", "a"]), ("pdes", "a")),
    Bad("forecast of a grid that patches don't divide", lambda _: operator().predict(batch()), ("patch",)),
    Bad("forecast in no steps", lambda _: sampled(steps=0), ("steps", "0")),
    Bad("forecast by no members", lambda _: sampled(members=0), ("members", "0")),
    Bad("forecast by another solver", lambda _: sampled(solver="rk4"), ("solver", "heun")),
    Bad("forecast of a NaN shift", lambda _: sampled(shift=NAN), ("shift",)),
    Bad("training on nothing", lambda _: trained(), ("sets",)),
    Bad("training for -1 steps", lambda _: trained(batch(), steps=-1), ("steps", "-1")),
    Bad("training at a NaN rate", lambda _: trained(batch(), lr=NAN), ("lr", "nan")),
    Bad("training in batches of 0", lambda _: trained(batch(), batch_size=0), ("batch_size", "0")),
    Bad("training with sensors over 1", lambda _: trained(batch(), sensors=(0.5, 2.0)), ("sensors",)),
]


def _gas(shape):
    return {name: np.zeros(shape) for name in ("density", "pressure", "Vx")}


def _unlike():
    return {**_gas((2, 3, 4)), "Vx": np.zeros((2, 3, 5))}


FLOW = droplet(free=16)
TINY = PointCounts(8, 8, 8, 8, 4)


def pinn(**options):
    return TwoPhasePINN(FLOW, **{"hidden": (3,), "counts": TINY, **options})


FLOWS = [
    Bad("droplet of two markers", lambda _: droplet(free=2), ("markers", "2")),
    Bad("no points of a kind", lambda _: PointCounts(interior=0), ("PointCounts", "1 or more")),
    Bad("half a point of a kind", lambda _: PointCounts(interior=2.5), ("PointCounts", "whole")),
    Bad("flow of no width", lambda _: pinn(hidden=(0,)), ("hidden", "0")),
    Bad("flow of another unknown", lambda _: pinn(unknown={"nu": 1.0}), ("unknown", "nu")),
    Bad("flow of an unknown at 0", lambda _: pinn(unknown={"mu1": 0.0}), ("mu1", "above 0")),
    Bad("flow of a weight below 0", lambda _: pinn(beta=-1.0), ("beta", "-1")),
    Bad("flow of whole numbers", lambda _: pinn(dtype=torch.int64), ("dtype", "int64")),
    Bad("flow back in time", lambda _: replace(FLOW, t_span=(1.0, 0.0)), ("t_span", "start < end")),
    Bad("flow to NaN", lambda _: replace(FLOW, t_span=(0.0, NAN)), ("t_span",)),
    Bad("flow without end", lambda _: replace(FLOW, t_span=(0.0, INF)), ("t_span",)),
    Bad("flow of a fluid without mass", lambda _: replace(FLOW, rho=(0.0, 1.0)), ("fluids", "above 0")),
    Bad("flow of three fluids and two phases", lambda _: replace(FLOW, rho=(1.0, 1.0, 1.0)), ("3 densities",)),
    Bad("flow of a NaN tension", lambda _: replace(FLOW, surface_tension=NAN), ("surface_tension", "nan")),
    Bad("free interface in no sweeps", lambda _: pinn().fit_free(sweeps=0), ("sweeps=0",)),
    Bad("free interface of a negative tolerance", lambda _: pinn().fit_free(tolerance=-1), ("tolerance=-1",)),
    Bad("free interface of no steps", lambda _: pinn().fit_free(steps=0, sweeps=1), ("steps", "0")),
    Bad("flow asked at points in space only", lambda _: pinn().predict(X), ("points", "(N, 3)")),
    Bad("slabs of no length", lambda _: Slabs(FLOW, 0.0), ("slab", "above 0")),
    Bad("slabs of a NaN length", lambda _: Slabs(FLOW, NAN), ("slab", "nan")),
]

ROWS = [*FIELDS, *REGIONS, *PROBLEMS, *FITS, *KINETIC, *DATA, *FLOWS]

test_it_is_refused = over(ROWS)
