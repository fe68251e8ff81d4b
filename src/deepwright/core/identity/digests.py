"""A short hash of any value."""

from __future__ import annotations

import functools
import types
import weakref
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from deepwright.core.identity import code, data, datasets, objects
from deepwright.core.identity.walk import Digest, Takers, Walk
from deepwright.core.rows import Rows

_TORCH_WORDS = (torch.dtype, torch.device, torch.layout, torch.memory_format, torch._ops.OpOverload)
_TAKERS: Takers = (  # the first that fits
    (type, code.take_class),
    (nn.Module, objects.take_network),
    (Tensor, data.take_tensor),
    (Rows, data.take_rows),
    ((np.ndarray, np.generic), data.take_array),
    (Dataset, datasets.take_dataset),
    (DataLoader, datasets.take_loader),
    (torch.Generator, data.take_generator),
    ((*_TORCH_WORDS, np.dtype), data.take_text),
    (PurePath, data.take_path),
    (types.FunctionType, code.take_function),
    (types.MethodType, code.take_method),
    (functools.partial, code.take_partial),
    (code.BUILTIN, code.take_builtin),
    ((property, classmethod, staticmethod, functools.cached_property), code.take_descriptor),
    (types.ModuleType, code.take_module),
    (weakref.ref, objects.take_weak),
    ((dict, types.MappingProxyType), data.take_mapping),
    ((list, tuple), data.take_sequence),
    ((set, frozenset), data.take_set),
    (object, objects.take_object),
)


def digest(value: Any, name: str = "a value", *, weights: bool = True, bare: nn.Module | None = None) -> Digest:
    """A short hash of any value that can be identified.

    Args:
        value: data, a model, a function, options, ...
        name: what errors call it.
        weights: whether the values of networks' parameters and buffers count.
        bare: a network whose own settings (its attributes that are no weights and no networks) don't count.

    Raises:
        InputError: something in it can't be identified.
    """
    return Walk(name, _TAKERS, weights, bare).of(value)


def architecture(model: Any, name: str = "model") -> Digest:
    """A short hash of a network's classes, settings and shapes: all but the values of its parameters and buffers.

    Args:
        model: the network, or something that holds networks.
        name: what errors call it.
    """
    return digest(model, name, weights=False)
