"""Attacks on one channel of series: what they may touch, and what they reach, in closed form."""

import itertools
import math

import pytest
import torch
from torch import nn

from deepwright.adversarial import SequenceFGSM, SequenceSearch
from deepwright.core.errors import InputError
from deepwright.core.tasks import Forecast

TASK = Forecast(3)


class Linear(nn.Module):
    def __init__(self, positive=False):
        super().__init__()
        weight = torch.randn(3, 5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        self.weight = nn.Parameter(weight.abs() if positive else weight)

    def forward(self, x):
        return torch.einsum("hsc,nsc->nh", self.weight, x)


@pytest.fixture
def windows():
    draws = torch.Generator().manual_seed(1)
    x = 120 + 30 * torch.randn(40, 5, 2, generator=draws, dtype=torch.float64)
    return x, 120 + 30 * torch.randn(40, 3, generator=draws, dtype=torch.float64)


def test_the_step_raises_a_linear_forecasters_error_by_its_closed_form(windows):
    """eps |g|_1 + mean over the horizon of (w_h . delta)^2: the square isn't linear."""
    (x, y), model = windows, Linear().eval()
    found = SequenceFGSM(7.0, 1, task=TASK)(model, x, y)
    delta = found.x_adv - x
    assert torch.equal(delta[..., 0], torch.zeros_like(delta[..., 0]))
    torch.testing.assert_close(delta[..., 1].abs(), torch.full_like(delta[..., 1], 7.0))
    error = model(x) - y
    gradient = 2 * torch.einsum("nh,hs->ns", error, model.weight[..., 1]) / 3
    wanted = 7 * gradient.abs().sum(1) + torch.einsum("hs,ns->nh", model.weight[..., 1], delta[..., 1]).square().mean(1)
    rose = (model(found.x_adv) - y).square().mean(1) - error.square().mean(1)
    torch.testing.assert_close(rose, wanted)


@pytest.mark.parametrize("mode", ["contained", "published"])
def test_what_a_reading_can_be_is_held(windows, mode):
    x, y = windows
    x[0, 0, 0] = 45.0
    found = SequenceFGSM(10.0, 0, (90, 150), mode, task=TASK)(Linear().eval(), x, y).x_adv[..., 0]
    if mode == "contained":
        assert float((found - x[..., 0]).abs().max()) <= 10 + 1e-9
        assert bool((found >= x[..., 0].clamp(max=90)).all())
        assert bool((found <= x[..., 0].clamp(min=150)).all())
    else:
        assert (float(found.min()), float(found.max())) == (90.0, 150.0)


def test_the_search_finds_the_best_pair_of_readings(windows):
    (x, y), model = windows, Linear(positive=True).eval()
    x, y = x[:4], y[:4]
    found = SequenceSearch((180, 260), 1, width=5, depth=2, actions=3, task=TASK)(model, x, y).x_adv
    for i in range(4):
        best = -math.inf
        for a, b in itertools.combinations(range(5), 2):
            for va, vb in itertools.product((None, 180, 220, 260), repeat=2):
                z = x[i].clone()
                for step, value in ((a, va), (b, vb)):
                    if value is not None and not 180 <= float(z[step, 1]) <= 260:
                        z[step, 1] = value
                best = max(best, float(model(z[None]).mean()))
        assert float(model(found[i][None]).mean()) == pytest.approx(best, rel=1e-12)
    assert torch.equal(found[..., 0], x[..., 0])
    assert int((found != x).flatten(1).sum(1).max()) <= 2


def test_readings_within_the_range_stay_and_flags_follow(windows):
    x, y = windows
    x[:, 2, 0], x[..., 1] = 200.0, 0.0

    def flagged(z):
        z = z.clone()
        z[..., 1] = (z[..., 0] > 180).to(z)
        return z

    found = SequenceSearch((180, 260), 0, actions=2, follows=flagged, task=TASK)(
        Linear(positive=True).eval(), x, y
    ).x_adv
    assert bool((found[:, 2, 0] == 200).all())
    assert torch.equal(found[..., 1], (found[..., 0] > 180).to(found))


def test_what_cant_be_attacked_so_is_refused(windows):
    x, y = windows
    with pytest.raises(InputError, match="channel 2"):
        SequenceFGSM(1.0, 2, task=TASK)(Linear().eval(), x, y)
    with pytest.raises(InputError, match="finite ends"):
        SequenceSearch((0, math.inf), task=TASK)
    with pytest.raises(InputError, match="lower end"):
        SequenceFGSM(1.0, 0, (5, 5), task=TASK)
    with pytest.raises(InputError, match="clip_mode"):
        SequenceFGSM(1.0, clip_mode="hard", task=TASK)
    with pytest.raises(InputError, match="mask"):
        SequenceSearch((0, 1), task=TASK)(Linear().eval(), x, y, mask=torch.ones(5, 2))


def test_a_beam_isnt_filled_with_copies_of_its_parent():
    """One reading alone lowers the sum, two raise it: who keeps copies of what was there never sees the second."""
    x = torch.zeros(1, 5, 1, dtype=torch.float64)
    x[0, 2:] = 6.0  # these stay, as they lie in the range

    def objective(out, y):
        return out[:, 0, 0]

    class Pair(nn.Module):
        def forward(self, x):
            moved = (x[:, :2, 0] > 5).double()
            return (-moved.sum(1, keepdim=True) + 10 * moved.prod(1, keepdim=True)).repeat(1, 3)

    found = SequenceSearch((6, 7), 0, width=2, depth=2, actions=2, objective=objective, task=TASK)
    assert bool((found(Pair().eval(), x, torch.zeros(1, 3, dtype=torch.float64)).x_adv[0, :2, 0] >= 6).all())
