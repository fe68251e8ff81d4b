"""Masks keep shapes: weights are zero where something was cut, and the tensors are as large as before.

A mask is a parametrisation, so it can be taken off again. `compact` then removes for real what the mask made dead, and
no more: sparsity, what can be compacted, and what was shrunk are three numbers.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from deepwright.compress.coupling.graph import ShrinkGraph
from deepwright.compress.surgery.cutting import ShrinkResult, shrink
from deepwright.compress.surgery.dead import dead_units
from deepwright.compress.surgery.plans import Plan
from deepwright.core.devices import device_of
from deepwright.core.errors import InputError


class _Masked(nn.Module):
    """w * mask."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight: Tensor) -> Tensor:
        """The masked weight."""
        return torch.where(self.mask, weight, torch.zeros((), dtype=weight.dtype, device=weight.device))


@dataclass
class MaskHandle:
    """Masks on a model, until `remove`.

    Attributes:
        model: that wears them.
        masks: parameter -> True where it is kept.
    """

    model: nn.Module
    masks: dict[str, Tensor]
    _places: list[tuple[nn.Module, str]] = field(default_factory=list)

    @property
    def sparsity(self) -> float:
        """Share of zeros among the masked tensors' entries."""
        total = sum(m.numel() for m in self.masks.values())
        return 1 - sum(int(m.sum()) for m in self.masks.values()) / max(total, 1)

    def remove(self, keep_zeros: bool = False) -> None:
        """Take the masks off.

        Args:
            keep_zeros: the weights stay zero where they were masked; else they are what they were.
        """
        for module, name in self._places:
            parametrize.remove_parametrizations(module, name, leave_parametrized=keep_zeros)
        self._places = []

    def compact(self, graph: ShrinkGraph) -> ShrinkResult:
        """Remove the units that the mask left dead, from a copy; the model keeps its masks.

        A unit is dead when nothing reads it (all its consumers' slices are zero), or when it is always zero at every
        consumer. Both are exact.

        Args:
            graph: of the model without masks.
        """
        bare = graph.model
        state = {k: v.detach().clone() for k, v in bare.named_parameters()}
        for name, mask in self.masks.items():
            state[name] = torch.where(mask.to(state[name].device), state[name], torch.zeros_like(state[name]))
        plan = Plan(graph, ~dead_units(graph, state))
        zeroed = copy.deepcopy(bare)
        with torch.no_grad():
            for name, p in zeroed.named_parameters():
                p.copy_(state[name])
        own = ShrinkGraph.from_module(zeroed, graph.example, kwargs=graph.kwargs, attention=graph.space.attention)
        return shrink(zeroed, Plan(own, plan.keep))


def mask(model: nn.Module, plan: Plan) -> MaskHandle:
    """Zero what reads a plan's removed units: the model then computes what the shrunk one does, at its old size.

    Args:
        model: gets the masks.
        plan: what stays.

    Raises:
        InputError: a unit that no weight reads (attention's inner width).
    """
    masks: dict[str, Tensor] = {}
    shapes, device = plan.graph.shapes, device_of(model)
    for group in plan.graph.groups:
        gone = np.ones(group.size, bool)
        gone[plan.kept(group)] = False
        if not gone.any():
            continue
        read = False
        for member in group.members:
            if (member.fqn, member.axis) not in group.consumers:
                continue
            read = True
            where = torch.from_numpy(member.indices[gone[member.units]]).to(device)
            full = masks.setdefault(member.fqn, torch.ones(shapes[member.fqn], dtype=torch.bool, device=device))
            full.index_fill_(member.axis, where, False)
        if not read:
            raise InputError(
                f"group {group.name!r}", given="read by no weight", expected="a consumer", hint="use shrink"
            )
    return mask_weights(model, masks)


def mask_weights(model: nn.Module, masks: Mapping[str, Tensor]) -> MaskHandle:
    """Masks on named parameters.

    Args:
        model: gets the masks.
        masks: parameter -> bool of its shape, True = kept.

    Raises:
        InputError: an unknown name, or a mask of another shape or type.
    """
    parameters = dict(model.named_parameters())
    handle = MaskHandle(model, dict(masks))
    for name, keep in masks.items():
        if name not in parameters:
            raise InputError("mask", given=f"no parameter {name!r}", expected="names of named_parameters()")
        if keep.shape != parameters[name].shape or keep.dtype != torch.bool:
            raise InputError(
                f"mask of {name!r}",
                given=f"{keep.dtype} {tuple(keep.shape)}",
                expected=f"bool {tuple(parameters[name].shape)}",
            )
    for name, keep in masks.items():
        owner, _, leaf = name.rpartition(".")
        module = model.get_submodule(owner)
        parametrize.register_parametrization(module, leaf, _Masked(keep.to(parameters[name].device)))
        handle._places.append((module, leaf))
    return handle
