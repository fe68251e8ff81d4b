"""What once gave a plausible number, and is now refused, kept or told apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.interpret import StimulusSet, as_pixels, classify_stimuli, make_stimuli
from deepwright.interpret.mindset import Readout, effect_of, observe
from deepwright.interpret.mindset.effects import corrected, refitted_effect


class Means(nn.Module):
    """A linear map of mean colours, or NaN."""

    def __init__(self, factor: float = 1.0, last: bool = False) -> None:
        super().__init__()
        self.head, self.factor, self.over = nn.Linear(3, 10), factor, (1, 2) if last else (2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x.mean(self.over)) * self.factor


def test_few_refits_can_still_reach_a_verdict_in_a_battery() -> None:
    """60 refits that all agree once gave p = 0.066 after Holm: no illusion could ever be human-like."""
    draws = torch.Generator().manual_seed(0)
    items = torch.rand(60, generator=draws) + 1
    refits = items + 0.01 * torch.randn(60, 60, generator=draws)
    clear, other = refitted_effect(items, refits), effect_of(items)
    found = corrected({"a": clear, "b": refitted_effect(-items, -refits), "c": other, "d": other})
    assert found["a"].verdict == "human-like"
    assert found["b"].verdict == "opposite"
    doubtful = refitted_effect(items - 1.5, items - 1.5 + torch.randn(60, 1, generator=draws))
    assert doubtful.p > 0.2


def test_classes_and_logits_that_are_none_are_refused() -> None:
    stimuli = make_stimuli("weber_law", 4, size=32)
    wrong: dict[str, Any] = {"Half": 1.5, "Unknown": float("nan"), "Word": "mug"}
    for name, value in wrong.items():
        stimuli.factors[name] = np.array([value] * len(stimuli))
        with pytest.raises(InputError, match="whole numbers"):
            classify_stimuli(Means(), stimuli, name, preprocess=as_pixels)
    stimuli.factors["Class"] = np.zeros(len(stimuli))
    assert classify_stimuli(Means(), stimuli, "Class", preprocess=as_pixels)[0].rows[0][1] == 4
    with pytest.raises(InputError, match="finite"):
        classify_stimuli(Means(float("nan")), stimuli, "Class", preprocess=as_pixels)


def test_figures_beyond_the_canvas_are_refused() -> None:
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("muller_lyer_illusion", {"shaft": (0.9, 0.99)}, "fit"),
        ("muller_lyer_illusion", {"shaft": (0.6, 0.3)}, "rises"),
        ("muller_lyer_illusion", {"shaft": (float("nan"), 0.3)}, "shaft"),
        ("muller_lyer_illusion", {"shaft": (-0.5, -0.3)}, "shaft"),
        ("muller_lyer_illusion", {"width": 0.0}, "width"),
        ("muller_lyer_illusion", {"angle": (10.5, 10.9)}, "angle"),
        ("ponzo_illusion", {"bars": (1.2, 1.5)}, "bars"),
        ("ponzo_illusion", {"background": (300, 0, 0), "ink": (0, 0, 0)}, "background"),
        ("ponzo_illusion", {"background": (9, 9, 9), "ink": (9, 9, 9)}, "ink"),
        ("ponzo_illusion", {"conditions": ()}, "conditions"),
        ("ponzo_illusion", {"conditions": ("ponzo_same_length",) * 2}, "conditions"),
    ]
    for name, given, match in wrong:
        with pytest.raises(InputError, match=match):
            make_stimuli(name, 10, size=64, **given)
    for size in range(16, 64):
        assert len(make_stimuli("muller_lyer_illusion", 20, conditions=["inward"], size=size)) == 20


def test_strokes_of_their_own_width_must_be_seen() -> None:
    """These are drawn with lines of 1 px at 224, not the 2 px of others: half the side loses them."""

    def halved(x: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(as_pixels(x), 2)

    for name in ("muller_lyer_illusion", "un_crowding"):
        stimuli = make_stimuli(name, 1, size=224)
        with pytest.raises(InputError, match="thin"):
            observe(Means(), stimuli, preprocess=halved)
    assert len(observe(Means(), make_stimuli("ponzo_illusion", 1, size=224), preprocess=halved)["features"]) == 3


def test_channels_last_is_taken_and_lost_rows_are_not() -> None:
    stimuli = make_stimuli("ponzo_illusion", 3, size=32)
    first = Means()
    last = Means(last=True)
    last.load_state_dict(first.state_dict())
    seen = observe(first, stimuli, preprocess=as_pixels)["features"]
    again = observe(last, stimuli, preprocess=lambda x: as_pixels(x).permute(0, 2, 3, 1))["features"]
    torch.testing.assert_close(seen, again)
    with pytest.raises(InputError, match="one row a picture"):
        observe(first, stimuli, preprocess=lambda x: as_pixels(x[:1]))


def test_stored_factors_and_pictures_come_back_as_they_were(tmp_path: Path) -> None:
    stimuli = make_stimuli("weber_law", 2, size=32)
    factors = {"Type": stimuli.factor("Type"), "Odd": np.array([True, False]), "Code": np.array(["007", "010"])}
    kept = StimulusSet.load(StimulusSet(stimuli.images, factors).save(tmp_path / "a"))
    for name, values in factors.items():
        np.testing.assert_array_equal(kept.factor(name), values)
        assert kept.factor(name).dtype.kind == values.dtype.kind
    with pytest.raises(InputError, match="within"):
        StimulusSet(stimuli.images, {"Type": np.array(["../x", "y"])}).save(tmp_path / "b")
    assert not (tmp_path / "x").exists()
    from PIL import Image

    Image.new("RGB", (10, 10)).save(next((tmp_path / "a").glob("*/*.png")))
    with pytest.raises(InputError, match="one size"):
        StimulusSet.load(tmp_path / "a")
    grey = object.__new__(StimulusSet)  # past the guard that tests put on types
    grey.images, grey.factors = stimuli.images[:, :1], {}
    with pytest.raises(InputError, match="images"):
        grey.__post_init__()


def test_a_target_that_never_varies_is_refused() -> None:
    with pytest.raises(InputError, match="target"):
        Readout.fit(torch.randn(20, 3), np.ones(20))
