"""One trial of the paper's own models: linear classifiers of least fragility, solved exactly, beside logistic ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from deepwright.risk import FragileLinearClassifier
from deepwright.studies.fragility.measures import at_matched, cross_entropy, indices, margins, measured, temperatures
from deepwright.studies.fragility.trials import RULES
from deepwright.studies.fragility.worlds import MADE, WORLDS, table_of

SLACKS = (
    0.003,
    0.01,
    0.03,
    0.1,
    0.2,
    0.3,
    0.6,
    0.9,
)  # target: this share of the way from the smallest mean loss up to log 2
STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1, 1.0, 10.0, 100.0)  # C, the inverse of the ridge
MODELS = ("logistic", "kl", "wasserstein")


def linear_trial(data: str, arm: str, seed: int, root: str | None) -> list[dict[str, Any]]:
    """Solve a linear model at each of its settings.

    Args:
        data: a world's name.
        arm: of `MODELS`.
        seed: of the table and its split.
        root: a folder with real data.
    """
    table = table_of(data, seed, root)
    held, test = [], []
    settings = STRENGTHS if arm == "logistic" else SLACKS
    x, y = table.train.x.double().numpy(), table.train.y.numpy()
    floor = _smallest_loss(x, y)
    for setting in settings:
        model: Any = LogisticRegression(C=setting, max_iter=2000)
        if arm != "logistic":
            target = floor + setting * (math.log(2) - floor)
            model = FragileLinearClassifier(divergence=arm, target=target)
        model.fit(x, y)
        held.append(_logits(model, table.validation.x))
        test.append(_logits(model, table.test.x))
    z, labels = torch.stack(held), table.validation.y
    temperature = temperatures(z, labels)
    matched = z / temperature[:, None, None]
    validation = {"ce": cross_entropy(matched, labels), "nfi": indices(margins(matched, labels))[1]}
    scores = torch.stack(test)
    few = WORLDS[data].source != MADE
    found = measured(scores, table.test.y, *at_matched((z, labels), scores, table.test.y, few))
    return [
        {"rule": rule, "setting": setting, "validation": float(validation[rule][i]), **found[i]}
        for rule in RULES
        for i, setting in enumerate(settings)
    ]


def _smallest_loss(x: np.ndarray, y: np.ndarray) -> float:
    """The mean loss of a nearly free logistic fit: 0 where a line separates the classes, which a share of can't be."""
    free = LogisticRegression(C=1e4, max_iter=5000).fit(x, y)
    return float(np.logaddexp(0, -(2.0 * y - 1) * free.decision_function(x)).mean())


def _logits(model: Any, x: Tensor) -> Tensor:
    margin = torch.as_tensor(model.decision_function(x.double().numpy()))
    return torch.stack([torch.zeros_like(margin), margin], 1)
