"""The torch twin of an ONNX graph: the same operators on the same weights, with gradients."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

from torch import Tensor, nn

from deepwright.core.errors import InputError, first_line
from deepwright.nets.onnx_files.node import Node, Operator
from deepwright.nets.onnx_files.operators import OPERATORS
from deepwright.nets.onnx_files.reading import Graph, Step
from deepwright.nets.onnx_files.sizes import ON_SIZES, Sizes, constant_sizes

OPSETS = range(11, 26)
_STATISTICS = {"BatchNormalization": (3, 4), "QuantizeLinear": (1, 2), "DequantizeLinear": (1, 2), "Resize": (1, 2, 3)}
_REDUCED = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
_NUMBERS: dict[str, tuple[int, ...]] = {
    **{f"Reduce{name}": (1,) for name in _REDUCED},
    **dict.fromkeys(("CumSum", "Expand", "Reshape", "Split", "Squeeze", "Tile", "TopK", "Unsqueeze"), (1,)),
    "Pad": (1, 2, 3),
    "Range": (0, 1, 2),
    "Resize": (2, 3),
    "Slice": (1, 2, 3, 4),
}
"""Inputs that are shapes, axes and the like: where they are constant, Python holds them, and no device is asked."""
_WORDS = {1: "weight", 2: "bias", 3: "mean", 4: "variance"}
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization", "LayerNormalization")


class Operation(nn.Module):
    """A node of the graph, with the constants that enter it.

    Args:
        node: what its operator knows.
        operator: computes it.
        constants: by the position of the input that they are; parameters where they are trained.
        given: for each input, whether it comes at the call (True), is a constant (False) or is left out (None).
    """

    def __init__(
        self, node: Node, operator: Operator, constants: dict[int, Tensor], given: Sequence[bool | None]
    ) -> None:
        super().__init__()
        self.node, self.operator, self.given = node, operator, tuple(given)
        self._names: dict[int, str] = {}
        self._numbers: dict[int, list[Any]] = {}
        self._sizes = {i: s for i, v in constants.items() if (s := constant_sizes(v)) is not None}
        for position, value in constants.items():
            if position in _NUMBERS.get(node.kind, ()):
                self._numbers[position] = value.detach().reshape(-1).tolist()
                continue
            name = _WORDS.get(position, "") if node.kind in _WEIGHTED else ""
            self._names[position] = name = name or f"input_{position}"
            if isinstance(value, nn.Parameter):
                self.register_parameter(name, value)
            else:
                self.register_buffer(name, value)

    def forward(self, *given: Any) -> Any:
        """What the operator gives.

        Args:
            given: the inputs that are no constants, in order.
        """
        if any(isinstance(value, Sizes) for value in given):
            found = self._of_sizes(given)
            if found is not None:
                return found
        rest = iter(given)
        inputs = [
            None if comes is None else self._fit(position, next(rest)) if comes else self._constant(position)
            for position, comes in enumerate(self.given)
        ]
        return self.operator(self.node, *inputs)

    def _of_sizes(self, given: Sequence[Any]) -> Sizes | None:
        """The result where all inputs are shapes and constants, in Python."""
        if self.node.kind not in ON_SIZES:
            return None
        rest = iter(given)
        known = [next(rest) if comes else self._sizes.get(i) for i, comes in enumerate(self.given)]
        if not all(isinstance(value, Sizes) for value in known):
            return None
        return ON_SIZES[self.node.kind](self.node, *known)

    def _fit(self, position: int, value: Any) -> Any:
        """Sizes stay what they are where an operator asks for numbers."""
        if isinstance(value, Sizes) and position not in _NUMBERS.get(self.node.kind, ()):
            return value.tensor(self.node.precision.device)
        return value

    def _constant(self, position: int) -> Any:
        name = self._names.get(position)
        return self._numbers[position] if name is None else getattr(self, name)

    def extra_repr(self) -> str:
        """The operator's name."""
        return self.node.kind


class OnnxTwin(nn.Module):
    """An ONNX graph run by torch; it has one mode, as the file has.

    Args:
        graph: of which every node has an operator here (`missing_operators` is empty).
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.inputs, self.outputs = tuple(p.name for p in graph.inputs), tuple(p.name for p in graph.outputs)
        self.precision = graph.precision
        self.operations = nn.ModuleDict()
        self._steps: list[tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = []
        shared = _parameters(graph)
        last = _last_uses(graph)
        for index, step in enumerate(graph.steps):
            given: list[bool | None] = [None if not n else n not in graph.constants for n in step.inputs]
            constants = {i: shared[n] for i, n in enumerate(step.inputs) if given[i] is False}
            name = _module_name(step.node.name, self.operations)
            self.operations[name] = Operation(step.node, OPERATORS[step.node.kind], constants, given)
            comes = tuple(n for n, flag in zip(step.inputs, given) if flag)
            done = tuple(n for n in set(comes) if last[n] == index and n not in self.outputs)
            self._steps.append((name, comes, step.outputs, done))
        self.kept = {n: n.replace(".", "_") for n in self.outputs if n in shared}
        for i, name in enumerate(self.kept):
            self.kept[name] = f"output_{i}"
            self.register_buffer(f"output_{i}", shared[name].detach())
        self.train(False)

    def forward(self, *inputs: Tensor) -> Any:
        """The graph's outputs; alone where there is one.

        Args:
            inputs: in the order of the file.

        Raises:
            InputError: another number of inputs, or ones that an operator doesn't take.
        """
        if len(inputs) != len(self.inputs):
            raise InputError(
                "the ONNX network", given=f"{len(inputs)} inputs", expected=f"{len(self.inputs)}: {self.inputs}"
            )
        floating = next((x.dtype for x in inputs if x.is_floating_point()), None)
        self.precision.now = floating or self.precision.file
        self.precision.device = inputs[0].device if inputs else "cpu"
        values: dict[str, Any] = dict(zip(self.inputs, inputs))
        for name, comes, outputs, done in self._steps:
            operation = cast(Operation, self.operations[name])
            try:
                found = operation(*(values[n] for n in comes))
            except (RuntimeError, IndexError, ValueError, TypeError) as error:
                if isinstance(error, InputError):
                    raise
                given = f"input of shape {tuple(inputs[0].shape)}; {operation.node.kind} {operation.node.name!r}: "
                raise InputError("the ONNX network failed on its input", given=given + first_line(error)) from error
            values.update(zip(outputs, found if isinstance(found, tuple) else (found,)))
            for n in done:
                del values[n]
        results = tuple(values[n] if n in values else getattr(self, self.kept[n]) for n in self.outputs)
        results = tuple(r.tensor(self.precision.device) if isinstance(r, Sizes) else r for r in results)
        return results[0] if len(results) == 1 else results

    def train(self, mode: bool = True) -> OnnxTwin:
        """Stay in eval mode: the file has one."""
        return super().train(False)


def missing_operators(graph: Graph) -> list[str]:
    """What of a graph no operator here computes, in words; empty where the twin can be made.

    Args:
        graph: an ONNX file.
    """
    found = list(graph.lacking)
    if graph.opset not in OPSETS:
        found.append(f"opset {graph.opset} (known are {OPSETS.start} to {OPSETS.stop - 1})")
    for step in graph.steps:
        word = _unknown(step)
        if word and word not in found:
            found.append(word)
    if any(port.dtype is None for port in [*graph.inputs, *graph.outputs]):
        found.append("inputs or outputs that are no tensors of a type that torch has")
    return found


def _unknown(step: Step) -> str | None:
    kind = step.node.kind
    if step.domain:
        return f"{step.domain}.{kind}"
    return kind if step.inner or kind not in OPERATORS else None


def _parameters(graph: Graph) -> dict[str, Tensor]:
    """The constants; floating ones of more than one number are parameters, unless they are statistics."""
    still = {
        step.inputs[position]
        for step in graph.steps
        for position in _STATISTICS.get(step.node.kind, ())
        if position < len(step.inputs)
    }
    return {
        name: nn.Parameter(value) if value.is_floating_point() and value.numel() > 1 and name not in still else value
        for name, value in graph.constants.items()
    }


def _last_uses(graph: Graph) -> dict[str, int]:
    return {name: index for index, step in enumerate(graph.steps) for name in step.inputs if name}


def _module_name(name: str, taken: nn.ModuleDict) -> str:
    """A name that torch takes: letters, digits and underscores, none twice."""
    plain = re.sub(r"\W+", "_", name).strip("_") or "operation"
    chosen, count = plain, 1
    while chosen in taken or hasattr(nn.ModuleDict, chosen):
        count += 1
        chosen = f"{plain}_{count}"
    return chosen
