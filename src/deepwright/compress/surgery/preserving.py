"""What must be zero in a fused network so that it computes what the small one does.

New entries may be read by new ones only. Which axis of which parameter is read (summed over) the graph knows, whatever
module or plain function does the sum; where two activations meet in a sum, or a norm runs over new entries, no value of
a parameter keeps the function.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from deepwright.compress.coupling import ShrinkGraph
from deepwright.compress.coupling.nodes import module_of, op_name
from deepwright.compress.errors import FusionError
from deepwright.compress.surgery.index_maps import IndexMap


class Preserving:
    """Which entries of which parameters lead from new units to kept ones.

    Args:
        graph: of the big network.
        index_map: of the surgery.

    Raises:
        FusionError: the map cuts what the graph doesn't let go, or new units that no zero can silence.
    """

    def __init__(self, graph: ShrinkGraph, index_map: IndexMap) -> None:
        self.index_map = index_map
        self.read: dict[str, set[int]] = {}
        for group in graph.groups:
            for fqn, axis in group.consumers:
                self.read.setdefault(fqn, set()).add(axis)
        gone = _gone(graph, index_map)
        for node, ids in _unsilenced(graph):
            if gone[ids].any():
                raise FusionError(
                    "rest='function_preserving'",
                    given=f"new units under {op_name(node.target)} in {module_of(node) or 'the network'}",
                    expected="units that only weights sum over, and no norm over new units",
                    hint="rest='random', or freeze that width: on_norm='freeze', attention='heads'",
                )

    def silence(self, name: str, target: Tensor) -> None:
        """Zero what kept entries read of new ones (in place).

        Args:
            name: of the parameter.
            target: its values in the fused network.
        """
        axes = self.index_map.get(name, ())
        reads_new = torch.zeros((1,) * target.ndim, dtype=torch.bool, device=target.device)
        kept = torch.ones((1,) * target.ndim, dtype=torch.bool, device=target.device)
        for axis, indices in enumerate(axes):
            if indices is None:
                continue
            stays = torch.zeros(target.shape[axis], dtype=torch.bool, device=target.device)
            stays[indices.to(target.device)] = True
            stays = stays.view([-1 if a == axis else 1 for a in range(target.ndim)])
            if axis in self.read.get(name, ()):
                reads_new = reads_new | ~stays
            else:
                kept = kept & stays
        target.masked_fill_(reads_new & kept, 0)


def _gone(graph: ShrinkGraph, index_map: IndexMap) -> np.ndarray:
    """(labels,) True for entries that the map leaves out."""
    gone = np.zeros(graph.space.count, bool)
    cut = {(fqn, a) for fqn, axes in index_map.items() for a, kept in enumerate(axes) if kept is not None}
    for birth in graph.space.births:
        if (birth.fqn, birth.axis) not in cut:
            continue
        cut.remove((birth.fqn, birth.axis))
        kept = index_map[birth.fqn][birth.axis]
        assert kept is not None
        here = gone[birth.start : birth.start + birth.size]
        here[:] = True
        here[kept.cpu().numpy()] = False
        if (graph.unit_of[birth.start : birth.start + birth.size][here] < 0).any():
            cut.add((birth.fqn, birth.axis))
    if cut:
        raise FusionError("index map", given=f"a cut of {sorted(cut)[0]}", expected="units of this graph")
    whole = np.zeros(graph.units + 1, bool)
    np.logical_or.at(whole, graph.unit_of, gone)
    return np.where(graph.unit_of >= 0, whole[graph.unit_of], False)


def _unsilenced(graph: ShrinkGraph) -> list[tuple[torch.fx.Node, np.ndarray]]:
    """Sums of two activations, and arithmetic that a width enters."""
    walk = graph.walk
    both = [(c.node, c.ids) for c in walk.contractions if any(c.ids is ids for ids in walk.summed)]
    return both + [(i.node, i.ids) for i in walk.inexact]
