"""Units that a network could lose without computing anything else."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from deepwright.compress.coupling import ShrinkGraph
from deepwright.compress.coupling.nodes import op_name


def dead_units(graph: ShrinkGraph, state: Mapping[str, Tensor]) -> np.ndarray:
    """(units,) True where removing the unit changes nothing.

    At least one unit of every group is left alive.

    Args:
        graph: units and groups.
        state: parameters with zeros where they are masked.
    """
    dead = np.zeros(graph.units, bool)
    silent = _always_zero(graph, state)
    for group in graph.groups:
        read, made = np.zeros(group.size, bool), np.zeros(group.size, bool)
        for member in group.members:
            axis = (member.fqn, member.axis)
            if axis in group.consumers:
                np.logical_or.at(read, member.units, _nonzero(state[member.fqn], member.axis)[member.indices])
        start = graph.offsets[group.name]
        made = ~silent[start : start + group.size]
        gone = ~read | ~made
        if gone.all():
            gone[0] = False
        dead[start : start + group.size] = gone
    return dead


def _nonzero(weight: Tensor, axis: int) -> np.ndarray:
    flat = weight.detach().movedim(axis, 0).reshape(weight.shape[axis], -1)
    return (flat != 0).any(1).cpu().numpy()


def _always_zero(graph: ShrinkGraph, state: Mapping[str, Tensor]) -> np.ndarray:
    """Units whose value is zero at every consumer for any input.

    Every producer slice is zero, and so is everything that could make a constant of it on the way: biases and norm
    shifts of the unit are zero, running means too (a norm maps 0 to beta - gamma mean / sigma), and every element-wise
    function between maps 0 to 0.
    """
    alive = np.zeros(graph.units, bool)
    buffers = dict(graph.model.named_buffers())
    for group in graph.groups:
        start = graph.offsets[group.name]
        part = alive[start : start + group.size]
        for member in group.members:
            axis = (member.fqn, member.axis)
            if axis in group.consumers:
                continue
            leaf = member.fqn.rpartition(".")[2]
            scale = axis not in group.producers and leaf in ("weight", "running_var")
            if scale:
                continue
            tensor = state.get(member.fqn, buffers.get(member.fqn))
            if tensor is not None:
                np.logical_or.at(part, member.units, _nonzero(tensor, member.axis)[member.indices])
        if not group.producers or not _zero_stays_zero(graph):
            part[:] = True
    return ~alive


_ZERO_PRESERVING = frozenset(
    [
        "abs",
        "adaptive_avg_pool2d",
        "add",
        "alias",
        "amax",
        "avg_pool2d",
        "batch_norm",
        "cat",
        "celu",
        "clone",
        "contiguous",
        "conv1d",
        "conv2d",
        "conv3d",
        "detach",
        "div",
        "dropout",
        "elu",
        "flatten",
        "gelu",
        "hardshrink",
        "hardswish",
        "hardtanh",
        "leaky_relu",
        "linear",
        "max_pool2d",
        "mean",
        "mish",
        "mul",
        "neg",
        "permute",
        "prelu",
        "relu",
        "relu6",
        "reshape",
        "selu",
        "silu",
        "sin",
        "softshrink",
        "squeeze",
        "sub",
        "tanh",
        "to",
        "transpose",
        "unsqueeze",
        "view",
    ]
)


def _zero_stays_zero(graph: ShrinkGraph) -> bool:
    """Whether every operation of the network maps zero to zero (a scalar summand or a sigmoid does not)."""
    for node in graph.program.graph.nodes:
        if node.op != "call_function":
            continue
        name = op_name(node.target)
        if name == "getitem":
            continue
        if name not in _ZERO_PRESERVING:
            return False
        if name in ("add", "sub") and len(node.all_input_nodes) < 2:
            return False
    return True
