"""Severities between two levels while driving, and whether pictures looked unusual before a failure."""

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.corruptions import get
from deepwright.corruptions.driving import (
    Outcome,
    Road,
    RoadSim,
    Scenario,
    driving_threshold,
    evaluate,
    failure_thresholds,
    forewarned,
    outcome_table,
)
from deepwright.corruptions.driving.disturbances import Disturbance

STRAIGHT = Road.from_angles([0] * 4)
TINY = (16, 32)


class Dazzled:
    """Drives straight on; where a picture is dark, it turns by how much."""

    def __init__(self, usual):
        self.usual = usual

    def __call__(self, pictures):
        missing = (self.usual - pictures.mean((1, 2, 3))).clamp_min(0)
        return torch.stack([2 * missing, 0 * missing], 1)


def brightness(pictures):
    """Darker is more unusual."""
    return -pictures.mean((1, 2, 3))


def scored(scores, passed, perturbation=None, severity=0, dt=0.5):
    scores = torch.tensor(scores)
    ended = "passed" if passed else "left the lane"
    scenario = Scenario(None, perturbation, severity)
    return Outcome(scenario, ended, 4.0, dt, xte=torch.zeros(len(scores)), unusual=scores)


def test_a_severity_between_two_levels_is_driven():
    pictures = torch.rand(3, 1, *TINY)
    scenarios = [Scenario(None, "contrast", 2), Scenario(None, "contrast", 2.5), Scenario(None, "contrast", 3.0)]
    assert scenarios[2] == Scenario(None, "contrast", 3)
    assert scenarios[2].cell == ("contrast", 3)
    assert Scenario.from_dict(scenarios[1].to_dict()) == scenarios[1]
    seen = Disturbance(scenarios)(pictures, 0)
    for i, severity in enumerate((2, 2.5, 3)):
        assert torch.equal(seen[i], get("contrast")(pictures[i], severity))
    outcomes = evaluate(RoadSim(2, TINY), Dazzled(0.0), [Scenario(STRAIGHT, "contrast", s) for s in (2, 2.5)])
    assert [row[:2] for row in outcome_table(outcomes).rows] == [["contrast", 2], ["contrast", 2.5]]
    assert failure_thresholds(outcomes)[0].severity is None


@pytest.mark.parametrize(
    ("name", "severity"), [("pixelate", 2.5), (None, 0.5), ("contrast", 5.5), ("contrast", True), ("frost", 0.5)]
)
def test_where_nothing_lies_between_two_levels_it_is_refused(name, severity):
    with pytest.raises(InputError, match="severity"):
        Scenario.from_dict({"road": None, "perturbation": name, "severity": severity, "seed": 0})


def test_the_threshold_is_found_by_driving():
    world = RoadSim(2, TINY)
    usual = float(world.reset([STRAIGHT] * 2, [0, 1]).mean())
    found = driving_threshold(
        RoadSim(2, TINY), Dazzled(usual - 0.03), [STRAIGHT] * 2, "decrease_brightness", tolerance=0.25, timeout=20.0
    )
    assert found.severity is not None
    below = found.severity - 0.25
    for severity, fails in ((found.severity, True), (below, False)):
        scenario = Scenario(STRAIGHT, "decrease_brightness" if severity else None, severity, 0)
        assert evaluate(RoadSim(1, TINY), Dazzled(usual - 0.03), [scenario], timeout=20.0)[0].failed is fails


def test_what_a_watch_says_stands_beside_each_step(tmp_path):
    scenarios = [Scenario(STRAIGHT), Scenario(STRAIGHT, "decrease_brightness", 4)]
    found = evaluate(RoadSim(2, TINY), Dazzled(0.0), scenarios, watch=brightness, checkpoint=tmp_path)
    plain = evaluate(RoadSim(2, TINY), Dazzled(0.0), scenarios)
    for outcome, other in zip(found, plain):
        assert len(outcome.unusual) == len(outcome.xte) > 0
        assert len(other.unusual) == 0
        assert torch.equal(outcome.xte, other.xte)
    assert bool((found[1].unusual > found[0].unusual.max()).all())
    again = evaluate(RoadSim(2, TINY), Dazzled(0.0), scenarios, watch=brightness, checkpoint=tmp_path)
    assert torch.equal(again[1].unusual, found[1].unusual)


def test_what_is_no_number_is_most_unusual_and_no_scores_are_refused():
    def nothing(pictures):
        return torch.full((len(pictures),), torch.nan)

    assert bool(
        evaluate(RoadSim(1, TINY), Dazzled(0.0), [Scenario(STRAIGHT)], watch=nothing)[0].unusual.isposinf().all()
    )
    with pytest.raises(InputError, match="one number a picture"):
        evaluate(RoadSim(1, TINY), Dazzled(0.0), [Scenario(STRAIGHT)], watch=lambda pictures: pictures)


def test_alarms_before_failures_by_hand():
    clean = [scored([0.1, i / 10], True) for i in range(1, 20)]  # highest scores .1 to 1.9
    outcomes = [
        scored([0.0, 0.5, 5.0, 5.0, 0.0, 0.0], False, "contrast", 5),  # alarm at 1 s, failure at 3 s
        scored([0.0, 0.0, 0.0, 0.0, 9.0], False, "contrast", 5),  # at 2 s of 2.5 s: too late
        scored([0.0] * 4, False, "contrast", 5),  # never
        scored([0.0, 2.5, 0.0], True, "contrast", 2),  # for nothing
        scored([0.0, 1.7, 0.0], True),
    ]
    found = forewarned(outcomes, clean, rate=0.1)
    assert found.threshold == pytest.approx(1.8)  # the second largest: 2 of 20
    assert (found.warned.value, found.false.value) == (pytest.approx(1 / 3), 0.5)
    assert found.lead == pytest.approx((2.0 + 0.5) / 2)
    assert found.table.rows == [
        ["contrast", 5, 3, 1, pytest.approx(1.25), 0, 0],
        ["contrast", 2, 0, 0, None, 1, 1],
        ["clean", 0, 0, 0, None, 1, 0],
    ]
    assert forewarned(outcomes, clean, rate=0.1, ahead=0.5).warned.value == pytest.approx(2 / 3)
    assert forewarned(outcomes[3:], clean).warned is None


def test_the_rate_of_false_alarms_holds_for_clean_episodes():
    rng = torch.Generator().manual_seed(0)
    false = []
    for _ in range(200):
        clean = [scored(torch.randn(5, generator=rng).tolist(), True) for _ in range(19)]
        others = [scored(torch.randn(5, generator=rng).tolist(), True) for _ in range(20)]
        false.append(forewarned(others, clean, rate=0.1).false.value)
    assert sum(false) / len(false) == pytest.approx(0.1, abs=0.015)


def test_what_alarms_cannot_be_set_on():
    clean, other = [scored([0.0], True) for _ in range(8)], [scored([1.0], True)]
    with pytest.raises(InputError, match="9 or more"):
        forewarned(other, clean, rate=0.1)
    with pytest.raises(InputError, match="watched"):
        forewarned([Outcome(Scenario(), "passed", 4.0, 0.5, xte=torch.zeros(3))], clean * 2)
    with pytest.raises(InputError, match="among them"):
        forewarned(other, clean * 2 + other)
    with pytest.raises(InputError, match="without a perturbation"):
        forewarned(other, clean * 2 + [scored([0.0], True, "contrast", 2)])
