"""One error or two: an interval that reaches up to what so few leave open."""

import math

import pytest
import torch
from scipy import optimize, stats

from deepwright.risk import bootstrap_index, fragility_report, misjudgment


def logits(n, wrong, margin=6.0, of_errors=0.5):
    """All sure and right, but for some that are wrong by a little."""
    z = torch.zeros(n, 2, dtype=torch.float64)
    z[:, 0] = margin
    z[:wrong, 0] = -of_errors
    return z, torch.zeros(n, dtype=torch.long)


@pytest.mark.parametrize("wrong", [0, 1, 2, 4])
def test_the_upper_end_is_that_of_as_many_sure_errors_as_may_be(wrong):
    n = 200
    z, y = logits(n, wrong)
    report = fragility_report(z, y, bootstrap_rows=100)
    most = stats.binomtest(wrong, n).proportion_ci(0.95, "exact").high
    right = -math.tanh(3.0)  # softmax of (6, 0): 1 - 2 p

    def above(k):
        return k * math.log(most * math.exp(1 / k) + (1 - most) * math.exp(right / k))

    index = optimize.brentq(above, 0.02, 50)
    assert report.fi.high == pytest.approx(index, rel=1e-6)
    assert report.nfi.high == pytest.approx(index / -(most + (1 - most) * right), rel=1e-6)
    by_resamples = bootstrap_index(misjudgment(z, y), rows=100)[0]
    assert report.fi.high > by_resamples.high
    assert report.fi.low <= report.fi.value <= report.fi.high


def test_five_errors_are_left_to_the_resamples():
    z, y = logits(200, 5)
    report = fragility_report(z, y, bootstrap_rows=100)
    assert (report.fi, report.nfi) == bootstrap_index(misjudgment(z, y), rows=100)


def test_a_score_without_an_end_leaves_everything_open():
    z, y = logits(200, 1)
    assert fragility_report(z, y, score="score_margin", bootstrap_rows=100).fi.high == math.inf
