"""Failure thresholds: known crossings, intervals by their own definition, what has nothing between levels, resuming."""

import itertools
import math

import pytest
import torch
from torch import nn

from deepwright.core.errors import InputError
from deepwright.core.statistics import wilson
from deepwright.core.tasks import Regression
from deepwright.corruptions import (
    Guided,
    InputGradient,
    failing_severity,
    failure_threshold,
    get,
    severity_for_change,
    unit_range,
)


def stepwise(at, n=100):
    """Failures of n attempts that rise from none to all around a severity, as a straight line one severity wide."""
    return lambda s: (round(n * min(1.0, max(0.0, s - at + 0.5))), n)


@pytest.mark.parametrize("at", [0.7, 2.0, 3.37, 4.9])
def test_a_crossing_is_found_to_the_tolerance(at):
    found = failing_severity(stepwise(at), tolerance=0.01)
    assert at <= found.severity <= at + 0.03
    assert found.low < found.severity < found.high or found.high is None
    assert found.rises


def test_the_ends_are_where_the_rates_own_interval_crosses():
    found = failing_severity(stepwise(2.5, n=40), tolerance=0.01)
    rate = stepwise(2.5, n=40)
    assert wilson(*rate(found.low)).high > 0.5 >= wilson(*rate(found.low - 0.03)).high
    assert wilson(*rate(found.high)).low > 0.5 >= wilson(*rate(found.high - 0.03)).low
    assert found.rate == wilson(*rate(found.severity))


class Named(nn.Module):
    """Its outputs beside others, by name or in a tuple."""

    def __init__(self, network, form):
        super().__init__()
        self.network, self.form = network, form

    def forward(self, x):
        return self.form(self.network(x))


@pytest.mark.parametrize(
    "form",
    [
        lambda z: {"logits": z, "beside": z[:, :2]},
        lambda z: {"scores": z, "count": len(z)},
        lambda z: (z, z[:, :2, None]),
    ],
    ids=["logits", "one that fits", "tuple"],
)
def test_outputs_by_name_are_found(form):
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 4))
    x, named = torch.rand(6, 3, 16, 16), Named(network, form)
    y = network(x).argmax(1)
    assert failure_threshold("contrast", named, [(x, y)]) == failure_threshold("contrast", network, [(x, y)])
    assert torch.equal(InputGradient(named)(x), InputGradient(network)(x))


def test_of_two_outputs_that_fit_none_is_guessed():
    network = Named(nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 4)), lambda z: {"a": z, "b": z[:, :2]})
    x = torch.rand(2, 3, 16, 16)
    for look in (
        lambda: InputGradient(network)(x),
        lambda: failure_threshold("contrast", network, [(x, torch.zeros(2).long())]),
    ):
        with pytest.raises(InputError, match="several of them fit"):
            look()


def test_none_up_to_5_and_from_the_start():
    never = failing_severity(lambda s: (0, 30))
    assert (never.severity, never.low, never.high) == (None, None, None)
    assert "> severity 5" in str(never)
    assert never.rate.high < 0.2
    maybe = failing_severity(lambda s: (min(10, round(2 * s)), 20))
    assert maybe.severity is None
    assert 0 < maybe.low <= 5
    assert failing_severity(lambda s: (20, 20)).severity == 0


def test_whole_severities_only():
    asked = []

    def failures(severity):
        asked.append(severity)
        return stepwise(2.2)(severity)

    found = failing_severity(failures, least=None)
    assert found.severity == 3
    assert all(s == int(s) for s in asked)
    assert failing_severity(stepwise(0.6), least=1.0).severity == 1  # nothing between 0 and 1


def test_a_rate_that_falls_again_is_told():
    found = failing_severity(lambda s: (90 if 1 < s < 2.6 else 10, 100))
    assert 1 < found.severity <= 2
    assert not found.rises


class Bright(nn.Module):
    def forward(self, x):
        m = x.mean((1, 2, 3))
        return torch.stack([m - 0.3, 0.3 - m], 1)


X = torch.full((20, 3, 8, 8), 0.5)
Y = torch.zeros(20, dtype=torch.long)


def test_of_a_network_whose_threshold_is_known():
    """.5 f < .3 from f = .6 on, which is severity 3: just above it."""
    found = failure_threshold("decrease_brightness", Bright(), [(X[:7], Y[:7]), (X[7:], Y[7:])], tolerance=0.01)
    assert found.severity == pytest.approx(3.0, abs=0.02)
    assert found.low == found.severity == found.high
    whole = failure_threshold("posterize", Bright(), [(X, Y)])
    assert whole.severity in (None, 1.0, 2.0, 3.0, 4.0, 5.0)
    assert whole.tolerance == 1


def test_of_numbers_by_their_tolerance():
    class Mean(nn.Module):
        def forward(self, x):
            return x.mean((1, 2, 3))[:, None]

    y = torch.full((20, 1), 0.5)
    found = failure_threshold("decrease_brightness", Mean(), [(X, y)], task=Regression(tolerance=0.1), tolerance=0.01)
    assert found.severity == pytest.approx(1 + (0.9 - 0.8) / (0.9 - 0.75), abs=0.02)  # .5 (1 - f) > .1
    with pytest.raises(InputError, match="moved along"):
        failure_threshold("rotate", Mean(), [(X, y)], task=Regression(tolerance=0.1))


def test_it_goes_on(tmp_path):
    path = tmp_path / "threshold.jsonl"
    first = failure_threshold("contrast", Bright(), [(X, Y)], checkpoint=path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:3]) + "\n")
    assert failure_threshold("contrast", Bright(), [(X, Y)], checkpoint=path) == first
    with pytest.raises(InputError, match="seed"):
        failure_threshold("contrast", Bright(), [(X, Y)], checkpoint=path, seed=1)


def test_where_it_looks_only():
    x = X.clone()
    x[:, :, 0, 0] = 0.9
    x[:4] = 0.5
    everywhere = Guided(get("decrease_brightness"), lambda x: unit_range(x.mean(1)), share=1.0)
    found = failure_threshold(everywhere, Bright(), [(x, Y)])
    assert found.severity > 3
    assert found.rates[5.0] == 1.0  # of the sixteen that have attention


@pytest.mark.parametrize("name", ["gaussian_noise", "contrast", "static_snow", "defocus_blur"])
def test_a_change_of_a_given_size(name, photos):
    x = photos.float() / 255
    wanted = float((get(name)(x, 2.4) - x).abs().mean())
    assert severity_for_change(name, x, wanted) == pytest.approx(2.4, abs=0.02)


def test_a_change_that_is_out_of_reach_and_one_by_steps(photos):
    assert severity_for_change("saturation", photos, 0.9) is None
    assert severity_for_change("jpeg", photos, 1e-6) == 1
    by = severity_for_change("decrease_contrast", photos, 0.2, distance=lambda a, b: (a - b).abs().amax((1, 2, 3)))
    assert 0 < by < 5


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: failing_severity(3), "failures"),
        (lambda: failing_severity(lambda s: 0.5), "attempts"),
        (lambda: failing_severity(lambda s: (3, 2)), "attempts"),
        (lambda: failing_severity(stepwise(1), level=50), "level"),
        (lambda: failing_severity(stepwise(1), tolerance=0), "tolerance"),
        (lambda: failure_threshold("contrasts", Bright(), [(X, Y)]), "did you mean"),
        (lambda: failure_threshold(3, Bright(), [(X, Y)]), "perturbation"),
        (lambda: severity_for_change("contrast", X, 0), "change"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_every_rate_is_shown_once():
    found = failing_severity(stepwise(2.5), tolerance=0.1)
    assert sorted(found.rates) == list(found.rates)
    assert {0.0, 1.0, 2.0, 3.0} <= set(found.rates)
    gaps = [b - a for a, b in itertools.pairwise(found.rates) if a >= 2 and b <= 3]
    assert min(gaps) <= 0.1
    assert math.isclose(sum(gaps), 1.0)
