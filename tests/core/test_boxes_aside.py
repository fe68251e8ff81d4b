"""Boxes that are marked crowd or difficult count neither as found nor as missed, as COCO's measure has it."""

import contextlib
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from deepwright.core.boxes import Aside, Detections, mean_average_precision
from deepwright.core.tasks import Detection, DetectionBatch
from deepwright.data import load

IMAGES, OVERLAPS = 12, np.arange(0.5, 1.0, 0.05)


def boxes(n, rng):
    corner, size = 60 * torch.rand(n, 2, generator=rng), 8 + 50 * torch.rand(n, 2, generator=rng)
    return torch.cat([corner, corner + size], 1).double()


def made(seed):
    """Objects, crowds, and detections that lie near either."""
    rng, truth, guess = torch.Generator().manual_seed(seed), [], []
    for _ in range(IMAGES):
        real, crowd = boxes(4, rng), boxes(2, rng)
        labels, others = torch.randint(0, 2, (4,), generator=rng), torch.randint(0, 2, (2,), generator=rng)
        truth.append(Detections(real, labels, None, Aside(crowd, others, torch.ones(2, dtype=torch.bool))))
        inside = crowd.repeat(3, 1)
        inside[:, 2:] -= (inside[:, 2:] - inside[:, :2]) * torch.rand(6, 1, generator=rng)
        near = torch.cat([real + torch.randn(4, 1, generator=rng) * 2, inside, boxes(3, rng)])
        named = torch.cat([labels, others.repeat(3), torch.randint(0, 2, (3,), generator=rng)])
        guess.append(Detections(near, named, torch.rand(13, generator=rng)))
    return guess, truth


def of_coco(guess, truth):
    rows, found = [], []
    for i, (said, real) in enumerate(zip(guess, truth)):
        parts = [(real.boxes, real.labels, 0), (real.aside.boxes, real.aside.labels, 1)]
        for corners, labels, crowd in parts:
            for (a, b, c, d), label in zip(corners.tolist(), labels.tolist()):
                box = {"bbox": [a, b, c - a, d - b], "area": (c - a) * (d - b), "iscrowd": crowd}
                rows.append({"id": len(rows) + 1, "image_id": i, "category_id": label, **box})
        for (a, b, c, d), label, score in zip(said.boxes.tolist(), said.labels.tolist(), said.scores.tolist()):
            found.append({"image_id": i, "category_id": label, "bbox": [a, b, c - a, d - b], "score": score})
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        images, classes = [{"id": i} for i in range(len(truth))], [{"id": 0}, {"id": 1}]
        coco.dataset = {"images": images, "annotations": rows, "categories": classes}
        coco.createIndex()
        measure = COCOeval(coco, coco.loadRes(found), "bbox")
        measure.evaluate()
        measure.accumulate()
        measure.summarize()
    return measure.stats


@pytest.mark.parametrize("seed", range(3))
def test_precision_beside_crowds_is_cocos(seed):
    guess, truth = made(seed)
    stats, found = (
        of_coco(guess, truth),
        Detection(2).metrics(DetectionBatch(guess), DetectionBatch(truth), resamples=1),
    )
    ours = [found[name].value for name in ("map", "ap50", "map_small", "map_medium")]
    assert ours == pytest.approx([*stats[:2], *stats[3:5]], abs=1e-9)
    assert mean_average_precision(guess, truth, OVERLAPS) == pytest.approx(stats[0], abs=1e-9)
    without = [Detections(t.boxes, t.labels) for t in truth]
    assert mean_average_precision(guess, without, OVERLAPS) < stats[0] - 0.01


def test_a_crowd_takes_any_number_of_detections_and_a_difficult_object_needs_their_overlap():
    square = torch.tensor([[0.0, 0, 40, 40]])
    small = torch.tensor([[0.0, 0, 10, 10], [20.0, 20, 30, 30]])
    guess = DetectionBatch([Detections(small, torch.tensor([0, 0]), torch.tensor([0.9, 0.8]))])
    for crowd, score in ((True, 1.0), (False, 0.0)):
        beside = Aside(square, torch.tensor([0]), torch.tensor([crowd]))
        truth = DetectionBatch([Detections(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), None, beside)])
        assert float(Detection(1).score(guess, truth)) == score
        assert (float(Detection(1).loss(guess, truth)) < 1e-5) == crowd


def test_crowds_of_files_and_of_dicts_are_set_aside(tmp_path):
    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "images" / "0.png")
    rows = [{"id": k, "image_id": 1, "category_id": 1, "bbox": [4 + 20 * k, 4, 16, 16], "iscrowd": k} for k in (0, 1)]
    marks = {"images": [{"id": 1, "file_name": "0.png"}], "annotations": rows, "categories": [{"id": 1, "name": "p"}]}
    (tmp_path / "annotations.json").write_text(json.dumps(marks))
    read = load(str(tmp_path), split="test").test.y[0]
    target = {"boxes": torch.tensor([[4.0, 4, 20, 20], [24.0, 4, 40, 20]]), "labels": torch.tensor([0, 0])}
    given = Detection(1).check_targets([{**target, "iscrowd": torch.tensor([0, 1])}])[0]
    for truth in (read, given):
        assert truth.boxes.tolist() == [[4, 4, 20, 20]]
        assert truth.aside.boxes.tolist() == [[24, 4, 40, 20]]
        assert truth.aside.crowd.tolist() == [True]
