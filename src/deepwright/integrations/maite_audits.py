"""An audit of MAITE's objects as they are: their model, their data set, pictures with classes or with boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from deepwright.checks import AuditReport, audit
from deepwright.core.errors import InputError
from deepwright.core.tasks import (
    Classification,
    Detection,
    Task,
    looks_like_log_probabilities,
    looks_like_probabilities,
)
from deepwright.integrations.maite import MaiteBatches, MaiteNetwork
from deepwright.integrations.maite_detection import MaiteDetectionBatches, MaiteDetector


def audit_maite(
    model: Any,
    dataset: Any,
    *,
    train: Any = None,
    validation: Any = None,
    task: Task | None = None,
    batch_size: int = 32,
    **options: Any,
) -> AuditReport:
    """Measure a MAITE model on a MAITE data set.

    Targets with boxes make it a detection. Classes are named by the data set's `index2label`, and the model's must be
    the same. Their models give pseudo-probabilities or any scores: rows of 0 or more that sum to 1 are read as
    probabilities, others as logits; `task` says otherwise. Nothing there has a gradient: what needs one doesn't apply.

    Args:
        model: takes a sequence of (C, H, W) arrays, and has `metadata`.
        dataset: gives (image, target, metadata) by number, and has `metadata`; it is measured.
        train: another, for baselines and detectors; cut from `dataset` when missing.
        validation: another, on which the model wasn't trained.
        task: what outputs and targets mean; told from them when None.
        batch_size: images at once.
        **options: of `deepwright.audit`.

    Raises:
        InputError: objects of another form, other classes in model and data; see also `deepwright.audit`.
    """
    names = _names(model, dataset)
    boxes = _has_boxes(dataset)
    network: Any = MaiteDetector(model) if boxes else MaiteNetwork(model)
    kind = MaiteDetectionBatches if boxes else MaiteBatches
    if task is None:
        task = Detection(len(names), names) if boxes else _classes(network, dataset, batch_size, names)
    sets = {"train": train, "validation": validation}
    parts: dict[str, Any] = {name: kind(each, batch_size) for name, each in sets.items() if each is not None}
    metadata = getattr(model, "metadata", {})
    options.setdefault("name", str(metadata.get("id", "network")))
    return audit(network, kind(dataset, batch_size), task=task, class_names=names, **parts, **options)


def _names(model: Any, dataset: Any) -> tuple[str, ...]:
    """The data set's classes in their order, which must be the model's."""
    theirs, mine = (dict(getattr(each, "metadata", {}).get("index2label", {})) for each in (dataset, model))
    if not theirs and not mine:
        hint = "or wrap them: MaiteNetwork, MaiteBatches"
        raise InputError("metadata", given="no index2label", expected="names of the classes by number", hint=hint)
    if theirs and mine and theirs != mine:
        other = sorted(k for k in theirs.keys() | mine.keys() if theirs.get(k) != mine.get(k))[0]
        given = f"class {other} is {mine.get(other)!r} to the model and {theirs.get(other)!r} to the data set"
        raise InputError("index2label", given=given, expected="the same classes in both")
    names = theirs or mine
    if sorted(names) != list(range(len(names))):
        raise InputError("index2label", given=f"numbers {sorted(names)[:5]}...", expected="0, 1, 2, ...")
    return tuple(str(names[k]) for k in range(len(names)))


def _has_boxes(dataset: Any) -> bool:
    if not (hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__") and len(dataset)):
        raise InputError("dataset", given=type(dataset).__name__, expected="a MAITE data set with a sample at least")
    sample = dataset[0]
    if not (isinstance(sample, Sequence) and len(sample) == 3):
        raise InputError("dataset", given=type(sample).__name__, expected="(image, target, metadata) by number")
    return hasattr(sample[1], "boxes")


def _classes(network: MaiteNetwork, dataset: Any, batch_size: int, names: tuple[str, ...]) -> Classification:
    """The task, by what the model gives for the first batch."""
    x, _ = next(iter(MaiteBatches(dataset, batch_size)))
    with torch.no_grad():
        out = network(x)
    outputs = "auto"
    if looks_like_probabilities(out):
        outputs = "probabilities"
    elif looks_like_log_probabilities(out):
        outputs = "log-probabilities"
    return Classification(len(names), names, outputs=outputs)
