"""Copies of networks, those too that `copy.deepcopy` refuses."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


def copied(model: Module, replaced: Mapping[int, Tensor] | None = None) -> Module:
    """A deep copy that shares nothing with the network.

    Tensors that a module keeps beside its parameters and buffers may have been computed with gradients (the weight of
    a layer under `torch.nn.utils.weight_norm`, once it was run): torch doesn't copy such. Their values are taken.

    Args:
        model: left as found.
        replaced: id of a tensor -> what stands in its place in the copy.
    """
    memo = dict(replaced or {})
    for module in model.modules():
        beside = {name: value for name, value in vars(module).items() if name not in _REGISTERED}
        for value in torch.utils._pytree.tree_leaves(beside):
            if isinstance(value, Tensor) and not value.is_leaf and id(value) not in memo:
                memo[id(value)] = value.detach().clone().requires_grad_(value.requires_grad)
    return copy.deepcopy(model, memo)


_REGISTERED = ("_parameters", "_modules")
