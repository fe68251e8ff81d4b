"""The study's ways to publish: the controls stand at sharpening's error, the rest within what they may change."""

import pytest
import torch

from deepwright.adversarial import PGD
from deepwright.studies.sharpening.networks import World, right
from deepwright.studies.sharpening.trials import BILEVEL, EPS, FAST, NONE, OURS, PLAIN, SETTINGS, _carried, way


@pytest.fixture
def world():
    """A linear reader of random pictures, as surrogate and target."""
    draw = torch.Generator().manual_seed(0)
    x = (torch.rand(6, 1, 16, 16, generator=draw) * 0.6 + 0.2).mul(255).round() / 255
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(256, 8)).eval()
    y = network(x).argmax(1).detach()
    return World({"surrogate": network, "target": network}, (x, y), (x, y))


@pytest.mark.parametrize("name", PLAIN)
def test_a_control_has_the_error_of_sharpening(name, world):
    x = world.test[0]
    ours = way(OURS, 0.125, world, 3, 1).publish(x).pictures
    sent = way(name, 0.125, world, 3, 1).publish(x)
    errors = [(p - x).square().mean((1, 2, 3)) for p in (ours, sent.pictures)]
    assert torch.allclose(errors[1][sent.met], errors[0][sent.met], rtol=0.05)


@pytest.mark.parametrize("name", [BILEVEL, FAST])
def test_a_rival_changes_no_more_than_its_setting(name, world):
    x = world.test[0]
    sent = way(name, SETTINGS[name][0], world, 3, 2).publish(x).pictures
    assert 0 < (sent - x).abs().max() <= SETTINGS[name][0] + 1e-6


def test_none_changes_nothing(world):
    assert torch.equal(way(NONE, 0.0, world, 3, 1).publish(world.test[0]).pictures, world.test[0])


def test_what_is_left_after_an_attack_on_itself_is_no_more_than_was_right(world):
    network, (x, y) = world.networks["target"], world.test
    assert right(network, x, y).all()
    assert _carried(network, network, x, y, 0) <= float(
        PGD(EPS, steps=1)(network, x, y).success.logical_not().float().mean()
    )
