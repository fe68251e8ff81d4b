"""What the driving study measures, on agents and pictures whose numbers are known."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from deepwright.corruptions.driving import Demonstrations, Outcome, Road, Scenario
from deepwright.studies._frame import Runs
from deepwright.studies.driving.claims import margin, mended
from deepwright.studies.driving.foretelling import (
    BIAS,
    CHANGE,
    CLEAN,
    DRIFT,
    ERROR,
    SEVERITY,
    SLOPE,
    foretold,
    ranked,
)
from deepwright.studies.driving.photographs import scenes

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


def test_margins_and_what_was_mended():
    cells = [(CLEAN, 1.0, 0.0), (CELLS[0], 4.0, 0.0), (CELLS[1], 3.0, 0.5), (CELLS[2], 9.0, 1.0)]
    assert margin({"rows": [{"cell": c, ERROR: e, "failures": f} for c, e, f in cells]}) == pytest.approx(-1.0)
    rows = [
        {"role": "trained on", "before": 1.0, "after": 0.25, "control": 1.0},
        {"role": "trained on", "before": 0.5, "after": 0.25, "control": 0.0},
        {"role": "trained on", "before": 0.25, "after": 0.0, "control": 0.0},  # it didn't fail on half of the roads
        {"role": "held out", "before": 1.0, "after": 1.0, "control": 1.0},
    ]
    trials = Runs(({"seed": 0}, {"seed": 1}), ({"repair": {"rows": rows}}, {"repair": None}))
    assert mended(trials, "after", lambda r: r["role"] == "trained on") == [0.5, 0.0]
    assert mended(trials, "control", lambda r: True) == pytest.approx([0.5 / 3, 0.0])


def test_the_angle_to_the_middle_of_the_road(tmp_path):
    for folder, dtype in (("train", "jpg"), ("trainannot", "png")):
        (tmp_path / "camvid" / folder).mkdir(parents=True)
        for name, left in (("a", 240), ("b", 0), ("c", None)):
            labels = np.zeros((360, 480), np.uint8)
            if left is not None:
                labels[200:, left : left + 240] = 3
            image = Image.fromarray(labels)
            image.save(tmp_path / "camvid" / folder / f"{name}.{dtype}")
    found = scenes(str(tmp_path), "train")
    assert found.pictures.shape == (2, 1, 40, 80)  # the third shows no road
    expected = math.atan(120 / 480)
    assert found.actions[:, 0].tolist() == pytest.approx([-expected, expected])  # to the right, to the left
