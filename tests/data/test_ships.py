"""Synthetic radar scenes: what is in them is where it is said to be, and as bright."""

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.data import load_sar_ships, sar_ships, to_amplitude, to_decibels


@pytest.fixture(scope="module")
def scenes():
    return sar_ships(60)


def test_they_are_on_255_levels_and_the_same_for_a_seed_whatever_the_number(scenes):
    grid = scenes.images * 255
    assert torch.allclose(grid, grid.round(), atol=1e-4)
    assert torch.equal(sar_ships(7).images, scenes.images[:7])
    assert not torch.equal(sar_ships(7, seed=1).images, scenes.images[:7])


def test_one_or_two_ships_lie_inside_and_apart(scenes):
    counts = [len(t) for t in scenes.truth]
    assert set(counts) == {1, 2}
    for t in scenes.truth:
        assert bool((t.boxes >= 0).all() & (t.boxes <= 64).all())
        if len(t) == 2:
            a, b = t.boxes
            assert bool(((a[2:] <= b[:2]) | (b[2:] <= a[:2])).any())


def test_ships_are_brighter_than_the_sea_whose_mean_power_is_known(scenes):
    sea = torch.ones(60, 64, 64, dtype=torch.bool)
    inside = []
    for i, t in enumerate(scenes.truth):
        for x1, y1, x2, y2 in t.boxes.round().long().tolist():
            sea[i, y1:y2, x1:x2] = False
            inside.append(scenes.images[i, 0, y1 + 1 : y2 - 1, x1 + 1 : x2 - 1].mean())
    assert float(scenes.images[:, 0][sea].square().mean()) == pytest.approx(0.02, rel=0.05)
    assert float(torch.stack(inside).min()) > 0.2


def test_turned_frames_have_the_extents_of_their_boxes(scenes):
    for t, frames in zip(scenes.truth, scenes.oriented):
        half = (t.boxes[:, 2:] - t.boxes[:, :2]) / 2 - 1
        a, b, angle = (frames[:, 2] - 2) / 2, (frames[:, 3] - 2) / 2, frames[:, 4]
        wide = ((a * angle.cos()).square() + (b * angle.sin()).square()).sqrt()
        assert torch.allclose(half[:, 0], wide, atol=1e-3)


def test_coherent_scenes_show_the_same_ships_in_as_much_power(scenes):
    coherent = sar_ships(60, coherent=True)
    assert coherent.field.shape == (60, 4, 64, 64)
    assert all(torch.equal(a.boxes, b.boxes) for a, b in zip(coherent.truth, scenes.truth))
    ratio = coherent.images.square().mean() / scenes.images.square().mean()
    assert float(ratio) == pytest.approx(1.0, rel=0.1)
    assert coherent.take(torch.tensor([3, 1])).field.shape[0] == 2


def test_what_distracts_is_no_ship(scenes):
    busy = sar_ships(60, islands=1.0, ambiguities=1.0, wakes=1.0)
    assert all(torch.equal(a.boxes, b.boxes) for a, b in zip(busy.truth, scenes.truth))
    assert bool((busy.images.mean((1, 2, 3)) > scenes.images.mean((1, 2, 3))).all())


def test_decibels_and_intensities_become_amplitudes():
    amplitude = torch.tensor([0.1, 0.5, 1.0])
    assert torch.allclose(to_amplitude(20 * amplitude.log10(), percentile=100), amplitude)
    assert torch.allclose(to_amplitude(amplitude.square(), "intensity", 100), amplitude)
    assert torch.allclose(to_decibels(amplitude), 20 * amplitude.log10())
    with pytest.raises(InputError, match="decibels"):
        to_amplitude(torch.tensor([-20.0, 3.0]), "amplitude")


@pytest.mark.slow
def test_the_data_set_has_three_parts():
    data = load_sar_ships()
    assert [len(part) for part in (data.train, data.validation, data.test)] == [1000, 200, 400]
