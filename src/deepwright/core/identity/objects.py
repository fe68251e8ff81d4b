"""How objects enter an identity: networks by weights and settings, any other as pickle would take it apart."""

from __future__ import annotations

import copyreg
import dataclasses
import weakref
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.identity.data import take_mapping, take_tensor
from deepwright.core.identity.walk import Walk

_RUNNING = set(vars(nn.Module()))  # how a module runs at the moment, and what is taken in by itself
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def take_network(walk: Walk, value: nn.Module) -> None:
    """A network: class, weights, settings and hooks, but not whether it is in train mode."""
    if type(value).__name__ == "OptimizedModule":  # torch.compile's: the same network
        walk.feed(value._orig_mod)
        return
    walk.feed(type(value))
    if isinstance(value, torch.jit.ScriptModule):
        walk.word("script", str(value.inlined_graph))
        _tensors(walk, value.state_dict())
        return
    if isinstance(value, torch.fx.GraphModule):
        walk.word("graph", value.code)
    _tensors(walk, value._parameters)
    _tensors(walk, value._buffers)
    for name, child in value._modules.items():
        walk.word("child", name)
        walk.feed(child)
    take_mapping(walk, {k: v for k, v in vars(value).items() if k not in _RUNNING})
    for name in _HOOKS:
        for hook in getattr(value, name, {}).values():
            walk.feed(hook)


def _tensors(walk: Walk, tensors: Mapping[str, Tensor | None]) -> None:
    for name, tensor in tensors.items():
        walk.word("weight", f"{name} {tensor is not None and tensor.requires_grad}")
        if tensor is not None and not walk.weights:
            walk.word("shape", f"{tensor.dtype} {tuple(tensor.shape)}")
        elif tensor is not None:
            take_tensor(walk, tensor)


def _dataclass(walk: Walk, value: Any) -> None:
    walk.feed(type(value))
    for field in dataclasses.fields(value):
        walk.word("field", field.name)
        walk.feed(getattr(value, field.name))


def _wrapped(walk: Walk, value: Any) -> None:
    walk.word("wrapped", type(value).__name__)
    walk.feed(value.__wrapped__)


def take_object(walk: Walk, value: Any) -> None:
    """An object as pickle would take it apart: what makes it, from what, and its state."""
    declared = getattr(value, "_fingerprint", None)
    if isinstance(declared, str):
        walk.word("fingerprint", declared)
    elif dataclasses.is_dataclass(value):
        _dataclass(walk, value)
    elif callable(value) and hasattr(value, "__wrapped__"):
        _wrapped(walk, value)
    else:
        walk.feed(type(value))
        _reduced(walk, value)


def _reduced(walk: Walk, value: Any) -> None:
    if type(value) is object:
        walk.refuse(value, "a bare object()")
    take = copyreg.dispatch_table.get(type(value))
    try:
        made = take(value) if take else value.__reduce_ex__(4)
    except Exception as error:
        walk.refuse(value, f"{type(value).__name__} ({error})")
    if isinstance(made, str):
        walk.word("global", made)
        return
    maker, arguments, *rest = made
    walk.feed(maker)
    walk.feed(arguments)
    walk.feed(rest[0] if rest else None)
    for items in rest[1:3]:
        for item in items or ():
            walk.feed(item)


def take_weak(walk: Walk, value: weakref.ref) -> None:
    """A weak reference: what it leads to."""
    walk.feed(value())
