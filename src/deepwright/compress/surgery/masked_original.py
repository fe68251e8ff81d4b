"""The whole network with a plan's removed units cut, as a function of its inputs.

The exported graph of the *whole* network is run node by node: wherever an operation sums over a live axis, the removed
units are set to zero on their way in (cut at the consumer, so that no activation function matters). Where a width
itself enters the arithmetic (a norm's statistics, an attention's scale) that one node is computed on the kept entries;
such groups are not `exact`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx import Node

from deepwright.compress.coupling import ShrinkGraph
from deepwright.compress.coupling.nodes import FRESH, op_name
from deepwright.compress.surgery.plans import Plan
from deepwright.core.devices import device_of, dtype_of


class MaskedOriginal:
    """The whole network with a plan's removed units cut, as a function of its inputs.

    Args:
        plan: what stays.
        dtype: of its floating tensors; their own by default.
        model: whose values they are, of the same names and shapes; the plan's own network by default.
    """

    def __init__(self, plan: Plan, dtype: torch.dtype | None = None, model: nn.Module | None = None) -> None:
        graph = plan.graph
        self.graph, self.plan = graph, plan
        self.device, self.own = device_of(graph.model), dtype_of(graph.model)
        self.dtype = dtype or self.own
        self.nodes = list(graph.program.graph.nodes)
        self.state = _state(graph, dtype, model or graph.model)
        self.cuts: dict[Node, list[tuple[int, int | None, int, Tensor]]] = {}
        self.narrow: dict[Node, tuple[int, Tensor]] = {}
        for c in graph.walk.contractions:
            gone = self._removed(c.ids)
            if gone.any():
                keep = torch.from_numpy(~gone).to(self.device)
                self.cuts.setdefault(c.node, []).append((c.operand, c.place, c.axis, keep))
        for i in graph.walk.inexact:
            gone = self._removed(i.ids)
            if gone.any():
                self.narrow[i.node] = (i.axis, torch.from_numpy(np.flatnonzero(~gone)).to(self.device))
        self.last: dict[Node, int] = {}
        for position, node in enumerate(self.nodes):
            for used in node.all_input_nodes:
                self.last[used] = position

    def _removed(self, ids: np.ndarray) -> np.ndarray:
        return self.plan.removes(self.graph.unit_of[ids])

    def __call__(self, *inputs: Any, watch: Callable[[Node, Any], None] | None = None, **kwargs: Any) -> list[Tensor]:
        """The outputs' tensors.

        Args:
            *inputs: as the network takes them.
            watch: sees every node and its value.
            **kwargs: keyword inputs.
        """
        leaves = torch.utils._pytree.tree_leaves((inputs, kwargs))
        flat = [to_dtype(v, self.dtype).to(self.device) if isinstance(v, Tensor) else v for v in leaves]
        signature = self.graph.program.graph_signature
        waiting = iter(flat)
        env: dict[Node, Any] = {}
        with torch.no_grad():
            for position, node in enumerate(self.nodes):
                if node.op == "placeholder":
                    env[node] = self.state[node.name] if node.name in self.state else next(waiting)
                elif node.op == "call_function":
                    env[node] = self._call(node, env)
                    if watch is not None:
                        watch(node, env[node])
                elif node.op == "get_attr":
                    env[node] = getattr(self.graph.program.graph_module, str(node.target))
                elif node.op == "output":
                    specs = {
                        s.arg.name
                        for s in signature.output_specs
                        if s.kind.name == "USER_OUTPUT" and hasattr(s.arg, "name")
                    }
                    values = [env[a] for a in node.args[0] if isinstance(a, Node) and a.name in specs]  # type: ignore[union-attr]
                    return [v for v in torch.utils._pytree.tree_leaves(values) if isinstance(v, Tensor)]
                for used in node.all_input_nodes:
                    if self.last[used] == position and used.op != "placeholder":
                        env.pop(used, None)
        return []

    def _call(self, node: Node, env: dict[Node, Any]) -> Any:
        args = torch.fx.node.map_arg(node.args, lambda n: env[n])
        kwargs = torch.fx.node.map_arg(node.kwargs, lambda n: env[n])
        if kwargs.get("dtype") == self.own and op_name(node.target) in FRESH:
            kwargs = {**kwargs, "dtype": self.dtype}  # what the code makes anew in its inputs' precision
        for operand, place, axis, keep in self.cuts.get(node, ()):
            args = _cut(args, operand, place, axis, keep)
        if node in self.narrow:
            return self._narrowed(node, args, kwargs)
        return node.target(*args, **kwargs)  # type: ignore[operator]

    def _narrowed(self, node: Node, args: Any, kwargs: Any) -> Any:
        """The node on kept entries only, scattered back among zeros."""
        axis, kept = self.narrow[node]
        name = op_name(node.target)
        if name == "scaled_dot_product_attention":
            q, k = args[0].index_select(axis, kept), args[1].index_select(axis, kept)
            return node.target(q, k, *args[2:], **kwargs)  # type: ignore[operator]
        x = args[0].index_select(axis, kept)
        rest = [a.index_select(0, kept) if isinstance(a, Tensor) and a.ndim == 1 else a for a in args[1:]]
        if name in ("layer_norm", "rms_norm"):
            rest[0] = [len(kept)]
        small = node.target(x, *rest, **kwargs)  # type: ignore[operator]
        return torch.zeros_like(args[0]).index_copy(axis, kept, small)


def _cut(args: Any, operand: int, place: int | None, axis: int, keep: Tensor) -> Any:
    """Zero the removed entries of one operand, or of one tensor in it where it is a list."""
    args = list(args)
    if place is None:
        args[operand] = _zeroed(args[operand], axis, keep)
    else:
        args[operand] = [_zeroed(x, axis, keep) if i == place else x for i, x in enumerate(args[operand])]
    return tuple(args)


def _zeroed(x: Tensor, axis: int, keep: Tensor) -> Tensor:
    shape = [1] * x.ndim
    shape[axis] = len(keep)
    return torch.where(keep.view(shape), x, torch.zeros((), dtype=x.dtype, device=x.device))


def _state(graph: ShrinkGraph, dtype: torch.dtype | None, model: nn.Module) -> dict[str, Any]:
    """Parameters, buffers and constants by placeholder."""
    signature = graph.program.graph_signature
    own = {
        **dict(model.named_parameters(remove_duplicate=False)),
        **dict(model.named_buffers(remove_duplicate=False)),
    }
    found: dict[str, Any] = {}
    for name, fqn in {**signature.inputs_to_parameters, **signature.inputs_to_buffers}.items():
        found[name] = own[fqn] if fqn in own else graph.program.state_dict.get(fqn, graph.program.constants.get(fqn))
    for name, fqn in signature.inputs_to_lifted_tensor_constants.items():
        found[name] = graph.program.constants[fqn]
    return {k: to_dtype(v.detach(), dtype) if isinstance(v, Tensor) else v for k, v in found.items()}


def to_dtype(x: Any, dtype: torch.dtype | None) -> Any:
    """Floating tensors in another precision; anything else unchanged."""
    return x.to(dtype) if dtype is not None and isinstance(x, Tensor) and x.is_floating_point() else x
