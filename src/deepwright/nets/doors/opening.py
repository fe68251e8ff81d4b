"""What is no torch module as a network that gives scores only, and a look at it before anything is measured."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from deepwright.core.devices import to_model
from deepwright.core.inference import evaluating, has_gradients
from deepwright.nets.doors.callables import from_callable
from deepwright.nets.doors.estimators import Estimator, from_estimator, is_estimator
from deepwright.nets.doors.exported import Exported
from deepwright.nets.onnx_files import OnnxNetwork
from deepwright.nets.scores_only import ScoresOnly, require_steady, require_unmixed

DRAWS = "answers change from call to call"
"""Why it can't be told whether a network mixes the samples of a batch: it draws random numbers."""

Brought = nn.Module | Estimator | Callable[[Any], Any]
"""What a person may bring as a network."""


def as_scores_only(model: Any, example: Tensor | None = None) -> Any:
    """A scikit-learn estimator, a plain function or a program as a network; anything else as it is.

    Args:
        model: anything.
        example: some inputs, by which it is told whether a function takes arrays or tensors; one that was opened
            without is opened again.

    Raises:
        InputError: an estimator that isn't fitted, a function of other arguments.
    """
    if isinstance(model, ScoresOnly) and model.undecided is not None and example is not None:
        return from_callable(model.undecided, example)
    if isinstance(model, nn.Module | type | str):
        return model
    if is_estimator(model):
        return from_estimator(model)
    program = getattr(sys.modules.get("torch.export"), "ExportedProgram", None)
    if program is not None and isinstance(model, program):
        return Exported.of(model)
    return from_callable(model, example) if callable(model) else model


def examine(model: nn.Module, x: Shaped[Tensor, "n ..."]) -> str:
    """Compare an ONNX file's twin with ONNX Runtime on real inputs, and refuse scores that change from call to call,
    or with what else is in the batch; how far that was looked for, in words.

    Args:
        model: any network; a twin that isn't the same is left for ONNX Runtime, and its notes say so.
        x: real inputs, at most 16 of which are taken.

    Raises:
        InputError: see `require_steady` and `require_unmixed`.
    """
    some = to_model(x[:16], model)
    few = some[:8]
    with evaluating(model), torch.no_grad():
        for part in [m for m in model.modules() if isinstance(m, OnnxNetwork) and not m.scores_only]:
            for given in _entering(part, model, few):
                part.compare(given, "real inputs")
        gradients = has_gradients(model)
        looked = (require_unmixed if gradients else require_steady)(model, some)
    if looked is None:
        return f"not looked for: {DRAWS}"
    if not looked:
        return "not looked for: answers aren't one row of numbers for each sample"
    if gradients:
        return f"looked for in {len(some)} test samples at random positions, each in two batches"
    return f"looked for in one of {len(some)} test samples at random positions, alone and among the others"


def _entering(part: nn.Module, model: nn.Module, x: Tensor) -> list[Tensor]:
    """What enters a part of a network in one pass."""
    seen: list[Tensor] = []
    handle = part.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    try:
        model(x)
    finally:
        handle.remove()
    return seen
