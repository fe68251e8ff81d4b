"""The parts that a YOLO `data.yaml` names: folders, lists, several of either, and what is refused."""

import numpy as np
import pytest
import torch
from PIL import Image

from deepwright.core.errors import InputError
from deepwright.data import load, load_boxes

PARTS = {"a": range(12), "b": range(12, 16), "c": range(16, 19)}  # folders whose names say no part


def column(i):
    return 2 + i % 8


@pytest.fixture
def root(tmp_path):
    """Pictures with one box each, whose place tells the picture; the same file names in all folders."""
    for folder, numbers in PARTS.items():
        (tmp_path / "images" / folder).mkdir(parents=True)
        (tmp_path / "labels" / folder).mkdir(parents=True)
        for place, i in enumerate(numbers):
            image = np.full((16, 16, 3), i, np.uint8)
            Image.fromarray(image).save(tmp_path / "images" / folder / f"{place:02d}.png")
            line = f"0 {column(i) / 16} 0.5 0.25 0.25\n"
            (tmp_path / "labels" / folder / f"{place:02d}.txt").write_text(line)
    return tmp_path


def said(root, text):
    (root / "data.yaml").write_text(f"names: [can]\n{text}")
    return root


def listed(root):
    for part, folder in (("train", "a"), ("val", "b")):
        names = sorted(file.name for file in (root / "images" / folder).iterdir())
        (root / f"{part}.txt").write_text("".join(f"./images/{folder}/{name}\n" for name in names))
    return "train: train.txt\nval: val.txt\ntest: images/c\n"


LAYOUTS = {
    "folders": lambda root: "train: images/a\nval: images/b\ntest: images/c\n",
    "exported": lambda root: "train: ../images/a\nval: ../images/b\ntest: ../images/c\n",
    "from a base": lambda root: "path: images\ntrain: a\nval: b\ntest: c\n",
    "from a base elsewhere": lambda root: "path: /data/cans\ntrain: images/a\nval: images/b\ntest: images/c\n",
    "lists": listed,
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_parts_are_those_of_the_file(root, layout):
    data = load_boxes(said(root, layout(root)))
    assert any("parts are those of data.yaml" in note for note in data.notes)
    for split, numbers in zip((data.train, data.validation, data.test), PARTS.values(), strict=True):
        assert split.inputs()[:, 0, 0, 0].mul(255).round().tolist() == [*numbers]
        assert all(
            torch.allclose(image.boxes, torch.tensor([[column(i) - 2.0, 6, column(i) + 2, 10]]), atol=1e-4)
            for image, i in zip(split.y, numbers, strict=True)
        )


def test_the_file_names_its_folder(root):
    said(root, "train: images/a\nval: images/b\ntest: images/c\n")
    assert torch.equal(load(root / "data.yaml").test.inputs(), load(root).test.inputs())


def test_several_folders_of_one_part(root):
    data = load_boxes(said(root, "train: [images/a, images/c]\nval: images/b\n"))
    assert len(data.train) == 15


def test_a_line_that_leads_nowhere_is_told(root):
    data = load_boxes(said(root, "train: images/a\nval: images/b\ntest: images/none\n"))
    assert any("test: images/none" in note for note in data.notes)


def test_outlines_count_as_their_boxes(root):
    (root / "labels" / "c" / "00.txt").write_text("0 0.25 0.25 0.75 0.25 0.5 0.5\n")
    data = load_boxes(said(root, "train: images/a\nval: images/b\ntest: images/c\n"))
    assert data.test.y[0].boxes.tolist() == [[4, 4, 12, 8]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("train: images/a\nval: images/a\n", "in train and in validation"),
        ("train: images/a\nval: wrong.txt\n", "images/d/none.png"),
        ("train: images/a\nval: outside.txt\n", "/etc/passwd"),
        ("train: images/a\nval: empty.txt\n", "no picture"),
        ("train: images/a\nkpt_shape: [17, 3]\n", "key points"),
        ("train: [\n", "cannot read"),
        ("- a\n", "cannot read"),
    ],
)
def test_files_that_are_refused(root, text, words):
    (root / "wrong.txt").write_text("images/d/none.png\n")
    (root / "outside.txt").write_text("/etc/passwd\n")
    (root / "empty.txt").write_text("\n")
    said(root, text) if text.startswith(("train", "val")) else (root / "data.yaml").write_text(text)
    with pytest.raises(InputError, match=words):
        load_boxes(root)


def test_texts_that_fit_no_picture(root):
    for folder in PARTS:
        (root / "labels" / folder).rename(root / f"texts-{folder}")
    with pytest.raises(InputError, match="no text file for any"):
        load_boxes(said(root, "train: images/a\nval: images/b\n"))


@pytest.mark.parametrize("names", ['[can, ""]', "{0: can, 1: }", "[can, null]"])
def test_a_class_without_a_name(root, names):
    (root / "data.yaml").write_text(f"names: {names}\ntrain: images/a\nval: images/b\n")
    with pytest.raises(InputError, match="empty name"):
        load_boxes(root)
