"""One pass over a `torch.export` graph: what is known of each node's labels, and what rules tell it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.fx import Node

from deepwright.compress.coupling.axes import Ids, Labels, LabelSpace
from deepwright.compress.coupling.nodes import args, has_tensors, op_name, static

_TURNED = ("t", "transpose", "permute", "numpy_T", "mT", "mH", "adjoint", "matrix_H", "to")
Rule = Callable[["Walk", Node], Any]


@dataclass(frozen=True)
class Contraction:
    """A node that sums over a live axis of its operand: where removed units are cut.

    Attributes:
        node: the sum.
        operand: position of what is cut among its arguments.
        axis: of it.
        ids: labels along that axis.
        place: in the operand, where that is a list.
    """

    node: Node
    operand: int
    axis: int
    ids: Ids
    place: int | None = None


@dataclass(frozen=True)
class Inexact:
    """A node whose arithmetic changes with the width of a live axis (a norm's statistics, an attention's scale)."""

    node: Node
    axis: int
    ids: Ids


class Walk:
    """The state of one pass over a graph.

    Args:
        space: of labels.
        on_norm: what becomes of units under a norm: "allow" or "freeze".
        rules: operation -> rule.
    """

    def __init__(self, space: LabelSpace, on_norm: str, rules: Mapping[str, Rule]) -> None:
        self.space, self.on_norm, self.rules = space, on_norm, rules
        self.labels: dict[Node, Any] = {}
        self.contractions: list[Contraction] = []
        self.inexact: list[Inexact] = []
        self.consumed: list[Ids] = []  # weights' axes that are summed over
        self.summed: list[Ids] = []  # sums of two activations
        self.parameters: set[Node] = set()
        self.produced: list[Ids] = []
        self.notes: dict[Node, str] = {}
        self.unsupported: list[Node] = []

    def of(self, value: Any) -> Labels:
        """The labels of an argument."""
        return self.labels[value]

    def axis(self, node: Node, axis: int, avoid: Sequence[int] = ()) -> Ids | None:
        """One axis of a node's output."""
        return self.space.axis(self.of(node), axis, avoid)

    def contract(
        self,
        node: Node,
        operand: int,
        sides: tuple[Node, Node],
        axis: int,
        x: Ids | None,
        other: Ids | None,
        place: int | None = None,
    ) -> None:
        """Tie the two sides of a sum over an axis of the first, and remember where it is and which side is a weight."""
        self.space.tie(x, other)
        if x is None or other is None:
            return
        self.contractions.append(Contraction(node, operand, axis % len(self.of(sides[0]).shape), x, place))
        weights = [ids for side, ids in zip(sides, (x, other)) if self.is_weight(side)]
        (self.consumed if weights else self.summed).extend(weights or [x])

    def is_weight(self, node: Node) -> bool:
        """Whether a node is a parameter, perhaps transposed."""
        while node.op == "call_function" and op_name(node.target) in _TURNED:
            node = args(node)[0]
        return node in self.parameters

    def produce(self, ids: Ids | None) -> Ids | None:
        """Remember a weight's output axis."""
        if ids is not None:
            self.produced.append(ids)
        return ids

    def visit(self, node: Node) -> Any:
        """The labels of a call's output."""
        rule = self.rules.get(op_name(node.target))
        return self.give_up(node) if rule is None else rule(self, node)

    def give_up(self, node: Node, note: str = "") -> Any:
        """Freeze every input; the output is frozen too."""
        for used in node.all_input_nodes:
            for labels in flat_labels(self.labels.get(used)):
                self.space.freeze_all(labels)
        if has_tensors(node.meta.get("val")):
            if note:
                self.notes[node] = note
            else:
                self.unsupported.append(node)
        return frozen_like(node.meta.get("val"))


def frozen_like(value: Any) -> Any:
    """Frozen labels for a value or a tuple of values."""
    if isinstance(value, tuple | list):
        return tuple(frozen_like(v) for v in value)
    return Labels(static(value.shape)) if isinstance(value, Tensor) else None


def flat_labels(value: Any) -> list[Labels]:
    """The labels inside a possibly nested value."""
    if isinstance(value, tuple | list):
        return [one for v in value for one in flat_labels(v)]
    return [value] if isinstance(value, Labels) else []
