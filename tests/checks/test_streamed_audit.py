"""An audit of streamed data finds what it finds in memory, bit for bit, and never asks for all inputs."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

from deepwright import InputError
from deepwright.checks import Subject, audit, in_deviations, subject_from_loaders
from deepwright.checks.subjects import rereading
from deepwright.core.randomness import local_rng
from deepwright.core.rows import Rows
from deepwright.data import load

ALL = ["accuracy", "calibration", "fragility", "robustness", "corruptions", "ood"]
LIMITS = {"batch_size": 25, "attack_limit": 8, "corruption_limit": 2, "ood_limit": 8, "eps": (1 / 255, 8 / 255)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """90 pictures of three colours that a small network half knows."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for i in range(90):
        place = root / "abc"[i % 3]
        place.mkdir(exist_ok=True)
        pixels = rng.integers(0, 120, (12, 12, 3), dtype=np.uint8)
        pixels[..., i % 3] += np.uint8(rng.integers(0, 60))
        Image.fromarray(pixels).save(place / f"{i}.png")
    return root


def network():
    with local_rng(0):
        layers = nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(100, 3)
    return nn.Sequential(*layers).eval()


def found(model, data, checks, **options):
    """Findings without what a clock tells."""
    report = audit(Subject(model, data, **{**LIMITS, **options}), checks=checks)
    rows = [finding.to_dict() for finding in report.findings]
    assert not any(row["grade"] == "failed" for row in rows), rows
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows], report.subject


def alike(model, streamed, held, checks, **options):
    assert isinstance(streamed.test.x, Rows)
    assert found(model, streamed, checks, **options) == found(model, held, checks, **options)


def test_pictures(folder):
    checks = ["accuracy", "calibration"]
    alike(network(), load(folder, stream=True), load(folder, stream=False), checks)


@pytest.mark.slow
def test_pictures_in_all_checks_but_the_clocks(folder):
    alike(network(), load(folder, stream=True), load(folder, stream=False), ALL)


@pytest.mark.usefixtures("at_most_512_rows_at_once")
@pytest.mark.parametrize("checks", [["accuracy", "robustness"], pytest.param(ALL, marks=pytest.mark.slow)])
def test_a_table_in_its_own_units(tmp_path, checks):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(3000, 4)) * 50, columns=list("abcd"))
    frame["code"] = rng.integers(0, 3, 3000)
    frame["y"] = (frame["a"] + rng.normal(size=3000) * 30 > 0).astype(int)
    frame.to_csv(tmp_path / "t.csv", index=False)
    with local_rng(0):
        model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2)).eval()
    streamed, held = (load(tmp_path / "t.csv", target="y", stream=s) for s in (True, False))
    one, other = in_deviations(model, streamed), in_deviations(model, held)
    assert torch.equal(one[0].whole, other[0].whole)
    assert found(*one, checks, eps=(0.1,)) == found(*other, checks, eps=(0.1,))
    assert isinstance(one[1].test.x, Rows)


@pytest.fixture
def at_most_512_rows_at_once(monkeypatch):
    read = Rows.__getitem__

    def checked(self, rows):
        found = read(self, rows)
        assert isinstance(rows, int) or len(found) <= 512
        return found

    monkeypatch.setattr(Rows, "__getitem__", checked)
    monkeypatch.setattr("deepwright.core.rows.PIECE", 64 * 20)
    monkeypatch.setattr("deepwright.core.rows.MOMENT_ROWS", 100)


class Coloured(Dataset):
    """Pictures that are made when asked for; each the same at every reading, but for `noisy` ones."""

    def __init__(self, n=60, noisy=False):
        self.n, self.noisy, self.asked = n, noisy, 0

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        self.asked += 1
        x = torch.rand(3, 12, 12, generator=torch.Generator().manual_seed(i + self.noisy * 1000 * self.asked))
        return {"pixel_values": x, "labels": i % 3}


@pytest.fixture
def small_limit(monkeypatch):
    monkeypatch.setattr(rereading, "STREAMED", 1000)


def test_a_large_loader_is_read_again_and_finds_the_same(monkeypatch):
    def findings():
        loader = DataLoader(Coloured(), batch_size=16)
        report = audit(network(), loader, checks=["accuracy", "calibration"], batch_size=25)
        return [{**finding.to_dict(), "seconds": 0} for finding in report.findings], report.subject["test_digest"]

    held = findings()
    monkeypatch.setattr(rereading, "STREAMED", 1000)
    assert findings() == held
    subject = subject_from_loaders(network(), DataLoader(Coloured(), batch_size=16))
    assert isinstance(subject.data.test.x, Rows)


@pytest.mark.usefixtures("small_limit")
def test_a_loader_that_shuffles_is_read_in_one_order():
    loader = DataLoader(Coloured(), batch_size=16, shuffle=True, generator=torch.Generator().manual_seed(3))
    subject = subject_from_loaders(network(), loader, split="test")
    x, y = subject.data.test.inputs(), subject.data.test.y
    assert sorted(y.tolist()) == sorted(i % 3 for i in range(60))
    assert torch.equal(subject.data.test.inputs(), x)
    data = Coloured()
    known = {data[i]["pixel_values"].sum().item(): i % 3 for i in range(60)}
    assert [known[row.sum().item()] for row in x] == y.tolist()
    assert y.tolist() != [i % 3 for i in range(60)]


@pytest.mark.usefixtures("small_limit")
def test_samples_that_change_between_readings_are_refused():
    with pytest.raises(InputError, match=r"isn't what it was.*augmentation"):
        subject_from_loaders(network(), DataLoader(Coloured(noisy=True), batch_size=16))
