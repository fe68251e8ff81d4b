"""Recordings of three layouts, written here as their programs write them, and what strangers may put into them."""

import json
import math
import zipfile

import pytest
import torch
from PIL import Image

from deepwright.core.errors import InputError
from deepwright.corruptions.driving import read_recording, recordings

ANGLES = (0.5, -0.25, 0.0)


def picture(path, level, size=(16, 12)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, level, level)).save(path)


def tub(folder, deleted=()):
    """Tub v2, of two catalogues."""
    rows = [
        {"_index": i, "cam/image_array": f"{i}_cam.png", "user/angle": a, "user/throttle": 0.1 * i}
        for i, a in enumerate(ANGLES)
    ]
    for row in rows:
        picture(folder / "images" / row["cam/image_array"], 50 * row["_index"])
    lines = [json.dumps(row) for row in rows]
    (folder / "catalog_0.catalog").write_text("\n".join(lines[:2]) + "\n")
    (folder / "catalog_1.catalog").write_text(lines[2] + "\n")
    manifest = {
        "paths": ["catalog_0.catalog", "catalog_1.catalog"],
        "current_index": 3,
        "deleted_indexes": list(deleted),
    }
    head = [["cam/image_array", "user/angle"], ["image_array", "float"], {}, {"created_at": 0.0}]
    (folder / "manifest.json").write_text("\n".join(json.dumps(part) for part in (*head, manifest)))
    return folder


def old_tub(folder, named=True):
    for i, angle in enumerate(ANGLES):
        picture(folder / f"{i + 9}_cam-image_array_.png", 50 * i)
        row = {"user/angle": angle, "user/throttle": 0.1 * i}
        if named:
            row["cam/image_array"] = f"{i + 9}_cam-image_array_.png"
        (folder / f"record_{i + 9}.json").write_text(json.dumps(row))
    return folder


def log(folder, heading=False):
    lines = ["center,left,right,steering,throttle,brake,speed"] if heading else []
    for i, angle in enumerate(ANGLES):
        picture(folder / "IMG" / f"center_{i}.png", 50 * i)
        lines.append(rf"C:\Users\someone\data\IMG\center_{i}.png, left.jpg, right.jpg, {angle}, {0.1 * i}, 0, 5.2")
    (folder / "driving_log.csv").write_text("\n".join(lines))
    return folder


LAYOUTS = {
    "tub v2": tub,
    "old tub": old_tub,
    "old tub without names": lambda folder: old_tub(folder, named=False),
    "log": log,
    "log with a heading": lambda folder: log(folder, heading=True),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_steering_is_in_radians_to_the_left_and_pictures_in_the_order_driven(layout, tmp_path):
    data = read_recording(LAYOUTS[layout](tmp_path / "a"), size=(8, 10), max_steering=0.4)
    assert data.pictures.shape == (3, 1, 8, 10)
    assert data.actions[:, 0].tolist() == pytest.approx([-0.4 * a for a in ANGLES])
    assert data.actions[:, 1].tolist() == pytest.approx([0.0, 0.1, 0.2])
    assert data.pictures.mean((1, 2, 3)).tolist() == pytest.approx([0, 50 / 255, 100 / 255], abs=1e-6)


def test_size_colour_limit_and_zip_files(tmp_path):
    folder = tub(tmp_path / "car" / "tub")
    data = read_recording(tmp_path / "car", size=None, rgb=True, limit=2)  # it lies one folder further down
    assert data.pictures.shape == (2, 3, 12, 16)
    assert float(data.actions[0, 0]) == pytest.approx(-0.5 * math.radians(25))
    with zipfile.ZipFile(tmp_path / "tub.zip", "w") as packed:
        for file in folder.rglob("*"):
            packed.write(file, file.relative_to(folder.parent))
    zipped = read_recording(tmp_path / "tub.zip", size=None, rgb=True, limit=2)
    assert torch.equal(zipped.pictures, data.pictures)
    assert torch.equal(zipped.actions, data.actions)


def test_one_of_several_is_not_picked_in_silence(tmp_path):
    tub(tmp_path / "monday")
    log(tmp_path / "tuesday")
    with pytest.raises(InputError, match="2 of them, in monday, tuesday"):
        read_recording(tmp_path)
    both = read_recording(tmp_path / "monday", size=(8, 8)) + read_recording(tmp_path / "tuesday", size=(8, 8))
    assert len(both) == 6


def test_deleted_records_are_left_out(tmp_path):
    data = read_recording(tub(tmp_path, deleted=[1]), size=(8, 8))
    assert data.actions[:, 1].tolist() == pytest.approx([0.0, 0.2])


def renamed(folder, name):
    """A tub whose first record names another picture."""
    tub(folder)
    file = folder / "catalog_0.catalog"
    file.write_text(file.read_text().replace("0_cam.png", name))
    return folder


@pytest.mark.parametrize("name", ["../secret.png", "/etc/secret.png", "images/../../secret.png", "9_cam.png"])
def test_pictures_outside_are_refused(name, tmp_path):
    picture(tmp_path / "secret.png", 9)
    with pytest.raises(InputError, match="which isn't in"):
        read_recording(renamed(tmp_path / "tub", name))


def test_links_that_lead_outside_are_refused(tmp_path):
    folder = tub(tmp_path / "tub")
    picture(tmp_path / "secret.png", 9)
    (folder / "images" / "0_cam.png").unlink()
    (folder / "images" / "0_cam.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(InputError, match="which isn't in"):
        read_recording(folder)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("0.5", "NaN", "a number from -1 to 1"),
        ("0.5", "12", "a number from -1 to 1"),
        ("0.5", '"left"', "a number from -1 to 1"),
        ("0_cam.png", "0_cam.exe", "the name of a"),
        ('{"_index": 0', '["_index", 0', "a JSON object"),
        ('{"_index": 0', "[" * 100_000, "a JSON object"),
    ],
)
def test_records_that_are_none_are_named(old, new, words, tmp_path):
    folder = tub(tmp_path)
    file = folder / "catalog_0.catalog"
    file.write_text(file.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match="line 1 of") as refused:
        read_recording(folder)
    assert words in str(refused.value)


def test_texts_and_recordings_of_any_size_are_refused(tmp_path, monkeypatch):
    folder = tub(tmp_path)
    monkeypatch.setattr(recordings, "_MOST", 2)
    with pytest.raises(InputError, match="more than 2 pictures"):
        read_recording(folder)
    monkeypatch.setattr(recordings, "_LARGEST_TEXT", 10)
    with pytest.raises(InputError, match="MiB"):
        read_recording(folder)
