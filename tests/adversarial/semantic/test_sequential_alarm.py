"""The alarm on a stream: sums by hand, and the numbers of frames between false alarms."""

import math

import pytest
import torch

from deepwright import InputError
from deepwright.adversarial.semantic import SequentialAlarm


def test_it_sums_what_is_above_the_drift():
    alarm = SequentialAlarm(threshold=1.99, drift=1.5)
    assert alarm.update(1.0) == 0
    assert alarm.update(math.exp(-2.0)) == pytest.approx(0.5)
    assert alarm.update(torch.tensor([math.exp(-1.0), math.exp(-3.5)])) == pytest.approx(2.0)
    assert alarm.alarm
    assert alarm.reset().state == 0
    assert not alarm.alarm


def test_a_frame_adds_no_more_than_its_calibration_allows():
    assert SequentialAlarm(drift=1.5).update(1 / 81) == pytest.approx(math.log(81) - 1.5)


def test_the_delay_counts_from_the_first_attacked_frame():
    alarm = SequentialAlarm(threshold=4.0, drift=1.5)
    p = [0.5] * 10 + [math.exp(-3.5)] * 5
    assert alarm.delay(p, 10) == 1
    assert alarm.delay([0.5] * 4, 2) is None
    with pytest.raises(InputError, match="begin"):
        alarm.delay([0.5], 1)


def frames_between(n, drift, frames, seed=0):
    """Mean frames between false alarms over several calibrations of n clean frames."""
    rng = torch.Generator().manual_seed(seed)
    alarms = 0
    for _ in range(20):
        clean = torch.randn(n, generator=rng).sort().values
        at_least = n - torch.searchsorted(clean, torch.randn(frames // 20, generator=rng))
        alarms += SequentialAlarm(6.0, drift).false_alarms((1 + at_least).double() / (n + 1))
    return frames / max(alarms, 1)


@pytest.mark.slow
def test_frames_between_false_alarms_are_those_of_the_spec():
    assert 200 < frames_between(400, 1.5, 60_000) < 2500
    assert frames_between(400, 2.0, 60_000) > 1000


def test_a_threshold_is_found_on_whole_films():
    rng = torch.Generator().manual_seed(3)
    films = [torch.rand(200, generator=rng).clamp_min(1e-3) for _ in range(5)]
    alarm = SequentialAlarm().fit_threshold(films, 500)
    assert sum(alarm.false_alarms(p) for p in films) <= 2
    lower = SequentialAlarm(alarm.threshold * 0.9, alarm.drift)
    assert sum(lower.false_alarms(p) for p in films) >= sum(alarm.false_alarms(p) for p in films)
    with pytest.raises(InputError, match="clean frames"):
        alarm.fit_threshold(films, 5000)


@pytest.mark.parametrize("wrong", [{"drift": 1.0}, {"drift": 0.5}, {"threshold": 0.0}])
def test_numbers_that_would_always_alarm_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        SequentialAlarm(**wrong)


def test_p_values_of_zero_are_refused():
    with pytest.raises(InputError, match="p-values"):
        SequentialAlarm().update(0.0)
