"""One seed: a split, colours and watermarks of its own; every feature's curve, and what the network relies on."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.core.randomness import generator
from deepwright.data import WatermarkedColouredDigits, mnist_5k
from deepwright.interpret import FitConfig, LossCurve, View, loss_curve, reliance_plan
from deepwright.nets import mlp
from deepwright.studies._clock import one_thread

SHARES = (0.05, 0.15, 0.25)
"""P(e = 1) of the first part: how often the colour is wrong."""
BANKS = (2, 8, 32)
"""Watermarks of each environment, in the second part."""
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600)
FLIPS = 0.15
OWN, ORIGINAL = "isolated", "original"
_SIDE, _CHANNELS, _WIDTH, _STEPS = 14, 2, 128, 400
_PARTS = (3600, 600, 800)
_PERMUTED, _PERMUTATIONS = 200, 200


def network(seed: int) -> nn.Module:
    """The perceptron of the study, by Xavier's start.

    Args:
        seed: not looked at: the global generator is seeded for it.
    """
    made = mlp(_CHANNELS * _SIDE * _SIDE, 2, (_WIDTH, _WIDTH))
    for module in made.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    return nn.Sequential(nn.Flatten(), made)


def colour_trial(seed: int, shares: tuple[float, ...], sizes: tuple[int, ...], steps: int) -> dict[str, Any]:
    """Colour against digit at several reliabilities of the colour, without flipped labels.

    Args:
        seed: of split, colours and trainings.
        shares: P(e = 1).
        sizes: training samples.
        steps: of each training, at most.
    """
    with one_thread():
        worlds = {p: _digits(flip_prob=0.0, spur_prob=p, seed=seed) for p in shares}
        parts = _split(seed)
        blind = _view(worlds[shares[0]].with_environment(0.5), parts, seed)
        originals = {f"{ORIGINAL} {p:g}": _view(worlds[p], parts, seed) for p in shares}
        digit = _curve(blind, {OWN: blind.test} | {k: v.test for k, v in originals.items()}, seed, sizes, steps)
        found: dict[str, Any] = {"digit": _plain(digit), "linear digit": _linear(blind)}
        for p in shares:
            original = originals[f"{ORIGINAL} {p:g}"]
            isolated = _view(worlds[p], parts, seed, shuffle=("digit",))
            tests = {OWN: isolated.test, f"{ORIGINAL} {p:g}": original.test}
            found[f"colour {p:g}"] = _plain(_curve(isolated, tests, seed, sizes, steps))
            found[f"linear colour {p:g}"] = _linear(isolated)
            found[f"learned {p:g}"] = _learned(
                worlds[p].subset(parts[2]), original, ("colour", "digit"), seed, sizes, steps
            )
    return found


def watermark_trial(seed: int, banks: tuple[int, ...], sizes: tuple[int, ...], steps: int) -> dict[str, Any]:
    """Digit against watermark and colour, with banks of several sizes and flipped labels.

    Args:
        seed: of split, labels, watermarks and trainings.
        banks: patterns of each environment.
        sizes: training samples.
        steps: of each training, at most.
    """
    with one_thread():
        parts = _split(seed)
        worlds = {
            b: _digits(flip_prob=FLIPS, spur_prob=0.5, watermark_bits=_SIDE, bank_size=b, seed=seed) for b in banks
        }
        blind = _view(worlds[banks[0]], parts, seed, randomise=("watermark",))
        originals = {f"{ORIGINAL} {b}": _view(worlds[b], parts, seed) for b in banks}
        digit = _curve(blind, {OWN: blind.test} | {k: v.test for k, v in originals.items()}, seed, sizes, steps)
        found: dict[str, Any] = {"digit": _plain(digit)}
        for b in banks:
            original = originals[f"{ORIGINAL} {b}"]
            isolated = _view(worlds[b], parts, seed, shuffle=("digit",))
            tests = {OWN: isolated.test, f"{ORIGINAL} {b}": original.test}
            found[f"watermark {b}"] = _plain(_curve(isolated, tests, seed, sizes, steps))
            attributes = ("watermark", "digit")
            found[f"learned {b}"] = _learned(worlds[b].subset(parts[2]), original, attributes, seed, sizes, steps)
    return found


def _digits(**options: Any) -> WatermarkedColouredDigits:
    images, digits = mnist_5k()
    return WatermarkedColouredDigits(images[:, 0], digits, size=_SIDE, channels=_CHANNELS, **options)


def _split(seed: int) -> list[Tensor]:
    return list(torch.randperm(sum(_PARTS), generator=generator(seed, "split")).split(list(_PARTS)))


def _view(world: WatermarkedColouredDigits, parts: list[Tensor], seed: int, **changes: Any) -> View:
    """Train, validation and test samples, each permuted by itself."""
    return View(*(world.subset(rows).view(seed=3 * seed + k, **changes) for k, rows in enumerate(parts)))


def _curve(view: View, tests: Any, seed: int, sizes: tuple[int, ...], steps: int, plans: Any = None) -> LossCurve:
    config = FitConfig(max_steps=steps, calibrate=True)
    return loss_curve(network, view.train, view.validation, tests, sizes, runs=1, seed=seed, fit=config, reliance=plans)


def _learned(
    samples: WatermarkedColouredDigits,
    original: View,
    attributes: tuple[str, ...],
    seed: int,
    sizes: tuple[int, ...],
    steps: int,
) -> dict[str, Any]:
    plans = {name: reliance_plan(samples, name, _PERMUTATIONS, seed, _PERMUTED) for name in attributes}
    return _plain(_curve(original, {ORIGINAL: original.test}, seed, sizes, steps, plans))


def _linear(view: View) -> float:
    """Test accuracy of a straight line between the classes."""
    from sklearn.linear_model import LogisticRegression

    x, y = (part.flatten(1).numpy() if part.ndim > 1 else part.numpy() for part in view.train)
    model = LogisticRegression(C=0.01, max_iter=300).fit(x, y)
    return float(model.score(view.test[0].flatten(1).numpy(), view.test[1].numpy()))


def _plain(curve: LossCurve) -> dict[str, Any]:
    """A curve of one run as what a trial's store holds."""
    return {
        "sizes": curve.sizes.tolist(),
        "tests": list(curve.tests),
        "loss": curve.loss[:, 0].tolist(),
        "accuracy": curve.accuracy[:, 0].tolist(),
        "reliance": {name: drops[0].tolist() for name, drops in curve.reliance.items()},
    }


def joined(found: list[dict[str, Any]], original: str | None = None) -> LossCurve:
    """One run a seed, as one curve.

    Args:
        found: of each seed.
        original: which of the test sets of original data is meant; it is called "original" then.
    """
    tests = found[0]["tests"]
    chosen = [t for t in tests if original is None or t.startswith((OWN, f"{ORIGINAL} {original}"))]
    places = [tests.index(t) for t in chosen]
    names = tuple(t if original is None else t.replace(f"{ORIGINAL} {original}", ORIGINAL) for t in chosen)
    loss, accuracy = (
        np.stack([np.asarray(one[k], dtype=np.float64)[places] for one in found], 1) for k in ("loss", "accuracy")
    )
    reliance = {name: np.array([one["reliance"][name] for one in found]) for name in found[0]["reliance"]}
    return LossCurve(np.asarray(found[0]["sizes"], dtype=np.float64), names, loss, accuracy, 0, reliance)
