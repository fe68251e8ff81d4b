"""Cut a plan's units out of a network, prove the result, and keep the map between the two.

`shrink` changes shapes; `mask` (in `masking`) keeps them. Nothing is returned that hasn't been proved equal to its
masked original (`verify`), and the caller's network is never touched unless `inplace=True`.
"""

from __future__ import annotations

import copy
import json
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx import Node

from deepwright.compress.coupling.graph import ShrinkGraph, module_of
from deepwright.compress.errors import OverPruneError, SurgeryError
from deepwright.compress.surgery.plans import Plan
from deepwright.compress.surgery.proof import Verification, fixed_sizes, verify
from deepwright.core.errors import InputError
from deepwright.core.files import reading
from deepwright.core.inference import evaluating

IndexMap = dict[str, tuple[Tensor | None, ...]]
Attributes = Mapping[type[nn.Module], Callable[[nn.Module], None]]


@dataclass
class ShrinkResult:
    """A smaller network and how it stands to the one it came from.

    Attributes:
        model: the smaller network.
        index_map: parameter or buffer -> for each axis the kept indices (None = all): the link between the two.
        verification: the proof; None when it was switched off.
        graph: the graph of the network that was shrunk.
        repaired: (module, attribute, old, new) of sizes kept as plain numbers that had to follow.
    """

    model: nn.Module
    index_map: IndexMap
    verification: Verification | None
    graph: ShrinkGraph
    repaired: list[tuple[str, str, int, int]] = field(default_factory=list)


def shrink(
    model: nn.Module,
    plan: Plan,
    *,
    inplace: bool = False,
    optimizer: torch.optim.Optimizer | None = None,
    verify_with: tuple[Any, ...] | None = None,
    skip_verification: bool = False,
    attributes: Attributes | None = None,
) -> ShrinkResult:
    """Remove a plan's units.

    Args:
        model: the network of `plan.graph`.
        plan: what stays.
        inplace: change `model` itself (only after the proof).
        optimizer: its state (momenta) is cut alike and its groups point to the new parameters.
        verify_with: one more batch of real inputs for the proof.
        skip_verification: leave the proof out; the result says so (`verification` is None). For loops that check at the end.
        attributes: module type -> function that sets its own size attributes after its parameters were cut.

    Raises:
        SurgeryError: the result would not equal the masked original; `model` is untouched.
        InputError: the plan belongs to another network.
    """
    if model is not plan.graph.model:
        _require_same(model, plan.graph)
    kept = kept_indices(plan)
    small = _cut(model, plan, kept, attributes or {})
    repaired = repair_failures(plan, small)
    checked = None
    if not skip_verification:
        try:
            checked = verify(plan, small, extra=verify_with)
        except SurgeryError:
            silent = repair_sizes(plan, small, fixed_sizes(plan))
            if not silent:
                raise
            repaired += silent
            checked = verify(plan, small, extra=verify_with)
    result = ShrinkResult(small, _index_map(plan, kept), checked, plan.graph, repaired)
    if inplace:
        _adopt(model, small)
        result.model = model
    if optimizer is not None:
        _follow(optimizer, model if not inplace else None, result.model, plan, kept)
    return result


def kept_indices(plan: Plan) -> dict[str, dict[int, np.ndarray]]:
    """Parameter -> axis -> sorted kept indices, for axes that change."""
    graph = plan.graph
    found: dict[str, dict[int, np.ndarray]] = {}
    for b in graph.space.births:
        units = graph.unit_of[b.start : b.start + b.size]
        keep = (units < 0) | plan.keep[np.maximum(units, 0)] if graph.units else np.ones(b.size, bool)
        if not keep.all():
            if not keep.any():
                raise OverPruneError(f"{b.fqn}, axis {b.axis}", given="nothing kept", expected="at least one entry")
            found.setdefault(b.fqn, {})[b.axis] = np.flatnonzero(keep)
    return found


def _require_same(model: nn.Module, graph: ShrinkGraph) -> None:
    shapes = {
        **{k: tuple(v.shape) for k, v in model.named_parameters()},
        **{k: tuple(v.shape) for k, v in model.named_buffers()},
    }
    for fqn, shape in graph.shapes.items():
        if shapes.get(fqn) != shape:
            raise InputError(
                "plan", given=f"{fqn} of shape {shape}; the network has {shapes.get(fqn)}",
                expected="a plan over this network's own graph", hint="ShrinkGraph.from_module(model, ...) again",
            )  # fmt: skip


def _cut(model: nn.Module, plan: Plan, kept: dict[str, dict[int, np.ndarray]], attributes: Attributes) -> nn.Module:
    """A copy with smaller tensors: each is cut along all its axes and put in place once, tied ones everywhere."""
    names = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    replaced: dict[int, Tensor] = {}
    for fqn, axes in kept.items():
        old = names[fqn]
        data = old.detach()
        for axis, keep in axes.items():
            data = data.index_select(axis, torch.from_numpy(keep).to(data.device))
        if data.ndim == 4 and old.is_contiguous(memory_format=torch.channels_last) and not old.is_contiguous():
            data = data.contiguous(memory_format=torch.channels_last)
        replaced[id(old)] = nn.Parameter(data, old.requires_grad) if isinstance(old, nn.Parameter) else data
    small = copy.deepcopy(model, dict(replaced))  # what is in the memo is taken as it is, not copied first
    widths = {n: _old_shape(m) for n, m in model.named_modules()}
    for name, module in small.named_modules():
        _set_sizes(module, widths[name], attributes)
    return small


def _old_shape(module: nn.Module) -> tuple[int, ...] | None:
    weight = module._parameters.get("weight")
    return None if weight is None else tuple(weight.shape)


def _set_sizes(module: nn.Module, before: tuple[int, ...] | None, attributes: Attributes) -> None:
    """Size attributes from the new tensors."""
    own = next((f for kind, f in attributes.items() if isinstance(module, kind)), None)
    if own is not None:
        own(module)
        return
    weight = module._parameters.get("weight")
    if isinstance(module, nn.modules.conv._ConvNd) and weight is not None and before is not None:
        if module.transposed:
            module.in_channels, module.out_channels = weight.shape[0], weight.shape[1] * module.groups
        else:
            if module.groups > 1:
                module.groups = weight.shape[0] // (before[0] // module.groups)
            module.in_channels, module.out_channels = weight.shape[1] * module.groups, weight.shape[0]
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, nn.Embedding):
        module.num_embeddings, module.embedding_dim = module.weight.shape
    elif isinstance(module, nn.modules.batchnorm._NormBase):
        mean = weight if weight is not None else module._buffers.get("running_mean")
        if mean is not None:
            module.num_features = len(mean)
    elif isinstance(module, nn.LayerNorm | nn.RMSNorm) and weight is not None:
        module.normalized_shape = tuple(weight.shape)
    elif isinstance(module, nn.GroupNorm) and weight is not None:
        module.num_channels = len(weight)
    elif isinstance(module, nn.PReLU):
        module.num_parameters = len(module.weight)


Repair = tuple[str, str, int, int]


def repair_failures(plan: Plan, small: nn.Module, tries: int = 200) -> list[Repair]:
    """Run the network; where it fails on a size that is now wrong, correct it at one of the modules of that call.

    The failing frames tell the modules, innermost first; the graph tells which of their sizes the plan changes. A
    correction that leads nowhere is taken back.
    """
    names = {id(m): n for n, m in small.named_modules()}
    modules = dict(small.named_modules())
    fixed: list[tuple[Node, int, int]] = []
    left = [tries]

    def attempt() -> list[Repair] | None:
        left[0] -= 1
        try:
            with evaluating(small), torch.no_grad():
                small(*plan.graph.example, **plan.graph.kwargs)
            return []
        except (RuntimeError, ValueError, AssertionError, TypeError, IndexError) as error:
            frames = [names.get(id(f.f_locals.get("self"))) for f, _ in traceback.walk_tb(error.__traceback__)]
        if not fixed:
            fixed.extend(fixed_sizes(plan))
        for name in dict.fromkeys(n for n in reversed(frames) if n is not None):
            done = repair_sizes(plan, small, [f for f in fixed if module_of(f[0]) == name])
            if done and left[0] > 0:
                rest = attempt()
                if rest is not None:
                    return done + rest
            for module, attribute, before, _ in done:
                setattr(modules[module], attribute, before)
        return None

    return attempt() or []  # where nothing helps, the proof says what is wrong


def repair_sizes(plan: Plan, small: nn.Module, fixed: list[tuple[Node, int, int]]) -> list[Repair]:
    """Sizes that a module keeps as plain numbers and gives to its reshapes and splits follow the plan.

    Only attributes of the module whose code made the call, with the very number that the call was given, are set; a
    number that would have to become two different ones is left. The proof decides whether it was right.
    """
    modules = dict(small.named_modules())
    wanted: dict[tuple[str, int], set[int]] = {}
    for node, before, after in fixed:
        wanted.setdefault((module_of(node), before), set()).add(after)
    repaired = []
    for (name, before), sizes in wanted.items():
        module = modules.get(name)
        if module is None or len(sizes) != 1:
            continue
        (new,) = sizes
        for attribute, value in list(vars(module).items()):
            if type(value) is int and value == before and not attribute.startswith("_"):
                setattr(module, attribute, new)
                repaired.append((name, attribute, before, new))
    return repaired


def _index_map(plan: Plan, kept: dict[str, dict[int, np.ndarray]]) -> IndexMap:
    result: IndexMap = {}
    for fqn, shape in plan.graph.shapes.items():
        axes = kept.get(fqn, {})
        result[fqn] = tuple(torch.from_numpy(axes[a]) if a in axes else None for a in range(len(shape)))
    return result


def _adopt(model: nn.Module, small: nn.Module) -> None:
    """Move the small network's tensors and sizes into the caller's module objects."""
    fresh = dict(small.named_modules())
    for name, module in model.named_modules():
        other = fresh[name]
        kept = {k: v for k, v in vars(module).items() if k in ("_modules", "training")}
        vars(module).update(vars(other))
        vars(module).update(kept)


def _follow(
    optimizer: torch.optim.Optimizer,
    original: nn.Module | None,
    small: nn.Module,
    plan: Plan,
    kept: dict[str, dict[int, np.ndarray]],
) -> None:
    """Cut the optimiser's state alike and point its groups to the new parameters."""
    old_of = dict((original or plan.graph.model).named_parameters()) if original is not None else None
    new_of = dict(small.named_parameters())
    names = {id(p): n for n, p in (old_of or {}).items()}
    if old_of is None:  # in place: the groups still hold the tensors that were replaced, in their old order
        names = {}
        order = list(new_of)
        flat = [p for g in optimizer.param_groups for p in g["params"]]
        names = {id(p): n for p, n in zip(flat, order)} if len(flat) == len(order) else {}
    for group in optimizer.param_groups:
        for i, old in enumerate(group["params"]):
            name = names.get(id(old))
            if name is None:
                raise InputError(
                    "optimizer", given="a parameter that isn't the network's", expected="its own optimiser"
                )
            new = new_of[name]
            group["params"][i] = new
            state = optimizer.state.pop(old, {})
            axes = kept.get(name, {})
            cut = {}
            for key, value in state.items():
                if isinstance(value, Tensor) and value.shape == old.shape and value.ndim:
                    for axis, keep in axes.items():
                        value = value.index_select(axis, torch.from_numpy(keep).to(value.device))
                cut[key] = value
            if cut:
                optimizer.state[new] = cut


def index_map_to_json(index_map: IndexMap) -> str:
    """Indices as runs [start, length]; null where an axis is whole."""

    def runs(indices: Tensor | None) -> list[list[int]] | None:
        if indices is None:
            return None
        array = indices.numpy()
        starts = np.flatnonzero(np.diff(array, prepend=array[0] - 2) != 1)
        lengths = np.diff(np.append(starts, len(array)))
        return [[int(array[s]), int(n)] for s, n in zip(starts, lengths)]

    return json.dumps({fqn: [runs(a) for a in axes] for fqn, axes in index_map.items()})


def index_map_from_json(text: str) -> IndexMap:
    """The inverse of `index_map_to_json`."""

    def indices(runs: list[list[int]] | None) -> Tensor | None:
        if runs is None:
            return None
        return torch.cat([torch.arange(start, start + length) for start, length in runs])

    with reading("index map", "what index_map_to_json writes"):
        return {fqn: tuple(indices(a) for a in axes) for fqn, axes in json.loads(text).items()}
