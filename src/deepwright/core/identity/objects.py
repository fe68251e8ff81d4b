"""How objects enter an identity: networks by weights and settings, any other as pickle would take it apart."""

from __future__ import annotations

import copyreg
import dataclasses
import functools
import inspect
import re
import weakref
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.identity.data import take_attributes, take_tensor
from deepwright.core.identity.walk import Walk

_RUNNING = set(vars(nn.Module()))  # how a module runs at the moment, and what is taken in by itself
_OF_THIS_PROCESS = re.compile(r"\.?___torch_mangle_\d+| # [^\n]*|, scope: [^\n#]*")
_TRACED = ("_code", "_prologue_start")  # of a graph: its code, which is taken in by itself
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def uncompiled(model: nn.Module) -> nn.Module:
    """The network inside torch.compile's wrapper: the same one."""
    return model._orig_mod if type(model).__name__ == "OptimizedModule" else model  # type: ignore[return-value]


def settings(model: nn.Module) -> dict[str, Any]:
    """A network's own attributes that are no weights, no networks, and not how it runs at the moment.

    Of a traced or exported graph, whose code says what it does, only tensors and plain values: the rest is the
    tracer's.
    """
    own = {k: v for k, v in vars(model).items() if k not in _RUNNING}
    if isinstance(model, torch.fx.GraphModule):
        return {k: v for k, v in own.items() if k not in _TRACED and isinstance(v, Tensor | bool | int | float | str)}
    return {} if type(model).__name__ == "GuardsFn" else own  # torch.export's: checks of shapes


def take_network(walk: Walk, value: nn.Module) -> None:
    """A network: class, weights, settings and hooks, but not whether it is in train mode."""
    if uncompiled(value) is not value:
        walk.feed(uncompiled(value))
        return
    walk.feed(type(value))
    if isinstance(value, torch.jit.ScriptModule):
        _script(walk, value.inlined_graph)
        _tensors(walk, value.state_dict())
        _scripted(walk, value)
        return
    if isinstance(value, torch.fx.GraphModule):
        walk.word("graph", value.code)
    _tensors(walk, value._parameters)
    _tensors(walk, value._buffers)
    for name, child in value._modules.items():
        walk.word("child", name)
        walk.feed(child)
    if value is not walk.bare:
        take_attributes(walk, settings(value))
    for name in _HOOKS:
        for hook in getattr(value, name, {}).values():
            walk.feed(hook)


def _script(walk: Walk, graph: Any) -> None:
    """What a script computes, and the tensors that are constants of it: a frozen one's weights are.

    Numbers that torch adds to the names of types, and places in files, are those of this process.
    """
    walk.word("script", _OF_THIS_PROCESS.sub("", str(graph)))
    for node in graph.findAllNodes("prim::Constant", True):
        if node.hasAttribute("value") and node.kindOf("value") == "t":
            _tensors(walk, {"constant": node.t("value")})


def _scripted(walk: Walk, value: Any) -> None:
    """Attributes of a scripted network that are neither weights nor children, as its own listing names them."""
    weights = {"training", *(name.rpartition(".")[2] for name in value.state_dict())}
    for line in value._c.dump_to_str(False, True, False).splitlines():  # attributes without code and parameters
        name, equals, text = line.strip().partition(" = ")
        if equals and name not in weights and not text.startswith("<"):
            walk.word("attribute", f"{name} {text}")


def _tensors(walk: Walk, tensors: Mapping[str, Tensor | None]) -> None:
    for name, tensor in tensors.items():
        walk.word("weight", f"{name} {tensor is not None and tensor.requires_grad}")
        for hooks in ("_backward_hooks", "_post_accumulate_grad_hooks"):
            for hook in (getattr(tensor, hooks, None) or {}).values():
                walk.feed(hook)
        if tensor is not None and not walk.weights:
            walk.word("shape", f"{tensor.dtype} {tuple(tensor.shape)}")
        elif tensor is not None:
            take_tensor(walk, tensor)


def _dataclass(walk: Walk, value: Any) -> None:
    walk.feed(type(value))
    names = [field.name for field in dataclasses.fields(value)]
    cached = {
        n for each in type(value).__mro__ for n, v in vars(each).items() if isinstance(v, functools.cached_property)
    }
    for name in (*names, *sorted(set(getattr(value, "__dict__", {})) - set(names) - cached)):
        walk.word("field", name)
        walk.feed(getattr(value, name))


def declared_fingerprint(value: Any) -> str | None:
    """What an object says that it is, by an attribute of its own or of its class (not of what it passes on)."""
    for name in ("fingerprint", "_fingerprint"):
        if inspect.getattr_static(value, name, None) is not None:
            found = getattr(value, name)
            if isinstance(found, str):
                return found
    return None


def take_object(walk: Walk, value: Any) -> None:
    """An object as pickle would take it apart: what makes it, from what, and its state."""
    declared = declared_fingerprint(value)
    if declared is not None:
        walk.word("fingerprint", declared)
    elif dataclasses.is_dataclass(value):
        _dataclass(walk, value)
    elif isinstance(value, functools._lru_cache_wrapper):
        walk.word("cached", "")
        walk.feed(value.__wrapped__)
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
    state = rest[0] if rest else None
    if type(state) is dict and all(isinstance(name, str) for name in state):
        take_attributes(walk, state)
    else:
        walk.feed(state)
    for items in rest[1:3]:
        for item in items or ():
            walk.feed(item)


def take_weak(walk: Walk, value: weakref.ref) -> None:
    """A weak reference: what it leads to."""
    walk.feed(value())
