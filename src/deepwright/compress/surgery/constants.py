"""Units whose value is the same for every input, and what that value is at each node of the exported graph.

A unit whose weights are all zero makes its bias, whatever comes in; norms, activations and pools on the way make other
constants of it. They are followed label by label through the graph. What isn't known to be constant is NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.fx import Node

from deepwright.compress.coupling import ShrinkGraph
from deepwright.compress.coupling.axes import Labels
from deepwright.compress.coupling.nodes import args, bound, op_name
from deepwright.compress.coupling.rules.elementwise import ELEMENTWISE

# Operations that carry a constant on as it is, wherever its label goes.
_MOVED = """
alias clone contiguous detach dropout feature_dropout alpha_dropout lift_fresh to _to_copy view reshape flatten
unflatten _unsafe_view permute transpose t movedim unsqueeze squeeze expand expand_as getitem cat concat split chunk
unbind select slice narrow stack
"""
_POOLED = """
mean amax amin max_pool1d max_pool2d max_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
upsample_nearest1d upsample_nearest2d upsample_nearest3d
"""
_CARRIED = frozenset((_MOVED + _POOLED).split())
# Operations that carry zero on, and make something else of any other constant (sums, padding with zeros).
_ZERO_CARRIED = frozenset(["sum", "avg_pool1d", "avg_pool2d", "avg_pool3d", "pad", "constant_pad_nd"])


@dataclass(frozen=True)
class Table:
    """Label -> constant: sorted labels and their values, NaN where a value isn't constant."""

    labels: np.ndarray
    values: np.ndarray

    def at(self, ids: np.ndarray) -> np.ndarray:
        """Values of labels; NaN for those that aren't here.

        Args:
            ids: of any shape.
        """
        if len(self.labels) == 0:
            return np.full(ids.shape, np.nan)
        where = np.minimum(np.searchsorted(self.labels, ids), len(self.labels) - 1)
        return np.where(self.labels[where] == ids, self.values[where], np.nan)


_NOTHING = Table(np.zeros(0, int), np.zeros(0))


def table(labels: np.ndarray, values: np.ndarray) -> Table:
    """A table of labels that may come several times: one with two values isn't constant.

    Args:
        labels: of any shape; 0 (frozen) is left out.
        values: of the same shape.
    """
    labels, values = labels.ravel(), values.ravel()
    labels, values = labels[labels != 0], values[labels != 0]
    unique, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    out = values[first].copy()
    with np.errstate(invalid="ignore"):
        out[inverse[values != out[inverse]]] = np.nan  # NaN differs from itself too
    return Table(unique, out)


class Constants:
    """What is known to be constant in a network.

    Args:
        graph: of the network.
        state: its parameters and buffers by name.
    """

    def __init__(self, graph: ShrinkGraph, state: Mapping[str, Tensor]) -> None:
        self.graph, self.labels = graph, graph.walk.labels
        signature = graph.program.graph_signature
        names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        self.state = {node: state[fqn].detach().cpu() for node, fqn in names.items() if fqn in state}
        self.tables: dict[Node, Table] = {}
        for node in graph.program.graph.nodes:
            found = self._of(node)
            changed = args(node)[0] if node.op == "call_function" and _in_place(node) else None
            if isinstance(changed, Node) and len(changed.users) > 1:  # what else reads it sees it before or after
                found = self.tables[changed] = _NOTHING
            self.tables[node] = found

    def entering(self, node: Node, ids: np.ndarray) -> np.ndarray:
        """(n,) constants of a node's first operand at some labels.

        Args:
            node: a product with a weight.
            ids: (n,) labels of its summed axis.
        """
        return self.tables[args(node)[0]].at(ids)

    def _of(self, node: Node) -> Table:
        if node.op == "placeholder":
            return self._parameter(node)
        if node.op != "call_function":
            return _NOTHING
        name = op_name(node.target)
        try:
            if name in ("linear", "conv1d", "conv2d", "conv3d"):
                return self._product(node)
            if name in ("batch_norm", "_native_batch_norm_legit_no_training"):
                return self._batch_norm(node)
            if name in _CARRIED or name in _ZERO_CARRIED:
                return self._carried(node, name in _ZERO_CARRIED)
            if name in ELEMENTWISE:
                return self._elementwise(node, name)
        except (RuntimeError, TypeError, ValueError, KeyError, IndexError, AttributeError):
            return _NOTHING  # a call of another form
        return _NOTHING

    def _parameter(self, node: Node) -> Table:
        """Entries along each live axis along which alone a parameter varies."""
        labels, value = self.labels.get(node), self.state.get(node.name)
        if not isinstance(labels, Labels) or value is None or not value.is_floating_point():
            return _NOTHING
        wide = [a for a, size in enumerate(value.shape) if size > 1]
        if len(wide) != 1 or (ids := labels.block(wide[0]).ids) is None:
            return _NOTHING
        return table(ids, value.double().reshape(-1).numpy())

    def _product(self, node: Node) -> Table:
        """A row gives its bias, and what it reads of constants; any other nonzero weight makes it vary."""
        values = bound(node)
        weight = self.state[values["weight"].name].double()
        out = weight.shape[0]
        bias = np.zeros(out) if values.get("bias") is None else self.state[values["bias"].name].double().numpy()
        flat = weight.reshape(out, weight.shape[1], -1)
        reads = (flat != 0).any(2).numpy()
        made = np.where(reads.any(1), np.nan, bias)
        if int(values.get("groups", 1)) == 1:
            x = self.labels[args(node)[0]]
            ids = x.block(len(x.shape) - (weight.ndim - 1)).ids
            c = np.full(weight.shape[1], np.nan) if ids is None or ids.ndim > 1 else self.tables[args(node)[0]].at(ids)
            if weight.ndim > 2 and padded(node):
                c = np.where(c == 0, c, np.nan)
            known = ~np.isnan(c)
            made = np.where((reads & ~known).any(1), np.nan, bias + flat.sum(2).numpy() @ np.where(known, c, 0.0))
        ids = self.labels[values["weight"]].block(0).ids
        return _NOTHING if ids is None else table(ids, made)

    def _batch_norm(self, node: Node) -> Table:
        """(c - mean) / sqrt(variance + eps) * gamma + beta, with running statistics."""
        values, x = bound(node), args(node)[0]
        if values.get("training") or values.get("running_mean") is None:
            return _NOTHING
        ids = self.labels[x].block(1).ids
        if ids is None or ids.ndim > 1:
            return _NOTHING
        c = torch.from_numpy(self.tables[x].at(ids))[None]
        mean, variance, scale, shift = (
            self._value(values.get(n)) for n in ("running_mean", "running_var", "weight", "bias")
        )
        made = torch.nn.functional.batch_norm(c, mean, variance, scale, shift, eps=float(values["eps"]))
        return table(ids, made[0].numpy())

    def _value(self, node: Any) -> Tensor | None:
        return self.state[node.name].double() if isinstance(node, Node) else None

    def _carried(self, node: Node, zero_only: bool) -> Table:
        sources = [self.tables[n] for n in node.all_input_nodes]
        labels = np.concatenate([s.labels for s in sources]) if sources else np.zeros(0, int)
        values = np.concatenate([s.values for s in sources]) if sources else np.zeros(0)
        return table(labels, np.where(values == 0, values, np.nan) if zero_only else values)

    def _elementwise(self, node: Node, name: str) -> Table:
        """The operation on a vector of constants for each of its output's axes that carries labels."""
        out = self.labels[node]
        labels, values = [np.zeros(0, int)], [np.zeros(0)]
        for block in out.blocks:
            if block.ids is not None and block.ids.ndim == 1 and out.shape[block.axes[0]] > 1:
                labels.append(block.ids)
                values.append(self._along(node, name, len(out.shape) - block.axes[0], block.ids.shape[0]))
        return table(np.concatenate(labels), np.concatenate(values))

    def _along(self, node: Node, name: str, from_end: int, size: int) -> np.ndarray:
        """(size,) constants of an element-wise call along one axis, counted from the last."""
        silent, unknown = np.zeros(size, bool), np.zeros(size, bool)

        def operand(n: Node) -> Tensor:
            value = self._operand(n, from_end, size)
            silent[:] |= value == 0
            unknown[:] |= np.isnan(value)
            return torch.from_numpy(value)

        given = torch.fx.node.map_arg(node.args, operand)
        named = torch.fx.node.map_arg(node.kwargs, operand)
        result = node.target(*given, **named).double().numpy()  # type: ignore[operator]
        result = np.where(unknown, np.nan, result)  # a comparison would make a number of NaN
        return np.where(silent, 0.0, result) if name in ("mul", "multiply") else result  # 0 times anything finite

    def _operand(self, n: Node, from_end: int, size: int) -> np.ndarray:
        """(size,) what one operand is along an axis: NaN where it isn't known."""
        value = self.state.get(n.name)
        if value is not None and value.numel() == 1:
            return np.full(size, float(value))
        labels = self.labels[n]
        axis = len(labels.shape) - from_end
        if axis < 0 or labels.shape[axis] != size or (ids := labels.block(axis).ids) is None or ids.ndim > 1:
            return np.full(size, np.nan)
        return self.tables[n].at(ids)


def _in_place(node: Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return schema is not None and schema.is_mutable


def padded(node: Node) -> bool:
    """Whether a convolution pads with zeros.

    Args:
        node: the convolution.
    """
    padding = bound(node).get("padding", 0)
    return padding != "valid" if isinstance(padding, str) else np.any(np.asarray(padding) != 0).item()
