"""Every arm's setting is picked on validation alike, and what was tried and chosen is recorded."""

import math

import pytest

from deepwright.core.errors import InputError
from deepwright.studies._frame import Runs, cross, gaps, geometric, select

# validation loss by setting and seed; the test loss is another number, so that a selection that reads it shows
LOSS = {(0.1, 1): 3.0, (0.1, 2): 1.0, (0.2, 1): 2.0, (0.2, 2): 2.5, (0.3, 1): 2.5, (0.3, 2): 2.1}


def made(loss=LOSS, method="ours"):
    specs = cross(method=method, lr=(0.1, 0.2, 0.3), seed=(1, 2))
    rows = tuple({"validation": loss[s["lr"], s["seed"]], "test": 10 * s["lr"] + s["seed"]} for s in specs)
    return Runs(tuple(specs), rows)


def chosen(runs, **options):
    how = {
        "arms": "method",
        "over": ("lr",),
        "by": "validation",
        "words": "loss",
        "data": "a split",
        "budget": "1 epoch",
    }
    return select(runs, **{**how, **options})


def test_seed_by_seed_each_has_its_own_setting():
    found = chosen(made())
    assert {spec["seed"]: spec["lr"] for spec in found.runs.specs} == {1: 0.2, 2: 0.1}
    assert found.runs.by("method")["ours"].values("test") == [3.0, 3.0]  # seed 2 with 0.1, seed 1 with 0.2


def test_arms_whose_seeds_chose_otherwise_are_still_paired():
    """In the grid, seed 2's setting comes before seed 1's; the seeds keep their order all the same."""
    ours, theirs = made(), made({key: -key[0] for key in LOSS}, "theirs")
    found = chosen(Runs((*ours.specs, *theirs.specs), (*ours.rows, *theirs.rows))).runs.by("method")
    assert found["ours"].seeds == found["theirs"].seeds == (1, 2)
    assert gaps(found["ours"], found["theirs"], "test") == [3.0 - 4.0, 3.0 - 5.0]


def test_pooled_all_seeds_share_the_best_mean():
    """Means over the seeds are 2, 2.25 and 2.3."""
    assert {spec["lr"] for spec in chosen(made(), pooled=True).runs.specs} == {0.1}


def test_the_largest_can_be_the_best():
    assert {spec["seed"]: spec["lr"] for spec in chosen(made(), largest=True).runs.specs} == {1: 0.1, 2: 0.2}


def test_what_was_tried_and_chosen_is_recorded():
    (arm,) = chosen(made()).arms
    assert (arm.name, arm.tried, arm.grid) == ("ours", 3, {"lr": [0.1, 0.2, 0.3]})
    assert arm.chosen == {"lr = 0.2": 1, "lr = 0.1": 1}
    assert (arm.rule, arm.data, arm.budget) == ("lowest loss, seed by seed", "a split", "1 epoch")


def test_choices_at_the_end_of_the_grid_are_counted():
    assert chosen(made()).arms[0].at_edge == 1  # 0.1 is an end, 0.2 isn't


def test_settings_that_are_dicts_are_spread():
    specs = cross(method="ours", setting=[{"lr": 0.1, "gamma": 1}, {"lr": 0.1, "gamma": 2}], seed=(1,))
    runs = Runs(tuple(specs), ({"validation": 2.0}, {"validation": 1.0}))
    (arm,) = chosen(runs, over=("setting",)).arms
    assert (arm.grid, arm.chosen) == ({"lr": [0.1], "gamma": [1, 2]}, {"lr = 0.1, gamma = 2": 1})


def test_arms_of_several_axes_have_groups_and_reasons():
    specs = cross(data=("a", "b"), method=("ours", "theirs"), lr=(1, 2), seed=(1,))
    runs = Runs(tuple(specs), tuple({"validation": float(s["lr"])} for s in specs))
    arms = chosen(runs, arms=("data", "method"), why={("b", "theirs"): "slow"}).arms
    assert [(a.group, a.name, a.why) for a in arms][-2:] == [("b", "ours", ""), ("b", "theirs", "slow")]


def test_a_trial_that_diverged_never_wins():
    loss = LOSS | {(0.2, 1): math.nan, (0.1, 2): -math.inf}
    assert {spec["seed"]: spec["lr"] for spec in chosen(made(loss)).runs.specs} == {1: 0.3, 2: 0.3}


def test_an_arm_that_always_diverged_is_refused():
    with pytest.raises(InputError, match="finite"):
        chosen(made(dict.fromkeys(LOSS, math.nan)))


def test_settings_on_other_seeds_are_refused():
    runs = made()
    with pytest.raises(InputError, match="same seeds"):
        chosen(Runs(runs.specs[:-1], runs.rows[:-1]))


def test_a_trial_that_comes_twice_is_refused():
    runs = made()
    with pytest.raises(InputError, match="over="):
        chosen(Runs(runs.specs * 2, runs.rows * 2))


def test_the_geometric_mean_of_quotients():
    """Quotients 1/2 and 2 cancel; quotients 2, 2, 2 have no spread."""
    specs = tuple({"seed": s} for s in (1, 2))
    a, b = (Runs(specs, tuple({"v": v} for v in values)) for values in ((1.0, 4.0), (2.0, 2.0)))
    assert geometric(a, b, "v").value == pytest.approx(1.0)
    double = Runs(specs, tuple({"v": 2 * row["v"]} for row in b))
    found = geometric(double, b, "v")
    assert (found.value, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))


def test_a_quotient_with_zero_is_refused():
    specs = ({"seed": 1},)
    with pytest.raises(InputError, match="above 0"):
        geometric(Runs(specs, ({"v": 1.0},)), Runs(specs, ({"v": 0.0},)), "v")
