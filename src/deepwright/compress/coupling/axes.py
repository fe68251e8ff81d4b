"""Element-level axis labels: which entries of which axes of which tensors can only go together.

Every index of every axis carries an integer. Label 0 means frozen. A parameter's axes are born with fresh labels;
operations carry labels on and tie those that must stay equal. After the walk the connected components of the ties are
the units of surgery; the component of label 0 stays as it is.

Reshapes that split an axis don't decide at once which of the new axes is the live one: several axes then share one
*joint block*, an array with a label for each element, until an operation needs to know.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

Ids = np.ndarray
POLICIES = ("heads", "head_dim", "freeze")


@dataclass
class Block:
    """One or several axes that are labelled together; `ids` is None where all of it is frozen."""

    axes: tuple[int, ...]
    ids: Ids | None


class Labels:
    """The labels of one tensor: blocks that cover its axes."""

    def __init__(self, shape: Iterable[int], blocks: Iterable[Block] = ()) -> None:
        self.shape = tuple(int(s) for s in shape)
        self.blocks = list(blocks)
        covered = {a for b in self.blocks for a in b.axes}
        self.blocks += [Block((a,), None) for a in range(len(self.shape)) if a not in covered]

    @classmethod
    def of_axes(cls, shape: Iterable[int], ids: dict[int, Ids | None]) -> Labels:
        """Labels of separate axes; those not named are frozen."""
        return cls(shape, [Block((a,), i) for a, i in ids.items() if i is not None])

    def block(self, axis: int) -> Block:
        """The block that an axis belongs to."""
        return next(b for b in self.blocks if axis in b.axes)

    def moved(self, shape: Iterable[int], where: dict[int, int]) -> Labels:
        """The same blocks with axis a at position where[a]; axes that go must be frozen or of length 1."""
        blocks = []
        for b in self.blocks:
            if b.ids is None:
                continue
            kept = [k for k, a in enumerate(b.axes) if a in where]
            gone = tuple(k for k in range(len(b.axes)) if k not in kept)
            ids = b.ids.take(0, axis=gone[0]) if len(gone) == 1 else b.ids
            if len(gone) > 1:
                ids = b.ids.reshape([b.ids.shape[k] for k in kept])
            blocks.append(Block(tuple(where[b.axes[k]] for k in kept), ids))
        return Labels(shape, blocks)


@dataclass(frozen=True)
class Birth:
    """Labels start .. start + size - 1 belong to one axis of one parameter or buffer."""

    fqn: str
    axis: int
    start: int
    size: int


class LabelSpace:
    """All labels and ties of one network."""

    def __init__(self, attention: str = "heads") -> None:
        self.attention = attention
        self.births: list[Birth] = []
        self.joint: list[Ids] = []
        self._next = 1
        self._left: list[Ids] = []
        self._right: list[Ids] = []
        self._source: list[int] = []
        self.where = 0

    @property
    def count(self) -> int:
        """Labels so far, 0 included."""
        return self._next

    def born(self, fqn: str, shape: tuple[int, ...]) -> Labels:
        """Fresh labels for a parameter; axes of length 1 are frozen."""
        ids: dict[int, Ids | None] = {}
        for axis, size in enumerate(shape):
            if size > 1:
                ids[axis] = np.arange(self._next, self._next + size)
                self.births.append(Birth(fqn, axis, self._next, size))
                self._next += size
        return Labels.of_axes(shape, ids)

    def fresh(self, size: int) -> Ids:
        """Labels of no parameter: of an axis whose entries are all alike, so that any of them may go with others."""
        self._next += size
        return np.arange(self._next - size, self._next)

    def tie(self, a: Ids | None, b: Ids | None) -> Ids | None:
        """Require equal fates position by position; gives the labels to carry on (0 where either is frozen)."""
        if a is None or b is None:
            self.freeze(a)
            self.freeze(b)
            return None
        if a.shape != b.shape:
            raise AssertionError(f"a rule tied {a.shape} with {b.shape}")
        if a is not b:
            self._left.append(a.ravel())
            self._right.append(b.ravel())
            self._source.append(self.where)
        return np.where(b == 0, 0, a)

    def freeze(self, ids: Ids | None) -> None:
        """Nothing of this may go."""
        if ids is not None and ids.any():
            flat = ids.ravel()
            self._left.append(flat)
            self._right.append(np.zeros_like(flat))
            self._source.append(self.where)

    def freeze_all(self, labels: Labels) -> None:
        """Freeze every axis of a tensor."""
        for block in labels.blocks:
            self.freeze(block.ids)

    def axis(self, labels: Labels, axis: int, avoid: Iterable[int] = ()) -> Ids | None:
        """One axis's labels; a joint block is decided first, and `avoid` names axes that should not be the live one."""
        axis %= len(labels.shape)
        block = labels.block(axis)
        if len(block.axes) > 1:
            self.commit(labels, block, set(avoid))
            block = labels.block(axis)
        return block.ids

    def freeze_axis(self, labels: Labels, axis: int) -> None:
        """Freeze one axis (the others of a joint block stay live)."""
        self.freeze(self.axis(labels, axis, avoid=(axis % len(labels.shape),)))

    def commit(self, labels: Labels, block: Block, avoid: set[int]) -> None:
        """Decide which axis of a joint block is live: its slices become the units, the other axes are frozen."""
        ids = block.ids
        assert ids is not None
        labels.blocks.remove(block)
        alone = sole_axis(ids)
        candidates = [k for k, a in enumerate(block.axes) if ids.shape[k] > 1 and a not in avoid]
        if alone is None and (self.attention == "freeze" or not candidates):
            self.freeze(ids)
            labels.blocks += [Block((a,), None) for a in block.axes]
            return
        live = alone if alone is not None else candidates[-1 if self.attention == "head_dim" else 0]
        first = self._slices(ids, live)
        for k, a in enumerate(block.axes):
            labels.blocks.append(Block((a,), first if k == live else None))

    def _slices(self, ids: Ids, live: int) -> Ids:
        """Tie every slice along an axis within itself; gives one label a slice."""
        flat = np.moveaxis(ids, live, 0).reshape(ids.shape[live], -1)
        self.tie(np.repeat(flat[:, :1], flat.shape[1], 1), flat)
        return flat[:, 0]

    def components(self) -> np.ndarray:
        """The component of every label, after settling joint blocks that nobody decided; that of label 0 is 0."""
        while True:
            component = self._components()
            undecided = [ids for ids in self.joint if sole_axis(component[ids]) is None]
            if not undecided:
                return component
            for ids in undecided:  # the finer cut: an axis of many slices, such as the channels of a shuffle
                self._slices(ids, int(np.argmax(ids.shape)))

    def _components(self) -> np.ndarray:
        left, right = self._edges()
        graph = sparse.coo_matrix((np.ones(len(left), np.int8), (left, right)), shape=(self._next, self._next))
        _, component = csgraph.connected_components(graph, directed=False)
        return np.where(component == component[0], 0, component + 1)

    def _edges(self) -> tuple[np.ndarray, np.ndarray]:
        if not self._left:
            return np.zeros(0, int), np.zeros(0, int)
        return np.concatenate(self._left), np.concatenate(self._right)

    def path_to_frozen(self, label: int) -> list[tuple[int, int]]:
        """(label, source of the tie that leads on) from a label to label 0; empty when it isn't frozen."""
        left, right = self._edges()
        source = np.repeat(self._source, [len(a) for a in self._left])
        graph = sparse.coo_matrix((np.arange(1, len(left) + 1), (left, right)), shape=(self._next, self._next)).tocsr()
        both = graph.maximum(graph.T)
        _, before = csgraph.breadth_first_order(both, 0, directed=False)
        path = []
        while label != 0:
            onward = int(before[label])
            if onward < 0:
                return []
            edge = int(both[label, onward]) - 1
            path.append((label, int(source[edge])))
            label = onward
        return path


def sole_axis(ids: Ids) -> int | None:
    """The only axis that an array varies along (0 when it is constant), or None when there are several."""
    varies = [k for k in range(ids.ndim) if (ids != ids.take([0], axis=k)).any()]
    return None if len(varies) > 1 else (varies[0] if varies else 0)
