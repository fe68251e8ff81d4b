"""Units and groups: connected components of labels, sorted by the axes that they touch."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from deepwright.compress.coupling.axes import LabelSpace
from deepwright.compress.coupling.walk import Walk

Axis = tuple[str, int]


@dataclass(frozen=True)
class Member:
    """What a group's units hold of one axis: entry `indices[i]` belongs to unit `units[i]`.

    Attributes:
        fqn: the parameter or buffer.
        axis: of it.
        indices: entries along that axis.
        units: the unit of each, numbered within the group.
    """

    fqn: str
    axis: int
    indices: np.ndarray
    units: np.ndarray


@dataclass(frozen=True)
class Group:
    """Units that touch the same axes of the same tensors.

    Attributes:
        name: of the first module whose output these are.
        size: number of units.
        members: what the units hold of each axis.
        producers: axes that make the values (rows of a weight).
        consumers: axes that are summed over.
        exact: whether removing units leaves the rest of the arithmetic as it was (no norm over them).
    """

    name: str
    size: int
    members: tuple[Member, ...]
    producers: tuple[Axis, ...]
    consumers: tuple[Axis, ...]
    exact: bool

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Group) and self.name == other.name and self.size == other.size


def consumed_components(space: LabelSpace, walk: Walk) -> np.ndarray:
    """(labels,) the component of each label; 0 where it is frozen, and where nothing sums over its unit.

    Units that no operation sums over can't be cut anywhere.
    """
    component = space.components()
    consumed = np.zeros(component.max() + 1, bool)
    for ids in (*walk.consumed, *walk.summed):
        consumed[component[ids.ravel()]] = True
    return np.where(consumed[component], component, 0)


def groups_of(space: LabelSpace, walk: Walk, component: np.ndarray) -> tuple[list[Group], np.ndarray]:
    """Sort units into groups.

    Args:
        space: labels and where they were born.
        walk: what the operations said of them.
        component: (labels,) of each label, 0 = frozen; see `consumed_components`.

    Returns:
        The groups in the order of use, and the (labels,) number of each label's unit over all groups, -1 where frozen.
    """
    unit_of = np.full(space.count, -1)
    live = np.flatnonzero(component > 0)
    if len(live) == 0:
        return [], unit_of
    sorting = _Sorting(space, walk, component, live)
    groups: list[Group] = []
    used = 0
    for parts in sorting.parts():
        number = np.full(component.max() + 1, -1)
        number[parts] = np.arange(len(parts))
        groups.append(sorting.group(parts, number, {g.name for g in groups}))
        inside = np.flatnonzero(number[component] >= 0)
        unit_of[inside] = used + number[component[inside]]
        used += len(parts)
    return groups, unit_of


class _Sorting:
    """Units by the set of axes that they touch."""

    def __init__(self, space: LabelSpace, walk: Walk, component: np.ndarray, live: np.ndarray) -> None:
        self.births, self.component = space.births, component
        owner = np.full(space.count, -1)  # birth of each label; repeated axes have none
        for i, b in enumerate(space.births):
            owner[b.start : b.start + b.size] = i
        live = live[owner[live] >= 0]
        self.pairs = np.unique(np.stack([component[live], owner[live]], 1), axis=0)
        self.first = np.full(component.max() + 1, space.count)
        np.minimum.at(self.first, component[live], live)
        self.consumed = _marked(space, walk.consumed)
        self.produced = _marked(space, walk.produced)
        self.changed = _marked(space, [item.ids for item in walk.inexact])

    def parts(self) -> Iterator[np.ndarray]:
        """The components of each group, both in the order of use; sets of axes are compared by a random hash."""
        marks = np.random.default_rng(0).integers(1, 2**62, len(self.births), dtype=np.int64)
        signature = np.zeros(len(self.first), np.int64)
        np.add.at(signature, self.pairs[:, 0], marks[self.pairs[:, 1]])
        ids = np.unique(self.pairs[:, 0])
        keys, inverse = np.unique(signature[ids], return_inverse=True)
        order = np.full(len(keys), len(self.component))
        np.minimum.at(order, inverse, self.first[ids])
        for key in np.argsort(order):
            parts = ids[inverse == key]
            yield parts[np.argsort(self.first[parts])]

    def group(self, parts: np.ndarray, number: np.ndarray, taken: set[str]) -> Group:
        """One group; `number` is the unit of each component (-1 for others)."""
        members, producers, consumers = [], [], []
        for i in sorted(set(self.pairs[np.isin(self.pairs[:, 0], parts), 1].tolist())):
            b = self.births[i]
            units = number[self.component[b.start : b.start + b.size]]
            here = np.flatnonzero(units >= 0)
            members.append(Member(b.fqn, b.axis, here, units[here]))
            if self.consumed[b.start + here].any():
                consumers.append((b.fqn, b.axis))
            elif self.produced[b.start + here].any():
                producers.append((b.fqn, b.axis))
        exact = not self.changed[np.isin(self.component, parts)].any()
        name = _free_name(producers[0][0] if producers else members[0].fqn, taken)
        return Group(name, len(parts), tuple(members), tuple(producers), tuple(consumers), exact)


def _free_name(fqn: str, taken: set[str]) -> str:
    """The module of a parameter, numbered where another group has that name."""
    name = fqn.rsplit(".", 1)[0] if "." in fqn else fqn
    return name if name not in taken else next(n for k in itertools.count(2) if (n := f"{name}#{k}") not in taken)


def _marked(space: LabelSpace, several: Iterable[np.ndarray]) -> np.ndarray:
    """(labels,) True for those in any of the arrays."""
    found = np.zeros(space.count, bool)
    for ids in several:
        found[ids.ravel()] = True
    return found
