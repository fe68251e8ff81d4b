"""Cameras and films: what is drawn anew, what sticks, what moves, and frames that come late or never."""

import math

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.corruptions import DYNAMIC, FRAME_FAULTS, FaultyCamera, apply, film, get

GREY = torch.full((2, 3, 16, 20), 0.5)
LATE, DROPPED, FROZEN = FRAME_FAULTS


def numbered(n, scenes=1):
    """Frames whose brightness is their number."""
    return [torch.full((scenes, 1, 8, 8), k / 1000) for k in range(n)]


def numbers(seen):
    return [round(1000 * float(frame.flatten(1)[0, 0])) for frame in seen]


def test_noise_is_drawn_anew_and_dirt_sticks():
    noisy, dirty = FaultyCamera(get("gaussian_noise"), 2), FaultyCamera(get("splatter"), 5)
    assert not torch.equal(noisy(GREY), noisy(GREY))
    first = dirty(GREY)
    assert torch.equal(first, dirty(GREY))
    assert torch.equal(first, apply(GREY, "splatter", 5))


def test_a_frozen_camera_setting_freezes_all():
    for name in ("gaussian_noise", "dynamic_rain", "banding"):
        camera = FaultyCamera(get(name), 3, frozen=True)
        assert torch.equal(camera(GREY), camera(GREY))


def test_what_moves_goes_on_with_the_frame():
    camera = FaultyCamera(get("dynamic_rain"), 3, seed=4)
    seen = [camera(GREY) for _ in range(3)]
    for t, frame in enumerate(seen):
        assert torch.equal(frame, apply(GREY, "dynamic_rain", 3, seed=4, t=t))
    camera.start()
    assert torch.equal(camera(GREY), seen[0])


def test_a_scene_is_the_same_beside_any_others():
    both, alone = (FaultyCamera(get("speckle_noise"), 3, ids=torch.tensor(i)) for i in ([7, 9], [9]))
    for _ in range(2):
        assert torch.equal(both(GREY)[1:], alone(GREY[1:]))


@pytest.mark.parametrize(("severity", "delay"), [(0, 0), (1, 1), (3, 3), (5, 8)])
def test_latency_shows_what_was_so_many_frames_ago(severity, delay):
    camera = FaultyCamera(LATE, severity)
    assert numbers(map(camera, numbered(15))) == [max(0, k - delay) for k in range(15)]


@pytest.mark.parametrize(("fault", "window"), [(DROPPED, 20), (FROZEN, 100)])
@pytest.mark.parametrize("severity", [1, 5])
def test_a_gap_a_window_in_which_the_last_frame_stays(fault, window, severity):
    seen = numbers(map(FaultyCamera(fault, severity, seed=1), numbered(2 * window)))
    lost = [k for k, n in enumerate(seen) if n != k]
    per_window = [sum(w * window <= k < (w + 1) * window for k in lost) for w in range(2)]
    gap = fault.levels[severity - 1]
    assert per_window[1] == gap
    assert per_window[0] in (gap, gap - 1)  # the very first frame always comes
    assert all(seen[k] == seen[k - 1] for k in lost)


def test_frames_that_come_arent_the_callers():
    camera, frame = FaultyCamera(DROPPED, 5), torch.zeros(1, 1, 8, 8)
    for _ in range(20):
        camera(frame).add_(1)
    assert float(camera(frame).max()) == 0
    assert float(frame.max()) == 0


def test_a_film_is_its_frames():
    frames = torch.rand(4, 3, 16, 20)
    whole = film(frames, get("gaussian_noise"), 3, seed=2, scene=5)
    for t in range(4):
        assert torch.equal(whole[t], apply(frames[t], "gaussian_noise", 3, 2, t, ids=torch.tensor([5])))
    assert film((frames * 255).to(torch.uint8), LATE, 1).dtype == torch.uint8


def test_flicker_and_bands_swing_about_1():
    x = torch.full((1, 1, 60, 8), 0.5)
    for name, depth in (("exposure_flicker", 0.2), ("banding", 0.1)):
        gains = torch.cat([apply(x, name, 2, t=t) / x for t in range(40)])
        assert 1 + 0.9 * depth < float(gains.max()) < 1 + depth + 1e-5
        assert 1 - depth - 1e-5 < float(gains.min()) < 1 - 0.9 * depth
    one = apply(x, "banding", 3)
    assert torch.equal(one[..., 0], one[..., 7])  # rows are read at once
    assert float(one.std()) > 0


def test_so_many_rows_are_dead():
    x = torch.ones(3, 1, 200, 8)
    for severity, share in ((1, 0.01), (5, 0.2)):
        dead = (apply(x, "dead_rows", severity) == 0).all((1, 3))
        assert dead.sum(1).tolist() == [round(200 * share)] * 3


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("t", [2.5, math.nan, "3", True])
def test_times_that_are_none(t):
    with pytest.raises(InputError, match="gaussian_noise: t"):
        apply(GREY, "gaussian_noise", 2, t=t)


def test_whole_times_of_any_type_and_real_ones_of_what_moves():
    assert torch.equal(apply(GREY, "gaussian_noise", 2, t=3.0), apply(GREY, "gaussian_noise", 2, t=3))
    assert all(p.dynamic or p.sticks for p in DYNAMIC)
    apply(GREY, "dynamic_birds", 2, t=2.5)
