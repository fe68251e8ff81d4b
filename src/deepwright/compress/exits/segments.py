"""A network cut into pieces that run one after the other, so that a frame can stop between two of them.

The pieces come from the exported graph and share the network's own parameters. A place is a valid cut when exactly one
tensor crosses it (parameters, buffers and batch sizes aside): across a shortcut two do.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Graph, GraphModule, Node

from deepwright.compress.counting.operations import Layer, layer_of
from deepwright.compress.coupling.nodes import module_of, op_name, shape_of
from deepwright.compress.errors import ExportError
from deepwright.compress.exporting import export_program
from deepwright.core.errors import InputError
from deepwright.core.results import Table


class CutError(InputError):
    """A place where the network can't be cut."""


@dataclass(frozen=True)
class Cut:
    """A valid cut.

    Attributes:
        name: the module that it lies behind.
        node: of the exported graph, whose tensor crosses.
        elements: of that tensor, per sample.
        macs: before it, per sample.
    """

    name: str
    node: Node
    elements: int
    macs: int


class Segments:
    """An exported network with its cuts.

    Args:
        model: in eval mode while it is exported; left as found.
        example: an input batch.
    """

    def __init__(self, model: nn.Module, example: Tensor) -> None:
        self.model = model
        self.batch = max(len(example), 2)
        self.program = export_program(model, (example,), dynamic_batch=True)
        self.nodes = [n for n in self.program.graph.nodes if n.op == "call_function"]
        signature = self.program.graph_signature
        self.state = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        self.constants = dict(signature.inputs_to_lifted_tensor_constants)
        self.input = next(
            n
            for n in self.program.graph.nodes
            if n.op == "placeholder" and n.name not in self.state and n.name not in self.constants
        )
        self.output = next(n for n in self.program.graph.nodes if n.op == "output")
        self.layers = [layer_of(n, self.batch) for n in self.nodes]

    @property
    def macs(self) -> int:
        """Of the whole network, for one sample."""
        return sum(x.macs for x in self.layers if x is not None)

    def between(self, start: int, stop: int) -> list[Layer]:
        """Layers of the nodes start .. stop-1."""
        return [x for x in self.layers[start:stop] if x is not None]

    def crossing(self, position: int) -> list[Node]:
        """Tensors made before `position` and used from it on."""
        place = {n: i for i, n in enumerate(self.nodes)}
        found = []
        for node in [self.input, *self.nodes[:position]]:
            late = any(u is self.output or place.get(u, -1) >= position for u in node.users)
            if late and not self._is_batch_size(node) and isinstance(node.meta.get("val"), Tensor):
                found.append(node)
        return found

    def _is_batch_size(self, node: Node) -> bool:
        return op_name(node.target) == "sym_size" and node.args[0] is self.input and bool(node.args[1] == 0)

    def cuts(self) -> list[Cut]:
        """All valid cuts, each after the last node of the module that makes the crossing tensor."""
        found: list[Cut] = []
        macs = 0
        for i, layer in enumerate(self.layers):
            macs += 0 if layer is None else layer.macs
            crossing = self.crossing(i + 1)
            if crossing == [self.nodes[i]] and not self._ends(i):
                elements = 1
                for s in shape_of(self.nodes[i])[1:]:
                    elements *= s
                found.append(Cut(module_of(self.nodes[i]), self.nodes[i], elements, macs))
        return found

    def _ends(self, position: int) -> bool:
        return all(u is self.output for u in self.nodes[position].users)

    def table(self) -> Table:
        """Every valid cut with its share of the MACs and the bytes that cross it."""
        rows: list[list[Any]] = [
            [c.name or c.node.name, op_name(c.node.target), c.macs / max(self.macs, 1), 4 * c.elements]
            for c in self.cuts()
        ]
        return Table(["after", "operation", "MACs before", "bytes that cross"], rows, f"{len(rows)} valid cuts")

    def position(self, name: str) -> int:
        """The place right behind a module's last node.

        Raises:
            CutError: no such module, or more than one tensor crosses there (they are named).
        """
        inside = [i for i, n in enumerate(self.nodes) if name in _stack(n)]
        if not inside:
            known = sorted({c.name for c in self.cuts() if c.name})
            raise CutError("cut", given=repr(name), expected="a module of the network, e.g. " + ", ".join(known[:12]))
        last = inside[-1] + 1
        crossing = self.crossing(last)
        if crossing != [self.nodes[last - 1]]:
            names = ", ".join(f"{n.name} (from {module_of(n) or 'the network'})" for n in crossing)
            raise CutError(
                f"cut after {name!r}",
                given=f"{len(crossing)} tensors cross it: {names}",
                expected="one",
                hint="cut where no shortcut passes: see Segments(model, x).table()",
            )
        return last

    def build(self, positions: list[int]) -> list[GraphModule]:
        """Modules for the pieces between cuts; each takes the crossing tensor, the last gives the network's outputs."""
        edges = [0, *positions, len(self.nodes)]
        pieces = []
        for start, stop in itertools.pairwise(edges):
            source = self.input if start == 0 else self.nodes[start - 1]
            pieces.append(self._piece(start, stop, source, stop == len(self.nodes)))
        return pieces

    def _piece(self, start: int, stop: int, source: Node, last: bool) -> GraphModule:
        graph, copy = Graph(), {}
        root = nn.Module()
        copy[source] = graph.placeholder("x")
        own: dict[str, Any] = {
            **dict(self.model.named_parameters(remove_duplicate=False)),
            **dict(self.model.named_buffers(remove_duplicate=False)),
        }

        def value(node: Node) -> Node:
            if node in copy:
                return copy[node]
            if self._is_batch_size(node):
                copy[node] = graph.call_function(torch.ops.aten.sym_size.int, (copy[source], 0))
            elif node.name in self.state or node.name in self.constants:
                fqn = self.state.get(node.name) or self.constants[node.name]
                tensor = own[fqn] if fqn in own else self.program.constants[fqn]
                attribute = "t_" + fqn.replace(".", "_")
                if isinstance(tensor, nn.Parameter):
                    root.register_parameter(attribute, tensor)
                else:
                    root.register_buffer(attribute, tensor)
                copy[node] = graph.get_attr(attribute)
            elif node.op == "call_function" and not isinstance(node.meta.get("val"), Tensor):
                copy[node] = graph.node_copy(node, value)  # arithmetic on sizes
            else:
                raise ExportError(RuntimeError(f"{node.name} is needed behind the cut"))
            return copy[node]

        for node in self.nodes[start:stop]:
            if node not in copy and not self._is_batch_size(node):
                if not node.users and "assert" in op_name(node.target):
                    continue
                for used in node.all_input_nodes:
                    value(used)
                copy[node] = graph.node_copy(node, value)
        if last:
            outputs = [value(a) if isinstance(a, Node) else a for a in self.output.args[0]]  # type: ignore[union-attr]
            graph.output(tuple(outputs))
        else:
            graph.output(copy[self.nodes[stop - 1]])
        graph.eliminate_dead_code()
        return GraphModule(root, graph)

    def unflatten(self, outputs: tuple[Any, ...]) -> Any:
        """The network's own structure of outputs (a tensor, a tuple, a dict) from the last piece's."""
        spec = self.program.call_spec.out_spec
        return torch.utils._pytree.tree_unflatten(list(outputs), spec)


def _stack(node: Node) -> set[str]:
    return {entry[0] for entry in (node.meta.get("nn_module_stack") or {}).values()}
