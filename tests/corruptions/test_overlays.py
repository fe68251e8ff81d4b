"""Overlays: what moves is continuous in time and comes back, what stands still stands; marks have the mass they should."""

import math

import pytest
import torch

from deepwright.corruptions import Compose, apply, get, overlay
from deepwright.corruptions.overlays import DYNAMIC_OVERLAYS, KINDS, OVERLAYS
from deepwright.corruptions.overlays.clock import PERIOD, turned
from deepwright.corruptions.overlays.marks import discs, strokes

each_kind = pytest.mark.parametrize("kind", KINDS)
IDS = torch.arange(3)


def at(kind, t, size=(120, 160), seed=100):
    return overlay(kind, t, seed, size, ids=IDS)


def apart(a, b):
    return float((a - b).abs().mean())


def test_there_are_six_of_each():
    assert (len(OVERLAYS), len(DYNAMIC_OVERLAYS)) == (6, 6)
    assert all(p.sticks and not p.dynamic for p in OVERLAYS)
    assert all(p.dynamic for p in DYNAMIC_OVERLAYS)


@each_kind
def test_it_moves_from_frame_to_frame_and_hardly_within_one(kind):
    now, later = at(kind, 10.0), at(kind, 47.0)
    assert apart(now, at(kind, 11.0)) > 0
    if kind != "lightning":
        assert apart(now, at(kind, 10.05)) <= 0.2 * apart(now, later)


@each_kind
def test_it_comes_back_after_a_period_and_knows_times_before_0(kind):
    assert apart(at(kind, 5.0, (24, 32)), at(kind, 5.0 + PERIOD, (24, 32))) == 0
    assert apart(at(kind, -PERIOD + 7.0, (24, 32)), at(kind, 7.0, (24, 32))) == 0
    before, after = at(kind, -1e-3, (24, 32)), at(kind, 1e-3, (24, 32))
    assert apart(before, after) < 2e-3  # no seam


@each_kind
def test_one_that_stands_still_doesnt_know_the_time(kind):
    x = torch.rand(2, 3, 24, 32)
    fixed = [apply(x, f"static_{kind}", 4, seed=1, t=None) for _ in range(2)]
    assert torch.equal(*fixed)
    still = overlay(kind, None, 1, (24, 32), ids=torch.arange(2))
    expected = x + 0.6 * still[:, 3:] * (still[:, :3] - x)
    assert torch.allclose(fixed[0], expected, atol=1e-6)


@each_kind
def test_a_frame_is_the_overlay_at_its_time(kind):
    x = torch.rand(2, 3, 24, 32)
    shown = overlay(kind, 17.25, 5, (24, 32), ids=torch.tensor([3, 8]))
    expected = x + 0.85 * shown[:, 3:] * (shown[:, :3] - x)
    assert torch.allclose(
        apply(x, f"dynamic_{kind}", 5, seed=5, t=17.25, ids=torch.tensor([3, 8])), expected, atol=1e-6
    )
    assert 0 <= float(shown.min()) <= float(shown.max()) <= 1


@each_kind
def test_what_a_particle_is_doesnt_hang_on_the_time(kind):
    one, other = at(kind, 3.0, (24, 32)), at(kind, 3.0, (24, 32), seed=101)
    assert apart(one, other) > 0
    assert apart(one[:1], one[1:2]) > 0


def test_drops_fall_along_their_streaks():
    """A little ahead in time it is nearly the same picture, moved down."""
    a, b = at("rain", 20.0, (240, 320))[:, 3], at("rain", 20.5, (240, 320))[:, 3]
    down = [apart(a[:, :-k], b[:, k:]) for k in (6, 10, 14)]
    up = apart(a[:, 10:], b[:, :-10])
    assert min(down) < 0.9 * up


def test_a_flash_lasts_three_frames():
    times = torch.arange(0, 60, 0.5).tolist()
    bright = torch.tensor([float(overlay("lightning", t, 1, (24, 32))[:, 3].amax()) for t in times])
    lit = bright > 0.5
    begins = (lit & ~lit.roll(1)).sum()
    assert int(begins) == 1  # one in sixty frames, wherever it falls
    assert 2 <= int(lit.sum()) <= 6  # of half frames


def test_whole_rounds_in_a_period():
    rates = torch.tensor([0.0, 1e-9, 0.0123])
    assert torch.allclose(turned(torch.full((3,), 0.25), rates, float(PERIOD)), torch.full((3,), 0.25), atol=1e-4)
    assert not torch.equal(turned(torch.zeros(3), rates, 1.0), torch.zeros(3))  # none stands still


def test_a_stroke_covers_its_length_times_its_width():
    start, end = torch.tensor([[[5.3, 4.1]]]), torch.tensor([[[35.8, 27.6]]])
    drawn = strokes(start, end, torch.tensor([[0.7]]), torch.tensor([[1.0]]), (40, 50), longest=40)
    assert float(drawn.sum()) == pytest.approx(0.7 * math.dist((5.3, 4.1), (35.8, 27.6)), rel=0.02)


@pytest.mark.parametrize("radius", [0.2, 0.5, 3.3])
def test_a_disc_covers_its_area_wherever_it_is(radius):
    for place in ((20.0, 20.0), (20.5, 19.3)):
        drawn = discs(torch.tensor([[place]]), torch.tensor([[radius]]), torch.ones(1, 1), (40, 40), largest=4)
        area = math.pi * radius**2
        if radius >= 0.5:
            assert float(drawn.sum()) == pytest.approx(area + math.pi / 12, rel=0.12)  # and its rim
        else:
            assert float(drawn.sum()) < 1
    outside = discs(torch.tensor([[[-20.0, 99.0]]]), torch.ones(1, 1), torch.ones(1, 1), (40, 40), largest=4)
    assert float(outside.sum()) == 0


def test_particles_grow_with_the_picture():
    small, large = (overlay("snow", 4.0, 2, (h, 2 * h)) for h in (60, 240))
    shrunk = torch.nn.functional.avg_pool2d(large[:, 3:], 4)
    assert float(shrunk.mean()) == pytest.approx(float(small[:, 3].mean()), rel=0.35)


def test_overlays_in_a_chain_and_between_levels():
    x = torch.full((2, 3, 24, 32), 0.4)
    chain = Compose([("static_snow", 2.5), ("jpeg", 2)]).eval()
    assert torch.equal(chain(x), chain(x))
    half = apply(x, "static_smoke", 0.5) - x
    assert torch.allclose(half, 0.5 * (apply(x, "static_smoke", 1) - x), atol=1e-6)
    assert get("static_smoke").level(2.5) == pytest.approx(0.325)
