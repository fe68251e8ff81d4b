"""The point lies inside its interval, whatever the network and however few the samples."""

import math

import pytest
import subjects
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepwright.checks import Subject, audit
from deepwright.checks.calibration import mean_of
from deepwright.core.statistics import Interval
from deepwright.core.tasks import Classification
from deepwright.data import Split
from deepwright.risk import ece, ece_by_chance, ece_interval
from deepwright.risk.fragility.report import bootstrap_index


def holds(value):
    return not isinstance(value, Interval) or value.low <= value.value <= value.high


LONG = ("detection", "forecast", "segmentation", "multi-label")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in LONG else n for n in subjects.MAKERS])
def test_every_value_of_every_check(audited, name):
    for finding in audited(name)[1].findings:
        assert [key for key, value in finding.values.items() if not holds(value)] == []


@settings(max_examples=6, deadline=None)
@given(st.integers(1, 40), st.floats(0.1, 30.0), st.integers(0, 1000))
def test_calibration_and_fragility_of_few_samples(n, scale, seed):
    rng = subjects.generator(seed)
    x, y = torch.randn(n, 3, generator=rng), torch.randint(0, 3, (n,), generator=rng)
    made = subjects.data("tabular", torch.randn(60, 3, generator=rng), torch.arange(60) % 3, ("a", "b", "c"))
    subject = Subject(
        torch.nn.Sequential(torch.nn.Identity(), subjects.Times(scale)),
        subjects.replaced(made, test=Split(x, y)),
        task=Classification(3),
    )
    for finding in audit(subject, checks=["accuracy", "calibration", "fragility"]).findings:
        assert finding.grade != "failed", finding.summary
        assert [key for key, value in finding.values.items() if not holds(value)] == []


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30), st.integers(0, 100))
def test_indices_and_means(values, seed):
    xi = torch.tensor(values, dtype=torch.float64)
    assert all(map(holds, bootstrap_index(xi, rows=60, seed=seed)))
    assert holds(mean_of(xi, seed))


# -- the calibration error without what few samples add ---------------------------------------------------------------


def drawn(n, scale, seed):
    """Logits whose labels are drawn from softmax(logits), then multiplied: calibrated at scale 1."""
    rng = subjects.generator(seed)
    z = 2 * torch.randn(n, 4, generator=rng).double()
    return scale * z, torch.multinomial(z.softmax(1), 1, generator=rng)[:, 0]


def test_the_interval_holds_zero_for_a_calibrated_network():
    found = [ece_interval(*drawn(200, 1.0, seed)) for seed in range(40)]
    assert sum(interval.low == 0 for interval in found) >= 35  # 95 % of 40, less two deviations


@pytest.mark.parametrize("scale", [2.0, 4.0])
def test_the_interval_holds_the_error_of_many_samples(scale):
    true = ece(*drawn(100_000, scale, 1000))
    found = [ece_interval(*drawn(200, scale, seed)) for seed in range(40)]
    assert sum(interval.low <= true <= interval.high for interval in found) >= 33
    bias = sum(interval.value for interval in found) / 40 - true
    plain = sum(ece(*drawn(200, scale, seed)) for seed in range(40)) / 40 - true
    assert abs(bias) < max(0.6 * plain, 0.01)


def test_what_chance_shows_is_the_percentile_of_calibrated_draws():
    limit = ece_by_chance(drawn(300, 1.0, 0)[0])
    shown = torch.tensor([ece(*drawn(300, 1.0, seed)) for seed in range(100)])
    assert 0.85 <= float((shown <= limit).double().mean()) <= 1.0


def always(confidence, accuracy, n, rng):
    """Two classes, one confidence, right with a probability of `accuracy`."""
    z = torch.zeros(n, 2, dtype=torch.float64)
    z[:, 0] = math.log(confidence / (1 - confidence))
    return z, (torch.rand(n, generator=rng) >= accuracy).long()


def coverage(confidence, accuracy, n, repeats):
    rng = subjects.generator(n)
    found = [ece_interval(*always(confidence, accuracy, n, rng)) for _ in range(repeats)]
    return sum(each.low <= abs(confidence - accuracy) <= each.high for each in found) / repeats


def test_eight_of_eight_right_do_not_say_never_wrong():
    """Of 8 the share of wrong ones may be Jeffreys' 26 % (0.975 quantile of Beta(0.5, 8.5)): an error of 0.2 and more."""
    z, y = always(0.98, 1.0, 8, subjects.generator())
    assert 0.15 < ece_interval(z, y).high < 0.3


def test_coverage_where_few_are_wrong():
    assert coverage(0.98, 0.93, 30, 60) >= 0.85  # 0.90, less the noise of 60


@pytest.mark.slow
@pytest.mark.parametrize("n", [12, 30, 60, 200])
@pytest.mark.parametrize(("confidence", "accuracy"), [(0.98, 0.85), (0.98, 0.93), (0.95, 0.88), (0.9, 0.99)])
def test_coverage_of_many_repeats(confidence, accuracy, n):
    assert coverage(confidence, accuracy, n, 400) >= 0.9
