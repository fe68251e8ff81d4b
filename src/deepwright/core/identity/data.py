"""How data enter an identity: tensors, arrays, containers, words."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.core.files import contiguous
from deepwright.core.identity.walk import Walk
from deepwright.core.rows import Rows, pieces

_TENSORS = (Tensor, nn.Parameter, nn.Buffer, nn.UninitializedParameter)


def take_tensor(walk: Walk, value: Tensor) -> None:
    """A tensor: dtype, shape and numbers, wherever it lives and however it is laid out."""
    if value.is_meta:
        walk.refuse(value, "a tensor without content (meta)")
    if value.layout != torch.strided:
        dense = value.detach().to_sparse_coo().coalesce()
        walk.word("sparse", f"{value.layout} {tuple(value.shape)}")
        take_tensor(walk, dense.indices())
        take_tensor(walk, dense.values())
        return
    if value.is_quantized:
        walk.word("quantized", f"{value.dtype} {value.qscheme()}")
        value = value.dequantize()
    data = contiguous(value.detach().cpu().resolve_conj().resolve_neg())
    walk.word("tensor", f"{data.dtype} {tuple(data.shape)}")
    if type(value) not in _TENSORS:
        _beside(walk, value)
    if data.numel():
        walk.hash.update(data.reshape(-1).view(torch.uint8).numpy().data)


def take_rows(walk: Walk, value: Rows) -> None:
    """Rows that are read when asked for: what a tensor of them would be, so that it doesn't matter who holds it."""
    walk.word("tensor", f"{value.dtype} {tuple(value.shape)}")
    for piece in pieces(value):
        if piece.numel():
            walk.hash.update(contiguous(piece).reshape(-1).view(torch.uint8).numpy().data)


def take_array(walk: Walk, value: np.ndarray | np.generic) -> None:
    """An array: dtype, shape and numbers."""
    if isinstance(value, np.ma.MaskedArray):
        take_array(walk, np.ma.getmaskarray(value))
        value = value.data
    elif type(value) is not np.ndarray and isinstance(value, np.ndarray):
        _beside(walk, value)
    array = np.asarray(value)
    walk.word("array", f"{array.dtype.str} {array.dtype.descr if array.dtype.names else ''} {array.shape}")
    if array.dtype.hasobject:
        for item in array.reshape(-1).tolist():
            walk.feed(item)
    else:
        walk.hash.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data if array.size else b"")


def take_generator(walk: Walk, value: torch.Generator) -> None:
    """A generator: where it is in its stream."""
    take_tensor(walk, value.get_state())


def take_mapping(walk: Walk, value: Mapping[Any, Any]) -> None:
    """A dictionary of any kind, in its order: a network may go through one."""
    _class_of(walk, value)
    walk.word("dict", str(len(value)))
    for key in value:
        walk.word("key", walk.apart(key))
        walk.feed(value[key])


def take_attributes(walk: Walk, value: Mapping[str, Any]) -> None:
    """Attributes by name, in any order."""
    walk.word("attributes", str(len(value)))
    for name in sorted(value):
        walk.word("key", name)
        walk.feed(value[name])


def take_sequence(walk: Walk, value: Any) -> None:
    """A list or a tuple, or what inherits from one."""
    _class_of(walk, value)
    walk.word("items", str(len(value)))
    for item in value:
        walk.feed(item)


def take_set(walk: Walk, value: Any) -> None:
    """A set, in any order."""
    if type(value) not in (set, frozenset):
        _beside(walk, value)
    walk.word("set", " ".join(sorted(walk.apart(item) for item in value)))


def _class_of(walk: Walk, value: Any) -> None:
    if type(value) in (dict, list, tuple):
        walk.word("type", type(value).__name__)
    else:
        _beside(walk, value)
        walk.feed(getattr(value, "default_factory", None))


def _beside(walk: Walk, value: Any) -> None:
    """The class of what inherits from a container or a tensor, and what it holds besides its items."""
    walk.feed(type(value))
    for name, inner in sorted(getattr(value, "__dict__", {}).items()):
        walk.word("attribute", name)
        walk.feed(inner)


def take_path(walk: Walk, value: PurePath) -> None:
    """A path: its name, not what lies there."""
    walk.word("path", os.fspath(value))


def take_text(walk: Walk, value: Any) -> None:
    """What its own text tells: dtypes, devices, layouts."""
    walk.word(type(value).__name__, str(value))
