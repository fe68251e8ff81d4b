"""Cut a plan's units out of a network, prove the result, and keep the map between the two.

`shrink` changes shapes; `mask` (in `masking`) keeps them. Nothing is returned that hasn't been proved equal to its
masked original (`verify`), and the caller's network is never touched unless `inplace=True`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.compress.arguments import require_type
from deepwright.compress.coupling import ShrinkGraph
from deepwright.compress.errors import SurgeryError
from deepwright.compress.surgery.adoption import adopt, follow
from deepwright.compress.surgery.fixed_sizes import fixed_sizes
from deepwright.compress.surgery.index_maps import IndexMap
from deepwright.compress.surgery.plans import Plan, kept_indices
from deepwright.compress.surgery.proof import Verification, verify
from deepwright.compress.surgery.repair import (
    Attributes,
    Repair,
    repair_failures,
    repair_sizes,
    set_sizes,
    weight_shape,
)
from deepwright.core.copies import copied
from deepwright.core.devices import device_of
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_network


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
    repaired: list[Repair] = field(default_factory=list)


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
        skip_verification: leave the proof out; the result says so (`verification` is None). For loops that check at the
            end.
        attributes: module type -> function that sets its own size attributes after its parameters were cut.

    Raises:
        SurgeryError: the result would not equal the masked original; `model` is untouched.
        InputError: the plan belongs to another network.
    """
    require_network(model)
    require_type("plan", plan, Plan, "a Plan, as plan(graph, scores, ...) makes it")
    if optimizer is not None:
        require_type("optimizer", optimizer, torch.optim.Optimizer, "an optimiser of the network")
    if any(not callable(fix) for fix in (attributes or {}).values()):
        raise InputError("attributes", given="something that can't be called", expected="module type -> function")
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
    names = {id(p): name for name, p in model.named_parameters()}
    if optimizer is not None:
        follow(optimizer, names, small, kept)
    if inplace:
        adopt(model, small)
        result.model = model
    return result


def _require_same(model: nn.Module, graph: ShrinkGraph) -> None:
    shapes = {
        **{k: tuple(v.shape) for k, v in model.named_parameters()},
        **{k: tuple(v.shape) for k, v in model.named_buffers()},
    }
    for fqn, shape in graph.shapes.items():
        if shapes.get(fqn) != shape:
            raise InputError(
                "plan",
                given=f"{fqn} of shape {shape}; the network has {shapes.get(fqn)}",
                expected="a plan over this network's own graph",
                hint="ShrinkGraph.from_module(model, ...) again",
            )


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
    small = copied(model, replaced)  # what is in the memo is taken as it is, not copied first
    widths = {n: weight_shape(m) for n, m in model.named_modules()}
    for name, module in small.named_modules():
        set_sizes(module, widths[name], attributes)
    return small


def _index_map(plan: Plan, kept: dict[str, dict[int, np.ndarray]]) -> IndexMap:
    result: IndexMap = {}
    device = device_of(plan.graph.model)
    for fqn, shape in plan.graph.shapes.items():
        axes = kept.get(fqn, {})
        result[fqn] = tuple(torch.from_numpy(axes[a]).to(device) if a in axes else None for a in range(len(shape)))
    return result
