"""What is no torch module as a network that gives scores only, and a look at it before anything is measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from deepwright.core.devices import to_model
from deepwright.core.inference import evaluating, has_gradients
from deepwright.nets.doors.callables import from_callable
from deepwright.nets.doors.estimators import Estimator, from_estimator, is_estimator
from deepwright.nets.onnx_files import OnnxNetwork
from deepwright.nets.scores_only import require_steady

Brought = nn.Module | Estimator | Callable[[Any], Any]
"""What a person may bring as a network."""


def as_scores_only(model: Any, example: Tensor | None = None) -> Any:
    """A scikit-learn estimator or a plain function as a network; anything else as it is.

    Args:
        model: anything.
        example: some inputs, by which it is told whether a function takes arrays or tensors.

    Raises:
        InputError: an estimator that isn't fitted, a function of other arguments.
    """
    if isinstance(model, nn.Module | type | str):
        return model
    if is_estimator(model):
        return from_estimator(model)
    return from_callable(model, example) if callable(model) else model


def examine(model: nn.Module, x: Shaped[Tensor, "n ..."]) -> None:
    """Compare an ONNX file's twin with ONNX Runtime on real inputs, and refuse scores that change from call to call.

    Args:
        model: any network; a twin that isn't the same is left for ONNX Runtime, and its notes say so.
        x: real inputs; the first are taken.

    Raises:
        InputError: see `require_steady`.
    """
    few = to_model(x[:8], model)
    with evaluating(model), torch.no_grad():
        for part in [m for m in model.modules() if isinstance(m, OnnxNetwork) and not m.scores_only]:
            for given in _entering(part, model, few):
                part.compare(given, "real inputs")
        if not has_gradients(model):
            require_steady(model, few)


def _entering(part: nn.Module, model: nn.Module, x: Tensor) -> list[Tensor]:
    """What enters a part of a network in one pass."""
    seen: list[Tensor] = []
    handle = part.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    try:
        model(x)
    finally:
        handle.remove()
    return seen
