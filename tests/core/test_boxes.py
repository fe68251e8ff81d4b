"""Boxes against brute force, hand-made cases and pycocotools."""

import math

import numpy as np
import pytest
import torch

from deepwright.core.boxes import (
    Detections,
    average_precisions,
    box_iou,
    class_nms,
    decode,
    encode,
    mean_average_precision,
    nms,
    require_boxes,
)
from deepwright.core.errors import InputError


def boxes(n, rng, size=40.0):
    low = rng.random((n, 2)) * size
    return torch.tensor(np.concatenate([low, low + rng.random((n, 2)) * 15], 1))


def overlap(a, b):
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h
    return float(w * h / area)


def test_overlap_and_suppression_equal_brute_force():
    """1,000 random sets with ties, doubles and boxes without area."""
    rng = np.random.default_rng(0)
    for _ in range(1000):
        b = boxes(rng.integers(1, 12), rng)
        b = torch.cat([b, b[:2], torch.tensor([[3.0, 3, 3, 9]])])
        scores = torch.tensor(rng.integers(0, 4, len(b)) / 4)
        order = sorted(range(len(b)), key=lambda i: (-float(scores[i]), i))
        kept = []
        for i in order:
            if all(overlap(b[i], b[j]) <= 0.5 for j in kept):
                kept.append(i)
        assert nms(b, scores, 0.5).tolist() == kept
    a = boxes(9, rng)
    expected = [[overlap(p, q) for q in b] for p in a]
    assert torch.allclose(box_iou(a, b), torch.tensor(expected, dtype=torch.float64))
    assert nms(b[:0], scores[:0]).tolist() == []


def test_classes_are_suppressed_apart():
    b = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [1, 1, 10, 10]])
    assert class_nms(b, torch.tensor([0.9, 0.8, 0.7]), torch.tensor([0, 1, 0])).tolist() == [0, 1]


def test_codes_round_trip():
    rng = np.random.default_rng(1)
    b, anchors = boxes(50, rng) + 0.1, boxes(50, rng)
    anchors[:, 2:] += 1
    b[:, 2:] += 1
    assert torch.allclose(decode(encode(b, anchors), anchors), b, atol=1e-6)
    huge = decode(torch.tensor([[0.0, 0, 1e3, 1e3]]), torch.tensor([[0.0, 0, 1, 1]]))
    assert float((huge[0, 2:] - huge[0, :2]).max()) == pytest.approx(1000 / 16)


def one(b, labels, scores=None):
    return Detections(
        torch.tensor(b, dtype=torch.float64).reshape(-1, 4),
        torch.tensor(labels, dtype=torch.long),
        None if scores is None else torch.tensor(scores, dtype=torch.float64),
    )


def test_average_precision_by_hand():
    square = [0, 0, 10, 10]
    truth = [one([square], [0]), one([], [])]
    assert mean_average_precision([one([square], [0], [0.9]), one([], [], [])], truth) == pytest.approx(1.0)
    assert mean_average_precision([one([], [], []), one([square], [0], [0.9])], truth) == 0.0
    # a false positive above the hit: precision 1/2 at every recall
    wrong_first = [one([[20, 20, 30, 30], square], [0, 0], [0.9, 0.8]), one([], [], [])]
    assert mean_average_precision(wrong_first, truth) == pytest.approx(0.5)
    # a double of the hit is a false positive behind it: recall 1 was reached before
    doubled = [one([square, square], [0, 0], [0.9, 0.8]), one([], [], [])]
    assert mean_average_precision(doubled, truth) == pytest.approx(1.0)
    both = [one([square, [20, 20, 30, 30]], [0, 1])]
    per_class = average_precisions([one([square], [0], [0.9])], both)
    assert per_class[0].tolist() == [1.0, 0.0]
    assert np.isnan(average_precisions([one([square], [2], [0.9])], [one([square], [0])])[0, 1])
    assert math.isnan(mean_average_precision([one([], [], [])], [one([], [])]))
    with pytest.raises(InputError, match="1 predicted, 2 true"):
        mean_average_precision([one([], [], [])], truth)


def test_average_precision_equals_pycocotools():
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    rng = np.random.default_rng(2)
    truth, guess, annotations, results = [], [], [], []
    for image in range(30):
        t = boxes(rng.integers(0, 6), rng)
        labels = torch.tensor(rng.integers(0, 3, len(t)))
        near = t + torch.tensor(rng.normal(0, 1.0, t.shape))
        near[:, 2:] = torch.maximum(near[:, 2:], near[:, :2] + 1)
        g = torch.cat([near, boxes(rng.integers(0, 5), rng)])
        kinds = torch.cat([labels, torch.tensor(rng.integers(0, 3, len(g) - len(t)))])
        scores = torch.tensor(rng.random(len(g)))
        truth.append(Detections(t, labels))
        guess.append(Detections(g, kinds, scores))
        for b, c in zip(t.tolist(), labels.tolist()):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": c + 1,
                    "bbox": [b[0], b[1], b[2] - b[0], b[3] - b[1]],
                    "area": (b[2] - b[0]) * (b[3] - b[1]),
                    "iscrowd": 0,
                }
            )
        for b, c, s in zip(g.tolist(), kinds.tolist(), scores.tolist()):
            results.append(
                {"image_id": image, "category_id": c + 1, "bbox": [b[0], b[1], b[2] - b[0], b[3] - b[1]], "score": s}
            )
    data = coco.COCO()
    data.dataset = {
        "images": [{"id": i} for i in range(30)],
        "annotations": annotations,
        "categories": [{"id": c} for c in (1, 2, 3)],
    }
    data.createIndex()
    run = cocoeval.COCOeval(data, data.loadRes(results), "bbox")
    run.evaluate()
    run.accumulate()
    theirs = run.eval["precision"][:, :, :, 0, 2].mean(1)  # overlaps, classes
    ours = average_precisions(guess, truth, np.linspace(0.5, 0.95, 10))
    assert np.allclose(ours, theirs, atol=1e-9)


def test_bad_boxes_are_refused():
    for bad in ([5.0, 0, 3, 4], [0, 0, 70, 10], [0, math.nan, 3, 4], [-1, 0, 3, 4]):
        with pytest.raises(InputError, match="x1 <= x2 <= 64"):
            require_boxes(torch.tensor([bad]), 48, 64)
