"""Detectors: sizes of the published one, anchors, matching, loss, and scenes whose answers are known."""

import pytest
import torch

from deepwright.compress import GAP8, layers
from deepwright.core.boxes import Detections, box_iou, encode
from deepwright.core.errors import InputError
from deepwright.data import make_scenes, stream_scenes
from deepwright.nets import SSDDetector, anchor_boxes, match_anchors, small_ssd, ssd_loss
from deepwright.nets.ssd import SSDTargets


@pytest.mark.parametrize(("width", "params", "frames"), [(1.0, 4.63e6, 1.6), (0.5, 1.43e6, 4.3)])
def test_published_sizes_and_speed_on_gap8(width, params, frames):
    """Parameters within 1 %, and frames a second of the drone's detector within 15 % (arXiv 2301.12175)."""
    model = SSDDetector(2, width, 3).eval()
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(params, rel=0.01)
    x = torch.zeros(1, 3, 240, 320)
    assert 1 / GAP8.estimate(model, x).seconds == pytest.approx(frames, rel=0.15)
    if width == 1.0:
        assert sum(layer.macs for layer in layers(model, x)) == pytest.approx(529e6, rel=0.01)
        with torch.no_grad():
            assert model(x)["codes"].shape == (1, 15 * 20 * 3 + (8 * 10 + 4 * 5 + 2 * 3 + 1 * 2 + 1) * 6, 4)


def test_anchors():
    anchors, counts = anchor_boxes([(4, 5), (2, 3), (1, 2)])
    assert counts == [3, 6, 6]
    assert len(anchors) == 4 * 5 * 3 + 6 * (2 * 3 + 1 * 2)
    first = anchors[0]
    assert torch.allclose(first[2:] - first[:2], torch.tensor([0.1, 0.1]))
    assert torch.allclose((first[:2] + first[2:]) / 2, torch.tensor([0.1, 0.125]))
    wide = anchors[1]
    assert float((wide[2] - wide[0]) / (wide[3] - wide[1])) == pytest.approx(2.0)
    last = anchors[-1]
    assert float(last[2] - last[0]) == pytest.approx((0.95 * 1.0) ** 0.5, rel=1e-5)


def test_matching():
    anchors = torch.tensor([[0.0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1], [0, 0, 0.1, 0.1]])
    truth = torch.tensor([[0.0, 0, 0.45, 0.5], [0.05, 0.05, 0.2, 0.2]])
    matched = match_anchors(anchors, truth)
    assert matched.tolist() == [0, -1, 1]  # the second box claims its best anchor, though the overlap is small
    assert match_anchors(anchors, truth[:0]).tolist() == [-1, -1, -1]
    twins = match_anchors(anchors[:2], torch.cat([truth[:1], truth[:1]]))
    assert sorted(twins.tolist()) == [0, 1]  # two boxes never share a claimed anchor


def test_loss_takes_hard_negatives():
    model = small_ssd()
    raw = {"codes": torch.zeros(1, len(model.anchors), 4), "logits": torch.full((1, len(model.anchors), 2), -8.0)}
    empty = [model.no_detections()]
    quiet = ssd_loss(raw, model.anchors, empty, (48, 64))
    raw["logits"][0, 17, 1] = 6.0  # one false alarm on an empty frame counts at once
    assert float(ssd_loss(raw, model.anchors, empty, (48, 64)) - quiet) == pytest.approx(6.0, abs=0.05)
    box = torch.tensor([[10.0, 10, 30, 34]])
    truth = [Detections(box, torch.tensor([1]))]
    scale = torch.tensor([64.0, 48, 64, 48])
    right = (box_iou(model.anchors, box / scale)[:, 0] >= 0.5).nonzero().flatten()
    perfect = {
        "codes": encode((box / scale).expand(len(model.anchors), 4), model.anchors)[None],
        "logits": torch.full((1, len(model.anchors), 2), -12.0),
    }
    perfect["logits"][0, right, 1] = 12.0
    assert float(ssd_loss(perfect, model.anchors, truth, (48, 64))) < 1e-3
    with pytest.raises(InputError, match="image 0"):
        ssd_loss(raw, model.anchors, [Detections(torch.tensor([[0.0, 0, 99, 5]]), torch.tensor([0]))], (48, 64))


def test_targets_that_were_made_before_give_the_same_loss():
    """Of the rows that are taken, in the order in which they are."""
    scenes, model = make_scenes(6, seed=2), small_ssd().eval()
    rows = torch.tensor([4, 0, 5])
    raw = model(scenes.images[rows])
    made = SSDTargets.of(model.anchors, scenes.truth, (48, 64), 2)
    afresh = ssd_loss(raw, model.anchors, [scenes.truth[i] for i in rows.tolist()], (48, 64))
    assert float(ssd_loss(raw, model.anchors, made.take(rows), (48, 64))) == float(afresh)


def test_detections_are_decoded_and_suppressed():
    model = small_ssd().eval()
    x = torch.rand(2, 1, 48, 64)
    found = model.detect(x, score=0.0)
    assert len(found) == 2
    assert all(float(d.boxes.min()) >= 0 and float(d.boxes[:, 2].max()) <= 64 for d in found)
    assert all(len(d) <= 100 for d in found)
    assert all((d.scores[:-1] >= d.scores[1:]).all() for d in found)
    for bad in (x[:, :, :40], (x * 255).to(torch.uint8)):
        with pytest.raises(InputError, match="48, 64"):
            model.detect(bad)


def test_scenes_are_what_they_say():
    scenes = make_scenes(400, seed=1)
    assert scenes.images.shape == (400, 1, 48, 64)
    assert float(scenes.images.min()) >= 0
    assert float(scenes.images.max()) <= 1
    assert float(scenes.occupied.double().mean()) == pytest.approx(0.5, abs=0.08)
    assert torch.equal(make_scenes(5, seed=1).images, scenes.images[:5])  # a scene doesn't depend on the others
    assert not torch.equal(make_scenes(5, seed=2).images, scenes.images[:5])
    boxes = torch.cat([t.boxes for t in scenes.truth])
    labels = torch.cat([t.labels for t in scenes.truth])
    height, width = boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0]
    assert float(height.min()) >= 10
    assert float(height.max()) <= 26
    assert float((width / height)[labels == 0].mean()) == pytest.approx(0.36, abs=0.02)
    assert all(len(t) < 2 or float(box_iou(t.boxes[:1], t.boxes[1:])) == 0 for t in scenes.truth)
    assert int(make_scenes(50, empty=1.0).occupied.sum()) == 0
    assert int(make_scenes(50, empty=0.0).occupied.sum()) == 50
    # an object changes its frame, and only there
    there = make_scenes(20, seed=3, occupied=torch.ones(20, dtype=torch.bool))
    gone = make_scenes(20, seed=3, occupied=torch.zeros(20, dtype=torch.bool))
    for a, b, t in zip(there.images, gone.images, there.truth):
        changed = (a - b).abs()[0] > 1e-6
        outside = torch.ones(48, 64, dtype=torch.bool)
        for x1, y1, x2, y2 in t.boxes.tolist():
            outside[max(0, int(y1) - 1) : int(y2) + 2, max(0, int(x1) - 1) : int(x2) + 2] = False
        assert bool(changed.any())
        assert not bool((changed & outside).any())


def test_films_have_spells():
    film = stream_scenes(2000, dwell=20.0, seed=0)
    changes = int((film.occupied[1:] != film.occupied[:-1]).sum())
    assert 2000 / (changes + 1) == pytest.approx(20, rel=0.35)
    with pytest.raises(InputError, match="dwell"):
        stream_scenes(5, dwell=0.5)
    with pytest.raises(InputError, match="smallest"):
        make_scenes(5, smallest=30, largest=20)
