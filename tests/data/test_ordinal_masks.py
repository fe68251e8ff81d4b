"""Label maps stored as grey levels in steps, in a folder of their own."""

import numpy as np
import pytest
from PIL import Image

from deepwright.core.errors import InputError
from deepwright.data import load_ordinal_masks


def folder(root, levels, ending="bmp", parts=("",)):
    for part in parts:
        for home in ("pictures", "maps"):
            (root / home / part).mkdir(parents=True, exist_ok=True)
        for i in range(12):
            Image.fromarray(np.full((4, 6), i, np.uint8)).save(root / "pictures" / part / f"{i}.png")
            grey = np.array(levels, np.uint8)[np.arange(24).reshape(4, 6) % len(levels)]
            Image.fromarray(grey).save(root / "maps" / part / f"{i}.{ending}")
    return root / "pictures", root / "maps"


def test_levels_are_classes(tmp_path):
    data = load_ordinal_masks(*folder(tmp_path, [0, 60, 120]), classes=("skin", "iris", "pupil"))
    assert (data.kind, data.classes) == ("segmentation", ("skin", "iris", "pupil"))
    assert data.train.y[0].tolist() == (np.arange(24).reshape(4, 6) % 3).tolist()
    assert not any("read as" in note for note in data.notes)
    assert load_ordinal_masks(*folder(tmp_path, [0, 60, 120]), size=(8, 12)).test.y.unique().tolist() == [0, 1, 2]


def test_parts_are_those_of_the_folders(tmp_path):
    data = load_ordinal_masks(*folder(tmp_path, [0, 100], "png", ("train", "val", "test")), scale=100)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [12, 12, 12]


def test_a_gap_before_the_last_class_is_closed_and_told(tmp_path):
    data = load_ordinal_masks(*folder(tmp_path, [0, 60, 120, 240]))
    assert data.train.y.unique().tolist() == [0, 1, 2, 3]
    assert "no label map holds class 3: class 4 is read as 3" in data.notes
    assert load_ordinal_masks(*folder(tmp_path, [0, 180, 240])).train.y.unique().tolist() == [0, 3, 4]


def test_what_cannot_be_labels_is_refused(tmp_path):
    pictures, maps = folder(tmp_path, [0, 60, 90])
    with pytest.raises(InputError, match="level 90, no multiple of 60"):
        load_ordinal_masks(pictures, maps)
    (maps / "3.bmp").unlink()
    with pytest.raises(InputError, match=r"1 pictures without a map: 3.png"):
        load_ordinal_masks(pictures, maps)
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(maps / "3.png")
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(maps / "4.png")
    with pytest.raises(InputError, match="one a picture"):
        load_ordinal_masks(pictures, maps)
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(maps / "3.jpg")
    with pytest.raises(InputError, match="JPEG"):
        load_ordinal_masks(pictures, maps)
    with pytest.raises(InputError, match="2 names"):
        load_ordinal_masks(*folder(tmp_path / "other", [0, 60, 120]), classes=("a", "b"))


def test_a_class_that_has_a_name_is_left_where_it_is(tmp_path):
    names = ("skin", "iris", "pupil", "lens", "glint")
    data = load_ordinal_masks(*folder(tmp_path, [0, 60, 120, 240]), classes=names)
    assert data.train.y.unique().tolist() == [0, 1, 2, 4]
    assert not any("read as" in note for note in data.notes)
    assert load_ordinal_masks(*folder(tmp_path, [0, 60, 120, 240]), classes=names[:4]).train.y.max() == 3
