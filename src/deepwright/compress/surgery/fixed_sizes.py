"""Sizes that the code of a network writes down, and how many entries of each axis a plan removes."""

from __future__ import annotations

import numpy as np
from torch.fx import Node

from deepwright.compress.coupling.axes import Labels
from deepwright.compress.coupling.nodes import op_name
from deepwright.compress.coupling.walk import flat_labels
from deepwright.compress.surgery.plans import Plan


def fixed_sizes(plan: Plan) -> list[tuple[Node, int, int]]:
    """(node, size in the code, size after surgery) of every call that was given a size which the plan changes.

    Args:
        plan: what stays.
    """
    found = []
    removed = Removed(plan)
    for node in plan.graph.program.graph.nodes:
        if node.op != "call_function":
            continue
        name = op_name(node.target)
        if name in ("view", "reshape", "expand", "unflatten", "_unsafe_view", "flatten"):
            labels = plan.graph.walk.labels[node]
            for axis, size in enumerate(labels.shape):
                kept = size - removed.count(labels, axis)
                if kept != size:
                    found.append((node, size, kept))
        elif name in ("split", "chunk", "split_with_sizes", "slice", "narrow"):
            for labels in flat_labels(plan.graph.walk.labels[node]):
                for axis, size in enumerate(labels.shape):
                    kept = size - removed.count(labels, axis)
                    if kept != size:
                        found.append((node, size, kept))
    return found


class Removed:
    """How many entries of an axis a plan removes.

    Args:
        plan: what stays.
    """

    def __init__(self, plan: Plan) -> None:
        self.gone = plan.removes(plan.graph.unit_of)

    def mask(self, labels: Labels, axis: int) -> np.ndarray | None:
        """(size,) True where an entry goes, or None when none does."""
        block = labels.block(axis)
        if block.ids is None:
            return None
        k = block.axes.index(axis)
        gone = np.moveaxis(self.gone[block.ids], k, 0).reshape(block.ids.shape[k], -1).all(1)
        return gone if gone.any() else None

    def count(self, labels: Labels, axis: int) -> int:
        """How many go."""
        gone = self.mask(labels, axis)
        return 0 if gone is None else int(gone.sum())
