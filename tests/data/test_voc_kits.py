"""Kits of PASCAL-VOC: lists say the parts, coordinates count from 1, difficult boxes count neither way."""

import numpy as np
import pytest
from PIL import Image

from deepwright.core.errors import InputError
from deepwright.data import load

PARTS = {"train": ("a", "b", "c"), "val": ("d", "e")}
OBJECT = (
    "<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax>"
    "<ymax>{}</ymax></bndbox></object>"
)


def kit(root):
    """As the development kit is laid out: more pictures than the lists have, and maps of some of them."""
    for folder in ("JPEGImages", "Annotations", "SegmentationClass", "ImageSets/Main", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    for i, stem in enumerate("abcdefg"):
        Image.new("RGB", (20, 10), (30 * i, 0, 0)).save(root / "JPEGImages" / f"{stem}.jpg")
        boxes = OBJECT.format("cat", 0, 1, 1, 20, 10) + OBJECT.format("dog", 1, 3, 2, 4 + i, 5)
        (root / "Annotations" / f"{stem}.xml").write_text(f"<annotation>{boxes}</annotation>")
    for i, stem in enumerate("adeg"):
        ids = np.full((10, 20), i, np.uint8)
        ids[0] = 255
        image = Image.fromarray(ids, "P")
        image.putpalette(list(range(256)) * 3)
        image.save(root / "SegmentationClass" / f"{stem}.png")
    for name, stems in PARTS.items():
        (root / "ImageSets/Main" / f"{name}.txt").write_text("".join(f"{stem}\n" for stem in stems))
        (root / "ImageSets/Main" / f"cat_{name}.txt").write_text("".join(f"{stem}  1\n" for stem in stems))
    (root / "ImageSets/Main/trainval.txt").write_text("\n".join([*PARTS["train"], *PARTS["val"]]))
    (root / "ImageSets/Segmentation/train.txt").write_text("a\n")
    (root / "ImageSets/Segmentation/val.txt").write_text("d\ne\n")
    return root


def reds(split):
    return sorted(round(float(x[0].float().mean()) / 30) for x in split.x)


def test_lists_say_the_parts_and_difficult_boxes_do_not_count(tmp_path):
    data = load(kit(tmp_path), split="test")
    assert data.classes == ("cat", "dog")
    assert (reds(data.train), reds(data.test)) == ([0, 1, 2], [3, 4])
    for truth in data.test.y:
        assert truth.boxes.tolist() == [[0, 0, 20, 10]]  # pixels 1 to 20 and 1 to 10 are all of the picture
        assert truth.labels.tolist() == [0]
    assert any("ImageSets/Main" in note for note in data.notes)


def test_maps_of_the_listed_pictures(tmp_path):
    data = load(kit(tmp_path), task="segmentation", split="test")
    assert (reds(data.train), reds(data.test)) == ([0], [3, 4])
    assert [sorted(y.unique().tolist()) for y in data.test.y] == [[1, 255], [2, 255]]
    assert bool((data.test.y[:, 0] == 255).all())


def test_trainval_trains_beside_test(tmp_path):
    root = kit(tmp_path)
    for name in PARTS:
        (root / "ImageSets/Main" / f"{name}.txt").unlink()
    (root / "ImageSets/Main/test.txt").write_text("f\ng\n")
    data = load(root)
    assert reds(data.test) == [5, 6]
    assert sorted([*reds(data.train), *reds(data.validation)]) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("Main/val.txt", "a\n", "'a' twice"),
        ("Main/val.txt", "\n", "no name"),
        ("Main/val.txt", "../../x\n", "without folders"),
        ("Main/val.txt", "z\n", "z.xml"),
    ],
)
def test_lists_that_cannot_be_followed_are_refused(tmp_path, name, text, words):
    root = kit(tmp_path)
    (root / "ImageSets" / name).write_text(text)
    with pytest.raises(InputError, match=words):
        load(root)
