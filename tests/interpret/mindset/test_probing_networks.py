"""Probes: what is known of an observer comes out, pairs are those of a naive loop, bad input is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.interpret import (
    StimulusDecoder,
    as_grey_pixels,
    as_pixels,
    audit_perception,
    classify_stimuli,
    judge_similarity,
    list_experiments,
    make_stimuli,
)
from deepwright.interpret.mindset import Plan, effect_of, fit_ridge, measure_experiment, pair_distances
from deepwright.interpret.mindset.decoder import Readout
from deepwright.interpret.mindset.effects import corrected, effect_beyond, refitted_effect
from deepwright.interpret.mindset.ridge import refitted
from deepwright.interpret.mindset.similarity_judging import Affine

BY_NAME = {e.name: e for e in list_experiments()}


class Counter(nn.Module):
    """Counts red pixels, and passes that through a linear map."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        red = (x[:, 0] - x[:, 1]).clamp_min(0).sum((1, 2))
        return self.head(torch.stack([red.sqrt(), x.mean((1, 2, 3))], 1))


def small(channels: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 6, 5, 2),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 8, 3, 2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
    ).train()


def test_who_counts_pixels_sees_no_ebbinghaus_illusion() -> None:
    plan = Plan(items=20, train=120, held_out=40, refits=20, size=48)
    found = measure_experiment(Counter(), "ebbinghaus_illusion", plan=plan, preprocess=as_pixels)
    assert found.r2["features"] > 0.999
    assert abs(found.effects["features"].mean.value) < 0.005
    assert found.effects["bounding box"].reason


def test_who_reads_bounding_boxes_sees_muller_lyer() -> None:
    """A width read as a length: outward less inward is 2 w cos(a)."""
    shown = make_stimuli("muller_lyer_illusion", 20, conditions=("inward", "outward"), size=96)
    part = shown.where(Type="outward")
    wanted = 2 * part.factor("FinLength") * np.cos(np.radians(part.factor("FinAngle")))

    class Width(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(1, 2)

        def forward(self, x: Tensor) -> Tensor:
            lit = (x[:, 0] > 0.3).any(1).float()
            return self.head(lit.shape[1] - lit.flip(1).argmax(1, keepdim=True) - lit.argmax(1, keepdim=True).float())

    bare = make_stimuli("muller_lyer_illusion", 60, conditions=("inward",), size=96, strength=0.0, seed=5)
    bare.factors["Type"] = np.full(len(bare), "bare")
    decoder = StimulusDecoder(Width(), "ShaftLength", preprocess=as_pixels).fit(bare)
    contrast = BY_NAME["muller_lyer_illusion"].contrast
    assert contrast is not None
    bias = decoder.bias(shown, contrast)["features"]
    assert np.abs(bias.numpy() - wanted).max() < 2.5
    assert decoder.score(bare)["features"]["r2"] > 0.99


def test_similarity_is_that_of_a_naive_loop() -> None:
    model = small()
    stimuli = make_stimuli("NAP_vs_MP_2D_lines", 4, size=48)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    for metric in ("euclidean", "cosine", "correlation"):
        found = judge_similarity(model, stimuli, "Type", "reference", metric=metric, preprocess=as_pixels)
        assert list(found.per_layer) == ["0", "3", "7"]
        assert len(found.table.rows) == 4 * 8
        reference, others = stimuli.rows(Type="reference"), stimuli.rows(Type=("NAP", "MP"))
        seen: dict[str, list[Tensor]] = {"7": []}
        with torch.no_grad():
            for image in stimuli.images:
                seen["7"].append(model.eval()(image[None].float() / 255)[0].double())
        k = 0
        for i in reference:
            for j in others:
                a, b = seen["7"][i], seen["7"][j]
                if metric == "correlation":
                    a, b = a - a.mean(), b - b.mean()
                wanted = (a - b).norm() if metric == "euclidean" else 1 - (a @ b) / (a.norm() * b.norm())
                assert float(found.per_layer["7"][k]) == pytest.approx(float(wanted), abs=1e-5)
                k += 1
        model.train()
    assert model.training
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in before.items())
    matched = judge_similarity(model, stimuli, "Type", "reference", match=("Item",), preprocess=as_pixels)
    assert len(matched.table.rows) == 8


def test_pixels_distances_are_pixels_distances_either_way() -> None:
    stimuli = make_stimuli("emergent_features", 4, size=32)
    flat = stimuli.images.flatten(1).double() / 255
    few, many = torch.tensor([[0, 1], [2, 7]]), torch.cartesian_prod(torch.arange(16), torch.arange(16))
    for pairs in (few, many):
        found = pair_distances(small(), stimuli, pairs, ["pixels"])["pixels"]
        wanted = (flat[pairs[:, 0]] - flat[pairs[:, 1]]).norm(dim=1)
        assert torch.allclose(found.double(), wanted, atol=1e-4)


def test_transforms_are_drawn_once_a_picture() -> None:
    stimuli = make_stimuli("decomposition", 3, size=48)
    still = Affine(0.0, (1.0, 1.0), 0.0)
    assert int((still(stimuli, 0, 0).images.int() - stimuli.images.int()).abs().max()) <= 1
    both = judge_similarity(
        small(), stimuli, "Type", "no_split", match=("Item",), transforms=Affine(), repeats=2, preprocess=as_pixels
    )
    assert len(both.table.rows) == 2 * 6
    moved = Affine(same=True)(stimuli, 1, 0)
    assert torch.equal(moved.images, Affine(same=True)(stimuli, 1, 0).images)
    assert not torch.equal(moved.images, stimuli.images)


def test_ridge_is_the_closed_form() -> None:
    torch.manual_seed(1)
    for n, d in ((60, 7), (20, 50)):
        x, noise = torch.randn(n, d), torch.randn(n, 2)
        y = x[:, :2] * 3 + 5 + 0.3 * noise
        found = fit_ridge(x, y)
        z = (x.double() - x.double().mean(0)) / found.scale
        wanted = torch.linalg.solve(
            z.T @ z + found.strength * torch.eye(d, dtype=torch.float64), z.T @ (y - y.mean(0)).double()
        )
        assert torch.allclose(found.weight, wanted, atol=1e-8)
        whole = refitted(found, x, y, x, torch.ones(1, n))[0]
        assert torch.allclose(whole, found(x), atol=2e-3)
    with pytest.raises(InputError, match="same for every row"):
        fit_ridge(torch.ones(5, 2), torch.randn(5, 1))


def test_orientations_return_after_half_a_turn() -> None:
    degrees = np.linspace(-90, 89, 90)
    x = torch.from_numpy(np.stack([np.sin(2 * np.radians(degrees)), np.cos(2 * np.radians(degrees))], 1))
    readout = Readout.fit(x, degrees, "circular")
    wrong = (readout.predict(x).numpy() - degrees + 90) % 180 - 90
    assert np.abs(wrong).max() < 0.1
    names = np.where(degrees > 0, "up", "down")
    assert Readout.fit(x, names, "classification").score(x, names)["accuracy"] > 0.95
    with pytest.raises(InputError, match="circular"):
        StimulusDecoder(small(), "CentreOrientation", preprocess=as_pixels).fit(
            make_stimuli("tilt_illusion", 4, conditions=("only_center",), size=48)
        )


def test_verdicts() -> None:
    torch.manual_seed(0)
    noise = torch.randn(60)
    assert effect_of(noise + 2).verdict == "human-like"
    assert effect_of(noise - 2).verdict == "opposite"
    assert effect_of(torch.randn(500)).verdict in ("absent", "inconclusive")
    assert effect_of(noise[:5] + 9).verdict == "inconclusive"
    assert effect_of(torch.zeros(20)).verdict == "inconclusive"
    refits = noise + 2 + 0.1 * torch.randn(100, 60)
    assert refitted_effect(noise + 2, refits).verdict == "human-like"
    assert "equal change" in effect_beyond(noise, noise.abs() + 1).reason
    assert effect_beyond(3 * noise, noise).reason
    both = corrected({"a": effect_of(noise + 0.4), "b": effect_of(noise + 0.35)})
    assert both["b"].adjusted >= effect_of(noise + 0.35).p


def test_a_battery_has_a_verdict_each() -> None:
    plan = Plan(items=10, train=60, held_out=20, refits=10, size=32)
    model = small(1)
    report = audit_perception(model, as_grey_pixels, ("muller_lyer_illusion", "emergent_features"), plan=plan)
    assert set(report.verdicts) == {"muller_lyer_illusion", "emergent_features"}
    assert len(report.table().rows) == 2
    assert [row["name"] for row in report.sheet().series] == ["muller_lyer_illusion", "emergent_features"]
    assert report.to_dict()["experiments"][0]["people"]


def test_classes_of_another_network_are_refused() -> None:
    stimuli = make_stimuli("same_different_task", 6, size=48)
    table, guesses = classify_stimuli(small(), stimuli, "Label", preprocess=as_pixels)
    assert [row[:2] for row in table.rows] == [["same", 6], ["different", 6]]
    assert len(guesses.rows) == 12
    stimuli.factors["ImageNetClassIdx"] = np.zeros(12, dtype=int)
    with pytest.raises(InputError, match="ImageNet's, of a network of 10"):
        classify_stimuli(small(), stimuli, preprocess=as_pixels)


def test_what_cannot_be_probed_is_refused() -> None:
    stimuli = make_stimuli("decomposition", 3, size=48)
    with pytest.raises(InputError, match="as_pixels"):
        judge_similarity(small(), stimuli, "Type", "no_split")
    with pytest.raises(InputError, match="unknown layer"):
        pair_distances(small(), stimuli, torch.tensor([[0, 1]]), ["conv"], preprocess=as_pixels)
    with pytest.raises(InputError, match="thin"):
        pair_distances(
            small(), stimuli, torch.tensor([[0, 1]]), ["0"], preprocess=lambda x: as_pixels(x)[:, :, ::2, ::2]
        )
    with pytest.raises(InputError, match="reference"):
        judge_similarity(small(), stimuli, "Type", "no split", preprocess=as_pixels)
    with pytest.raises(InputError, match="MiB"):
        judge_similarity(small(), stimuli, "Type", "no_split", preprocess=as_pixels, memory=100)
    with pytest.raises(InputError, match="takes none"):
        judge_similarity(small(), stimuli, "Type", "no_split", preprocess=as_pixels, layers=lambda name: False)
    broken = small()
    broken[7].weight.data.fill_(float("nan"))
    with pytest.raises(InputError, match="NaN"):
        judge_similarity(broken, stimuli, "Type", "no_split", preprocess=as_pixels)
