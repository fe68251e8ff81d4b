"""Masks keep shapes: weights are zero where something was cut, and the tensors are as large as before.

A mask is a parametrisation, so it can be taken off again. `compact` then removes for real what the mask made dead, and
no more: sparsity, what can be compacted, and what was shrunk are three numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from deepwright.compress.arguments import require_type
from deepwright.compress.coupling.graph import ShrinkGraph
from deepwright.compress.surgery.cutting import ShrinkResult, shrink
from deepwright.compress.surgery.dead import find_dead
from deepwright.compress.surgery.plans import Plan
from deepwright.compress.surgery.proof import require_same_function
from deepwright.core.copies import copied
from deepwright.core.devices import device_of
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_network

TOLERANCE = 1e-5  # of the largest output: biases that took constants up are rounded to their own precision


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
    _places: list[str] = field(default_factory=list)

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
        for name in self._places:
            owner, _, leaf = name.rpartition(".")
            parametrize.remove_parametrizations(self.model.get_submodule(owner), leaf, leave_parametrized=keep_zeros)
        self._places = []

    def compact(self, graph: ShrinkGraph) -> ShrinkResult:
        """Remove the units that the mask left dead, from a copy; the model keeps its masks, if it still wears them.

        A unit is dead when nothing reads it (all its consumers' slices are zero), or when it is the same for every
        input and its readers' biases can take that up: see `find_dead`.

        Args:
            graph: of the model, with or without masks.

        Raises:
            SurgeryError: the result would not compute what the masked model does.
        """
        bare = copied(self.model)
        for name in self._places:
            owner, _, leaf = name.rpartition(".")
            parametrize.remove_parametrizations(bare.get_submodule(owner), leaf, leave_parametrized=False)
        with torch.no_grad():
            for name, keep in self.masks.items():
                weight = bare.get_parameter(name)
                weight.masked_fill_(~keep.to(weight.device), 0)
        masked = copied(bare)
        own = ShrinkGraph.from_module(bare, graph.example, kwargs=graph.kwargs, **graph.options)
        dead = find_dead(own, dict(bare.named_parameters(remove_duplicate=False)))
        with torch.no_grad():
            for name, value in dead.added.items():
                bias = bare.get_parameter(name)
                bias.copy_(bias.double() + value)
        result = shrink(bare, Plan(own, ~dead.units))
        require_same_function(result.model, masked, own, TOLERANCE, "the compacted network")
        return result


def mask(model: nn.Module, plan: Plan) -> MaskHandle:
    """Zero what reads a plan's removed units: the model then computes what the shrunk one does, at its old size.

    Not where a layer or group norm runs over removed units: its statistics hold them here and don't in the shrunk one.

    Args:
        model: gets the masks.
        plan: what stays.

    Raises:
        InputError: a unit that no weight reads (attention's inner width).
    """
    require_type("plan", plan, Plan, "a Plan, as plan(graph, scores, ...) makes it")
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
    require_network(model)
    require_type("masks", masks, Mapping, "parameter -> bool of its shape")
    parameters = dict(model.named_parameters())
    handle = MaskHandle(model, dict(masks))
    for name, keep in masks.items():
        if name not in parameters:
            raise InputError("mask", given=f"no parameter {name!r}", expected="names of named_parameters()")
        require_type(f"mask of {name!r}", keep, Tensor, f"a bool tensor of shape {tuple(parameters[name].shape)}")
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
        handle._places.append(name)
    return handle
