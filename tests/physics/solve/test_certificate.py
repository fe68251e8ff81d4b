"""Certificates tell what a solution lacks."""

import math

import pytest
import torch
from known import Known
from torch import nn

from deepwright.physics import Box, SpaceTime, field
from deepwright.physics.bundled import poisson, poisson_bands
from deepwright.physics.solve import Certificate, Condition, PDEProblem, certify


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
        "heat",
        SpaceTime(Box((0, 1)), (0, 1)),
        [
            Condition("equation", equation, points=200),
            Condition("flux", lambda u, z, n: _slope(u, z), "boundary", 40, normal=True),
            Condition("start", lambda u, z: u(z) - torch.cos(math.pi * z[:, :1]), "initial", 40, 10.0),
        ],
        lambda z: torch.exp(-0.1 * math.pi**2 * z[:, 1:]) * torch.cos(math.pi * z[:, :1]),
        conserved={"heat": lambda u, z: u(z)[:, 0] + 2},
    )


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


@pytest.mark.slow
def test_every_network_of_the_house_can_be_certified():
    """Grids, cells, separable and Fourier networks, all kernels: one smooth correction each, under vmap."""
    from deepwright.studies.linear_grids.methods import NETWORKS

    problem = poisson_bands(2, ((1, 1.0),), points=40)
    for name, settings in NETWORKS.items():
        for setting, make in settings.items():
            report = certify(problem, make(problem.domain.bounds, 0).double())
            assert report.missed is not None, (name, setting)
            assert math.isfinite(report.missed)

    class Steps(nn.Module):
        """Can't go under vmap: it looks at a value."""

        def __init__(self):
            super().__init__()
            self.line = nn.Linear(2, 1, dtype=torch.float64)

        def forward(self, x):
            return self.line(x) * (1.0 if float(x.sum()) > -1e9 else 0.0)

    assert certify(problem, Steps()).missed is None


def test_points_of_ones_own_are_not_called_fresh():
    """Data at fixed points say nothing of what lies between them."""
    x = torch.linspace(0.1, 0.9, 5, dtype=torch.float64)[:, None]
    conditions = [
        Condition("law", lambda u, x: u(x), points=50),
        Condition("seen", lambda u, x, y: u(x) - y, x, data=(torch.ones(5, 1, dtype=torch.float64),)),
    ]
    report = certify(PDEProblem("p", Box((0, 1)), conditions), field(1))
    assert (set(report.trained), set(report.fresh), set(report.dense)) == ({"law", "seen"}, {"law"}, {"law"})
    assert "seen: RMS" in str(report)
    assert "not checked between them" in str(report)


@pytest.mark.parametrize("bound", [math.nan, math.inf])
def test_a_bound_that_is_no_number_certifies_nothing(bound):
    found = Certificate({}, {}, {}, bound=bound, seen="waves")
    assert not found.certified
    assert found.verdict == f"not certified: the bound is {bound:g}"
