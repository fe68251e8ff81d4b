"""Worst pictures: the masks and boxes that are drawn are those of the target and of the output."""

import base64
import io

import numpy as np
import pytest
import subjects
from PIL import Image

from deepwright.checks.worst_pictures import worst_pictures


def drawn(subject):
    loss = subject.task.loss(subject.outputs(), subject.data.test.y)
    order = loss.argsort(descending=True).tolist()
    (figure,) = worst_pictures(subject, order)
    return order, figure.series


def pixels(item):
    image = Image.open(io.BytesIO(base64.b64decode(item["png"]))).convert("RGB")
    return np.asarray(image).astype(float) / 255


def tint(item, channel):
    """How far a channel stands out, at the middle of each of the 8 x 8 pixels."""
    image = pixels(item)
    step = image.shape[0] // 8
    cells = image[step // 2 :: step, step // 2 :: step]
    return cells[..., channel] - cells.mean(2)


def test_wrong_pixels_are_red_and_counted():
    subject = subjects.subject("segmentation")
    order, rows = drawn(subject)
    assert len(rows) == 4
    called = subject.task.prediction(subject.outputs())
    for i, row in zip(order, rows, strict=False):
        wrong = (called[i] != subject.data.test.y[i]).numpy()
        assert ((tint(row["pictures"][3], 0) > 0.2) == wrong).all()
        assert row["pictures"][3]["caption"] == f"wrong: {wrong.mean():.1%}"


@pytest.mark.parametrize("place", [1, 2])
def test_masks_are_coloured_by_class(place):
    subject = subjects.subject("segmentation")
    order, rows = drawn(subject)
    called = subject.task.prediction(subject.outputs())
    mask = (subject.data.test.y if place == 1 else called)[order[0]].numpy()
    assert ((tint(rows[0]["pictures"][place], 2) > 0) == (mask == 0)).all()  # blue is class 0, orange class 1


@pytest.mark.parametrize("place", [1, 2])
def test_boxes_are_framed_where_they_are(place):
    subject = subjects.subject("detection")
    order, rows = drawn(subject)
    all_boxes = subject.data.test.y if place == 1 else subject.task.prediction(subject.outputs())
    at = next(at for at, i in enumerate(order[: len(rows)]) if len(all_boxes[i]))
    boxes, image = all_boxes[order[at]].boxes, pixels(rows[at]["pictures"][place])
    blue = image[..., 2] - image[..., 0] > 0.2
    framed = np.zeros_like(blue)
    for box in boxes:
        x0, y0, x1, y1 = (round(float(v) * 14) for v in box)
        framed[y0:y1, x0:x1] = True
        framed[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2] = False
    assert (blue != framed).mean() < 0.02  # WebP blurs the edge of a line
    assert rows[0]["pictures"][0]["caption"].startswith("test sample")


def test_tasks_without_masks_and_boxes_have_none():
    assert worst_pictures(subjects.subject("regression"), [0]) == []
