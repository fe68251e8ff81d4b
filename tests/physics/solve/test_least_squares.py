"""Residuals and Jacobians against differences and automatic ones."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from squares import poisson
from torch import nn

from deepwright.core.errors import InputError
from deepwright.physics import (
    Block,
    Box,
    LeastSquaresProblem,
    QuasiNewton,
    field,
    fit_problem,
    laplacian,
)


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


POINTS = Box((0, 1), (0, 1)).sample(5)


def value(u, x):
    return u(x)


def test_blocks_need_points():
    with pytest.raises(InputError, match="rows"):
        Block("b", value, (POINTS[:0],))


def test_blocks_need_floats():
    with pytest.raises(InputError, match="float"):
        Block("b", value, (torch.zeros(3, 2, dtype=torch.long),))


def test_points_have_the_dtype_of_the_network():
    with pytest.raises(InputError, match="float32"):
        LeastSquaresProblem(field(2), [Block("b", value, (POINTS.float(),))])


def test_no_blocks_are_refused():
    with pytest.raises(InputError, match="name of its own"):
        LeastSquaresProblem(field(2), [])


def test_a_residual_that_is_not_finite_is_told_with_its_point():
    with pytest.raises(InputError, match=r"NaN or infinity at point \[0"):
        LeastSquaresProblem(field(2), [Block("b", lambda u, x: u(x) / 0, (POINTS,))])


@pytest.mark.parametrize("residual", [lambda u, x: u(x) - u(x).mean(), lambda u, x: u(x) / len(x)], ids=["mean", "n"])
def test_residuals_that_couple_points_must_say_so(residual):
    with pytest.raises(InputError, match="pointwise=False"):
        LeastSquaresProblem(field(2), [Block("b", residual, (POINTS,))])


def test_residuals_that_broadcast_are_refused():
    """(n, 1) less (n,) is (n, n): every point would be held against all values."""
    with pytest.raises(InputError, match=r"shapes \(N,\) and \(N, 1\) meet in 'sub'"):
        LeastSquaresProblem(field(2), [Block("b", lambda u, x: u(x) - x[:, 0], (POINTS,))])


@pytest.mark.parametrize(
    ("residual", "words"),
    [
        (lambda u, x: 3.0, "float 3.0"),
        (lambda u, x: "u(x)", "str 'u"),
        (lambda u, x: None, "NoneType"),
        (lambda u, x: u(x).detach().numpy(), "ndarray"),
        (lambda u, x: u(x) * 1j, "complex128"),
        (lambda u, x: u(x) > 0, "torch.bool"),
        (lambda u, x: u(x).float(), "torch.float32"),
        (lambda u, x: u(x)[:, :0], "at least one value"),
        (lambda u, x, normal: u(x), "normals or data"),
        (lambda u, x: u(x)[:, 7], r"IndexError.*test_least_squares.py, line \d+"),
    ],
    ids=["number", "text", "nothing", "numpy", "complex", "bool", "other dtype", "empty", "arguments", "raises"],
)
def test_what_is_no_residual_is_refused_before_training(residual, words):
    with pytest.raises(InputError, match=rf"residual of block 'b'.*{words}"):
        LeastSquaresProblem(field(2), [Block("b", residual, (POINTS,))])


def test_a_residual_without_the_network_is_refused_before_training():
    for residual in (lambda u, x: x[:, :1] - 1, lambda u, x: u(x).detach()):
        problem = LeastSquaresProblem(field(2), [Block("b", residual, (POINTS,))])
        with pytest.raises(InputError, match="don't depend on the network"):
            fit_problem(problem, [("lm", 1)])


@pytest.mark.parametrize(
    "residual", [lambda u, x: u(x).mean(), lambda u, x: u(x)[:2], lambda u, x: u(x)[:, :, None]], ids=["0", "2", "3-d"]
)
def test_residuals_of_another_shape_are_refused(residual):
    with pytest.raises(InputError, match="shape"):
        LeastSquaresProblem(field(2), [Block("b", residual, (POINTS,))])


def test_a_residual_of_all_points_at_once_may_be_one_number():
    mean = Block("mean", lambda u, x: u(x).mean() - 1, (POINTS,), pointwise=False)
    problem = LeastSquaresProblem(field(2), [mean])
    assert problem.jacobian().shape == (1, problem.size)


def test_what_is_drawn_anew_is_left_alone():
    noisy = nn.Sequential(field(2, 4), nn.Dropout(0.5), nn.Linear(4, 1, dtype=torch.float64))
    assert LeastSquaresProblem(noisy, [Block("b", value, (POINTS,))]).size > 0


def test_a_hessian_that_is_too_large_is_refused():
    with pytest.raises(InputError, match="GiB"):
        QuasiNewton(LeastSquaresProblem(field(2, 1, (200, 200)), [Block("b", value, (POINTS,))]))


COMPILED = """
import sys, torch
sys.path.insert(0, sys.argv[1])
from squares import poisson
plain, fast = poisson(60)[0], poisson(60, compile=True)[0]
assert torch.allclose(fast.loss(), plain.loss(), rtol=1e-12)
assert all(fast._fast[b.name] is not b.residual for b in fast.blocks)
"""


@pytest.mark.slow
def test_compiled_residuals_are_the_plain_ones():
    """In a process of its own: the tests' checks of annotations can't be compiled."""
    command = [sys.executable, "-W", "error::UserWarning", "-c", COMPILED, str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_wrong_compiled_residuals_are_refused(monkeypatch):
    plain, _ = poisson(60)
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
