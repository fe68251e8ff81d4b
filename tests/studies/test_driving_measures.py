"""What the driving study measures, on agents and pictures whose numbers are known."""

import io
import math
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from deepwright.corruptions import get
from deepwright.corruptions.driving import Demonstrations, Outcome, Road, Scenario
from deepwright.studies._frame import Runs
from deepwright.studies.driving.choosing import Repairs, chosen_repairs
from deepwright.studies.driving.foretelling import (
    BIAS,
    CHANGE,
    DRIFT,
    ERROR,
    SEVERITY,
    SLOPE,
    foretold,
    ranked,
)
from deepwright.studies.driving.measures import (
    foretold_right,
    mended,
    ratios_at_thresholds,
    spread_at_thresholds,
    threshold,
    worst_step,
)
from deepwright.studies.driving.photographs import scenes
from deepwright.studies.driving.pilots import CHOOSING, CLEAN, COLLECTED, DAGGER, RECORDED, REPAIRED, TEST, roads
from deepwright.studies.driving.repairs import ARMS, BEFORE, FAILED, HELD_OUT, LIBRARY, PLAIN, perturbed_by, role

CELLS = [("decrease_contrast", 2), ("decrease_contrast", 5), ("increase_brightness", 5)]
ROAD = Road.from_angles([0] * 4)


def brightness(pictures):
    """Steers by how bright a picture is above 0.5: contrast c then scales its steering by c."""
    steering = pictures.mean((1, 2, 3)) - 0.5
    return torch.stack([steering, 0 * steering], 1)


def test_what_is_foretold_of_an_agent_whose_steering_is_linear_in_contrast():
    levels = torch.linspace(0.2, 0.8, 7)
    pictures = levels[:, None, None, None].expand(-1, 1, 16, 32).contiguous()
    truth = 0.5 * (levels - 0.5) + 0.05
    data = Demonstrations(pictures, torch.stack([truth, 0 * truth], 1))
    clean, low, high, _ = foretold(brightness, data, CELLS, 0)
    away = (levels - 0.5).abs().mean()
    assert (clean[ERROR], clean[DRIFT], clean[CHANGE], clean[SEVERITY]) == (1.0, 0.0, 0.0, 0.0)
    assert clean[SLOPE] == pytest.approx(0.0, abs=1e-9)
    for row, kept in ((low, 0.75), (high, 0.2)):
        assert row[SLOPE] == pytest.approx(1 - kept, abs=1e-5)
        assert row[DRIFT] == pytest.approx((1 - kept) * float(away), abs=1e-6)
        assert row[CHANGE] == pytest.approx((1 - kept) * float(away), abs=1e-6)
        assert row[BIAS] == pytest.approx(0.0, abs=1e-6)
        error = (kept * (levels - 0.5) - truth).abs().mean()
        assert row["error"] == pytest.approx(float(error), abs=1e-6)
        assert row[ERROR] == pytest.approx(float(error / (levels - 0.5 - truth).abs().mean()), abs=1e-5)


def test_ranks_are_those_of_failures_and_of_distances():
    values = [1.0, 3.0, 2.0]
    rows = [{"cell": CLEAN, **dict.fromkeys((ERROR, DRIFT, BIAS, SLOPE, CHANGE, SEVERITY), 0.0)}]
    rows += [
        {"cell": c, **dict.fromkeys((ERROR, DRIFT, BIAS, SLOPE, CHANGE), v), SEVERITY: 5.0}
        for c, v in zip(CELLS, values)
    ]
    fails, far = [0, 2, 1], [3.0, 1.0, 2.0]
    outcomes = [
        Outcome(Scenario(ROAD, *cell, seed=i), "left the lane" if i < n else "passed", 4.0, 0.1, xte=torch.tensor([d]))
        for cell, n, d in zip(CELLS, fails, far)
        for i in range(2)
    ]
    found = ranked(rows, outcomes)
    assert found[ERROR]["failures"][0] == pytest.approx(1.0)
    assert found[ERROR]["distances"] == pytest.approx(-1.0)
    assert found[SEVERITY]["failures"] is None  # the same in all cells


def campaign(*cells):
    """Rows of (perturbation, severity, error ratio, failure rate), after a clean one."""
    rows = [{"cell": list(CLEAN), ERROR: 1.0, "failures": 0.0}]
    return {"rows": rows + [{"cell": [n, s], ERROR: e, "failures": f} for n, s, e, f in cells]}


TRIAL = campaign(("fog", 2, 2.0, 0.25), ("fog", 5, 4.0, 1.0), ("snow", 2, 3.0, 0.75), ("snow", 5, 9.0, 0.5))


def test_thresholds_are_the_first_severity_at_which_most_fail():
    assert (threshold(TRIAL, "fog"), threshold(TRIAL, "snow"), threshold(campaign(("a", 5, 1.0, 0.5)), "a")) == (
        5,
        2,
        None,
    )
    assert ratios_at_thresholds(TRIAL) == {"fog": 4.0, "snow": 3.0}
    assert spread_at_thresholds(TRIAL) == pytest.approx(4 / 3)
    assert spread_at_thresholds(campaign(("a", 5, 1.0, 0.0))) == 1.0
    assert worst_step(TRIAL, 2) == pytest.approx(-0.25)


def test_a_limit_is_set_on_the_other_pilots_and_judged_on_this_one():
    parted = campaign(("a", 1, 1.0, 0.0), ("a", 2, 2.0, 0.0), ("a", 3, 4.0, 1.0))
    other = campaign(("a", 1, 1.0, 0.0), ("a", 2, 5.0, 0.0), ("a", 3, 6.0, 1.0), ("a", 4, 2.5, 1.0))
    found = foretold_right(Runs(({"seed": 0}, {"seed": 1}), (parted, other)), ERROR)
    # the first pilot's limit is 3: of the other's failing cells 2.5 is below it, of those that pass 5 is above
    assert found[1] == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert foretold_right(Runs(({"seed": 0},), (parted,)), ERROR) == [1.0]


def test_what_was_mended_counts_cells_that_failed_before():
    before = campaign(("fog", 5, 1.0, 1.0), ("snow", 5, 1.0, 0.5), ("cutout", 5, 1.0, 0.25), ("frost", 5, 1.0, 1.0))
    after = campaign(("fog", 5, 1.0, 0.25), ("snow", 5, 1.0, 0.25), ("cutout", 5, 1.0, 0.0), ("frost", 5, 1.0, 1.0))
    spec = {"seed": 0, "worst": ["fog", "snow", "cutout"]}
    repairs = Repairs({BEFORE: Runs((spec,), (before,)), FAILED: Runs((spec,), (after,))}, [])
    assert mended(repairs, FAILED, lambda r: r == "trained on") == [pytest.approx(0.5)]
    assert mended(repairs, FAILED, lambda r: r == "held out") == [0.0]
    assert mended(repairs, FAILED, lambda r: r == "clean") == []
    assert role(("translate", 5), ["fog"]) == "steering would have to change"
    assert role(("gaussian_noise", 5), ["fog"]) == "driven, not trained on"


def test_learning_rates_are_chosen_by_the_smallest_validation_error():
    rows = [{"tried": {"0.001": 0.3, "0.004": 0.2}, "rows": []}, {"tried": {"0.001": 0.1, "0.004": 0.2}, "rows": []}]
    specs = tuple({"arm": FAILED, "seed": seed, "worst": ["fog"]} for seed in (0, 1))
    (arm,) = chosen_repairs(Runs(specs, tuple(rows))).arms
    assert (arm.name, arm.tried, arm.chosen) == (FAILED, 2, {"lr = 0.004": 1, "lr = 0.001": 1})


def test_no_arm_is_trained_on_what_is_held_out_or_moves_the_road():
    for arm in ARMS:
        names = perturbed_by(arm, ["fog_mapping"])
        assert not set(names) & set(HELD_OUT)
        assert all(get(name).label_preserving for name in names)
    assert perturbed_by(PLAIN, ["fog_mapping"]) == []
    assert len(perturbed_by(LIBRARY, [])) > 20


def test_no_road_is_used_for_two_things():
    uses = (COLLECTED, DAGGER, TEST, RECORDED, REPAIRED, CHOOSING)
    found = [road for use in uses for road in roads(3, use, 3, True)]
    assert len(set(found)) == len(found)


def test_the_angle_to_the_middle_of_the_road(tmp_path):
    with zipfile.ZipFile(tmp_path / "camvid.zip", "w") as archive:
        for folder, kind in (("train", "jpeg"), ("trainannot", "png")):
            for name, left in (("a", 240), ("b", 0), ("c", None)):
                labels = np.zeros((360, 480), np.uint8)
                if left is not None:
                    labels[200:, left : left + 240] = 3
                written = io.BytesIO()
                Image.fromarray(labels).save(written, kind)
                archive.writestr(f"camvid/{folder}/{name}.{'jpg' if kind == 'jpeg' else 'png'}", written.getvalue())
    found = scenes(str(tmp_path), "train")
    assert found.pictures.shape == (2, 1, 40, 80)  # the third shows no road
    expected = math.atan(120 / 480)
    assert found.actions[:, 0].tolist() == pytest.approx([-expected, expected])  # to the right, to the left
