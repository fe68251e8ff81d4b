"""Training on: with attacked scenes, with randomly attenuated ones, and with neither, for as many steps."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from deepwright.adversarial.patches import adversarial_training_hook, attenuated
from deepwright.core.randomness import Streams
from deepwright.studies.saap.attacks import CONTROLS, OURS, TAU, attack
from deepwright.studies.saap.detectors import CENTRE, RATE, detector, measured, read_as_candidates, scenes, size_of
from deepwright.studies.saap.detectors import train as train_on

AGAINST, DIMMED, PLAIN = "on attacked scenes", "on scenes attenuated at random", "on the same scenes"
WAYS = (AGAINST, DIMMED, PLAIN)
EPOCHS, STEPS, SHARE = 6, 10, 0.5


def hardening_trial(seed: int, way: str, quick: bool) -> dict[str, Any]:
    """A detector trained on in one way, then attacked as before, and without attack.

    Args:
        seed: of the detector and its scenes.
        way: one of `WAYS`.
        quick: smaller.
    """
    data, test, size = scenes(seed, "training", quick), scenes(seed, "test", quick), size_of(quick)
    network = copy.deepcopy(detector(CENTRE, seed, quick))
    attacked = adversarial_training_hook(attack(TAU, min(STEPS, size.steps), seed), SHARE)

    def hook(model: Any, x: Tensor, rows: Tensor, done: int) -> Tensor:
        numbers = torch.arange(32 * done, 32 * done + len(x))
        truth = [data.truth[i] for i in rows.tolist()]
        if way == AGAINST:
            return attacked(model, x, truth, numbers)
        shown, _ = attenuated(CONTROLS["random pixels"], x, truth, TAU, seed=seed, ids=numbers)
        chosen = Streams(seed, numbers, "attenuated in training").uniform() < SHARE
        return torch.where(chosen.view(-1, 1, 1, 1), shown, x)

    train_on(network, data, 1 if size.epochs < EPOCHS else EPOCHS, RATE / 3, seed, None if way == PLAIN else hook)
    network = read_as_candidates(network)
    shown = attack(TAU, size.steps, seed, OURS)(network, test.images, test.truth).images
    return {
        "attacked": measured(network, shown, test.truth, test.images),
        "clean": measured(network, test.images, test.truth),
    }
