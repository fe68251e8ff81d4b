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


def test_a_missing_reading_is_an_alarm():
    x = windows(3, 6)
    x[1, 2, 0] = float("nan")
    model = watched(threshold=50.0)
    assert model.watched(x)[2].tolist() == [False, True, False]
    assert torch.export.export(model.program(), (x,)).module()(x)[2].tolist() == [False, True, False]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"windows": torch.full((60, 6, 2), float("nan"))}, "windows"),
        ({"centre": torch.zeros(6, 1)}, "centre"),
        ({"spread": torch.ones(3)}, "spread"),
        ({"spread": torch.tensor([0.0, 1.0])}, "spread"),
    ],
)
def test_what_distances_would_be_nan_of_is_refused(changed, named):
    parts = {"windows": windows(60), "centre": torch.zeros(2), "spread": torch.ones(2)} | changed
    with pytest.raises(InputError, match=named):
        WatchedForecaster(Last(), parts["windows"], 3.0, parts["centre"], parts["spread"], 3)


@pytest.mark.usefixtures("unchecked")
def test_windows_of_another_rank_are_refused_by_a_watched_forecaster():
    with pytest.raises(InputError, match="steps, 2"):
        watched().score(windows(3)[0])


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("x", "y", "named"),
    [
        (windows(4), torch.zeros(4), "y"),  # one target for three steps
        (windows(4), torch.zeros(3, 3), "y"),
        (windows(4) * float("nan"), torch.zeros(4, 3), "x and y"),
        (windows(4).long(), torch.zeros(4, 3), "x and y"),
    ],
)
def test_windows_and_targets_that_do_not_fit_are_refused(x, y, named):
    with pytest.raises(InputError, match=named):
        EvasiveSteps(watched().score, 1.0, 0.5)(Last(), x, y)


@pytest.mark.usefixtures("unchecked")
def test_limits_models_and_scores_that_say_nothing_are_refused():
    score, x, y = watched().score, windows(3), torch.zeros(3, 3)
    for threshold, clip in ((float("nan"), (0.0, 1.0)), (1.0, (1.0, -1.0))):
        with pytest.raises(InputError, match="limits"):
            EvasiveSteps(score, threshold, 0.5, clip=clip)
    with pytest.raises(InputError, match="score"):
        EvasiveSteps(lambda z: score(z)[:, None], 1.0, 0.5)(Last(), x, y)
    with pytest.raises(InputError, match="model"):
        EvasiveSteps(score, 1.0, 0.5)(lambda_module(lambda z: torch.zeros(len(z), 3)), x, y)
    assert EvasiveSteps(score, 1.0, 0.5)(Last(), x[:0], y[:0]).shape == (0, 6, 2)


def lambda_module(function):
    made = nn.Module()
    made.forward = function
    return made
