"""Campaigns: how episodes end, what is counted, what is kept, and what searches find; drivers are functions of known ways."""

import math

import numpy as np
import pytest
import scipy.stats
import torch

from deepwright.core.errors import InputError
from deepwright.corruptions.driving import (
    Demonstrations,
    Outcome,
    PurePursuit,
    Road,
    RoadSim,
    Scenario,
    agreement,
    by_cell,
    collect,
    dave2,
    evaluate,
    failure_thresholds,
    gif,
    grid_search,
    imitate,
    offline_errors,
    outcome_table,
    replay,
    search,
    steering_error,
    tiny_pilot,
)
from deepwright.corruptions.driving.disturbances import Disturbance
from deepwright.corruptions.driving.searching import distinct, objectives

STRAIGHT = Road.from_angles([0] * 4)
BEND = Road.from_angles([0, 0, 30, 30, 0])
TINY = (16, 32)


def steady(pictures):
    return torch.zeros(len(pictures), 2)


class Dazzled:
    """Drives straight on; where the sky isn't as bright as it should be, it turns by how much."""

    def __call__(self, pictures):
        sky = pictures[:, :, :3].mean((1, 2, 3))
        return torch.stack([0.4 * (0.7 - sky), 0 * sky], 1)


def sim(n=4):
    return RoadSim(n, TINY)


def test_how_episodes_end():
    outcomes = evaluate(sim(2), steady, [Scenario(STRAIGHT), Scenario(BEND), Scenario(STRAIGHT, seed=1)], timeout=20.0)
    assert [o.ended for o in outcomes] == ["passed", "left the lane", "passed"]
    passed, failed, _ = outcomes
    assert passed.max_xte < 1e-9
    assert (passed.time_to_failure, passed.distance_to_failure, passed.quickness) == (None, None, 0.0)
    assert failed.max_xte >= 4.0  # the failing step is kept
    assert bool((failed.xte[:-1].abs() < 4.0).all())
    assert failed.time_to_failure == pytest.approx(0.1 * len(failed.xte))
    assert 0 < failed.quickness < 1
    assert failed.failed_at(2.0)
    assert not passed.failed_at(2.0)
    late = evaluate(sim(1), steady, [Scenario(STRAIGHT)], timeout=2.0)[0]
    assert (late.ended, late.failed, len(late.xte)) == ("out of time", True, 20)


def test_numbers_of_an_outcome():
    steering = torch.tensor([0.0, 0.1, 0.0, 0.1])
    o = Outcome(Scenario(), "left the lane", 4.0, 0.1, xte=torch.tensor([1.0, 3.0, -1.0, -5.0]), steering=steering)
    assert o.steering_rate == pytest.approx(1.0)
    assert o.steering_jerk == pytest.approx(20.0)
    assert (o.max_xte, o.mean_xte, o.crossings(2.0)) == (5.0, 2.5, 2)
    assert math.isnan(Outcome(Scenario(), "infrastructure error", 4.0, 0.1).max_xte)
    with pytest.raises(InputError, match="driven"):
        o.failed_at(5.0)


def test_rows_dont_depend_on_their_neighbours():
    scenarios = [Scenario(BEND, "gaussian_noise", 4, seed=i) for i in range(3)]
    scenarios += [Scenario(STRAIGHT, "contrast", 5, seed=7), Scenario(BEND, seed=8)]
    agent = tiny_pilot(size=(40, 80)).eval()
    together = evaluate(RoadSim(4), agent, scenarios, timeout=1.0)
    for order in ([4, 2, 0, 3, 1], [3, 1]):
        again = evaluate(RoadSim(4), agent, [scenarios[i] for i in order], timeout=1.0)
        for i, outcome in zip(order, again):
            assert torch.equal(outcome.xte, together[i].xte)
            assert torch.equal(outcome.steering, together[i].steering)


def test_sensor_noise_is_new_in_each_frame_and_what_sticks_stays():
    x = torch.rand(2, 1, *TINY, generator=torch.Generator().manual_seed(0))
    still = ("splatter", "fog_mapping", "contrast", "dead_rows")
    for name, moves in (("gaussian_noise", True), ("exposure_flicker", True), *((name, False) for name in still)):
        scenarios = [Scenario(STRAIGHT, name, 4, seed=3), Scenario(STRAIGHT, seed=3)]
        disturb = Disturbance(scenarios)
        first, again = disturb(x, 0), disturb(x, 1)
        assert torch.equal(first[1], x[1])
        assert not torch.equal(first[0], x[0])
        assert torch.equal(first, again) != moves
        frozen = Disturbance(scenarios, frozen=True)
        assert torch.equal(frozen(x, 0), frozen(x, 1))


def test_agents_that_give_no_actions_fail_and_the_others_go_on():
    def odd(pictures):
        actions = torch.zeros(len(pictures), 2)
        actions[0, 0] = math.nan
        actions[1, 0] = 20.0  # degrees
        return actions

    nan, degrees, fine = evaluate(sim(3), odd, [Scenario(STRAIGHT, seed=i) for i in range(3)])
    assert [nan.ended, degrees.ended, fine.ended] == ["the agent failed", "the agent failed", "passed"]
    assert "NaN" in nan.reason
    wrong = evaluate(sim(1), lambda pictures: torch.zeros(len(pictures), 3), [Scenario(STRAIGHT)])[0]
    assert "(1, 3)" in wrong.reason
    assert wrong.failed


def test_what_is_refused_before_it_is_driven():
    with pytest.raises(InputError, match="eval"):
        evaluate(sim(1), tiny_pilot(), [Scenario(STRAIGHT)])
    with pytest.raises(InputError, match="scenarios"):
        evaluate(sim(1), steady, [])
    with pytest.raises(InputError, match="did you mean"):
        Scenario(STRAIGHT, "contrst", 3)


def test_finished_blocks_are_kept_and_others_driven(tmp_path):
    driven = []

    class Counting:
        def __call__(self, pictures):
            driven.append(len(pictures))
            return steady(pictures)

        def __resume_identity__(self):
            return "steady"

    scenarios = [Scenario(BEND, seed=i) for i in range(5)]
    first = evaluate(sim(2), Counting(), scenarios, timeout=3.0, checkpoint=tmp_path)
    calls = len(driven)
    again = evaluate(sim(2), Counting(), scenarios, timeout=3.0, checkpoint=tmp_path)
    assert len(driven) == calls
    assert all(torch.equal(a.xte, b.xte) and a.ended == b.ended for a, b in zip(first, again))
    evaluate(sim(2), Counting(), [*scenarios[:4], Scenario(BEND, seed=9)], timeout=3.0, checkpoint=tmp_path)
    assert len(driven) < 2 * calls  # two blocks of three are the same
    before = len(driven)
    evaluate(sim(2), Counting(), scenarios, timeout=3.0, max_xte=3.0, checkpoint=tmp_path)
    assert len(driven) > before


def test_scenarios_come_back_from_plain_data():
    scenario = Scenario(BEND, "fog_mapping", 3, seed=11)
    again = Scenario.from_dict(scenario.to_dict())
    assert again == scenario
    with pytest.raises(InputError, match="scenario"):
        Scenario.from_dict({"road": 3})


def _outcome(cell, fails, seed=0, xte=1.0):
    scenario = Scenario(STRAIGHT, *cell, seed) if cell[1] else Scenario(STRAIGHT, seed=seed)
    return Outcome(scenario, "left the lane" if fails else "passed", 4.0, 0.1, xte=torch.tensor([xte]))


def test_cells_and_thresholds():
    outcomes = [_outcome(("clean", 0), False, i) for i in range(4)]
    outcomes += [_outcome(("contrast", 2), i < 1, i, xte=2.5) for i in range(4)]
    outcomes += [_outcome(("contrast", 5), i < 3, i) for i in range(4)]
    outcomes += [_outcome(("posterize", 5), False, i) for i in range(4)]
    outcomes += [Outcome(Scenario(STRAIGHT, "contrast", 5), "infrastructure error", 4.0, 0.1)]
    cells = {c.cell: c for c in by_cell(outcomes)}
    assert [c.failures.value for c in cells.values()] == [0.0, 0.25, 0.75, 0.0]
    assert cells["contrast", 2].tighter.value == 1.0  # 2.5 m is beyond 2
    assert (cells["contrast", 5].n, cells["contrast", 5].lost) == (4, 1)
    contrast, posterize = failure_thresholds(outcomes)
    assert (contrast.severity, contrast.failures.value) == (5, 0.75)
    assert posterize.severity is None
    assert "none of" in str(posterize)
    assert len(outcome_table(outcomes).rows) == 4


def test_agreement_is_spearmans_with_ties():
    rng = np.random.default_rng(0)
    cells = [("contrast", s) for s in (1, 2, 3, 4, 5)] + [("posterize", s) for s in (1, 2, 3)]
    fails = rng.random((8, 6)) < np.linspace(0, 1, 8)[:, None]
    fails[0], fails[7] = False, True
    ratios = dict(zip(cells, [1.0, 1.0, 1.5, 3.0, 2.5, 9.0, 4.0, 1.2]))
    outcomes = [_outcome(cell, bool(f), i) for cell, row in zip(cells, fails) for i, f in enumerate(row)]
    found = agreement(ratios, outcomes)
    expected = scipy.stats.spearmanr(list(ratios.values()), fails.mean(1)).statistic
    assert found.rho.value == pytest.approx(expected)
    assert found.rho.low <= found.rho.value <= found.rho.high
    assert (("posterize", 3), "ratio 1.2, and 100% failed") in found.discordant
    same = agreement(ratios, [_outcome(cell, False, i) for cell in cells for i in range(2)])
    assert same.rho is None
    assert "failure rate is the same" in same.reason
    assert (("posterize", 1), "ratio 9.0, and none failed") in same.discordant


def test_offline_errors_are_those_of_the_expert():
    pictures = torch.full((6, 1, *TINY), 0.5)
    data = Demonstrations(pictures, torch.tensor([[0.1, 0.0]] * 6))
    clean, cell = offline_errors(
        lambda x: torch.stack([x.mean((1, 2, 3)), 0 * x[:, 0, 0, 0]], 1), data, [("posterize", 1)]
    )
    assert clean.error.value == pytest.approx(0.4)
    assert cell.drift < 0.01
    assert cell.ratio == pytest.approx(cell.error.value / 0.4)
    perfect = offline_errors(lambda x: data.actions, data, [("contrast", 1)])
    assert [c.ratio for c in perfect] == [None, None]  # nothing to compare with


@pytest.mark.slow
def test_the_expert_is_collected_with_its_ways_back():
    world = sim(2)
    data = collect(world, PurePursuit(world), [BEND, STRAIGHT, BEND], noise=0.2)
    clean = collect(world, PurePursuit(world), [BEND, STRAIGHT, BEND], noise=0.0)
    assert data.pictures.shape[1:] == (1, *TINY)
    assert len(data) == len(data.actions)
    assert float(data.actions[:, 0].std()) > float(clean.actions[:, 0].std())
    dagger = collect(world, PurePursuit(world), [BEND], dagger=steady)
    assert len(dagger) < len(clean)  # it leaves the lane
    assert float(dagger.actions[-1, 0]) > 0.1  # and the expert would have turned
    assert steering_error(steady, dagger) == pytest.approx(float(dagger.actions[:, 0].abs().mean()))
    with pytest.raises(InputError, match="changes"):
        imitate(tiny_pilot(size=(40, 80)), Demonstrations(torch.rand(4, 1, 40, 80), torch.zeros(4, 2)))


def test_networks():
    network = dave2(3, (120, 160))
    assert network(torch.rand(2, 3, 120, 160)).shape == (2, 2)
    widths = [m.out_channels for m in network.layers if isinstance(m, torch.nn.Conv2d)]
    assert widths == [24, 32, 64, 64, 64]
    with pytest.raises(InputError, match="larger"):
        dave2(3, (40, 80))
    with pytest.raises(InputError, match="shape"):
        network(torch.rand(1, 3, 66, 200))


@pytest.mark.slow
def test_grid_search_drops_what_failed():
    outcomes = grid_search(sim(4), Dazzled(), [STRAIGHT], ["contrast", "posterize"], (1, 4, 5), timeout=12.0)
    cells = [o.scenario.cell for o in outcomes]
    assert cells[0] == ("clean", 0)
    driven = [s for name, s in cells if name == "contrast"]
    assert ("posterize", 1) in cells  # the first level of each is driven
    failed = {o.scenario.cell for o in outcomes if o.failed}
    assert failed
    for name, severity in failed:
        assert not [s for other, s in cells if other == name and s > severity]
    assert driven == sorted(driven)


@pytest.mark.slow
def test_search_finds_distinct_failures_and_repeats_itself():
    options = dict(budget=12, population=4, max_angle=40.0, timeout=12.0, seed=3)
    found = search(sim(4), steady, ["contrast", "posterize"], **options)
    assert len(found.outcomes) == 12
    assert found.generations == 3
    assert all(o.scenario.road.is_valid() for o in found.outcomes)
    assert found.failures
    again = search(sim(4), steady, ["contrast", "posterize"], **options)
    assert [o.scenario for o in again.outcomes] == [o.scenario for o in found.outcomes]


def test_failures_on_nearly_one_road_are_one():
    turned = Road(np.array(BEND.points)[:, ::-1] * [1, -1] + 50.0)  # the same road elsewhere
    bent = Road.from_angles([0, 0, -30, -30, 0])
    outcomes = [Outcome(Scenario(r, "contrast", 5), "left the lane", 4.0, 0.1) for r in (BEND, turned, bent)]
    assert distinct(outcomes, 5.0) == [outcomes[0], outcomes[2]]


def test_objectives():
    late = Outcome(
        Scenario(STRAIGHT), "out of time", 4.0, 0.1, xte=torch.tensor([1.0, -3.0]), arc=torch.tensor([0.0, 40.0])
    )
    mean, quickness, criticality, largest = objectives(late)
    assert (mean, criticality, largest) == (2.0, 2.0, 3.0)
    assert quickness == pytest.approx(1 - 40 / STRAIGHT.length)
    assert objectives(Outcome(Scenario(), "infrastructure error", 4.0, 0.1)) == (0, 0, 0, 0)


def test_films_show_both_pictures(tmp_path):
    from PIL import Image

    scenario = Scenario(BEND, "contrast", 5)
    outcome, shown, seen = replay(sim(2), steady, scenario)
    assert outcome.ended == "left the lane"
    assert replay(sim(2), steady, scenario, timeout=0.3)[0].ended == "out of time"
    assert len(shown) == len(seen) == len(outcome.xte)
    assert (shown - seen).abs().mean() > 0.05
    path = gif(shown, seen, tmp_path / "a.gif", every=4, scale=2)
    with Image.open(path) as film:
        assert film.size == (2 * (32 + 2 + 32), 2 * 16)
        assert film.n_frames == -(-len(shown) // 4)
