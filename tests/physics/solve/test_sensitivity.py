"""How a certificate bounds an error it can't see: closed-form amplifications, missing conditions, unseen waves."""

import math
from dataclasses import replace

import pytest
import torch
from known import Known

from deepwright.physics import Box, SpaceTime, jet
from deepwright.physics.solve import Condition, PDEProblem, Unknown, WithUnknowns, certify

ZERO = torch.zeros(1, 1, dtype=torch.float64)
RATE = math.sqrt(2)


def oscillator(half):
    """y + y''/2 = 0 with y(0) = 0, y'(0) = sqrt 2: y = sin(sqrt 2 x)."""
    conditions = [
        Condition("equation", lambda u, x: (out := jet(u, x, None, "laplacian")).v + out.S[0] / 2, points=400),
        Condition("start", lambda u, x: u(x), ZERO),
        Condition("slope", lambda u, x: jet(u, x).J[0] - RATE, ZERO),
    ]
    return PDEProblem("oscillator", Box((-half, half)), conditions, lambda x: torch.sin(RATE * x))


def faded(x):
    """Right near 0, nothing elsewhere: its residuals are small since most of the interval has none."""
    return torch.sin(RATE * x) * torch.exp(-((x / 3) ** 2))


def test_small_residuals_over_a_long_interval_certify_nothing():
    """An error of 0.99 behind small residuals. A residual of 1 may move y by about 300 / sqrt 5."""
    report = certify(oscillator(300), Known(faded))
    assert report.dense["equation"] < 0.1
    assert report.errors["u"] > 0.98
    assert not report.certified
    assert report.missed == pytest.approx(1 / 0.078, rel=0.2)  # what is missed over what is there
    assert "leave room for an error" in report.verdict
    assert 100 < report.amplification < 200


def test_the_true_solution_is_certified():
    report = certify(oscillator(300), Known(lambda x: torch.sin(RATE * x)))
    assert report.certified
    assert report.bound < 1e-9
    assert "half waves" in report.verdict


def test_waves_finer_than_the_corrections_are_named():
    """6000 sqrt 2 / pi half waves: no correction sees them, so nothing is certified, whatever the residuals are."""
    report = certify(oscillator(3000), Known(lambda x: torch.sin(RATE * x)))
    assert not report.certified
    assert "2.7e+03 half waves along x" in report.verdict


def test_waves_of_a_system_of_first_order_are_found():
    """x' = w v, v' = -w x over [0, 1] in time, w = 3000: w / pi half waves."""

    def equation(u, z):
        out = jet(u, z)
        turned = torch.stack([-out.v[:, 1], out.v[:, 0]], 1)
        return out.J[0] + 3000 * turned

    start = Condition("start", lambda u, z: u(z), ZERO)
    problem = PDEProblem("turning", Box((0, 1)), [Condition("law", equation, points=50), start], components=("x", "v"))
    report = certify(problem, Known(lambda z: torch.cat([z, z], 1)))
    assert f"{3000 / math.pi:.3g} half waves" in report.verdict


@pytest.mark.parametrize(("order", "expected"), [(1, 2 * 3 / math.pi), (2, 9 / math.pi**2)])
def test_amplification_is_the_norm_of_the_inverse(order, expected):
    """y' = f with y(0) = 0 on [0, 3] has |y| <= 2 * 3 / pi |f|; y'' = f with both ends 0 has 9 / pi^2 (between points, a little more)."""
    ends = torch.tensor([[0.0], [3.0]][:order], dtype=torch.float64)
    law = [lambda u, x: jet(u, x).J[0] - 1, lambda u, x: jet(u, x, None, "laplacian").S[0] - 1][order - 1]
    conditions = [Condition("law", law, points=200), Condition("ends", lambda u, x: u(x), ends, weight=1e6)]
    report = certify(PDEProblem("p", Box((0, 3)), conditions), Known(lambda x: x))
    assert report.amplification == pytest.approx(expected, rel=0.1)


def test_directions_that_no_condition_decides_are_counted():
    """y'' = f alone leaves a + b x open; with y(0) = 0 only b x."""
    law = Condition("law", lambda u, x: jet(u, x, None, "laplacian").S[0], points=100)
    report = certify(PDEProblem("p", Box((0, 1)), [law]), Known(lambda x: 1 + x))
    assert (report.undetermined, report.bound, report.certified) == (2, None, False)
    assert "no condition besides the equation" in report.verdict
    held = Condition("start", lambda u, x: u(x) - 1, ZERO)
    assert certify(PDEProblem("p", Box((0, 1)), [law, held]), Known(lambda x: 1 + x)).undetermined == 1


def test_an_evolution_without_its_sides_is_told():
    law = Condition("law", lambda u, z: jet(u, z).J[1], points=50)
    start = Condition("start", lambda u, z: u(z) - 1, "initial", 20)
    problem = PDEProblem("p", SpaceTime(Box((0, 1)), (0, 1)), [law, start])
    one = Known(lambda z: 1 + 0 * z[:, :1])
    assert "no condition on the boundary" in certify(problem, one).verdict
    sides = Condition("sides", lambda u, z: u(z) - 1, "boundary", 20)
    assert certify(replace(problem, conditions=[law, start, sides]), one).certified
    assert "no condition at the start" in certify(replace(problem, conditions=[law, sides]), one).verdict


def test_an_unknown_that_explains_residuals_decides_nothing():
    """u = k everywhere with k unknown: u + c and k + c fit as well, so one direction is open."""
    law = Condition("law", lambda u, x: u(x) - u.k, points=50)
    slope = Condition("slope", lambda u, x: jet(u, x).J[0], points=50)
    problem = PDEProblem("p", Box((0, 1)), [law, slope], unknowns=[Unknown("k", 2.0)])
    report = certify(problem, WithUnknowns(Known(lambda x: 2 + 0 * x), problem.unknowns))
    assert report.undetermined == 1
    fixed = replace(problem, conditions=[Condition("law", lambda u, x: u(x) - 2, points=50), slope], unknowns=())
    assert certify(fixed, Known(lambda x: 2 + 0 * x)).undetermined == 0


def test_a_solution_that_is_zero_has_no_relative_error():
    report = certify(oscillator(1), Known(lambda x: 0 * x))
    assert not report.certified
    assert "0 everywhere" in report.verdict
    assert report.to_dict()["certified"] is False
