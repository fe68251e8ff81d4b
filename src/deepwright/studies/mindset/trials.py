"""One experiment on one network at one seed: real EfficientNet-Lite0, or the same network with random weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.core.pictures import encode
from deepwright.core.randomness import local_rng
from deepwright.interpret.mindset import (
    Measured,
    Plan,
    as_pixels,
    contrast_rows,
    item_bias,
    make_stimuli,
    measure_experiment,
    observe,
)
from deepwright.nets import EfficientNetLite, Normalised, pretrained_lite

MULLER_LYER, TILT = "muller_lyer_illusion", "tilt_illusion"
DECODED = (MULLER_LYER, "ebbinghaus_illusion", "jastrow_illusion", TILT, "ponzo_illusion")
JUDGED = ("NAP_vs_MP_2D_lines", "emergent_features", "amodal_completion", "decomposition")
LAYERS = {
    "network._blocks.2": "stage 2",
    "network._blocks.4": "stage 3",
    "network._blocks.10": "stage 5",
    "network._blocks.15": "stage 7",
    "features": "features",
}
"""Names in the network -> in the tables; from the input on. The last is what the classifier reads."""
FEATURES = "features"
PIXELS, BOX = "pixels", "bounding box"
REAL, RANDOM = "ImageNet weights", "random weights"
NETWORKS = (REAL, RANDOM)
STRENGTHS = (0.0, 0.5, 1.0)
WIDTH = 15
BINS = tuple(range(-90, 90, WIDTH))
"""Beginnings of the bins of a context's orientation, in degrees."""


def network(kind: str, seed: int, size: int) -> nn.Module:
    """The network with its ImageNet weights, or with random ones whose normalisations have seen stimuli.

    Without that the signal of random weights fades from layer to layer; with it every layer's channels have the mean
    and deviation over pictures that training would give them.

    Args:
        kind: one of `NETWORKS`.
        seed: of the random weights.
        size: of the stimuli.
    """
    if kind == REAL:
        return pretrained_lite(0)
    with local_rng(seed):
        model = Normalised(EfficientNetLite(0), [0.498] * 3, [0.502] * 3)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        stimuli = make_stimuli(MULLER_LYER, 64, conditions=("scrambled",), size=size, seed=seed + 10_000)
        model.train()(as_pixels(stimuli.images))
    return model.eval()


def plan_of(name: str, seed: int, quick: bool) -> Plan:
    """How much is measured: most for Müller-Lyer, whose read-out from few pictures is no evidence.

    Args:
        name: of the experiment.
        seed: of the pictures: those of other seeds are other draws.
        quick: a handful.
    """
    if quick:
        return Plan(items=12, train=48, held_out=24, refits=0, size=48, seed=seed, pool=1)
    if name == MULLER_LYER:
        return Plan(items=60, train=1800, held_out=200, refits=0, size=128, seed=seed, pool=2)
    return Plan(items=60, train=640, held_out=160, refits=0, size=96, seed=seed, pool=2)


def decoding_trial(seed: int, name: str, kind: str, quick: bool) -> dict[str, Any]:
    """What read-outs at every layer make of an illusion.

    Args:
        seed: of pictures and random weights.
        name: of the experiment.
        kind: of the network.
        quick: a handful of pictures.
    """
    plan = plan_of(name, seed, quick)
    model = network(kind, seed, plan.size)
    found = measure_experiment(model, name, tuple(LAYERS), plan=plan)
    row = _row(found)
    row["r2"] = {layer: found.r2.get(layer) for layer in found.effects}
    if name == TILT:
        context = found.tested["ContextOrientation"]
        row["curves"] = {layer: _curve(context, wrong) for layer, wrong in found.errors.items()}
    if name == MULLER_LYER:
        row["doses"] = {str(strength): _dose(model, found, plan, strength) for strength in STRENGTHS}
    return row


def _curve(context: np.ndarray, wrong: Tensor) -> list[float | None]:
    """Mean turn of the upright centre in each bin of the context's orientation, in degrees."""
    means = [wrong[torch.from_numpy((context >= low) & (context < low + WIDTH))] for low in BINS]
    return [float(values.mean()) if len(values) else None for values in means]


def _dose(model: nn.Module, found: Measured, plan: Plan, strength: float) -> dict[str, float]:
    """The effect with fins of a share of their length, by layer."""
    shown = make_stimuli(
        MULLER_LYER, plan.items, conditions=("inward", "outward"), size=plan.size, seed=plan.seed, strength=strength
    )
    seen = observe(model, shown, tuple(found.readouts), pool=plan.pool)
    contrast = found.experiment.contrast
    assert contrast is not None
    larger, smaller, sign = contrast_rows(shown, contrast)
    target = shown.factor("ShaftLength")
    return {
        layer: float(item_bias(readout.predict(seen[layer]), target, larger, smaller, sign).mean()) / plan.size
        for layer, readout in found.readouts.items()
    }


def judging_trial(seed: int, name: str, kind: str, quick: bool) -> dict[str, Any]:
    """Which pictures look alike at every layer.

    Args:
        seed: of pictures and random weights.
        name: of the experiment.
        kind: of the network.
        quick: a handful of pictures.
    """
    plan = plan_of(name, seed, quick)
    found = measure_experiment(network(kind, seed, plan.size), name, tuple(LAYERS), plan=plan)
    row = _row(found)
    row["controlled"] = {
        layer: None if effect.reason else effect.mean.value for layer, effect in found.controlled.items()
    }
    return row


def sheet_trial(seed: int, quick: bool) -> dict[str, Any]:
    """Two pictures of each condition of each experiment, encoded.

    Args:
        seed: of the pictures.
        quick: as for the others.
    """
    found = {}
    for name in (*DECODED, *JUDGED):
        shown = make_stimuli(name, 1, size=plan_of(name, seed, quick).size, seed=seed)
        kinds = shown.factor("Type").tolist()
        found[name] = {"codes": [encode(image.float() / 255, 96) for image in shown.images], "kinds": kinds}
    return found


def _row(found: Measured) -> dict[str, Any]:
    """Means over items, and how large they are beside the items' spread."""
    return {
        "effect": {layer: float(values.mean()) for layer, values in found.items.items()},
        "d": {layer: float(values.mean() / values.std().clamp_min(1e-12)) for layer, values in found.items.items()},
        "items": len(next(iter(found.items.values()))),
        "unit": found.unit,
    }
