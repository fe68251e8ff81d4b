"""The same two pictures in three formats give the same boxes."""

import json

import pytest
import torch
from PIL import Image

from deepwright.core.errors import InputError
from deepwright.data import load_coco, load_voc, load_yolo

BOXES = {"a": [(10, 20, 50, 60, "can", 0)], "b": [], "c": [(0, 0, 100, 80, "bottle", 1)]}
XML = "<annotation>{}</annotation>"
OBJECT = (
    "<object><name>{4}</name><difficult>{5}</difficult><bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax>"
    "<ymax>{3}</ymax></bndbox></object>"
)


@pytest.fixture
def folder(tmp_path):
    for name in BOXES:
        Image.new("RGB", (100, 80), (40, 80, 120)).save(tmp_path / f"{name}.png")
    return tmp_path


def check(data):
    assert data.classes == ("bottle", "can")
    assert data.images.shape == (3, 1, 40, 200)
    assert torch.allclose(data.truth[0].boxes, torch.tensor([[20.0, 10, 100, 30]]))
    assert data.truth[0].labels.tolist() == [1]
    assert len(data.truth[1]) == 0


def test_voc(folder):
    for name, boxes in BOXES.items():
        (folder / f"{name}.xml").write_text(XML.format("".join(OBJECT.format(*b) for b in boxes)))
    data = load_voc(folder, (40, 200))
    check(data)
    assert data.occupied.tolist() == [1, 0, -1]  # the third holds only a box that doesn't count
    (folder / "a.xml").write_text("<annotation><object>")
    with pytest.raises(InputError, match=r"a\.xml"):
        load_voc(folder, (40, 200))
    (folder / "a.xml").write_text(XML.format(OBJECT.format(10, 20, 150, 60, "can", 0)))
    with pytest.raises(InputError, match=r"a box of a\.png.*x2 <= 100"):
        load_voc(folder, (40, 200))


def test_coco(folder):
    content = {
        "images": [{"id": i, "file_name": f"{n}.png"} for i, n in enumerate(BOXES)],
        "categories": [{"id": 3, "name": "bottle"}, {"id": 7, "name": "can"}],
        "annotations": [
            {"image_id": 0, "category_id": 7, "bbox": [10, 20, 40, 40]},
            {"image_id": 2, "category_id": 3, "bbox": [0, 0, 100, 80], "iscrowd": 1},
        ],
    }
    (folder / "marks.json").write_text(json.dumps(content))
    data = load_coco(folder / "marks.json", folder, (40, 200))
    check(data)
    assert data.occupied.tolist() == [1, 0, -1]
    (folder / "marks.json").write_text("{}")
    with pytest.raises(InputError, match="COCO"):
        load_coco(folder / "marks.json", folder, (40, 200))


SIZE = "<size><width>{}</width><height>{}</height></size>"


def test_the_size_that_is_said_is_the_pictures(folder):
    marks, xml = folder / "marks.json", folder / "a.xml"
    image, category = {"id": 0, "file_name": "a.png"}, [{"id": 1, "name": "can"}]
    boxes = [{"image_id": 0, "category_id": 1, "bbox": [10, 20, 40, 40]}]
    for width, height in ((100, 80), (0, 0)):  # 0: some tools don't know it
        said = [image | {"width": width, "height": height}]
        marks.write_text(json.dumps({"images": said, "categories": category, "annotations": boxes}))
        xml.write_text(XML.format(SIZE.format(width, height) + OBJECT.format(10, 20, 50, 60, "can", 0)))
        for data in (load_coco(marks, folder, (80, 100)), load_voc(folder, (80, 100))):
            assert data.truth[0].boxes.tolist() == [[10, 20, 50, 60]]
    said = [image | {"width": 200, "height": 160}]
    marks.write_text(json.dumps({"images": said, "categories": category, "annotations": boxes}))
    xml.write_text(XML.format(SIZE.format(200, 160) + OBJECT.format(10, 20, 50, 60, "can", 0)))
    for load in (lambda: load_coco(marks, folder, (80, 100)), lambda: load_voc(folder, (80, 100))):
        with pytest.raises(InputError, match=r"a\.png.*200 x 160.*100 x 80"):
            load()


@pytest.mark.parametrize("name", ["", " "])
def test_an_object_without_a_class(folder, name):
    (folder / "a.xml").write_text(XML.format(OBJECT.format(10, 20, 50, 60, name, 0)))
    with pytest.raises(InputError, match=r"a\.xml.*name of an object"):
        load_voc(folder, (80, 100))
    category = [{"id": 1, "name": name}]
    content = {"images": [{"id": 0, "file_name": "a.png"}], "categories": category, "annotations": []}
    (folder / "marks.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="name of a category"):
        load_coco(folder / "marks.json", folder, (80, 100))


def test_yolo(folder):
    (folder / "labels").mkdir()
    (folder / "labels" / "a.txt").write_text("1 0.3 0.5 0.4 0.5\n")
    check(load_yolo(folder, (40, 200), ["bottle", "can"]))
    for line in ("9 0.3 0.5 0.4 0.5\n", "-1 0.3 0.5 0.4 0.5\n"):
        (folder / "labels" / "b.txt").write_text(line)
        with pytest.raises(InputError, match=r"b\.txt, line 1"):
            load_yolo(folder, (40, 200), ["bottle", "can"])


def test_pictures_of_one_name_in_two_folders(tmp_path):
    for part, shade in (("x", 0), ("y", 255)):
        (tmp_path / part).mkdir()
        Image.new("L", (10, 10), shade).save(tmp_path / part / "a.png")
    content = {
        "images": [{"id": 1, "file_name": "x/a.png"}, {"id": 2, "file_name": "y/a.png"}],
        "categories": [{"id": 1, "name": "can"}],
    }
    content["annotations"] = [{"image_id": 2, "category_id": 1, "bbox": [1, 1, 4, 4]}]
    (tmp_path / "marks.json").write_text(json.dumps(content))
    data = load_coco(tmp_path / "marks.json", tmp_path, (10, 10))
    assert float(data.images[0].max()) == 0 < float(data.images[1].min())
    assert [len(t) for t in data.truth] == [0, 1]
    content["images"][0]["file_name"] = "a.png"
    (tmp_path / "marks.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="2 of that name"):
        load_coco(tmp_path / "marks.json", tmp_path, (10, 10))
    (tmp_path / "a.xml").write_text(XML.format(OBJECT.format(1, 1, 5, 5, "can", 0)))
    with pytest.raises(InputError, match=r"one picture for each \.xml"):
        load_voc(tmp_path, (10, 10))
