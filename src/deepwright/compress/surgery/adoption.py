"""A cut that reaches what the caller holds: the very modules, and the optimiser with its momenta."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError


def adopt(model: nn.Module, small: nn.Module) -> None:
    """Move the small network's tensors and sizes into the caller's module objects.

    Args:
        model: the caller's.
        small: a smaller network of the same modules.
    """
    fresh = dict(small.named_modules())
    for name, module in model.named_modules():
        other = fresh[name]
        kept = {k: v for k, v in vars(module).items() if k in ("_modules", "training")}
        vars(module).update(vars(other))
        module.__class__ = type(other)  # attention of whole heads has a forward of its own
        vars(module).update(kept)


def follow(
    optimizer: torch.optim.Optimizer,
    names: Mapping[int, str],
    small: nn.Module,
    kept: Mapping[str, Mapping[int, np.ndarray]],
) -> None:
    """Cut an optimiser's state alike and point its groups to the new parameters.

    Args:
        optimizer: over parameters of the network before the cut.
        names: id of each of these -> its name.
        small: the network after it.
        kept: parameter -> axis -> kept indices.

    Raises:
        InputError: the optimiser holds a parameter that isn't the network's; it is then as before.
    """
    new_of = dict(small.named_parameters())
    if any(id(p) not in names for group in optimizer.param_groups for p in group["params"]):
        raise InputError("optimizer", given="a parameter that isn't the network's", expected="its own optimiser")
    for group in optimizer.param_groups:
        for i, old in enumerate(group["params"]):
            name = names[id(old)]
            group["params"][i] = new_of[name]
            state = optimizer.state.pop(old, {})
            if state:
                optimizer.state[new_of[name]] = {k: _cut_alike(v, old, kept.get(name, {})) for k, v in state.items()}


def _cut_alike(value: Any, parameter: Tensor, axes: Mapping[int, np.ndarray]) -> Any:
    """A momentum of a parameter's shape, cut as it was; anything else as it is."""
    if isinstance(value, Tensor) and value.shape == parameter.shape and value.ndim:
        for axis, keep in axes.items():
            value = value.index_select(axis, torch.from_numpy(keep).to(value.device))
    return value
