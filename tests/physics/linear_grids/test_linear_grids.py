"""Splines against SciPy, products against torch.func, refinement that keeps the function."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.interpolate import CubicSpline, make_interp_spline

from deepwright.core.errors import InputError
from deepwright.physics import Box, LeastSquaresProblem, fit_problem, jet, laplacian
from deepwright.physics.bundled import poisson_bands
from deepwright.physics.linear_grids import CELG, CellGrid, LinearGridEncoding, Separable, als_polish, leave_one_out
from deepwright.physics.splines import KERNELS, NaturalCubicSpline1d

RNG = np.random.default_rng(0)
UNEVEN = np.sort(np.concatenate([[-1.0, 2.0], RNG.uniform(-1, 2, 15)]))


@pytest.mark.parametrize("knots", [None, UNEVEN])
@pytest.mark.parametrize("degree", [3, 5])
def test_natural_splines_are_scipys(knots, degree):
    spline = NaturalCubicSpline1d(17, 3, -1, 2, knots=knots, degree=degree)
    x = RNG.uniform(-1, 2, 500)
    g = spline.values.detach().numpy()
    where = np.linspace(-1, 2, 17) if knots is None else knots
    if degree == 3:
        reference = CubicSpline(where, g, bc_type="natural")
    else:
        ends = [(3, np.zeros(3)), (4, np.zeros(3))]
        reference = make_interp_spline(where, g, 5, bc_type=(ends, ends))
    found = spline.derivatives(torch.from_numpy(x))
    for order, (tolerance, z) in enumerate(zip((1e-13, 1e-12, 1e-11), found)):
        expected = reference(x, order)
        assert np.abs(z.detach().numpy() - expected).max() <= tolerance * max(1, np.abs(expected).max()) * (
            100 if knots is not None else 1
        )


def test_periodic_splines_are_scipys():
    spline = NaturalCubicSpline1d(12, 2, 0, 3, periodic=True)
    g = spline.values.detach().numpy()
    reference = CubicSpline(np.linspace(0, 3, 13), np.concatenate([g, g[:1]]), bc_type="periodic")
    x = RNG.uniform(-3, 6, 100)
    z, dz, ddz = spline.derivatives(torch.from_numpy(x))
    for order, values in enumerate((z, dz, ddz)):
        assert np.allclose(values.detach().numpy(), reference(np.mod(x, 3), order), atol=1e-10)


@pytest.mark.parametrize("kernel", KERNELS)
def test_continuity_at_knots(kernel):
    """Cubic and B-spline curvatures are continuous; the others jump, as they must."""
    spline = NaturalCubicSpline1d(9, 4, 0, 1, kernel=kernel)
    inner = spline.basis.knots[1:-1]
    left, right = (spline.derivatives(inner + e) for e in (-1e-12, 1e-12))
    jumps = [float((a - b).abs().max()) for a, b in zip(left, right)]
    assert jumps[0] < 1e-9
    smooth = spline.basis.smooth
    for order in (1, 2):
        if order <= smooth:
            assert jumps[order] < 1e-7
        elif not (kernel == "linear" and order == 2):
            assert jumps[order] > 0.1
    x = 0.01 + 0.98 * torch.rand(50, dtype=torch.float64)  # a difference needs both neighbours
    z, dz, ddz = spline.derivatives(x)
    h = 1e-5
    away = (spline.basis.cells(x - h)[0] == spline.basis.cells(x + h)[0]).nonzero()[:, 0]
    plus, minus = spline(x + h), spline(x - h)
    assert torch.allclose(((plus - minus) / (2 * h))[away], dz[away], atol=1e-6)
    assert torch.allclose(((plus - 2 * z + minus) / h**2)[away], ddz[away], atol=1e-3)


def test_orders_of_interpolation():
    """cos has curvature at the ends, so a natural spline is of order 2 there and 4 inside; sin has none."""
    ends, inside, sines = [], [], []
    for n in (17, 33):
        for function, errors in ((torch.cos, None), (torch.sin, sines)):
            spline = NaturalCubicSpline1d(n, 1, -1, 1)
            knots = spline.basis.knots
            with torch.no_grad():
                spline.values[:, 0] = function(math.pi * knots)
                x = torch.linspace(-1, 1, 4001, dtype=torch.float64)
                gap = (spline(x)[:, 0] - function(math.pi * x)).abs()
            if errors is None:
                ends.append(float(gap[:40].max()))
                inside.append(float(gap[(x.abs() < 0.4)].max()))
            else:
                errors.append(float(gap.max()))
    assert math.log2(ends[0] / ends[1]) == pytest.approx(2, abs=0.5)
    assert math.log2(inside[0] / inside[1]) > 3.5
    assert math.log2(sines[0] / sines[1]) == pytest.approx(4, abs=0.3)


@pytest.mark.parametrize("fusion", ["product", "sum", "concat"])
@pytest.mark.parametrize("d", [1, 2, 3, 6])
def test_jets_of_grids(fusion, d):
    net = CELG([(-1, 1)] * d, 2, 7, 3, (5,), fusion=fusion, levels=None if d > 2 else (4, 7), seed=d)
    x = 1.9 * torch.rand(9, d, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 0.95
    full = torch.randn(2, d, d, dtype=torch.float64)
    for operators in ("laplacian", "diagonal", "hessian", full + full.mT, torch.diag_embed(full[:, 0])):
        a, b = (jet(net, x, None, operators, engine=e) for e in ("jet", "func"))
        for one, two in zip(a[:3], b[:3]):
            assert torch.allclose(one, two, atol=1e-10 * float(two.abs().max()) + 1e-12)
    along = torch.randn(2, d, dtype=torch.float64)
    a, b = (jet(net, x, along, "laplacian", engine=e) for e in ("jet", "func"))
    assert torch.allclose(a.S, b.S, atol=1e-9 * float(b.S.abs().max()))


@pytest.mark.parametrize(
    "net",
    [
        CellGrid([(-1, 1)] * 2, 2, 5, 3, 4),
        CellGrid([(0, 1)] * 3, 1, 3, 2, 2),
        Separable([(-1, 1)] * 3, 2, 4, (6,)),
        Separable([(-1, 1)] * 2, 1, 3, (5,), activation="sin"),
    ],
)
def test_jets_of_baselines(net):
    d = len(net.axes)
    x = torch.rand(9, d, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for operators in ("laplacian", "diagonal"):
        a, b = (jet(net, x, None, operators, engine=e) for e in ("jet", "autograd"))
        for one, two in zip(a[:3], b[:3]):
            assert torch.allclose(one, two, atol=1e-10 * float(two.abs().max()) + 1e-12)
    assert torch.allclose(net(x), jet(net, x).v)


def test_quintic_grids_have_third_derivatives():
    net = CELG([(-1, 1)] * 2, 1, 8, 3, (4,), degree=5)
    x = 1.8 * torch.rand(6, 2, dtype=torch.float64) - 0.9
    a, b = (jet(net, x, None, "diagonal", order=3, engine=e) for e in ("jet", "func"))
    assert torch.allclose(a.T, b.T, atol=1e-8 * float(b.T.abs().max()))
    with pytest.raises(InputError, match="degree=5"):
        jet(CELG([(-1, 1)] * 2), x, None, "diagonal", order=3)


def test_gradients_by_differences():
    net = CELG([(-1, 1)] * 2, 1, 6, 3, (4,))
    x = 1.8 * torch.rand(20, 2, dtype=torch.float64) - 0.9

    def loss():
        return laplacian(net, x).square().mean()

    loss().backward()
    values = net.encoding.values[1]
    for i, j in ((0, 0), (3, 2)):
        found = float(values.grad[i, j])
        with torch.no_grad():
            values[i, j] += 1e-6
            up = float(loss())
            values[i, j] -= 2e-6
            down = float(loss())
            values[i, j] += 1e-6
        assert found == pytest.approx((up - down) / 2e-6, rel=1e-5)


def test_products_with_zeros():
    z = [torch.tensor([2.0, 0.0]), torch.tensor([3.0, 0.0]), torch.tensor([5.0, 7.0])]
    assert [t.tolist() for t in leave_one_out(z)] == [[15, 0], [10, 0], [6, 0]]
    net = CELG([(-1, 1)] * 3, 1, 5, 2, ())
    with torch.no_grad():
        net.encoding.values[0].zero_()
    out = jet(net, torch.zeros(2, 3, dtype=torch.float64), None, "laplacian")
    assert torch.isfinite(out.S).all()
    assert torch.allclose(out.J[1:], torch.zeros(2, 2, 1).double())


@pytest.mark.parametrize("levels", [None, (3, 5)])
def test_refining_keeps_the_function(levels):
    net = CELG([(-1, 1), (0, 2)], 1, 9, 4, (5,), levels=levels)
    finer = net.refine(17 if levels is None else (5, 9))
    x = Box((-1, 1), (0, 2)).sample(300)
    with torch.no_grad():
        assert float((finer(x) - net(x)).abs().max()) < 1e-10
    assert sum(p.numel() for p in finer.parameters()) > sum(p.numel() for p in net.parameters())


def test_knots_follow_a_density():
    net = CELG([(0, 1)], 1, 9, 2, ())
    peaked = torch.exp(-(((torch.linspace(0, 1, 100) - 0.5) / 0.1) ** 2))
    moved = net.move_knots([peaked])
    knots = moved.encoding.axes[0].knots
    assert knots[0] == 0
    assert knots[-1] == 1
    assert int(((knots - 0.5).abs() < 0.2).sum()) > 4


def test_alternating_least_squares_solves_separable_problems():
    """u = sin x sin y is of rank one: a few linear solves end at what the grid can hold, and the loss never rises."""
    problem = poisson_bands(2, ((1, 1.0),), points=600)
    net = CELG(problem.domain.bounds, 1, 17, 2, (), seed=1)
    squares = LeastSquaresProblem(net, problem.blocks())
    losses = als_polish(squares, 8)
    assert all(b <= a for a, b in itertools.pairwise(losses))
    assert problem.error(net)["u"] < 1e-3
    with pytest.raises(InputError, match="hidden"):
        als_polish(LeastSquaresProblem(CELG(problem.domain.bounds), problem.blocks()))


def test_levenberg_marquardt_on_grids():
    problem = poisson_bands(2, ((2, 1.0),), points=400)
    net = CELG(problem.domain.bounds, 1, 12, 4, (8,))
    assert fit_problem(LeastSquaresProblem(net, problem.blocks()), [("lm", 60)]).loss < 1e-4
    assert problem.error(net)["u"] < 2e-2


def test_memory_and_dimensions():
    assert CELG.estimate_memory(10, 32, 16) == 5120 * 8
    net = CELG([(-1, 1)] * 10, 1, 32, 16)
    assert sum(v.numel() for v in net.encoding.values) == 5120
    assert float(net.encoding(torch.zeros(4, 10).double()).detach().abs().mean()) > 1e-3  # alive
    with pytest.raises(InputError, match="bytes in 10 dimensions"):
        CellGrid([(-1, 1)] * 10, 1, 32)


def test_cells_know_two_kernels():
    with pytest.raises(InputError, match="unknown kernel"):
        CellGrid([(0, 1)], kernel="natural_cubic")


def test_cells_refuse_points_outside():
    with pytest.raises(InputError, match="outside"):
        CellGrid([(0, 1)], cells=4)(torch.full((1, 1), 5.0).double())


def test_each_level_is_refined():
    with pytest.raises(InputError, match="one a level"):
        CELG([(0, 1)] * 2, levels=(4, 5)).refine((7,))


@pytest.mark.parametrize("density", [[-1.0, 1.0, 1.0], [0.0, 0.0], [float("nan"), 1.0], []])
def test_densities_that_cannot_be_shared(density):
    with pytest.raises(InputError, match="density"):
        CELG([(0, 1)], num_knots=5).move_knots([torch.tensor(density)])


def test_a_refined_grid_is_another_module():
    """Neither shares parameters with the other."""
    net = CELG([(0, 1)], num_knots=5)
    finer = net.refine(9)
    assert not {id(p) for p in net.parameters()} & {id(p) for p in finer.parameters()}


OUTSIDE = torch.tensor([[0.5, 1.2], [0.5, 0.5]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CELG([(0, 1), (0, 1)])(OUTSIDE), "axis 1; given: 1 points outside"),
        (lambda: CELG([(0, 1), (0, 1)])(OUTSIDE[:, :1]), r"expected: \(N, 2\)"),
        (lambda: CELG([(0, 1)], num_knots=2), "3 or more"),
        (lambda: CELG([(1, 1)]), "lower < upper"),
        (lambda: NaturalCubicSpline1d(5, 1, kernel="sinc"), "unknown kernel"),
        (lambda: NaturalCubicSpline1d(3, 1, knots=[0, 0.7, 0.5]), "rising"),
        (lambda: NaturalCubicSpline1d(5, 1)(torch.zeros(2, 3, 1).double()), "positions"),
        (lambda: LinearGridEncoding([(0, 1)], fusion="mean"), "fusion"),
    ],
    ids=["outside", "axes", "few knots", "empty axis", "kernel", "falling knots", "positions", "fusion"],
)
def test_grids_that_cannot_be(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_extrapolation_goes_on_in_a_straight_line():
    line = NaturalCubicSpline1d(6, 2, extrapolate=True)
    out = line.derivatives(torch.tensor([-0.5, 1.5], dtype=torch.float64))
    ends = line.derivatives(torch.tensor([0.0, 1.0], dtype=torch.float64))
    assert torch.allclose(out[0], ends[0] + torch.tensor([[-0.5], [0.5]]).double() * ends[1])
    assert torch.equal(out[2], torch.zeros(2, 2).double())
