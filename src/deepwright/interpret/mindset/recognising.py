"""Does an ImageNet classifier recognise what people recognise: accuracy on drawings outside of its training data."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from deepwright.core.devices import device_of, to_model
from deepwright.core.errors import InputError
from deepwright.core.features import read_logits
from deepwright.core.inference import evaluating, fast_layout
from deepwright.core.results import Table
from deepwright.core.statistics import wilson
from deepwright.core.tasks import Task
from deepwright.interpret.mindset.observing import Preprocess, chosen_preprocess
from deepwright.interpret.mindset.stimulus_set import StimulusSet

_IMAGENET = 1000


def classify_stimuli(
    model: nn.Module,
    stimuli: StimulusSet,
    classes: str = "ImageNetClassIdx",
    *,
    by: str = "Type",
    preprocess: Preprocess | None = None,
    batch_size: int = 64,
    task: Task | None = None,
) -> tuple[Table, Table]:
    """Top-1 and top-5 accuracy of each condition, and the five first guesses for each picture.

    Args:
        model: gives logits of classes.
        stimuli: pictures.
        classes: the factor with each picture's class; -1 for none.
        by: the factor whose values are compared.
        preprocess: see `observe`.
        batch_size: pictures a pass.
        task: how to read the outputs; None takes logits.

    Raises:
        InputError: indices of ImageNet beside a network of other classes, an index beyond its outputs, classes that
            aren't whole numbers, logits that aren't finite.
    """
    truth = _indices(stimuli.factor(classes), classes)
    guesses = _guesses(model, stimuli, preprocess, batch_size, task)
    outputs = int(guesses.shape[1])
    if classes == "ImageNetClassIdx" and outputs != _IMAGENET:
        hint = "classes= names a factor with indices of its own classes"
        raise InputError("classes", given=f"ImageNet's, of a network of {outputs}", expected="1,000 outputs", hint=hint)
    if truth.max() >= outputs:
        raise InputError(f"factor {classes!r}", given=int(truth.max()), expected=f"below {outputs}, its outputs")
    best = guesses.topk(min(5, outputs), 1)
    first = best.indices.cpu().numpy()
    right = first == truth[:, None]
    kinds = stimuli.factor(by)
    rows = []
    for kind in dict.fromkeys(kinds.tolist()):
        here = (kinds == kind) & (truth >= 0)
        if here.any():
            one, five = (wilson(int(right[here, :k].any(1).sum()), int(here.sum())) for k in (1, 5))
            rows.append([kind, int(here.sum()), one.value, one.low, one.high, five.value, five.low, five.high])
    heads = ["top-1", "low", "high", "top-5", "low", "high"]
    accuracy = Table([by, "pictures", *heads], rows, "share recognised, Wilson's 95 % intervals")
    names = [f"{what} {k + 1}" for k in range(first.shape[1]) for what in ("class", "logit")]
    cells = [
        [i, int(t), *(v for pair in zip(c, z) for v in pair)]
        for i, (t, c, z) in enumerate(zip(truth, first.tolist(), best.values.cpu().tolist()))
    ]
    return accuracy, Table(["picture", "true class", *names], cells, "first guesses for each picture")


def _indices(values: np.ndarray, name: str) -> np.ndarray:
    """Classes as whole numbers."""
    whole = values.dtype.kind in "iu" or (
        values.dtype.kind == "f" and bool(np.isfinite(values).all() and (values == np.round(values)).all())
    )
    if not whole:
        expected = "whole numbers: the index of each picture's class, -1 for none"
        raise InputError(f"factor {name!r}", given=f"{values.dtype} values {values[:3].tolist()}", expected=expected)
    return values.astype(np.int64)


def _guesses(
    model: nn.Module, stimuli: StimulusSet, preprocess: Preprocess | None, batch_size: int, task: Task | None
) -> torch.Tensor:
    prepare, place = chosen_preprocess(model, preprocess), device_of(model)
    parts = []
    with evaluating(model), fast_layout(model), torch.no_grad():
        for batch in stimuli.images.split(batch_size):
            logits = read_logits(model(to_model(prepare(batch.to(place)), model)), task)
            if not isinstance(logits, torch.Tensor) or logits.ndim != 2:
                expected = "logits (N, classes)"
                raise InputError("the network's output", given=type(logits).__name__, expected=expected)
            if not bool(torch.isfinite(logits).all()):
                raise InputError("the network's logits", given="NaN or infinity", expected="finite numbers")
            parts.append(logits.float())
    return torch.cat(parts)
