"""Parameters, bytes and multiply-accumulates as exact functions of the units kept.

Each is a sum of products of axis widths, and each width is a count of kept units plus a constant. Widths are one sparse
matrix product, so thousands of plans are costed at once and nothing is traced again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from torch import Tensor
from torch.fx import Node

from deepwright.compress.coupling.axes import Labels
from deepwright.compress.coupling.graph import ShrinkGraph
from deepwright.compress.coupling.nodes import bound, module_of, op_name
from deepwright.compress.coupling.rules.table import PRODUCTS, RECURRENT
from deepwright.core.errors import InputError


@dataclass(frozen=True)
class Term:
    """constant * product of widths (indices into the table of widths)."""

    constant: int
    widths: tuple[int, ...]
    fqn: str = ""


class CostPolynomial:
    """The cost of any plan over one graph.

    Args:
        graph: units and groups.
    """

    def __init__(self, graph: ShrinkGraph) -> None:
        self.units = graph.units
        self._graph = graph
        self._rows: dict[bytes, int] = {}
        self._base: list[int] = []
        self._counts: list[np.ndarray] = []
        self._units: list[np.ndarray] = []
        self.params = self._parameter_terms(scale=False)
        self.bytes = self._parameter_terms(scale=True)
        self.macs = [t for node in graph.program.graph.nodes if node.op == "call_function" for t in self._macs(node)]
        indptr = np.cumsum([0, *(len(u) for u in self._units)])
        shape = (len(self._base), self.units)
        self._matrix = sparse.csr_matrix((_joined(self._counts), _joined(self._units), indptr), shape)
        self._offset = np.array(self._base, dtype=np.int64)

    @classmethod
    def of(cls, graph: ShrinkGraph) -> CostPolynomial:
        """The graph's polynomial, built once.

        Args:
            graph: units and groups.
        """
        kept = graph.__dict__.get("_polynomial")
        if kept is None:
            kept = graph.__dict__["_polynomial"] = cls(graph)
        return kept

    def evaluate(self, keep: np.ndarray) -> dict[str, np.ndarray]:
        """Costs of plans.

        Args:
            keep: (plans, units) bool.

        Returns:
            "params", "bytes" (of parameters) and "macs" (per batch of the example, divided by its size): (plans,)
            int64.

        Raises:
            InputError: another shape or type.
        """
        if keep.ndim != 2 or keep.shape[1] != self.units or keep.dtype != bool:
            given = f"{keep.dtype} of shape {keep.shape}"
            raise InputError("keep", given=given, expected=f"bool of shape (plans, {self.units})")
        widths = self._offset[:, None] + self._matrix @ keep.T.astype(np.int64)
        batch = self._batch()

        def total(terms: list[Term]) -> np.ndarray:
            out = np.zeros(keep.shape[0], np.int64)
            for term in terms:
                value = np.full(keep.shape[0], term.constant, np.int64)
                for w in term.widths:
                    value = value * widths[w]
                out += value
            return out

        return {"params": total(self.params), "bytes": total(self.bytes), "macs": total(self.macs) // batch}

    def _batch(self) -> int:
        first = next((e for e in self._graph.example if isinstance(e, Tensor) and e.ndim), None)
        return 1 if first is None else max(1, len(first))

    def _width(self, ids: np.ndarray | None, size: int) -> int | None:
        """The row of a live axis, or None for a constant width."""
        if ids is None:
            return None
        units = self._graph.unit_of[ids]
        if (units < 0).all():
            return None
        key = units.tobytes()
        if key not in self._rows:
            self._rows[key] = len(self._base)
            kept = units[units >= 0]
            unique, counts = np.unique(kept, return_counts=True)
            self._base.append(int(size - len(kept)))
            self._units.append(unique)
            self._counts.append(counts)
        return self._rows[key]

    def _term(self, constant: int, axes: list[tuple[np.ndarray | None, int]], fqn: str) -> Term:
        rows = []
        for ids, size in axes:
            row = self._width(ids, size)
            if row is None:
                constant *= size
            else:
                rows.append(row)
        return Term(constant, tuple(rows), fqn)

    def _parameter_terms(self, scale: bool) -> list[Term]:
        births: dict[tuple[str, int], Any] = {(b.fqn, b.axis): b for b in self._graph.space.births}
        terms = []
        for fqn, tensor in self._graph.model.named_parameters():
            axes = []
            for axis, size in enumerate(tensor.shape):
                b = births.get((fqn, axis))
                axes.append((None if b is None else np.arange(b.start, b.start + b.size), size))
            terms.append(self._term(tensor.element_size() if scale else 1, axes, fqn))
        return terms

    def _axis(self, labels: Labels, axis: int) -> tuple[np.ndarray | None, int]:
        axis %= len(labels.shape)
        block = labels.block(axis)
        if block.ids is None or len(block.axes) == 1:
            return block.ids, labels.shape[axis]
        k = block.axes.index(axis)  # a joint block: units are whole slices along one axis
        moved = np.moveaxis(block.ids, k, 0).reshape(block.ids.shape[k], -1)
        component = self._graph.component[moved]
        alive = (component == component[:, :1]).all() and len(np.unique(component[:, 0])) > 1
        return (moved[:, 0] if alive else None), labels.shape[axis]

    def _macs(self, node: Node) -> list[Term]:
        """Multiply-accumulates of one node as a product of the widths of its axes."""
        name = op_name(node.target)
        if name not in PRODUCTS and name not in RECURRENT:
            return []
        labels, of = self._graph.walk.labels, self._graph.walk.of
        fqn = module_of(node)
        if name in RECURRENT:
            steps = math.prod(of(node.args[0]).shape[:-1])
            weights = [w for w in node.all_input_nodes if w in self._graph.walk.parameters and len(of(w).shape) == 2]
            return [self._term(steps, [self._axis(of(w), 0), self._axis(of(w), 1)], fqn) for w in weights]
        out = labels[node]
        every = [self._axis(out, a) for a in range(len(out.shape))]
        if name.startswith("conv"):
            values = bound(node)
            w = of(values["weight"])
            if "transpose" in name or values.get("transposed"):
                x = of(node.args[0])
                axes = [self._axis(x, a) for a in range(len(x.shape))] + [self._axis(w, 1)]
            else:
                axes = [*every, self._axis(w, 1)]
            return [self._term(math.prod(w.shape[2:]), axes, fqn)]
        if name == "linear":
            return [self._term(1, [*every, self._axis(of(node.args[1]), 1)], fqn)]
        if name == "scaled_dot_product_attention":
            q, k = of(node.args[0]), of(node.args[1])
            score = [self._axis(q, a) for a in range(len(q.shape) - 1)] + [self._axis(k, -2)]
            return [self._term(1, [*score, self._axis(q, -1)], fqn), self._term(1, [*score, self._axis(out, -1)], fqn)]
        if name == "einsum":
            terms = str(node.args[0]).replace(" ", "").partition("->")[0]
            operands = node.args[1]
            sizes: dict[str, Any] = {}
            for letters, operand in zip(terms.split(","), operands):  # type: ignore[arg-type]
                sizes |= {c: self._axis(of(operand), i) for i, c in enumerate(letters) if c != "."}
            return [self._term(1, list(sizes.values()), fqn)] if len(operands) == 2 else []  # type: ignore[arg-type]
        start = 1 if name in ("addmm", "baddbmm") else 0
        return [self._term(1, [*every, self._axis(of(node.args[start]), -1)], fqn)]


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(0, int)
