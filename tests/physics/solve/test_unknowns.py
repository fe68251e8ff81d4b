"""Inverse problems: unknowns are found, with intervals that hold, in residuals of every place; integrals are residuals."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from deepwright.core.errors import InputError
from deepwright.physics import Box, Condition, PDEProblem, field, jet
from deepwright.physics.solve import Unknown, WithUnknowns, certify

K = 1.3
TIMES = torch.linspace(0.05, 2, 40, dtype=torch.float64)[:, None]


def slope(u, x):
    """du/dt."""
    return jet(u, x).J[0]


UNKNOWN = (Unknown("k", start=0.5, positive=True),)


def decay(noise: float, seed: int, unknowns=UNKNOWN) -> PDEProblem:
    """y' = -k y over [0, 2] with y(0) = a, seen with noise; the truth is exp(-K t)."""
    draw = torch.Generator().manual_seed(seed)
    seen = torch.exp(-K * TIMES) + noise * torch.randn(TIMES.shape, dtype=torch.float64, generator=draw)
    conditions = [
        Condition("law", lambda u, x: slope(u, x) + u.k * u(x), points=60, weight=10.0),
        Condition("seen", lambda u, x, y: u(x) - y, TIMES, data=(seen,)),
    ]
    return PDEProblem("decay", Box((0, 2)), conditions, unknowns=unknowns, network=lambda: field(1, hidden=(8,)))


@pytest.fixture(scope="module")
def found():
    return decay(0.01, 0).solve(schedule=[("lm", 80)])


def test_an_unknown_is_found_within_its_interval(found):
    interval = found.unknowns["k"]
    assert interval.low < K < interval.high


def test_the_interval_is_as_wide_as_linear_theory_says(found):
    """Least squares on exp(-k t), amplitude free: sigma^2 (J^T J)^-1 with J = (exp(-k t), -t exp(-k t))."""
    design = torch.cat([torch.exp(-K * TIMES), -TIMES * torch.exp(-K * TIMES)], 1)
    width = 2 * 1.96 * 0.01 * float(torch.linalg.inv(design.T @ design)[1, 1].sqrt())
    interval = found.unknowns["k"]
    assert interval.high - interval.low == pytest.approx(width, rel=0.3)


@pytest.mark.slow
def test_intervals_cover_the_truth_nineteen_times_in_twenty():
    inside = 0
    for seed in range(40):
        interval = decay(0.01, seed).solve(schedule=[("lm", 80)]).unknowns["k"]
        inside += interval.low < K < interval.high
    assert inside >= 34  # binomial(40, 0.95): 34 or more with probability 0.986


def test_an_inverse_problem_is_certified(found):
    assert set(certify(found.problem, found.network).trained) == {"law", "seen"}


def test_a_network_with_a_parameter_of_the_user_s_own_is_certified():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = field(1, hidden=(4,))
            self.k = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))

        def forward(self, x):
            return self.inner(x)

    problem = decay(0.0, 0, unknowns=())
    assert certify(problem, problem.solve(network=Own(), schedule=[("lm", 3)]).network).fresh["law"] >= 0


def test_without_data_there_is_no_interval():
    problem = PDEProblem(
        "p",
        Box((0, 1)),
        [
            Condition("law", lambda u, x: slope(u, x) - u.k, points=20),
            Condition("edge", lambda u, x: u(x) - x, "boundary"),
        ],
        unknowns=[Unknown("k", 0.2)],
        network=lambda: field(1, hidden=(4,)),
    )
    interval = problem.solve(schedule=[("lm", 60)]).unknowns["k"]
    assert interval.value == pytest.approx(1.0, abs=1e-3)
    assert math.isnan(interval.low)


def test_a_positive_unknown_stays_positive():
    network = WithUnknowns(field(1), [Unknown("k", 2.0, positive=True)])
    with torch.no_grad():
        network.unknowns["k"].fill_(-50.0)
    assert float(network.k.detach()) > 0


def test_a_fit_goes_on_where_it_stopped(tmp_path, found):
    half = decay(0.01, 0)
    half.solve(schedule=[("lm", 80)], checkpoint=tmp_path / "fit.pt", max_time=0.05)
    again = decay(0.01, 0).solve(schedule=[("lm", 80)], checkpoint=tmp_path / "fit.pt")
    assert again.unknowns["k"] == found.unknowns["k"]


def test_other_unknowns_do_not_go_on_from_a_checkpoint(tmp_path):
    decay(0.01, 0).solve(schedule=[("lm", 2)], checkpoint=tmp_path / "fit.pt")
    with pytest.raises(InputError, match="model"):
        other = decay(0.01, 0, (Unknown("k", start=0.7, positive=True),))
        other.solve(schedule=[("lm", 2)], checkpoint=tmp_path / "fit.pt")


@pytest.mark.parametrize("name", ["forward", "two words", "network", "training"])
def test_names_that_a_module_has_are_refused(name):
    if name == "training":
        with pytest.raises(InputError, match="unknowns"):
            WithUnknowns(field(1), [Unknown(name)])
        return
    with pytest.raises(InputError, match="name of an unknown"):
        Unknown(name)


@pytest.mark.parametrize(("start", "positive"), [(math.nan, False), (math.inf, False), (0.0, True), (-1.0, True)])
def test_starts_that_cannot_be_are_refused(start, positive):
    with pytest.raises(InputError, match="start of 'k'"):
        Unknown("k", start, positive)


def test_two_unknowns_of_one_name_are_refused():
    with pytest.raises(InputError, match="names of their own"):
        WithUnknowns(field(1), [Unknown("k"), Unknown("k")])


def test_a_mean_over_points_is_a_condition():
    """u' = 0 with mean 2: u = 2."""
    conditions = [
        Condition("flat", slope, points=30),
        Condition("mean", lambda u, x: u(x).mean(0) - 2, points=30, pointwise=False),
    ]
    problem = PDEProblem("p", Box((0, 1)), conditions, network=lambda: field(1, hidden=(4,)))
    u = problem.solve(schedule=[("lm", 60)])
    torch.testing.assert_close(
        u(torch.rand(9, 1, generator=torch.Generator().manual_seed(0)).double()),
        torch.full((9, 1), 2.0).double(),
        atol=1e-4,
        rtol=0,
    )


def test_a_mean_over_points_that_is_not_said_is_refused():
    problem = PDEProblem("p", Box((0, 1)), [Condition("mean", lambda u, x: u(x).mean() - 2 + 0 * x, points=30)])
    with pytest.raises(InputError, match="pointwise=False"):
        problem.solve(schedule=[("lm", 1)])


def test_of_two_unknowns_whose_product_counts_neither_has_an_interval():
    """y' = -k m y: any k with the right m fits, so noise in y tells nothing of k alone."""
    problem = decay(0.01, 0)
    law = Condition("law", lambda u, x: slope(u, x) + u.k * u.m * u(x), points=60, weight=10.0)
    both = replace(problem, conditions=[law, problem.conditions[1]], unknowns=[*UNKNOWN, Unknown("m", 1.0)])
    found = both.solve(schedule=[("lm", 80)]).unknowns
    assert found["k"].value * found["m"].value == pytest.approx(K, rel=0.05)
    assert [math.isnan(found[n].low) for n in ("k", "m")] == [True, True]


def test_an_unknown_that_no_residual_reads_is_refused_before_training():
    with pytest.raises(InputError, match="unknown 'm'; given: no residual reads it"):
        decay(0.01, 0, (*UNKNOWN, Unknown("m"))).solve(schedule=[("lm", 80)])
