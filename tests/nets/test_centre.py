"""The smallest detector: its targets are what its candidates say."""

import pytest
import torch

from deepwright.core.boxes import Detections
from deepwright.core.errors import InputError
from deepwright.nets import CentreDetector, centre_loss, centre_targets, fine_ssd

BOXES = torch.tensor([[3.0, 5.0, 13.0, 11.0], [20.0, 17.0, 30.0, 31.0]])
TRUTH = [Detections(BOXES, torch.zeros(2, dtype=torch.long))]


def test_codes_that_are_the_targets_give_the_boxes_back(monkeypatch):
    network = CentreDetector(width=4).eval()
    positive, wanted = centre_targets(TRUTH, 32, 40)
    x = torch.zeros(1, 1, 32, 40)
    codes = torch.cat([positive[..., None] * 1.0, wanted], -1)
    monkeypatch.setattr(network, "codes", lambda x: codes)
    found = network(x)[0, positive[0]]
    assert torch.allclose(found[:, :4], BOXES, atol=1e-4)


def test_the_loss_falls_as_scores_and_boxes_come_right():
    positive, wanted = centre_targets(TRUTH, 32, 40)
    right = torch.cat([positive[..., None] * 20.0 - 10, wanted], -1)
    wrong = torch.cat([10 - positive[..., None] * 20.0, wanted + 1], -1)
    assert float(centre_loss(right, positive, wanted)) < 0.01 < float(centre_loss(wrong, positive, wanted))


def test_images_of_another_kind_are_refused():
    with pytest.raises(InputError, match="images"):
        CentreDetector(3)(torch.zeros(1, 1, 32, 32))
    with pytest.raises(InputError, match="boxes of image 0"):
        centre_targets(TRUTH, 16, 16)


def test_the_fine_detector_has_anchors_at_two_strides():
    network = fine_ssd()
    assert network.anchors.shape == ((16 * 16 + 8 * 8) * 6, 4)
    assert sum(p.numel() for p in network.parameters()) < 25_000
