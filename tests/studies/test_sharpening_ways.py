"""The arms of sharpening's study: equal errors are equal, budgets are held, and all have as many settings."""

import pytest
import torch
from torch import nn

from deepwright.adversarial.sharpening import LaplacianSharpen
from deepwright.studies.sharpening.networks import World
from deepwright.studies.sharpening.trials import CHANGES, NONE, PLAIN, SETTINGS, way


@pytest.fixture(scope="module")
def world():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 8)
    )
    x = 0.5 + 0.1 * torch.randn(6, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    x = (x.clamp(0.2, 0.8) * 255).round() / 255
    return World({"surrogate": network.eval()}, (x, torch.zeros(6).long()), (x, torch.zeros(6).long()))


def test_every_way_has_as_many_settings():
    assert {len(s) for name, s in SETTINGS.items() if name != NONE} == {4}


@pytest.mark.parametrize("name", PLAIN)
def test_controls_have_the_squared_error_of_sharpening(name, world):
    x = world.test[0]
    wanted = (LaplacianSharpen(0.25)(x) - x).square().flatten(1).mean(1)
    sent = way(name, 0.25, world, 0, 1).publish(x)
    assert sent.met.all()
    found = (sent.pictures - x).square().flatten(1).mean(1)
    assert torch.allclose(found, wanted, rtol=0.05)


@pytest.mark.parametrize("name", ["bi-level", "fast preemption"])
@pytest.mark.parametrize("change", CHANGES)
def test_rivals_stay_within_their_change(name, change, world):
    x = world.test[0]
    sent = way(name, change, world, 0, 2).publish(x).pictures
    assert float((sent - x).abs().max()) <= change + 0.5 / 255 + 1e-6
    assert float((sent - x).abs().max()) > 0


def test_nothing_published_is_on_eight_bits_and_unchanged(world):
    x = world.test[0]
    assert torch.equal(way(NONE, 0.0, world, 0, 1).publish(x).pictures, x)
