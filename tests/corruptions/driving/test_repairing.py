"""Repairs: what is chosen, what is perturbed, and that both pilots drive the same fresh roads; how long a step takes."""

import time

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.corruptions import get
from deepwright.corruptions.driving import (
    Outcome,
    Perturbing,
    PurePursuit,
    Repaired,
    Road,
    RoadSim,
    Scenario,
    by_cell,
    collect,
    evaluate,
    outcome_table,
    repair,
    tiny_pilot,
    worst_families,
)
from deepwright.corruptions.driving.latencies import Latencies

STRAIGHT = Road.from_angles([0] * 4)
BEND = Road.from_angles([0, 0, 30, 30, 0])


def outcomes(rates):
    """Ten episodes a cell, of which so many failed."""
    return [
        Outcome(Scenario(STRAIGHT, *cell, seed=i), "left the lane" if i < fails else "passed", 4.0, 0.1)
        for cell, fails in rates.items()
        for i in range(10)
    ]


RATES = {
    (None, 0): 0,
    ("contrast", 2): 2,
    ("contrast", 5): 8,  # 0.5 in the mean
    ("snow", 5): 9,
    ("posterize", 5): 0,
    ("translate", 5): 10,
    ("fog_mapping", 5): 3,
}


def test_the_worst_are_those_that_failed_most_and_keep_steering():
    assert worst_families(outcomes(RATES)) == ["snow", "contrast", "fog_mapping"]
    assert worst_families(outcomes(RATES), 1, hold_out=["snow"]) == ["contrast"]
    with pytest.raises(InputError, match="translate alone"):
        worst_families(outcomes({(None, 0): 0, ("translate", 5): 10}))
    with pytest.raises(InputError, match="no failures"):
        worst_families(outcomes({(None, 0): 0, ("snow", 5): 0}))


def test_a_share_of_each_batch_is_perturbed_by_two_draws():
    x = torch.rand(20, 1, 16, 32, generator=torch.Generator().manual_seed(0)) * 0.6 + 0.2
    augment = Perturbing(["decrease_contrast"], share=0.5)
    out = augment(x, torch.Generator().manual_seed(3))
    changed = [i for i in range(20) if not torch.equal(out[i], x[i])]
    assert len(changed) == 10
    levels = get("decrease_contrast").levels  # (x - 0.5) c + 0.5: each share is read off the deviations
    shares = {round(float((out[i] - 0.5).std() / (x[i] - 0.5).std()), 4) for i in changed}
    assert len(shares) <= 2
    assert shares <= {round(level, 4) for level in levels}
    assert torch.equal(out, augment(x, torch.Generator().manual_seed(3)))
    assert not torch.equal(out, augment(x, torch.Generator().manual_seed(4)))
    assert torch.equal(Perturbing(["snow"], share=0.0)(x, torch.Generator().manual_seed(3)), x)
    assert torch.equal(Perturbing(["snow"])(x[:1], torch.Generator().manual_seed(3)), x[:1])  # a last batch
    with pytest.raises(InputError, match="another steering angle"):
        Perturbing(["snow", "translate"])


def test_the_table_pairs_the_roads():
    from deepwright.corruptions.driving import Repaired

    cells = {(None, 0): 0, ("snow", 5): 9, ("translate", 5): 10}
    after = {(None, 0): 0, ("snow", 5): 1, ("translate", 5): 10}
    found = Repaired(tiny_pilot(), ("snow",), outcomes(cells), outcomes(after))
    rows = {tuple(row[:2]): row[2:] for row in found.table.rows}
    assert [row[0] for row in rows.values()] == ["clean", "trained on", "held out"]
    assert rows["snow", 5][-1] == pytest.approx(2 * 0.5**8)  # eight roads changed, all one way
    assert rows["translate", 5][-1] == 1.0


@pytest.mark.slow
def test_a_repair_leaves_the_pilot_and_goes_on(tmp_path):
    sim = RoadSim(2)
    data = collect(sim, PurePursuit(sim), [BEND, BEND.mirrored()])
    pilot = tiny_pilot().eval()
    start = {name: value.clone() for name, value in pilot.state_dict().items()}
    scenarios = [Scenario(BEND, *cell, seed=i) for cell in ((None, 0), ("snow", 5)) for i in range(2)]
    driven = evaluate(sim, pilot, scenarios)
    assert all(o.failed for o in driven)  # it was never trained
    options = {"epochs": 1, "checkpoint": tmp_path, "seed": 3}
    found = repair(sim, pilot, data, driven, [STRAIGHT, BEND.mirrored()], **options)
    assert found.trained == ("snow",)
    assert [o.scenario for o in found.before] == [o.scenario for o in found.after]
    assert [o.scenario.road for o in found.before[:2]] == [STRAIGHT, BEND.mirrored()]
    assert all(torch.equal(value, start[name]) for name, value in pilot.state_dict().items())
    assert any(not torch.equal(value, start[name]) for name, value in found.network.state_dict().items())
    assert not found.network.training
    again = repair(sim, pilot, data, driven, [STRAIGHT, BEND.mirrored()], **options)
    assert all(torch.equal(a.xte, b.xte) for a, b in zip(found.after, again.after))


def test_latencies_are_those_of_the_agent():
    took = Latencies(torch.device("cpu"))
    for _ in range(3):
        with took:
            time.sleep(0.01)
    assert took.seconds().shape == (3,)
    assert float(took.seconds().min()) >= 0.01
    other = Latencies(torch.device("mps"))  # it doesn't wait there, so that nothing is known
    with other:
        pass
    assert bool(other.seconds().isnan().all())


def test_outcomes_have_the_latency_of_each_step():
    def slow(pictures):
        time.sleep(0.002)
        return torch.zeros(len(pictures), 2)

    outcome = evaluate(RoadSim(2, (16, 32)), slow, [Scenario(BEND)], timeout=1.0)[0]
    assert outcome.latency.shape == outcome.xte.shape
    assert 0.002 <= outcome.latency_at(0.5) <= outcome.latency_at(0.99)
    assert outcome.to_dict()["latency_median"] == outcome.latency_at(0.5)
    table = outcome_table([outcome])
    assert table.columns[-1] == "median step (ms)"
    assert table.rows[0][-1] >= 2.0
    assert by_cell(outcomes(RATES))[0].latency != by_cell(outcomes(RATES))[0].latency  # NaN: nothing was measured


def test_a_cell_that_the_infrastructure_took_has_no_rate_and_no_p():
    scenario = Scenario(Road.from_angles([0] * 4), "gaussian_noise", 5)
    lost, passed = (Outcome(scenario, ended, 4.0, 0.1) for ended in ("infrastructure error", "passed"))
    table = Repaired(tiny_pilot(), ("gaussian_noise",), [lost], [passed]).table
    assert table.rows == [["gaussian_noise", 5, "trained on", 0, "–", table.rows[0][5], None]]
