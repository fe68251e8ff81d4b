"""Turns and shifts: against SciPy's, exact shifts, the worst of the grid, shares of the ranges."""

import math

import pytest
import torch
from scipy.ndimage import affine_transform
from torch import nn

from deepwright.adversarial import Spatial, curve, minimal_eps
from deepwright.core.errors import InputError


class Corner(nn.Module):
    """Class 1 when the upper left pixel is dark."""

    def forward(self, x):
        return torch.stack([x[:, 0, 0, 0], 0.5 - x[:, 0, 0, 0]], 1)


CORNER = Corner().eval()


class Seen(nn.Module):
    """Keeps what it is shown; two classes that never change."""

    def __init__(self):
        super().__init__()
        self.shown = []

    def forward(self, x):
        self.shown.append(x.clone())
        return torch.stack([x.sum((1, 2, 3)) * 0 + 1, x.sum((1, 2, 3)) * 0], 1)


def test_a_turn_and_a_shift_are_those_of_scipy():
    line = torch.linspace(0, 3, 24)
    x = (0.5 + 0.4 * torch.sin(line[:20, None] + line)).expand(1, 1, 20, 24)
    seen = Seen().eval()
    Spatial(rotation=20, translation=0.1, grid=(2, 2, 1))(seen, x, torch.tensor([0]))
    shown = torch.cat(seen.shown[-4:])  # angle -20, 20; shift up, down
    angle, centre = math.radians(20), torch.tensor([9.5, 11.5]).double().numpy()
    for image, (a, down) in zip(shown, ((-angle, -2), (-angle, 2), (angle, -2), (angle, 2)), strict=True):
        back = torch.tensor([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]]).double().numpy()
        offset = centre - back @ centre - torch.tensor([down, 0.0]).double().numpy()
        expected = torch.from_numpy(affine_transform(x[0, 0].double().numpy(), back, offset, order=1))
        inner = (slice(6, -6), slice(6, -6))
        assert float((image[0].double() - expected)[inner].abs().max()) < 1e-4


def test_a_shift_by_whole_pixels_is_exact():
    x = torch.rand(3, 2, 10, 10)
    seen = Seen().eval()
    Spatial(rotation=0, translation=0.2, grid=(1, 1, 3))(seen, x, torch.zeros(3, dtype=torch.long))
    left, still, right = seen.shown[-3:]
    assert torch.allclose(right[..., 2:], x[..., :-2], atol=1e-5)
    assert float(right[..., :2].abs().max()) < 1e-5
    assert torch.allclose(left[..., :-2], x[..., 2:], atol=1e-5)
    assert torch.equal(still, x)


@pytest.mark.parametrize("options", [{"grid": (5, 3, 3)}, {"tries": 30}])
def test_a_bright_corner_is_moved_out(options):
    x = torch.zeros(4, 1, 12, 12)
    x[:, :, :3, :3] = 1.0
    y = torch.zeros(4, dtype=torch.long)
    attack = Spatial(rotation=20, translation=0.4, **options)
    found = attack(CORNER, x, y)
    assert bool(found.success.all())
    assert torch.equal(found.success, CORNER(found.x_adv).argmax(1) != y)
    assert torch.equal(attack(CORNER, x, y, eps=0.0).x_adv, x)
    parts = [attack(CORNER, x[i : i + 2], y[:2], ids=torch.tensor([i, i + 1])).x_adv for i in (0, 2)]
    assert torch.equal(torch.cat(parts), found.x_adv)


def test_shares_of_the_ranges_make_a_curve_and_a_smallest_one():
    x = torch.zeros(2, 1, 10, 10)
    x[0, :, :1, :1], x[1, :, :4, :4] = 1.0, 1.0
    y = torch.zeros(2, dtype=torch.long)
    attack = Spatial(rotation=0, translation=0.5, grid=(1, 1, 3), padding="border")  # it must move by 0.75 and 3.75
    points = curve(CORNER, x, y, attack, [0.1, 0.5, 1.0])
    assert [p.value for p in points] == [1.0, 0.5, 0.0]
    least = minimal_eps(CORNER, x, y, attack, high=1.0, tol=0.01)
    assert 0.05 < float(least[0]) < 0.2 < 0.6 < float(least[1]) < 0.9


def test_early_stop_saves_queries_and_the_seed_counts_for_draws_only():
    x, y = torch.zeros(2, 1, 8, 8), torch.zeros(2, dtype=torch.long)
    x[:, :, :2, :2] = 1.0
    short, long = (Spatial(early_stop=stop, grid=(3, 3, 3))(CORNER, x, y) for stop in (True, False))
    assert torch.equal(short.success, long.success)
    assert int(short.queries.sum()) < int(long.queries.sum())
    with pytest.raises(InputError, match="draws nothing"):
        Spatial(seed=1)
    assert Spatial(tries=3, seed=1).seed == 1
