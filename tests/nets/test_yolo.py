"""YOLO outputs as candidates: both decoded forms, their gradients, and what is refused."""

import pytest
import torch
from torch import nn

from deepwright.adversarial.patches import SAAP
from deepwright.core.errors import InputError
from deepwright.core.tasks import CandidateDetection
from deepwright.nets import YoloCandidates

BOXES = torch.tensor([[4.0, 4.0, 6.0, 6.0], [12.0, 12.0, 4.0, 4.0], [4.0, 12.0, 4.0, 4.0]])  # centres and sizes


class Decoded(nn.Module):
    """Three candidates, surer the brighter the image is around each; one class, or as many as are asked for."""

    def __init__(self, objectness, classes=1, raw=False):
        super().__init__()
        self.objectness, self.classes, self.raw = objectness, classes, raw
        self.scale = nn.Parameter(torch.tensor(20.0))

    def forward(self, x):
        bright = torch.stack([x[:, :, 1:7, 1:7], x[:, :, 10:16, 10:16], x[:, :, 10:16, 1:7]], 1).mean((2, 3, 4))
        log_odds = self.scale * (bright - 0.3)
        chances = log_odds if self.raw else log_odds.sigmoid()
        classes = chances[..., None].expand(-1, -1, self.classes)
        boxes = BOXES.expand(len(x), -1, -1)
        if self.objectness:
            return torch.cat([boxes, torch.full_like(chances, 0.5)[..., None], classes], 2)
        return torch.cat([boxes, classes], 2).transpose(1, 2), ["what else it gives"]


def images():
    return torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.4


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("objectness", [True, False])
def test_both_forms_become_corners_and_logits(objectness, classes):
    network = Decoded(objectness, classes)
    out = YoloCandidates(network, classes)(images())
    assert out.shape == (2, 3, 4 + classes)
    assert out[0, 0, :4].tolist() == [1, 1, 7, 7]
    chance = (network.scale * (images()[0, 0, 1:7, 1:7].mean() - 0.3)).sigmoid() * (0.5 if objectness else 1)
    assert out[0, 0, 4].sigmoid().item() == pytest.approx(chance.item(), abs=1e-5)


@pytest.mark.parametrize("objectness", [True, False])
def test_attacks_reach_it(objectness):
    detector = YoloCandidates(Decoded(objectness).eval(), 1)
    ships = [torch.tensor([[1.0, 1.0, 7.0, 7.0]])] * 2
    found = SAAP(CandidateDetection(1), 0.6, steps=5)(detector, images(), ships)
    assert float(found.energy_share[0]) == pytest.approx(0.6, abs=1e-4)
    assert bool((found.loss_trace[-1] > found.loss_trace[0] - 1e-6).all())
    assert found.success_rate == 1.0


def test_it_has_the_mode_of_its_network():
    assert not YoloCandidates(Decoded(True).eval(), 1).training


def test_other_outputs_are_refused():
    with pytest.raises(InputError, match="chances stand"):
        YoloCandidates(Decoded(True, raw=True), 1)(images() * 0)
    with pytest.raises(InputError, match="number of classes"):
        YoloCandidates(Decoded(True), 4)(images())
