"""Data in one piece, or with a part missing: what is measured, and that it is told."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from deepwright.checks import audit, subject_from_loaders
from deepwright.core.errors import InputError
from deepwright.data import FOR_MEASURING, load
from deepwright.workflows import AuditOptions, ExitOptions, build_subject

X = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
Y = np.arange(60) % 3


@pytest.fixture
def whole(tmp_path):
    np.savez(tmp_path / "d.npz", x=X, y=Y)
    return tmp_path / "d.npz"


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).eval()


def lengths(data):
    return [len(part) for part in (data.train, data.validation, data.test)]


def test_one_piece_is_split_for_a_training(whole):
    data = load(whole)
    assert lengths(data) == [42, 6, 12]
    assert "of 60 samples 12 are measured" in data.notes[0]


def test_one_piece_is_mostly_measured_where_nothing_is_trained(whole):
    data = build_subject(AuditOptions(network(), data=whole), trains=False).data
    assert lengths(data) == [12, 6, 42]
    assert "of 60 samples 42 are measured, 12 fit detectors" in data.notes[0]


def test_all_of_it_can_be_measured(whole):
    data = load(whole, split="test")
    assert lengths(data) == [0, 0, 60]
    assert torch.equal(data.test.y, torch.from_numpy(Y))
    assert "all 60 samples are measured" in data.notes[0]


@pytest.mark.parametrize("limits", [{"limit": 20, "train_limit": 5}, {"train_limit": 500}])
def test_all_of_it_within_limits(whole, image_folder, limits):
    assert lengths(load(whole, split="test", **limits)) == [0, 0, limits.get("limit", 60)]
    assert lengths(load(image_folder, split="test", **limits)) == [0, 0, limits.get("limit", 40)]


@pytest.mark.parametrize("split", [None, "test"])
def test_command_and_api_measure_the_same(whole, split):
    by_command = build_subject(AuditOptions(network(), data=whole, split=split), trains=False)
    batches = [(torch.from_numpy(X[i : i + 7, None]), torch.from_numpy(Y[i : i + 7])) for i in range(0, 60, 7)]
    by_api = subject_from_loaders(network(), batches, split=split)
    assert by_api.data.notes == by_command.data.notes
    assert torch.equal(by_api.outputs(), by_command.outputs())
    assert torch.equal(by_api.data.test.y, by_command.data.test.y)
    assert torch.equal(by_api.data.train.x, by_command.data.train.x)


def test_a_folder_of_one_part_is_one_piece(image_folder, tmp_path):
    image_folder.rename(tmp_path / "test")
    (tmp_path / "all").mkdir()
    (tmp_path / "test").rename(tmp_path / "all" / "test")
    data = load(tmp_path / "all", shares=FOR_MEASURING)
    assert lengths(data) == [8, 4, 28]
    assert lengths(load(tmp_path / "all", split="test")) == [0, 0, 40]


def test_validation_is_taken_out_of_training_and_told():
    x, y = torch.from_numpy(X[:, None]), torch.from_numpy(Y)
    data = subject_from_loaders(network(), [(x, y)], train=[(x, y)]).data
    assert lengths(data) == [48, 12, 60]
    assert "12 samples were taken out of the train part for it" in data.notes[0]


def test_a_part_that_is_cut_from_another_is_told(tmp_path):
    np.savez(tmp_path / "d.npz", x_train=X, y_train=Y, x_test=X[:9], y_test=Y[:9])
    data = load(tmp_path / "d.npz")
    assert lengths(data) == [52, 8, 9]
    assert "no validation part: 8 samples were taken out of the train part" in data.notes[0]


@pytest.mark.parametrize("form", ["npz", "folders", "masks"])
def test_without_a_test_part_the_validation_part_is_measured(tmp_path, form):
    """Its pictures are bright and the training pictures dark: none of these is ever measured."""
    dark, bright = np.zeros((12, 4, 4), np.uint8), np.full((20, 4, 4), 200, np.uint8)
    source, marks = tmp_path / "data", np.arange(32) % 2
    if form == "npz":
        source = tmp_path / "d.npz"
        np.savez(source, x_train=dark, y_train=marks[:12], x_val=bright, y_val=marks[:20])
    for part, pictures in (("train", dark), ("val", bright)) if form != "npz" else ():
        for i, picture in enumerate(pictures):
            place = source / part / ("images" if form == "masks" else str(i % 2))
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(place / f"{i:02d}.png")
            if form == "masks":
                place.with_name("masks").mkdir(exist_ok=True)
                Image.fromarray(np.uint8(picture > 100)).save(place.with_name("masks") / f"{i:02d}.png")
    task = "segmentation" if form == "masks" else None
    data = load(source, task=task)
    assert lengths(data) == [12, 4, 16]
    assert not data.seen_validation
    assert (data.train.x == 0).all()
    assert (data.validation.x == 200).all()
    assert (data.test.x == 200).all()
    assert any("4 of its 20 samples calibrate, 16 are measured" in note for note in data.notes)
    if form != "masks":
        assert torch.bincount(data.test.y).tolist() == [8, 8]  # stratified
    whole = load(source, task=task, split="test")
    assert lengths(whole) == [12, 0, 20]
    assert any("all 20 samples of it" in note for note in whole.notes)


@pytest.mark.parametrize("source", ["digits", "parts"])
def test_what_has_parts_of_its_own_takes_no_split(source, tmp_path):
    np.savez(tmp_path / "d.npz", x_train=X, y_train=Y, x_test=X, y_test=Y)
    with pytest.raises(InputError, match="which has parts of its own"):
        load(tmp_path / "d.npz" if source == "parts" else source, split="test")


def test_what_trains_needs_training_samples(whole):
    with pytest.raises(InputError, match="training samples are needed"):
        build_subject(ExitOptions(network(), data=whole, split="test"))


def test_an_audit_of_all_of_it_measures_all(whole):
    report = audit(
        build_subject(AuditOptions(network(), data=whole, split="test"), trains=False), checks=["accuracy", "ood"]
    )
    assert report.subject["notes"][0].startswith("all 60 samples are measured")
    assert report["ood"].grade == "n/a"
    assert "on 60" in report["accuracy"].summary or "of 60" in report["accuracy"].summary
