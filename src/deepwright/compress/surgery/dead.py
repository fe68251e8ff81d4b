"""Units that a network could lose without computing anything else.

Nobody reads them (every weight that sums over them is zero), or they are the same for every input and what is read of
them can be added to the readers' biases.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.fx import Node

from deepwright.compress.coupling import ShrinkGraph
from deepwright.compress.coupling.nodes import bound, op_name
from deepwright.compress.surgery.constants import Constants, padded
from deepwright.core.errors import InputError


@dataclass(frozen=True)
class Dead:
    """What can go.

    Attributes:
        units: (units,) True where removing the unit changes nothing, once the biases have what is in `added`.
        added: bias -> what the units that go added to the sums behind it.
    """

    units: np.ndarray
    added: dict[str, Tensor]


def dead_units(graph: ShrinkGraph, state: Mapping[str, Tensor]) -> np.ndarray:
    """(units,) True where removing the unit changes nothing, with no bias changed.

    At least one unit of every group is left alive.

    Args:
        graph: units and groups.
        state: parameters with zeros where they are masked.
    """
    return find_dead(graph, state, fold=False).units


def find_dead(graph: ShrinkGraph, state: Mapping[str, Tensor], *, fold: bool = True) -> Dead:
    """Dead units, and what must be added to biases when they go.

    At least one unit of every group is left alive. Units that a norm runs over are alive: its statistics change.

    Args:
        graph: units and groups.
        state: parameters with zeros where they are masked.
        fold: also units whose constant isn't zero, where every reader has a bias of its own that can take it up (a
            convolution that pads with zeros can't).

    Raises:
        InputError: a parameter is missing.
    """
    missing = sorted(set(dict(graph.model.named_parameters())) - set(state))
    if missing:
        raise InputError("state", given=f"no {missing[0]!r}", expected="every parameter of the network")
    buffers = dict(graph.model.named_buffers(remove_duplicate=False))
    constants = Constants(graph, {**buffers, **state})
    stays = np.zeros(graph.units, bool)
    for reading in _readings(graph, state, constants):
        stays[reading.units[reading.stay(fold)]] = True
    for ids in (*graph.walk.summed, *(i.ids for i in graph.walk.inexact)):
        units = graph.unit_of[ids.ravel()]
        stays[units[units >= 0]] = True
    dead = ~stays
    for group in graph.groups:
        part = dead[graph.offsets[group.name] :][: group.size]
        part[:1] &= not part.all()
    return Dead(dead, _added(graph, state, constants, dead) if fold else {})


@dataclass(frozen=True)
class _Reading:
    """What one product reads of the units on its summed axis: arrays over the entries of that axis that are units."""

    units: np.ndarray
    read: np.ndarray
    constant: np.ndarray
    folds: bool

    def stay(self, fold: bool) -> np.ndarray:
        """(entries,) True where the unit can't go."""
        goes = (self.constant == 0) | (self.folds and fold and ~np.isnan(self.constant))
        return self.read & ~goes


def _readings(graph: ShrinkGraph, state: Mapping[str, Tensor], constants: Constants) -> Iterator[_Reading]:
    by_any = _read_by_any(graph, state)
    for c in graph.walk.contractions:
        units = graph.unit_of[c.ids.ravel()]
        here = units >= 0
        if not here.any():
            continue
        weight = _weight(graph, c.node, state)
        if weight is None or c.ids.ndim > 1:
            yield _Reading(units[here], by_any[units[here]], np.full(here.sum(), np.nan), False)
            continue
        folds = _bias(graph, c.node) is not None and not (weight.ndim > 2 and padded(c.node))
        yield _Reading(units[here], _nonzero(weight, 1)[here], constants.entering(c.node, c.ids)[here], folds)


def _read_by_any(graph: ShrinkGraph, state: Mapping[str, Tensor]) -> np.ndarray:
    """(units,) True where any weight that sums over the unit isn't zero there."""
    read = np.zeros(graph.units, bool)
    for group in graph.groups:
        part = read[graph.offsets[group.name] :][: group.size]
        for member in group.members:
            if (member.fqn, member.axis) in group.consumers:
                np.logical_or.at(part, member.units, _nonzero(state[member.fqn], member.axis)[member.indices])
    return read


def _added(
    graph: ShrinkGraph, state: Mapping[str, Tensor], constants: Constants, dead: np.ndarray
) -> dict[str, Tensor]:
    """Bias -> weights times the constants of the dead units that they read."""
    added: dict[str, Tensor] = {}
    for c in graph.walk.contractions:
        weight, bias = _weight(graph, c.node, state), _bias(graph, c.node)
        units = graph.unit_of[c.ids]
        gone = np.append(dead, False)[units]
        if weight is None or bias is None or c.ids.ndim > 1 or not gone.any():
            continue
        constant = np.where(gone, np.nan_to_num(constants.entering(c.node, c.ids)), 0.0)
        flat = weight.double().reshape(*weight.shape[:2], -1).sum(2)
        value = flat @ torch.from_numpy(constant).to(flat.device)
        if value.any():
            added[bias] = value
    return added


def _weight(graph: ShrinkGraph, node: Node, state: Mapping[str, Tensor]) -> Tensor | None:
    """The weight (out, in, ...) of a linear map or a plain convolution; None for any other product."""
    if op_name(node.target) not in ("linear", "conv1d", "conv2d", "conv3d"):
        return None
    name = graph.program.graph_signature.inputs_to_parameters.get(getattr(bound(node)["weight"], "name", ""))
    return None if name is None else state[name].detach()


def _bias(graph: ShrinkGraph, node: Node) -> str | None:
    """The name of a product's bias that no other operation uses, under any name."""
    if op_name(node.target) not in ("linear", "conv1d", "conv2d", "conv3d"):
        return None
    names = graph.program.graph_signature.inputs_to_parameters
    name = names.get(getattr(bound(node).get("bias"), "name", ""))
    own = dict(graph.model.named_parameters(remove_duplicate=False))
    if name is None or name not in own:
        return None
    places = [n for n in graph.program.graph.nodes if own.get(names.get(n.name, "")) is own[name]]
    return name if sum(len(n.users) for n in places) == 1 else None


def _nonzero(weight: Tensor, axis: int) -> np.ndarray:
    flat = weight.detach().movedim(axis, 0).reshape(weight.shape[axis], -1)
    return (flat != 0).any(1).cpu().numpy()
