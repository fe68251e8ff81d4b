"""Stimuli: drawn is annotated, from a seed, matched across conditions, and kept on disk as they are."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.interpret import StimulusSet, list_experiments, make_stimuli

LONG = ("thatcher_illusion_face", "grayscale_shapes", "NAP_vs_MP_2D_lines", "decomposition", "amodal_completion")
NAMES = [
    pytest.param(e.name, marks=[pytest.mark.slow] if e.name in LONG else [], id=e.name) for e in list_experiments()
]


@pytest.mark.parametrize("name", NAMES)
def test_pictures_are_functions_of_their_number(name: str) -> None:
    few = make_stimuli(name, 3, size=48, seed=1)
    many = make_stimuli(name, 4, size=48, seed=1)
    rows = np.concatenate([many.rows(Type=kind)[:3] for kind in dict.fromkeys(many.factor("Type").tolist())])
    again = many.take(rows)
    assert torch.equal(few.images, again.images)
    for factor, values in few.factors.items():
        np.testing.assert_array_equal(values, again.factor(factor))
    later = make_stimuli(name, 2, first=1, size=48, seed=1)
    kinds = dict.fromkeys(few.factor("Type").tolist())
    assert torch.equal(later.images, few.take(np.concatenate([few.rows(Type=k)[1:] for k in kinds])).images)
    assert few.images.dtype == torch.uint8
    assert few.images.shape[1:] == (3, 48, 48)
    if not next(e.cells for e in list_experiments() if e.name == name):
        assert not torch.equal(few.images, make_stimuli(name, 3, size=48, seed=2).images)


def test_matched_conditions_share_what_they_do_not_vary() -> None:
    found = make_stimuli("muller_lyer_illusion", 20, size=128)
    inward, outward = found.where(Type="inward"), found.where(Type="outward")
    for name in ("Item", "ShaftLength", "FinLength", "FinAngle", "CentreX", "CentreY"):
        np.testing.assert_array_equal(inward.factor(name), outward.factor(name))
    free = make_stimuli("muller_lyer_illusion", 20, size=128, matched=False)
    assert not np.array_equal(free.where(Type="inward").factor("CentreX"), free.where(Type="outward").factor("CentreX"))


def test_bounding_boxes_of_muller_lyer() -> None:
    """Outward less inward is 2 w cos(a), item by item."""
    found = make_stimuli("muller_lyer_illusion", 30, size=224)
    width = {}
    for kind in ("inward", "outward"):
        part = found.where(Type=kind)
        lit = (part.images[:, 0] > 100).any(1)
        width[kind] = lit.shape[1] - lit.flip(1).int().argmax(1) - lit.int().argmax(1)
    part = found.where(Type="outward")
    wanted = 2 * part.factor("FinLength") * np.cos(np.radians(part.factor("FinAngle")))
    assert np.abs((width["outward"] - width["inward"]).numpy() - wanted).max() <= 2.0
    assert np.abs(width["inward"].numpy() - part.factor("ShaftLength")).max() <= 2.0
    bare = make_stimuli("muller_lyer_illusion", 5, size=224, strength=0.0, conditions=("inward", "outward"))
    assert torch.equal(bare.where(Type="inward").images, bare.where(Type="outward").images)


def test_discs_and_bars_measure_as_annotated() -> None:
    found = make_stimuli("ebbinghaus_illusion", 20, size=224)
    red = (found.images[:, 0].double() - found.images[:, 1].double()).clamp(min=0).sum((1, 2)) / 255
    size = found.factor("TargetSize")
    assert np.abs(red.numpy() / (math.pi * size**2 / 4) - 1).max() < 0.02
    ponzo = make_stimuli("ponzo_illusion", 20, size=224)
    same = ponzo.where(Type="ponzo_same_length")
    assert (same.factor("LengthDifference") == 0).all()
    for column, channel, other in (("RedLength", 0, 2), ("BlueLength", 2, 0)):
        only = (ponzo.images[:, channel].int() - ponzo.images[:, other].int()) > 200
        assert np.abs(only.any(1).sum(1).numpy() - ponzo.factor(column)).max() <= 1
    above = same.factor("UpperColour") == "red"
    rows = ((same.images[:, 0].int() - same.images[:, 2].int()) > 200).any(2).int().argmax(1).numpy()
    assert ((rows < 112) == above).all()


def test_flankers_touch_nothing() -> None:
    for kind, count in (("big_flankers", 5), ("small_flankers", 8)):
        found = make_stimuli("ebbinghaus_illusion", 200, conditions=(kind,), size=64, seed=100)
        target, flanker = found.factor("TargetSize") / 64, found.factor("FlankerSize") / 64
        distance = 0.02 + (target + flanker) / 2
        assert (2 * distance * np.sin(np.pi / count) > flanker).all()
        assert (distance + flanker / 2 < 0.5).all()


def test_gratings_turn_as_annotated() -> None:
    """Orientation from the structure tensor of the middle."""
    found = make_stimuli("tilt_illusion", 12, conditions=("only_context",), size=128, cycles=(6, 10), radius=(0.1, 0.2))
    patch = found.images[:, 0, 90:126, 20:108].double()
    gy, gx = patch[:, 2:, 1:-1] - patch[:, :-2, 1:-1], patch[:, 1:-1, 2:] - patch[:, 1:-1, :-2]
    xx, yy, xy = (gx * gx).sum((1, 2)), (gy * gy).sum((1, 2)), (gx * gy).sum((1, 2))
    angle = torch.rad2deg(torch.atan2(2 * xy, xx - yy)) / 2
    wrong = (angle.numpy() - found.factor("ContextOrientation") + 90) % 180 - 90
    assert np.abs(wrong).max() < 1.5
    both = make_stimuli("tilt_illusion", 8, conditions=("center_context",), size=128)
    expected = [-90.0, 0.0, -45.0, 45.0, -67.5, 22.5, -22.5, 67.5]
    np.testing.assert_allclose(both.factor("ContextOrientation"), expected)
    with pytest.raises(InputError, match="alias"):
        make_stimuli("tilt_illusion", 1, size=64, cycles=(5, 20))


def test_jastrow_bars_have_their_areas() -> None:
    found = make_stimuli("jastrow_illusion", 20, size=224)
    for column, channel in (("RedSize", 0), ("BlueSize", 2)):
        area = found.images[:, channel].double().sum((1, 2)).numpy() / 255 / 224**2
        assert np.abs(area / found.factor(column) - 1).max() < 0.03
    assert (found.where(Type="illusory").factor("SizeDifference") == 0).all()


def test_the_added_dots_are_the_same_in_both() -> None:
    found = make_stimuli("emergent_features", 20, size=224)
    for kind in ("proximity", "orientation", "linearity"):
        a, b = (found.where(Type=kind, Side=side).images.int() for side in "ab")
        alone = [found.where(Type="single", Side=side).images.int() for side in "ab"]
        other = ((a - alone[0]) != (b - alone[1])).any(1).sum((1, 2))
        assert int(other.max()) <= 4  # pixels that two touching dots share


def test_nap_and_mp_change_as_many_pixels() -> None:
    found = make_stimuli("NAP_vs_MP_2D_lines", 20, size=128)
    parts = {kind: found.where(Type=kind).images.double() for kind in ("reference", "NAP", "MP")}
    nap, mp = ((parts[kind] - parts["reference"]).square().sum((1, 2, 3)).sqrt() for kind in ("NAP", "MP"))
    assert float((mp / nap - 1).abs().max()) < 0.02
    assert (found.where(Type="MP").factor("Value") > found.where(Type="reference").factor("Value")).all()


def test_splits_keep_every_part_whole() -> None:
    found = make_stimuli("decomposition", 15, size=224)
    area = {k: found.where(Type=k).images[:, 0].double().sum((1, 2)) for k in ("no_split", "natural", "unnatural")}
    for kind in ("natural", "unnatural"):
        assert float((area[kind] / area["no_split"] - 1).abs().max()) < 0.02


def test_kept_on_disk(tmp_path: Path) -> None:
    found = make_stimuli("ponzo_illusion", 3, size=48)
    again = StimulusSet.load(found.save(tmp_path / "set"))
    assert torch.equal(found.images, again.images)
    assert again.name == "ponzo_illusion"
    for name, values in found.factors.items():
        if values.dtype.kind in "if":
            np.testing.assert_allclose(again.factor(name), values, rtol=1e-6)
        else:
            np.testing.assert_array_equal(again.factor(name), values)
    assert len(again.where(Type="scrambled_lines", UpperColour="red")) == 2
    (tmp_path / "set" / "annotation.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="Path"):
        StimulusSet.load(tmp_path / "set")


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(InputError, match="muller_lyer_illusion"):
        make_stimuli("muller_lyer", 1)
    with pytest.raises(InputError, match="parameter of ponzo_illusion"):
        make_stimuli("ponzo_illusion", 1, lenght=2)
    with pytest.raises(InputError, match="condition"):
        make_stimuli("ponzo_illusion", 1, conditions=("same",))
    with pytest.raises(InputError, match="stroke"):
        make_stimuli("ponzo_illusion", 1, stroke=0.5)
    with pytest.raises(InputError, match="ink"):
        make_stimuli("ponzo_illusion", 1, background=(90, 90, 90))
    with pytest.raises(InputError, match="target and flankers"):
        make_stimuli("ebbinghaus_illusion", 1, big=(0.6, 0.7))


def test_random_backgrounds_stay_apart_from_what_is_drawn() -> None:
    found = make_stimuli("ebbinghaus_illusion", 60, conditions=("big_flankers",), size=32, background="rnd-uniform")
    corner = found.images[:, :, 0, 0].int()
    assert (corner - 255).abs().amax(1).min() >= 49
    assert (corner - torch.tensor([255, 0, 0])).abs().amax(1).min() >= 49


def test_cells_in_and_out_of_the_shadow_send_the_same() -> None:
    found = make_stimuli("adelson_checkerboard_illusion", None, size=128)
    at = np.stack([found.factor("TipX"), found.factor("TipY")], 1).astype(int) - 2  # beside the arrow, in its cell
    sent = found.images[torch.arange(len(found)), 0, torch.from_numpy(at[:, 1]), torch.from_numpy(at[:, 0])].double()
    assert float((sent - 76.5).abs().max()) <= 1.0
    assert len(found) == 16


def test_arrows_point_at_the_grey_that_is_told() -> None:
    found = make_stimuli("grayscale_shapes", 20, size=96)
    at = np.stack([found.factor("TipX"), found.factor("TipY")], 1).astype(int) - 1
    grey = found.images[torch.arange(20), 0, torch.from_numpy(at[:, 1]), torch.from_numpy(at[:, 0])].numpy()
    assert np.abs(grey - found.factor("TargetGrey")).max() <= 1
    square = make_stimuli("lightness_contrast_illusion", None, size=112)
    assert (square.images[:, 0, 56, 75] == 200).all()
    np.testing.assert_array_equal(square.images[:, 0, 0, 0].numpy(), square.factor("Background"))


def test_lines_and_verniers_measure_as_annotated() -> None:
    found = make_stimuli("weber_law", None, size=224)
    lit = found.images[:, 0].double()
    grey = found.factor("Grey")
    np.testing.assert_allclose(lit.sum((1, 2)).numpy() / grey / 2, found.factor("LineLength"), rtol=0.03)
    found = make_stimuli("un_crowding", 20, conditions=("outside",), size=224)
    left = found.factor("Direction") == "left"
    assert (np.sign(found.factor("Offset")) == np.where(left, -1, 1)).all()
    middle = (torch.arange(224) + 0.5)[None, None] * found.images[:, 0].double()
    height = found.factor("Vernier")
    for picture, weights, high, offset in zip(found.images[:, 0].double(), middle[0:], height, found.factor("Offset")):
        bottom = int(picture.any(1).nonzero().max()) + 1
        lower, upper = bottom - int(high), bottom - 2 * int(high) - 1
        x = [weights[a:b].sum() / picture[a:b].sum() for a, b in ((lower, bottom), (upper, lower - 1))]
        assert float(x[0] - x[1]) == pytest.approx(offset, abs=0.6)


def test_a_face_upside_down_is_the_face_turned() -> None:
    found = make_stimuli("thatcher_illusion_face", 2, size=96)
    upright, turned = (found.where(Type=f"thatcherised_{way}").images.int() for way in ("upright", "inverted"))
    assert int((upright.flip((2, 3)) - turned).abs().max()) <= 1
    changed = found.where(Type="normal_upright").images.int() != found.where(Type="thatcherised_upright").images.int()
    assert 0.002 < float(changed.float().mean()) < 0.1
