"""Validation samples that were cut from training samples tell no temperature: the network may have learned them."""

import numpy as np
import pytest
import subjects
import torch
from PIL import Image

from deepwright.checks import audit
from deepwright.checks.subjects.loaders import subject_from_loaders
from deepwright.data import load

CHECKS = ["calibration", "fragility"]


def loaders(seed=0):
    """A network that learned its training samples by heart, and is wrong on a third of the others."""
    x = torch.randn(300, 4, generator=subjects.generator(seed))
    model = subjects.linear(4, 3)
    right = model(x).argmax(1)
    y = torch.where(torch.arange(300) % 3 == 0, (right + 1) % 3, right)
    return model.eval(), [(x[:120], y[:120])], [(x[120:240], right[120:240])], [(x[240:], y[240:])]


def test_no_temperature_comes_from_them():
    model, test, train, _ = loaders()
    report = audit(model, test, train=train, checks=CHECKS)
    assert not {"temperature", "ece_after_temperature"} & set(report["calibration"].values)
    assert "may have been trained on" in report["calibration"].summary
    assert "validation=..." in report["calibration"].remedy


def test_no_matched_index_comes_from_them():
    model, test, train, _ = loaders()
    found = audit(model, test, train=train, checks=CHECKS)["fragility"]
    assert found.grade == "info"
    assert "nfi_matched" not in found.values
    assert "may have been trained on" in found.rule
    assert "validation=..." in found.rule


@pytest.mark.parametrize("given", ["validation", "one piece"])
def test_a_temperature_comes_from_others(given):
    model, test, train, validation = loaders()
    parts = {"train": train, "validation": validation} if given == "validation" else {}
    assert "temperature" in audit(model, test, **parts, checks=CHECKS)["calibration"].values


@pytest.mark.parametrize("parts", [("train", "test"), ("train", "validation")])
def test_data_on_disk_say_it_too(tmp_path, parts):
    rng = np.random.default_rng(0)
    arrays = {}
    for part in parts:
        arrays |= {f"x_{part}": rng.normal(size=(40, 3)).astype("float32"), f"y_{part}": np.arange(40) % 2}
    np.savez(tmp_path / "rows.npz", **arrays)
    assert load(tmp_path / "rows.npz").seen_validation is ("validation" not in parts)


def test_what_is_cut_from_training_samples_is_marked():
    model, test, train, validation = loaders()
    assert subject_from_loaders(model, test, train).data.seen_validation
    assert not subject_from_loaders(model, test, train, validation).data.seen_validation
    assert not subject_from_loaders(model, test).data.seen_validation


@pytest.mark.parametrize("limits", [{}, {"limit": 2}, {"skip_broken": True}])
def test_folders_say_it_whatever_is_left_of_the_part(tmp_path, limits):
    """A limit and broken pictures make the part smaller than what was cut, and no less known."""
    for part in ("train", "test"):
        for name in ("dark", "light"):
            (tmp_path / part / name).mkdir(parents=True)
            for i in range(20):
                Image.new("L", (4, 4), 10 * i).save(tmp_path / part / name / f"{i}.png")
    whole = load(tmp_path)
    assert whole.seen_validation
    if "skip_broken" in limits:
        for picture in (tmp_path / "train").glob("*/?.png"):
            picture.write_bytes(b"broken")
    found = load(tmp_path, **limits)
    assert found.seen_validation
    assert len(found.validation) < len(whole.validation) or not limits


def test_of_too_few_training_samples_none_is_taken_and_nothing_told():
    model, test, train, _ = loaders()
    few = [(x[:4], y[:4]) for x, y in train]
    data = subject_from_loaders(model, test, few).data
    assert (len(data.train), len(data.validation), data.seen_validation) == (4, 0, False)
    assert not any("taken out" in note for note in data.notes)
