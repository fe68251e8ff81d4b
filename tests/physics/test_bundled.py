"""Bundled problems vanish on their exact solutions; solving, certifying and resuming one's own."""

import math

import pytest
import torch
from torch import nn

from deepwright.core.errors import InputError
from deepwright.physics import Box, SpaceTime, field, laplacian
from deepwright.physics.bundled import PROBLEMS, named_problem, poisson, poisson_bands
from deepwright.physics.solve.certificate import certify
from deepwright.physics.solve.problem import Condition, PDEProblem


class Known(nn.Module):
    """A function as a network (with one idle parameter)."""

    def __init__(self, function):
        super().__init__()
        self.function, self.idle = function, nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, x):
        return self.function(x) + 0 * self.idle


@pytest.mark.filterwarnings("ignore:Known has no rule")
@pytest.mark.parametrize("name", [n for n in PROBLEMS if n not in ("burgers", "allen-cahn")])
def test_exact_solutions_leave_no_residual(name):
    problem = named_problem(name)
    exact = Known(problem.exact)
    for block in problem.blocks():
        few = tuple(t[:64] for t in block.tensors)
        with torch.enable_grad():
            assert float(block.residual(exact, *few).abs().max()) < 1e-10, block.name
    assert problem.error(exact)["u"] == 0.0


@pytest.mark.parametrize("name", ["burgers", "allen-cahn"])
def test_references_solve_their_equation_by_differences(name):
    """Their references go through NumPy, so the equation is checked by central differences."""
    problem = named_problem(name)
    z = torch.tensor([[0.3, 0.2], [-0.5, 0.4], [0.8, 0.6]], dtype=torch.float64)
    h = 1e-4

    def at(dx=0.0, dt=0.0):
        return problem.exact(z + torch.tensor([dx, dt], dtype=torch.float64))[:, 0]

    u, ut = at(), (at(dt=h) - at(dt=-h)) / (2 * h)
    ux, uxx = (at(h) - at(-h)) / (2 * h), (at(h) - 2 * u + at(-h)) / h**2
    r = ut + u * ux - 0.01 / math.pi * uxx if name == "burgers" else ut - 1e-4 * uxx - 5 * (u - u**3)
    assert float(r.abs().max()) < 2e-3
    x0 = torch.linspace(-0.9, 0.9, 7, dtype=torch.float64)
    start = problem.exact(torch.stack([x0, torch.zeros(7).double()], 1))[:, 0]
    expected = -torch.sin(math.pi * x0) if name == "burgers" else x0**2 * torch.cos(math.pi * x0)
    assert torch.allclose(start, expected, atol=1e-5)


def test_poisson_is_solved_and_certified(tmp_path):
    problem = poisson(300)
    found = problem.solve(schedule=[("lm", 80)], network=field(2, 1, (16, 16)), checkpoint=tmp_path / "p.pt")
    assert found.errors["u"] < 2e-2
    assert found(torch.zeros(3, 2).double()).shape == (3, 1)
    report = certify(problem, found.network)
    assert report.errors == found.errors
    assert set(report.trained) == {"equation", "edge"}
    assert not any("smooth correction" in w for w in report.warnings)
    assert 0.1 * report.errors["u"] < report.missed < 3 * report.errors["u"]  # an estimate without knowing the solution
    again = problem.solve(schedule=[("lm", 80)], network=field(2, 1, (16, 16)), checkpoint=tmp_path / "p.pt")
    assert torch.equal(again.least_squares.vector(), found.least_squares.vector())


def test_too_few_points_are_noticed():
    problem = poisson(20)
    found = problem.solve(schedule=[("lm", 60)], network=field(2, 1, (30, 30)))
    assert any("train on more points" in w for w in certify(problem, found.network).warnings)


def test_a_smooth_leftover_is_noticed():
    """The field misses its smooth part: residuals look small, the error isn't, and the certificate says why."""
    problem = poisson_bands(2, ((1, 1.0), (6, 0.25)))
    sharp = Known(lambda x: 0.25 * torch.sin(6 * math.pi * x).prod(1, keepdim=True))
    report = certify(problem, sharp)
    assert report.dense["equation"] < 0.15
    assert report.errors["u"] > 0.9
    assert any("smooth correction" in w for w in report.warnings)
    assert report.missed > 1.0  # what is missed is four times what is there
    assert min(report.bands["equation"]) > 0.4


def heat():
    """u_t = u_xx / 10 with u = e^{-pi^2 t / 10} cos pi x: its mean over [0, 1] stays 0, so |u| is what drifts."""

    def equation(u, z):
        from deepwright.physics import jet

        out = jet(u, z, 2, torch.diag(torch.tensor([1.0, 0.0]))[None])
        return out.J[1] - 0.1 * out.S[0]

    return PDEProblem(
        "heat", SpaceTime(Box((0, 1)), (0, 1)),
        [
            Condition("equation", equation, points=200),
            Condition("flux", lambda u, z, n: _slope(u, z), "boundary", 40, normal=True),
            Condition("start", lambda u, z: u(z) - torch.cos(math.pi * z[:, :1]), "initial", 40, 10.0),
        ],
        lambda z: torch.exp(-0.1 * math.pi**2 * z[:, 1:]) * torch.cos(math.pi * z[:, :1]),
        conserved={"heat": lambda u, z: u(z)[:, 0] + 2},
    )  # fmt: skip


def _slope(u, z):
    from deepwright.physics import jet

    return jet(u, z).J[0]


def test_time_and_conservation():
    problem = heat()
    found = problem.solve(schedule=[("lm", 40)], network=field(2, 1, (12, 12)))
    assert found.errors["u"] < 1e-2
    report = certify(problem, found.network)
    assert report.drift["heat"] < 1e-3
    report = certify(problem, Known(lambda z: z[:, 1:]).double())
    assert report.drift["heat"] == pytest.approx(1 / 2.5, rel=0.05)


def test_data_and_sides():
    box = Box((0, 1), (0, 1))
    sensors = torch.tensor([[0.5, 0.5], [0.2, 0.7]], dtype=torch.float64)
    left = Condition("left", lambda u, x: u(x), "boundary", 30, keep=lambda x: x[:, 0] == 0)
    seen = Condition("seen", lambda u, x, y: u(x) - y, sensors, data=(torch.ones(2, 1).double(),))
    problem = PDEProblem("p", box, [Condition("lap", laplacian), left, seen])
    blocks = {b.name: b for b in problem.blocks()}
    assert len(blocks["left"]) == 30
    assert bool((blocks["left"].tensors[0][:, 0] == 0).all())
    assert torch.equal(blocks["seen"].tensors[0], sensors)
    assert set(problem.residuals(field(2), {"lap": sensors})) == {"lap"}
    assert problem.error(field(2)) == {}
    for kwargs, message in (
        ({"where": "middle"}, "unknown place"), ({"normal": True}, "normals on the boundary"), ({"scale": 0.0}, "above 0"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            Condition("c", laplacian, **kwargs)
    with pytest.raises(InputError, match="SpaceTime"):
        PDEProblem("p", box, [Condition("c", laplacian, "initial")]).blocks()
    with pytest.raises(InputError, match="1 outside"):
        PDEProblem("p", box, [Condition("c", laplacian, torch.tensor([[2.0, 0.0]]).double())]).blocks()
    with pytest.raises(InputError, match="unknown problem"):
        named_problem("posson")
    with pytest.raises(InputError, match="name of its own"):
        PDEProblem("p", box, [])


def test_many_dimensions():
    problem = poisson_bands(10, ((1, 1.0),), points=64)
    assert problem.blocks()[0].tensors[0].shape == (64, 10)


def test_every_network_of_the_house_can_be_certified():
    """Grids, cells, separable and Fourier networks, all kernels: one smooth correction each, under vmap."""
    from deepwright.studies.linear_grids.trials import NETWORKS

    problem = poisson_bands(2, ((1, 1.0),), points=40)
    for name, make in NETWORKS.items():
        report = certify(problem, make(problem.domain.bounds, 0).double())
        assert report.missed is not None, name
        assert math.isfinite(report.missed)

    class Steps(nn.Module):
        """Can't go under vmap: it looks at a value."""

        def __init__(self):
            super().__init__()
            self.line = nn.Linear(2, 1, dtype=torch.float64)

        def forward(self, x):
            return self.line(x) * (1.0 if float(x.sum()) > -1e9 else 0.0)

    assert certify(problem, Steps()).missed is None
