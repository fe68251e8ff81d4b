"""Folders with boxes and label maps, tables of numbers and of labels: the same content in every layout people have."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from deepwright.core.errors import InputError
from deepwright.data import load, load_boxes, load_masks, load_targets

BOX = (10, 8, 30, 24)  # the object of every second picture
N = 12


def picture(i, size=(48, 40)):
    image = np.full((size[1], size[0], 3), 40 + i, np.uint8)
    if i % 2:
        image[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 200
    return Image.fromarray(image)


def coco(numbers):
    return {
        "images": [{"id": i, "file_name": f"{i:02d}.png"} for i in numbers],
        "categories": [{"id": 5, "name": "can"}, {"id": 2, "name": "bottle"}],
        "annotations": [
            {"image_id": i, "category_id": 5, "bbox": [BOX[0], BOX[1], BOX[2] - BOX[0], BOX[3] - BOX[1]]}
            for i in numbers
            if i % 2
        ],
    }


def voc(i):
    names = dict(zip(("xmin", "ymin", "xmax", "ymax"), BOX))
    box = "".join(f"<{k}>{v}</{k}>" for k, v in names.items())
    inside = f"<object><name>can</name><bndbox>{box}</bndbox></object>" if i % 2 else ""
    return f"<annotation>{inside}</annotation>"


def yolo(i):
    x1, y1, x2, y2 = BOX
    return f"1 {(x1 + x2) / 96} {(y1 + y2) / 80} {(x2 - x1) / 48} {(y2 - y1) / 40}\n" if i % 2 else ""


def write(folder, numbers):
    folder.mkdir(parents=True, exist_ok=True)
    for i in numbers:
        picture(i).save(folder / f"{i:02d}.png")


def coco_flat(root):
    write(root, range(N))
    (root / "marks.json").write_text(json.dumps(coco(range(N))))


def coco_annotations(root):
    write(root / "images", range(N))
    (root / "annotations").mkdir()
    (root / "annotations" / "instances_all.json").write_text(json.dumps(coco(range(N))))


def voc_devkit(root):
    write(root / "JPEGImages", range(N))
    (root / "Annotations").mkdir()
    for i in range(N):
        (root / "Annotations" / f"{i:02d}.xml").write_text(voc(i))


def yolo_labels(root):
    write(root / "images", range(N))
    (root / "labels").mkdir()
    for i in range(N):
        (root / "labels" / f"{i:02d}.txt").write_text(yolo(i))
    (root / "data.yaml").write_text("nc: 2\nnames: [bottle, can]\n")


@pytest.mark.parametrize("layout", [coco_flat, coco_annotations, voc_devkit, yolo_labels])
def test_one_piece_of_boxes(tmp_path, layout):
    layout(tmp_path)
    data = load(tmp_path, split="test")
    assert data.kind == "detection"
    assert data.classes == (("can",) if layout is voc_devkit else ("bottle", "can"))
    assert data.shape == (3, 40, 48)
    assert len(data.test) == N
    found = [image for image in data.test.y if len(image)]
    assert len(found) == N // 2
    assert all(torch.allclose(image.boxes, torch.tensor([BOX]).float(), atol=1e-3) for image in found)
    assert {data.classes[int(image.labels[0])] for image in found} == {"can"}
    assert any("labels are 0" in note for note in data.notes)


def coco_parts(root):
    (root / "annotations").mkdir()
    for part, numbers in (("train2017", range(8)), ("val2017", range(8, 12))):
        write(root / part, numbers)
        (root / "annotations" / f"instances_{part}.json").write_text(json.dumps(coco(numbers)))


def yolo_parts(root):
    for part, numbers in (("train", range(8)), ("val", range(8, 12))):
        write(root / "images" / part, numbers)
        (root / "labels" / part).mkdir(parents=True)
        for i in numbers:
            (root / "labels" / part / f"{i:02d}.txt").write_text(yolo(i))
    (root / "data.yaml").write_text("names:\n  0: bottle\n  1: can\n")


def coco_folders(root):
    for part, numbers in (("train", range(8)), ("valid", range(8, 12))):
        write(root / part, numbers)
        (root / part / "_annotations.coco.json").write_text(json.dumps(coco(numbers)))


def voc_lists(root):
    voc_devkit(root)
    home = root / "ImageSets" / "Main"
    home.mkdir(parents=True)
    (home / "train.txt").write_text("\n".join(f"{i:02d}" for i in range(8)))
    (home / "val.txt").write_text("\n".join(f"{i:02d}" for i in range(8, 12)))
    (home / "trainval.txt").write_text("\n".join(f"{i:02d}" for i in range(12)))
    (home / "can_val.txt").write_text("08 1\n09 -1\n")


def yolo_lists(root):
    yolo_labels(root)
    (root / "train.txt").write_text("\n".join(f"./images/{i:02d}.png" for i in range(8)))
    (root / "val.txt").write_text("\n".join(f"./images/{i:02d}.png" for i in range(8, 12)))
    (root / "data.yaml").write_text("train: train.txt\nval: val.txt\nnames: [bottle, can]\n")


@pytest.mark.parametrize("layout", [coco_parts, yolo_parts, coco_folders, voc_lists, yolo_lists])
def test_parts_of_boxes(tmp_path, layout):
    layout(tmp_path)
    data = load_boxes(tmp_path)
    assert (len(data.train), len(data.validation), len(data.test)) == (8, 1, 3)
    assert sum(len(image) for part in (data.validation, data.test) for image in part.y) == 2
    assert any("no test part" in note for note in data.notes)


@pytest.mark.parametrize(
    ("layout", "file"), [(voc_lists, "ImageSets/Main/val.txt"), (yolo_lists, "val.txt")], ids=["voc", "yolo"]
)
def test_lists_that_overlap_or_name_what_is_not_there(tmp_path, layout, file):
    layout(tmp_path)
    usual = (tmp_path / file).read_text()
    (tmp_path / file).write_text(usual + "\n" + usual.split()[0].replace("08", "07"))
    with pytest.raises(InputError, match="in one part"):
        load_boxes(tmp_path)
    (tmp_path / file).write_text(usual + "\n" + usual.split()[0].replace("08", "99"))
    with pytest.raises(InputError, match="99"):
        load_boxes(tmp_path)


@pytest.mark.parametrize(
    ("layout", "places"),
    [
        (coco_parts, {"annotations/instances_val2017.json": "annotations/instances_val2014.json"}),
        (coco_folders, {"valid": "val"}),
        (yolo_parts, {"images/val": "images/valid", "labels/val": "labels/valid"}),
    ],
)
def test_two_of_one_part_are_refused(tmp_path, layout, places):
    """One of them would be passed over."""
    layout(tmp_path)
    for place, another in places.items():
        copied = shutil.copytree if (tmp_path / place).is_dir() else shutil.copy
        copied(tmp_path / place, tmp_path / another)
    with pytest.raises(InputError, match="both the validation part"):
        load_boxes(tmp_path)


def test_labels_that_could_be_read_as_others_are_refused(tmp_path):
    """Class numbers with a gap, two categories of one number or name."""
    yolo_labels(tmp_path / "yolo")
    (tmp_path / "yolo" / "data.yaml").write_text("names:\n  0: bottle\n  2: can\n")
    with pytest.raises(InputError, match=r"not 0 to 1"):
        load_boxes(tmp_path / "yolo")
    for more, words in (({"id": 5, "name": "cup"}, "id of a category"), ({"id": 7, "name": "can"}, "name of a")):
        marks = coco(range(N))
        marks["categories"].append(more)
        write(tmp_path / "coco", range(N))
        (tmp_path / "coco" / "marks.json").write_text(json.dumps(marks))
        with pytest.raises(InputError, match=words):
            load_boxes(tmp_path / "coco")


def test_classes_of_boxes_in_the_networks_order(tmp_path):
    voc_devkit(tmp_path)
    data = load_boxes(tmp_path, classes=("cup", "can"), split="test")
    assert data.classes == ("cup", "can")
    assert {int(image.labels[0]) for image in data.test.y if len(image)} == {1}


def test_pictures_of_two_sizes_need_one(tmp_path):
    coco_flat(tmp_path)
    picture(0, (96, 80)).save(tmp_path / "00.png")
    with pytest.raises(InputError, match=r"say --size N"):
        load_boxes(tmp_path)
    data = load_boxes(tmp_path, size=(20, 24), split="test")
    assert torch.allclose(data.test.y[1].boxes, torch.tensor([BOX]) / 2.0)


def test_boxes_without_class_names(tmp_path):
    yolo_labels(tmp_path)
    (tmp_path / "data.yaml").unlink()
    with pytest.raises(InputError, match=r"--classes"):
        load_boxes(tmp_path)


# -- label maps ------------------------------------------------------------------------------------------------------


def label_map(i, values=(0, 1, 255)):
    ids = np.full((40, 48), values[0], np.uint8)
    if i % 2:
        ids[BOX[1] : BOX[3], BOX[0] : BOX[2]] = values[1]
    ids[:2] = values[-1]
    return Image.fromarray(ids)


def masks_beside(root, values=(0, 1, 255)):
    write(root / "images", range(N))
    (root / "masks").mkdir()
    for i in range(N):
        label_map(i, values).save(root / "masks" / f"{i:02d}_mask.png")


def masks_of_parts(root):
    for part, numbers in (("train", range(6)), ("val", range(6, 9)), ("test", range(9, 12))):
        write(root / part, numbers)
        (root / f"{part}annot").mkdir()
        for i in numbers:
            label_map(i).save(root / f"{part}annot" / f"{i:02d}.png")


def masks_below_parts(root):
    for part, numbers in (("train", range(6)), ("val", range(6, 9)), ("test", range(9, 12))):
        write(root / part / "images", numbers)
        (root / part / "labels").mkdir()
        for i in numbers:
            label_map(i).save(root / part / "labels" / f"{i:02d}.png")


@pytest.mark.parametrize("layout", [masks_beside, masks_of_parts, masks_below_parts])
def test_label_maps(tmp_path, layout):
    layout(tmp_path)
    data = load(tmp_path)
    assert data.kind == "segmentation"
    assert data.classes == ("0", "1")
    assert len(data.train) + len(data.validation) + len(data.test) == N
    if layout is not masks_beside:
        assert (len(data.train), len(data.validation), len(data.test)) == (6, 3, 3)
    for x, y in zip(data.test.x, data.test.y):
        there = torch.zeros(40, 48, dtype=torch.bool)
        there[BOX[1] : BOX[3], BOX[0] : BOX[2]] = bool(x[0, 15, 15] == 200)
        assert torch.equal(y == 1, there)
        assert bool((y[:2] == 255).all())


@pytest.mark.parametrize("layout", [masks_beside, coco_flat])
def test_a_limit_is_told(tmp_path, layout):
    layout(tmp_path)
    data = load(tmp_path, split="test", limit=5)
    assert len(data.test) == 5
    assert any(f"5 of {N} test samples" in note for note in data.notes)


def test_a_picture_of_no_part_is_refused_beside_parts(tmp_path):
    masks_of_parts(tmp_path)
    for folder, content in (("pictures", picture(0)), ("masks", label_map(0))):
        (tmp_path / folder).mkdir()
        content.save(tmp_path / folder / "lost.png")
    with pytest.raises(InputError, match="1 samples of no part beside"):
        load_masks(tmp_path)


def test_masks_of_0_and_255_are_two_classes(tmp_path):
    masks_beside(tmp_path, (0, 255, 0))
    data = load_masks(tmp_path, classes=("nothing", "something"), split="test")
    assert data.test.y.unique().tolist() == [0, 1]
    assert any("two classes" in note for note in data.notes)


def test_label_maps_are_resized_without_new_classes(tmp_path):
    masks_beside(tmp_path)
    data = load_masks(tmp_path, size=(20, 24), split="test")
    assert data.test.y.shape[1:] == data.test.x.shape[2:] == (20, 24)
    assert set(data.test.y.unique().tolist()) <= {0, 1, 255}


def test_maps_that_are_none(tmp_path):
    masks_beside(tmp_path, (0, 7, 255))
    with pytest.raises(InputError, match=r"class 7.*0\.\.1, or 255"):
        load_masks(tmp_path, classes=("a", "b"))
    picture(0).save(tmp_path / "masks" / "00_mask.png")
    with pytest.raises(InputError, match="in colours"):
        load_masks(tmp_path)
    (tmp_path / "masks" / "00_mask.png").unlink()
    with pytest.raises(InputError, match="1 pictures without a map"):
        load_masks(tmp_path)


def test_class_folders_stay_class_folders(tmp_path):
    for name in ("labels", "other"):
        write(tmp_path / name, range(N))  # colours: no maps
    assert load(tmp_path).kind == "image"


# -- tables ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 2))
    rows = ["a,b,price,weight,red,round"]
    rows += [f"{a},{b},{2 * a + 1},{100 * b},{int(a > 0)},{int(b > 0)}" for a, b in x]
    (tmp_path / "t.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "t.csv"


def test_numbers_of_a_table(table):
    data = load_targets(table, ["price", "weight"], labels=False)
    assert data.classes == ()
    assert data.features == ("a", "b", "red", "round")
    x = data.test.x * data.scale + data.center
    assert torch.allclose(data.test.y, torch.stack([2 * x[:, 0] + 1, 100 * x[:, 1]], 1), atol=1e-3)
    assert torch.equal(load(table, target=["price", "weight"]).test.y, data.test.y)
    assert load(table, target="price", task="regression").test.y.shape[1] == 1


def test_labels_of_a_table(table):
    data = load(table, target=["red", "round"])
    assert data.classes == ("red", "round")
    x = data.test.x * data.scale + data.center
    assert torch.equal(data.test.y, (x[:, :2] > 0).long())


@pytest.mark.parametrize("targets", [["price", "weight"], ["red", "holes"]])
def test_targets_of_parquet_are_those_of_a_csv(table, targets):
    """Holes in inputs and targets go with their rows, columns aside stay beside, and streams give the same bits."""
    rows = pd.read_csv(table)
    rows["holes"] = (rows["round"] > 0).astype(object)
    rows.loc[3, "a"], rows.loc[7, targets[1]] = np.nan, None
    rows.to_csv(table, index=False)
    rows.to_parquet(table.with_suffix(".parquet"))
    options = {"target": targets, "skip_broken": True, "aside": ["round"]}
    known, stored = load(table, **options), load(table.with_suffix(".parquet"), **options)
    streamed = load(table.with_suffix(".parquet"), stream=True, **options)
    whole = rows.dropna()
    for part in ("train", "validation", "test"):
        one, *others = (getattr(data, part) for data in (known, stored, streamed))
        places = [int((whole["b"] - b).abs().argmin()) for b in (one.x * known.scale + known.center)[:, 1].tolist()]
        expected = whole[targets].iloc[places].to_numpy().astype(np.float32)
        assert np.array_equal(one.y.numpy(), expected)
        assert one.columns["round"].tolist() == whole["round"].iloc[places].tolist()
        for other in others:
            assert torch.equal(other.inputs(), one.inputs())
            assert torch.equal(other.y, one.y)
    assert "round" not in known.features
    assert "2 rows" in known.notes[-1]


def test_a_fraction_is_no_class_and_the_word_is_told(table):
    with pytest.raises(InputError, match="--task regression"):
        load(table, target="price")
    with pytest.raises(InputError, match="0 and 1"):
        load(table, target=["price", "red"], task="multilabel")
