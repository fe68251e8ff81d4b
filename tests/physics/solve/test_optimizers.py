"""Optimisers on problems whose answers are known."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import optimize
from squares import ONE, Vector, error, poisson, rosenbrock
from torch import nn

from deepwright.physics import (
    Block,
    LeastSquaresProblem,
    LevenbergMarquardt,
    QuasiNewton,
    fit_problem,
)
from deepwright.physics.solve.quasi_newton import update


def test_linear_problems_need_three_steps():
    draw = torch.Generator().manual_seed(0)
    a, b = torch.randn(40, 6, generator=draw, dtype=torch.float64), torch.randn(40, generator=draw, dtype=torch.float64)
    model = nn.Linear(6, 1, bias=False).double()
    problem = LeastSquaresProblem(model, [Block("fit", lambda m, x, y: m(x)[:, 0] - y, (a, b))])
    optimizer = LevenbergMarquardt(problem, 1e-8)
    for _ in range(3):
        optimizer.step()
    assert torch.allclose(model.weight[0], torch.linalg.lstsq(a, b[:, None]).solution[:, 0], atol=1e-10)


def test_rosenbrock_in_forty_steps():
    model = Vector([-1.2, 1.0])
    training = fit_problem(LeastSquaresProblem(model, [Block("banana", rosenbrock, ONE)]), [("lm", 40)])
    assert training.loss < 1e-20
    assert torch.allclose(model.x, torch.ones(2).double())


@pytest.mark.parametrize("kind", ["bfgs", "bfgs-unscaled", "ssbfgs", "ssbroyden", "lbfgs"])
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


def test_bfgs_scales_the_identity_once_and_unless_told():
    """On a steep quadratic the first update from the identity is that from y's / y'y times it, the next is plain."""
    a = torch.diag(torch.tensor([4e4, 1e4, 2e5], dtype=torch.float64))
    x = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    found = {}
    for scaled in (True, False):
        model = Vector(x.tolist())
        problem = LeastSquaresProblem(
            model, [Block("bowl", lambda m, z: (a.sqrt() @ m.x)[None].expand(len(z), 3), ONE)]
        )
        optimizer = QuasiNewton(problem, "bfgs" if scaled else "bfgs-unscaled")
        path = [(problem.vector(), problem.value_and_gradient(problem.vector())[1])]
        for _ in range(2):
            assert optimizer.step().accepted
            path.append((problem.vector(), problem.value_and_gradient(problem.vector())[1]))
        h = None
        for (theta, g), (new, gradient) in pairwise(path):
            s, y = new - theta, gradient - g
            if h is None:
                h = torch.eye(3).double() * (float(y @ s) / float(y @ y) if scaled else 1.0)
            left = torch.eye(3).double() - torch.outer(s, y) / (y @ s)
            h = left @ h @ left.T + torch.outer(s, s) / (y @ s)
        assert torch.allclose(optimizer.h, h, rtol=1e-8, atol=1e-14)
        found[scaled] = h
    assert float(found[False].diagonal().max()) > 10 * float(found[True].diagonal().max())


@pytest.mark.parametrize("way", ["dense", "dual"])
def test_poisson_by_every_linear_solver(way):
    problem, exact = poisson(hidden=(10, 10) if way != "dual" else (20, 20))
    optimizer = LevenbergMarquardt(problem)
    assert optimizer.dual == (way == "dual")
    for _ in range(60):
        optimizer.step()
    assert error(problem, exact) < 5e-3


def test_steps_without_a_jacobian_are_the_dense_ones():
    dense, free = (poisson(80, hidden=(8, 8))[0] for _ in range(2))
    start, optimizers = dense.vector(), [LevenbergMarquardt(dense), LevenbergMarquardt(free, dense_limit=10)]
    assert [o.matrix_free for o in optimizers] == [False, True]
    for optimizer in optimizers:
        optimizer.mu = 1.0  # each would start from its own estimate of the largest curvature
        for _ in range(8):
            optimizer.step()
    moved = float((dense.vector() - start).norm())
    assert moved > 0.1
    assert float((dense.vector() - free.vector()).norm()) < 1e-9 * moved


@pytest.mark.parametrize("make", [LevenbergMarquardt, QuasiNewton])
def test_new_points_count_after_a_restart(make):
    """A line through one set of points, then another: without `restart` the old loss would still be compared with."""
    x = torch.linspace(0, 1, 9, dtype=torch.float64)[:, None]
    line = torch.nn.Linear(1, 1, dtype=torch.float64)
    problem = LeastSquaresProblem(line, [Block("fit", lambda m, x, y: m(x) - y, (x, 2 * x + 1))])
    optimizer = make(problem)
    for _ in range(60):
        optimizer.step()
    assert [float(line.weight), float(line.bias)] == pytest.approx([2.0, 1.0], abs=1e-6)
    problem.blocks = [Block("fit", lambda m, x, y: m(x) - y, (x, 5 - 3 * x))]
    optimizer.restart()
    assert optimizer.step().before == pytest.approx(float(((5 * x - 4) ** 2).mean()), rel=1e-5)
    for _ in range(60):
        optimizer.step()
    assert [float(line.weight), float(line.bias)] == pytest.approx([-3.0, 5.0], abs=1e-6)


SPREAD = """
import sys, torch
sys.path.insert(0, sys.argv[1])
import torch.distributed as dist
from dataclasses import replace
from squares import poisson
from deepwright.core.files import save_state
from deepwright.physics import LeastSquaresProblem, LevenbergMarquardt
rank, store = int(sys.argv[2]), sys.argv[3]
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method=f"file://{store}/meet", rank=rank, world_size=2)
whole, _ = poisson()
mine = [replace(b, tensors=tuple(t[rank::2] for t in b.tensors)) for b in whole.blocks]
problem = LeastSquaresProblem(whole.model, mine)
optimizer = LevenbergMarquardt(problem, group=dist.group.WORLD)
for _ in range(8):
    optimizer.step()
save_state(f"{store}/{rank}.pt", {"theta": problem.vector()})
dist.barrier()  # a process that leaves early takes the other's connection with it
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(tmp_path):
    """Points spread over two gloo processes: J^T J, J^T r and the loss are summed, so both take one process's path."""
    import subprocess
    import sys
    from pathlib import Path

    from deepwright.core.files import load_state

    command = [sys.executable, "-c", SPREAD, str(Path(__file__).parent)]
    both = [subprocess.Popen([*command, str(r), str(tmp_path)]) for r in (0, 1)]
    assert [p.wait(120) for p in both] == [0, 0]
    problem, _ = poisson()
    optimizer = LevenbergMarquardt(problem)
    for _ in range(8):
        optimizer.step()
    for rank in (0, 1):
        assert torch.allclose(load_state(tmp_path / f"{rank}.pt")["theta"], problem.vector(), rtol=1e-7, atol=1e-9)
