"""Optimisers on problems whose answers are known; checkpoints to the bit."""

import math

import numpy as np
import pytest
import torch
from scipy import optimize
from torch import nn

from deepwright.core.errors import InputError
from deepwright.physics import (
    Block,
    Box,
    Diverged,
    GradNormBalancer,
    LeastSquaresProblem,
    LevenbergMarquardt,
    NTKBalancer,
    Phase,
    QuasiNewton,
    causal_weights,
    field,
    fit_problem,
    laplacian,
    schedule_for,
)
from deepwright.physics.solve.quasi_newton import update


class Vector(nn.Module):
    """A bare parameter vector."""

    def __init__(self, start):
        super().__init__()
        self.x = nn.Parameter(torch.as_tensor(start, dtype=torch.float64).clone())

    def forward(self, rows):
        return self.x


def rosenbrock(model, rows):
    x = model.x
    return torch.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])[None].expand(len(rows), 2)


ONE = (torch.zeros(1, 1, dtype=torch.float64),)


def test_linear_problems_need_three_steps():
    draw = torch.Generator().manual_seed(0)
    a, b = torch.randn(40, 6, generator=draw, dtype=torch.float64), torch.randn(40, generator=draw, dtype=torch.float64)
    model = nn.Linear(6, 1, bias=False).double()
    problem = LeastSquaresProblem(model, [Block("fit", lambda m, x, y: m(x)[:, 0] - y, (a, b))])
    optimiser = LevenbergMarquardt(problem, 1e-8)
    for _ in range(3):
        optimiser.step()
    assert torch.allclose(model.weight[0], torch.linalg.lstsq(a, b[:, None]).solution[:, 0], atol=1e-10)


def test_rosenbrock_in_forty_steps():
    model = Vector([-1.2, 1.0])
    training = fit_problem(LeastSquaresProblem(model, [Block("banana", rosenbrock, ONE)]), [("lm", 40)])
    assert training.loss < 1e-20
    assert torch.allclose(model.x, torch.ones(2).double())


@pytest.mark.parametrize("kind", ["bfgs", "ssbfgs", "ssbroyden", "lbfgs"])
def test_quasi_newton_on_rosenbrock(kind):
    model = Vector([-1.2, 1.0])
    training = fit_problem(LeastSquaresProblem(model, [Block("banana", rosenbrock, ONE)]), [(kind, 120)])
    assert training.loss < 1e-12


def test_quadratics_end_in_as_many_steps_as_dimensions():
    """With exact line searches any member of the family is a conjugate direction method."""
    draw = torch.Generator().manual_seed(1)
    root = torch.randn(20, 20, generator=draw, dtype=torch.float64)
    a = root @ root.T / 20 + torch.eye(20).double()
    x = torch.randn(20, generator=draw, dtype=torch.float64)
    h = torch.eye(20).double()
    for k in range(21):
        g = a @ x
        if g.norm() < 1e-10:
            break
        p = -(h @ g)
        alpha = float(-(g @ p) / (p @ a @ p))
        h = update(h, alpha * p, a @ (alpha * p), alpha, g, "ssbroyden", k == 0)
        x = x + alpha * p
    assert float((a @ x).norm()) < 1e-10


def test_bfgs_is_scipys():
    """Fed with SciPy's own step lengths, the update takes SciPy's own path."""
    points = [np.array([-1.2, 1.0])]
    optimize.minimize(
        optimize.rosen, points[0], jac=optimize.rosen_der, method="BFGS", callback=lambda x: points.append(x.copy())
    )
    h, x = torch.eye(2).double(), torch.tensor(points[0])
    for target in points[1:25]:
        g = torch.from_numpy(optimize.rosen_der(x.numpy()))
        p = -(h @ g)
        alpha = float((torch.from_numpy(target) - x).norm() / p.norm())
        new = x + alpha * p
        assert torch.allclose(new, torch.from_numpy(target), atol=1e-8)
        y = torch.from_numpy(optimize.rosen_der(target)) - g
        h = update(h, alpha * p, y, alpha, g, "bfgs", False)
        x = torch.from_numpy(target)


def poisson(n=150, hidden=(10, 10), seed=0, **options):
    box = Box((0, 1), (0, 1))
    inside, (edge, _) = box.sample(n), box.sample_boundary(60)

    def exact(x):
        return (torch.sin(math.pi * x[:, 0]) * torch.sin(math.pi * x[:, 1]))[:, None]

    def pde(u, x):
        return laplacian(u, x) + 2 * math.pi**2 * exact(x)

    blocks = [
        Block("pde", pde, (inside,), draw=lambda g: (box.sample(n, generator=g),)),
        Block("edge", lambda u, x: u(x), (edge,), 100.0),
    ]
    return LeastSquaresProblem(field(2, 1, hidden, seed=seed), blocks, **options), exact


def error(problem, exact):
    x = Box((0, 1), (0, 1)).sample(2000, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        return float((problem.model(x) - exact(x)).norm() / exact(x).norm())


def test_jacobian_in_pieces_is_the_jacobian():
    problem, _ = poisson(20)
    whole = problem.jacobian()
    expected = torch.func.jacrev(lambda v: problem.residual(problem.unpack(v)))(problem.vector())
    assert torch.allclose(whole, expected, atol=1e-11)
    pieces, _ = poisson(20, max_jac_bytes=4 * 8 * problem.size * 7)
    assert torch.allclose(pieces.jacobian(), whole, atol=1e-13)
    a, g, f = pieces.normal_equations(pieces.vector())
    assert torch.allclose(a, whole.T @ whole)
    assert f == pytest.approx(float(problem.loss().detach()))
    assert torch.allclose(2 * g, problem.value_and_gradient(problem.vector())[1])
    product, gradient, _ = problem.products(problem.vector())
    assert torch.allclose(product(g), a @ g)
    assert torch.allclose(gradient, g)


@pytest.mark.parametrize("way", ["dense", "dual", "matrix-free"])
def test_poisson_by_every_linear_solver(way):
    problem, exact = poisson(hidden=(10, 10) if way != "dual" else (20, 20))
    optimiser = LevenbergMarquardt(problem, dense_limit=10 if way == "matrix-free" else 5000)
    assert (optimiser.dual, optimiser.matrix_free) == (way == "dual", way == "matrix-free")
    for _ in range(60):
        optimiser.step()
    assert error(problem, exact) < 5e-3


class Shared(nn.Module):
    """One module under two names, and one weight in two modules."""

    def __init__(self):
        super().__init__()
        self.a = self.b = field(1, 3, (4,))
        self.c, self.d = nn.Linear(3, 3).double(), nn.Linear(3, 3).double()
        self.d.weight = self.c.weight

    def forward(self, x):
        return self.d(self.c(self.a(x))) + self.b(x) ** 2


def test_shared_parameters_stay_shared():
    model, x = Shared(), torch.rand(6, 1).double()
    problem = LeastSquaresProblem(model, [Block("r", lambda m, x: m(x), (x,))])
    assert problem.size == sum(p.numel() for p in model.parameters())
    v = problem.vector()
    step = 1e-6 * torch.randn(len(v), generator=torch.Generator().manual_seed(0)).double()
    moved = problem.residual(problem.unpack(v + step))
    assert torch.allclose(moved, problem.residual(problem.unpack(v)) + problem.jacobian() @ step, atol=1e-10)
    before = {n: id(p) for n, p in model.named_parameters()}
    problem.assign(v + step)
    assert torch.allclose(problem.residual(), moved)
    assert {n: id(p) for n, p in model.named_parameters()} == before
    assert model.d.weight is model.c.weight
    assert all(isinstance(p, nn.Parameter) for p in model.parameters())


def test_blocks_that_mix_points():
    """A block on the mean of the field: its Jacobian isn't batched over points, and the fit meets it."""
    problem, _ = poisson(60)
    mean = Block("mean", lambda u, x: u(x).mean() - 0.3 + 0 * x[:, :1], problem.blocks[0].tensors, 1e6, pointwise=False)
    joint = LeastSquaresProblem(problem.model, [*problem.blocks, mean])
    expected = torch.func.jacrev(lambda v: joint.residual(joint.unpack(v)))(joint.vector())
    assert torch.allclose(joint.jacobian(), expected, atol=1e-9)
    fit_problem(joint, [("lm", 60)])
    assert joint.breakdown()["mean"] < 1e-3  # though the equation pulls the mean towards 0.41


@pytest.mark.parametrize("optimiser", ["adam", "lm", "ssbroyden", "lbfgs"])
def test_a_resumed_fit_ends_in_the_same_bits(optimiser, tmp_path):
    whole, _ = poisson()
    fit_problem(whole, [(optimiser, 12)], resample=5, balancer=GradNormBalancer(4) if optimiser == "adam" else None)
    first, _ = poisson()

    class Killed(Exception):
        pass

    def kill(step, info):
        if step == 7:
            raise Killed

    options = dict(resample=5, checkpoint=tmp_path / "fit.pt", every=3)
    options["balancer"] = GradNormBalancer(4) if optimiser == "adam" else None
    with pytest.raises(Killed):
        fit_problem(first, [(optimiser, 12)], callback=kill, **options)
    again, _ = poisson()
    training = fit_problem(again, [(optimiser, 12)], **options)
    assert training.resumed_at == 6
    assert training.steps == 12
    assert torch.equal(again.vector(), whole.vector())
    other, _ = poisson(seed=0, n=80)
    with pytest.raises(InputError, match="another points of pde"):
        fit_problem(other, [(optimiser, 12)], **options)


@pytest.mark.parametrize("make", [LevenbergMarquardt, QuasiNewton])
def test_new_points_count_after_a_restart(make):
    """A line through one set of points, then through another: without `restart` the old loss would still be compared with."""
    x = torch.linspace(0, 1, 9, dtype=torch.float64)[:, None]
    line = torch.nn.Linear(1, 1, dtype=torch.float64)
    problem = LeastSquaresProblem(line, [Block("fit", lambda m, x, y: m(x) - y, (x, 2 * x + 1))])
    optimiser = make(problem)
    for _ in range(60):
        optimiser.step()
    assert [float(line.weight), float(line.bias)] == pytest.approx([2.0, 1.0], abs=1e-6)
    problem.blocks = [Block("fit", lambda m, x, y: m(x) - y, (x, 5 - 3 * x))]
    optimiser.restart()
    assert optimiser.step().before == pytest.approx(float(((5 * x - 4) ** 2).mean()), rel=1e-5)
    for _ in range(60):
        optimiser.step()
    assert [float(line.weight), float(line.bias)] == pytest.approx([-3.0, 5.0], abs=1e-6)


def test_divergence_puts_the_last_good_parameters_back():
    model = Vector([3.0])
    log = Block("log", lambda m, r: torch.log(m.x)[None].expand(len(r), 1), ONE)
    problem = LeastSquaresProblem(model, [log])
    with pytest.raises(Diverged, match="block 'log'"):
        fit_problem(problem, [Phase("adam", 50, 10.0)])
    assert bool(torch.isfinite(model.x).all())
    assert float(model.x) > 0


def test_weights_that_balance():
    problem, _ = poisson()
    for balancer in (GradNormBalancer(ema=0.0), NTKBalancer()):
        weights = balancer(problem)
        assert weights["edge"] > weights["pde"] > 0
    assert torch.allclose(causal_weights(torch.tensor([1.0, 2.0, 3.0])), torch.exp(-torch.tensor([0.0, 1.0, 3.0])))


def test_bad_input():
    box = Box((0, 1), (0, 1))
    x = box.sample(5)
    u = field(2)
    with pytest.raises(InputError, match="rows"):
        Block("b", lambda u, x: u(x), (x[:0],))
    with pytest.raises(TypeError, match="float"):
        Block("b", lambda u, x: u(x), (torch.zeros(3, 2, dtype=torch.long),))
    with pytest.raises(TypeError, match="float32"):
        LeastSquaresProblem(u, [Block("b", lambda u, x: u(x), (x.float(),))])
    with pytest.raises(InputError, match="name of its own"):
        LeastSquaresProblem(u, [])
    with pytest.raises(InputError, match=r"NaN or infinity at point \[0"):
        LeastSquaresProblem(u, [Block("b", lambda u, x: u(x) / 0, (x,))])
    with pytest.raises(InputError, match="one of adam"):
        Phase("sgd", 3)
    with pytest.raises(InputError, match="GiB"):
        QuasiNewton(LeastSquaresProblem(field(2, 1, (200, 200)), [Block("b", lambda u, x: u(x), (x,))]))
    assert [schedule_for(n)[0].optimiser for n in (500, 5000, 50_000)] == ["lm", "adam", "adam"]


@pytest.mark.slow
def test_compiled_residuals_are_checked_and_wrong_ones_refused(monkeypatch):
    plain, _ = poisson(60)
    fast, _ = poisson(60, compile=True)
    assert torch.allclose(fast.loss(), plain.loss(), rtol=1e-12)
    monkeypatch.setattr(torch, "compile", lambda f, **kw: lambda *a: f(*a) * 1.001)
    wrong, _ = poisson(60, compile=True)
    with pytest.warns(UserWarning, match="runs uncompiled: it differs"):
        assert torch.allclose(wrong.loss(), plain.loss(), rtol=1e-12)


NORMS = {
    "layer": lambda: nn.Sequential(nn.Linear(2, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 1)),
    "group": lambda: nn.Sequential(nn.Linear(2, 6), nn.GroupNorm(2, 6), nn.Tanh(), nn.Linear(6, 1)),
}


@pytest.mark.filterwarnings("ignore:.*has no rule")
@pytest.mark.parametrize("kind", NORMS)
def test_networks_without_rules_have_right_jacobians_too(kind):
    """PyTorch's layer norm has a wrong third derivative: what is used must agree with differences of the residual."""
    torch.manual_seed(0)
    net = NORMS[kind]().double()
    x = torch.rand(8, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    problem = LeastSquaresProblem(net, [Block("lap", lambda u, p: laplacian(u, p), (x,))])
    v = problem.vector()
    step = torch.randn(len(v), generator=torch.Generator().manual_seed(1)).double()
    up, down = (problem.residual(problem.unpack(v + h * step)).detach() for h in (1e-5, -1e-5))
    slope = (up - down) / 2e-5
    assert torch.allclose(problem.jacobian() @ step, slope, atol=1e-6 * float(slope.abs().max()))
    value, gradient = problem.value_and_gradient(v)
    assert float(gradient @ step) == pytest.approx(float(up.square().sum() - down.square().sum()) / 2e-5, rel=1e-5)
    assert fit_problem(problem, [("lm", 5)]).loss < value


SPREAD = """
import sys, torch
sys.path.insert(0, sys.argv[1])
import torch.distributed as dist
from dataclasses import replace
from test_lsq import poisson
from deepwright.core.files import save_state
from deepwright.physics import LeastSquaresProblem, LevenbergMarquardt
rank, store = int(sys.argv[2]), sys.argv[3]
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method=f"file://{store}/meet", rank=rank, world_size=2)
whole, _ = poisson()
mine = [replace(b, tensors=tuple(t[rank::2] for t in b.tensors)) for b in whole.blocks]
problem = LeastSquaresProblem(whole.model, mine)
optimiser = LevenbergMarquardt(problem, group=dist.group.WORLD)
for _ in range(8):
    optimiser.step()
save_state(f"{store}/{rank}.pt", {"theta": problem.vector()})
dist.barrier()  # a process that leaves early takes the other's connection with it
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(tmp_path):
    """Points spread over two gloo processes: J^T J, J^T r and the loss are summed, so both follow one process's path."""
    import subprocess
    import sys
    from pathlib import Path

    from deepwright.core.files import load_state

    command = [sys.executable, "-c", SPREAD, str(Path(__file__).parent)]
    both = [subprocess.Popen([*command, str(r), str(tmp_path)]) for r in (0, 1)]
    assert [p.wait(120) for p in both] == [0, 0]
    problem, _ = poisson()
    optimiser = LevenbergMarquardt(problem)
    for _ in range(8):
        optimiser.step()
    for rank in (0, 1):
        assert torch.allclose(load_state(tmp_path / f"{rank}.pt")["theta"], problem.vector(), rtol=1e-7, atol=1e-9)
