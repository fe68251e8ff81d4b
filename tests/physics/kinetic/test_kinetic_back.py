"""The way back through a step: steep kicks are inverted, and places without a way back are told apart."""

import math

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.physics.kinetic import Free, KineticFokkerPlanck, StepMap

H = 0.5
FREE = StepMap(KineticFokkerPlanck(Free(), 1.0, 0.5, 1), 1, "split")


class Squared(torch.nn.Module):
    """A kick that sends v to its square, so that -1 comes from nowhere and 4 from 2, where log det is log 4."""

    def forward(self, s, x, v):
        return (v.square() - v) / H, ((2 * v - 1) / H)[:, :, None]


class Steep(torch.nn.Module):
    """v + h a(v) = atan(20 v): one to one, but a full Newton step leads away from 0."""

    def forward(self, s, x, v):
        slope = 20 / (1 + (20 * v).square())
        return (torch.atan(20 * v) - v) / H, ((slope - 1) / H)[:, :, None]


def back(control, *targets, **options):
    v = torch.tensor(targets, dtype=torch.float64)[:, None]
    return FREE.back(control, torch.zeros_like(v), v, H, [], **options)


def test_places_without_a_way_back_are_nan_and_the_others_stay():
    _, v, logdet = back(Squared(), -1.0, 4.0, drop=True)
    assert v[1].item() == pytest.approx(2.0)
    assert logdet[1].item() == pytest.approx(math.log(4.0))
    assert bool(v[0].isnan())
    assert bool(logdet[0].isnan())


def test_without_drop_they_are_an_error_that_says_so():
    with pytest.raises(InputError, match="drop=True"):
        back(Squared(), -1.0, 4.0)


def test_steep_kicks_are_inverted():
    asked = (1.2, -1.4, 0.1)
    assert back(Steep(), *asked)[1].flatten().tolist() == pytest.approx([math.tan(t) / 20 for t in asked], abs=1e-8)
