"""A forecaster with a detector in front, and the attacker who knows it."""

import pytest
import torch
from torch import nn

from deepwright.core.errors import InputError
from deepwright.ood import EvasiveSteps, KNNDetector, WatchedForecaster


class Last(nn.Module):
    """The last reading, three times."""

    def __init__(self):
        super().__init__()
        self.one = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return x[:, -1:, 0].repeat(1, 3) * self.one


def windows(n, seed=0):
    return torch.randn(n, 6, 2, generator=torch.Generator().manual_seed(seed))


def watched(threshold=3.0, k=3):
    return WatchedForecaster(Last(), windows(60), threshold, torch.zeros(2), torch.ones(2), k)


def test_forecasts_stay_and_scores_are_those_of_the_detector():
    model, x = watched(), windows(10, 1)
    detector = KNNDetector(3).fit(windows(60))
    forecast, score, alarm = model.watched(x)
    assert torch.equal(forecast, Last()(x))
    torch.testing.assert_close(score * 3.0, detector.score(x), rtol=1e-5, atol=1e-5)
    assert torch.equal(alarm, score > 1)
    assert torch.equal(model(x), forecast)


def test_its_state_goes_round_and_its_program_says_the_same():
    model, x = watched(), windows(5, 2)
    again = watched(threshold=1.0)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.score(x), model.score(x))
    exported = torch.export.export(model.program(), (x,)).module()
    for wanted, found in zip(model.watched(x), exported(x)):
        torch.testing.assert_close(found, wanted)


def test_the_one_who_knows_stays_in_the_budget_and_below_the_threshold_where_that_is_possible():
    x = windows(40, 3)
    y = Last()(x).detach() - 0.5
    model = watched(threshold=float(watched(1.0).score(x).max()) * 1.05)  # no clean window raises an alarm
    blind = EvasiveSteps(model.score, float("inf"), 1.5, weights=(0.0,))(Last(), x, y)
    knowing = EvasiveSteps(model.score, 1.0, 1.5)(Last(), x, y)
    for moved in (blind, knowing):
        assert float((moved - x).abs().max()) <= 1.5 + 1e-6
        assert torch.equal(moved[..., 1], x[..., 1])
    assert not (model.score(knowing) > 1).any()
    gap = [(Last()(moved) - y).square().mean(1).detach() for moved in (blind, knowing)]
    assert bool((gap[0] >= gap[1] - 1e-5).all())  # what nobody watches goes farther
    assert float(gap[1].mean()) > 0.3  # 0.25 before
    torch.testing.assert_close(gap[0], torch.full_like(gap[0], 2.0**2), rtol=1e-3, atol=1e-3)


def test_where_all_is_an_alarm_the_lowest_score_is_kept():
    x = windows(10, 4)
    model = watched(threshold=1e-3)
    moved = EvasiveSteps(model.score, 1.0, 0.5)(Last(), x, Last()(x).detach() + 1)
    assert bool((model.score(moved) <= model.score(x) + 1e-6).all())


def test_a_reading_out_of_range_is_not_pulled_back():
    x = windows(10, 5)
    moved = EvasiveSteps(watched().score, 1.0, 0.5, clip=(-0.1, 0.1))(Last(), x, Last()(x).detach() + 1)
    assert float((moved - x).abs().max()) <= 0.5 + 1e-6
    inside = x[..., 0].abs() <= 0.1
    assert float(moved[..., 0][inside].abs().max()) <= 0.1 + 1e-6


def test_what_is_refused():
    with pytest.raises(InputError, match="eps"):
        EvasiveSteps(watched().score, 1.0, 0.0)
    with pytest.raises(InputError, match="gradient"):
        EvasiveSteps(lambda x: x.detach().sum((1, 2)), 1.0, 0.5)(Last(), windows(3), torch.zeros(3, 3))
    with pytest.raises(InputError, match="channel 2"):
        EvasiveSteps(watched().score, 1.0, 0.5, channel=2)(Last(), windows(3), torch.zeros(3, 3))
    with pytest.raises(InputError, match="windows"):
        WatchedForecaster(Last(), windows(2), 1.0, torch.zeros(2), torch.ones(2))
