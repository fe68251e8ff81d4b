"""Whole networks trained on labels that were chosen: from scratch and fused, for shorter and longer."""

from __future__ import annotations

import warnings
from typing import Any

from torch import nn

from deepwright.labels import PrunedSelector, default_trainer, train_fused
from deepwright.studies._networks import accuracy
from deepwright.studies.prunefuse.selecting import (
    OURS,
    RANDOM,
    UNITS,
    digits,
    network,
    selector_of,
)

SCRATCH, FUSED = "scratch", "fused"
STARVED, SMALL, TEN, LONG = (
    "3 epochs in batches of 32 (45 steps)",
    "3 epochs in batches of 16 (90 steps)",
    "10 epochs in batches of 32 (150 steps)",
    "10 or 30 epochs, as validation chooses",
)
MATCHED = "8 epochs in batches of 16 (240 steps)"  # 5 more than 3: what 20 epochs of a quarter of the MACs cost
LENGTHS: dict[str, tuple[tuple[int, ...], int]] = {
    STARVED: ((3,), 32),
    SMALL: ((3,), 16),
    MATCHED: ((8,), 16),
    TEN: ((10,), 32),
    LONG: ((10, 30), 32),
}
QUICKER = 0.9  # one more learning rate where training is short
RESTS = ("keep", "function_preserving", "zero", "random + teacher")


def plan(labels: str, quick: bool) -> list[tuple[str, str]]:
    """(way, length) of all that is trained on some labels.

    Args:
        labels: who chose them.
        quick: without the longest.
    """
    late = [] if quick else [LONG]
    if labels == OURS:
        tried = [(SCRATCH, length) for length in [STARVED, SMALL, *([] if quick else [MATCHED]), TEN, *late]]
        tried += [(FUSED, length) for length in [STARVED, SMALL, TEN, *late]]
        return tried + [(f"{FUSED}, {rest}", SMALL) for rest in RESTS]
    if labels == RANDOM:
        return [(SCRATCH, SMALL), (FUSED, SMALL), *((SCRATCH, length) for length in [TEN, *late])]
    return [(SCRATCH, length) for length in ([TEN] if labels == UNITS else [TEN, *late])]


def training_trial(
    labels: str,
    seed: int,
    indices: list[int],
    selector_lr: float,
    selector_epochs: int,
    rates: list[float],
    quick: bool,
) -> dict[str, Any]:
    """Every way and length with every setting, on the same labels.

    Args:
        labels: who chose them.
        seed: of everything.
        indices: the labelled samples.
        selector_lr: of the selector that is fused.
        selector_epochs: of it.
        rates: learning rates that are tried.
        quick: without the longest.
    """
    data = digits(seed)
    x, y = (part[indices] for part in data.train)
    selector = selector_of(labels, seed, x[:2])
    small: Any = None
    if isinstance(selector, PrunedSelector):
        small = default_trainer(selector_epochs, lr=selector_lr)(selector.fresh(), x, y, 0, seed)
    found: dict[str, Any] = {}
    for way, length in plan(labels, quick):
        epochs, batch = LENGTHS[length]
        shorter = f"{way} | {TEN}" if length == LONG else ""  # 10 epochs are there already
        found[f"{way} | {length}"] = dict(found.get(shorter, {}))
        for lr in rates if length in (TEN, LONG) or quick else [*rates, QUICKER]:
            if way == SCRATCH:
                model = default_trainer(epochs[-1], lr=lr, batch_size=batch)(network(seed), x, y, 0, seed)
            else:
                model = _fused(selector, small, (x, y), way, epochs[-1], lr, batch, seed)
            measured = {"validation": accuracy(model, data.validation), "test": accuracy(model, data.test)}
            found[f"{way} | {length}"][f"{lr} {epochs[-1]}"] = measured
    return found


def _fused(
    selector: PrunedSelector, small: nn.Module, data: Any, way: str, epochs: int, lr: float, batch: int, seed: int
) -> nn.Module:
    rest = way.removeprefix(FUSED).removeprefix(", ") or "random"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rest='zero' warns that its channels never wake: that is what is shown here
        return train_fused(
            selector,
            small,
            *data,
            rest=rest.removesuffix(" + teacher"),
            epochs=epochs,
            lr=lr,
            distill=0.3 if rest.endswith("teacher") else 0.0,
            seed=seed,
            batch_size=batch,
        )
