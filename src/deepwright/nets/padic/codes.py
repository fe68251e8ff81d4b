"""Codes with a hierarchy (diagnoses, industries, regions) as paths in a tree of their own, ragged as they are."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.nets.padic.trees import MOST_LEAVES, Tree


class _Own(Enum):
    """What continues a path that has ended: no label, so that None may be one."""

    CHILD = "own child"


@dataclass(frozen=True)
class TreeIndex:
    """Leaves that are paths of labels, each node numbered once: nothing is held for branches that don't exist.

    A path that is the beginning of another (an inner node with data of its own) gets a child of its own there, and
    paths shorter than the deepest are continued by only children, so that every leaf has `depth` + 1 ancestors.

    Args:
        paths: of the leaves, in the order that was given.
        ancestors: (leaves, depth + 1) numbers of nodes, from the whole (0) down.
        nodes: how many there are.
    """

    paths: tuple[tuple[Any, ...], ...]
    ancestors_of_leaves: Int[Tensor, "leaves levels"] = field(repr=False)
    nodes: int

    @classmethod
    def from_paths(cls, paths: Iterable[Sequence[Any]]) -> TreeIndex:
        """The tree of these paths.

        Args:
            paths: labels from the root's child on, e.g. ("A", "A00", "A00.1"); a text is a path of its letters.

        Raises:
            InputError: none, an empty one, one twice, or a label of NaN, which equals nothing.
        """
        found = [tuple(path) for path in paths]
        if not found or not all(found):
            raise InputError("paths", given="none, or an empty one", expected="at least one label in each")
        if len(set(found)) != len(found):
            twice = next(p for i, p in enumerate(found) if p in found[:i])
            raise InputError("paths", given=f"{twice} twice", expected="each once", hint="dict.fromkeys(paths)")
        nan = next((p for p in found if any(isinstance(label, float) and label != label for label in p)), None)
        if nan is not None:
            raise InputError("paths", given=f"{nan}", expected="labels", hint="end the path where its labels end")
        depth = max(map(len, found))
        numbers: dict[tuple[Any, ...], int] = {(): 0}
        rows = []
        for path in found:
            padded = path + (_Own.CHILD,) * (depth - len(path))
            rows.append([0, *(numbers.setdefault(padded[: s + 1], len(numbers)) for s in range(depth))])
        return cls(tuple(found), torch.tensor(rows), len(numbers))

    @classmethod
    def from_codes(cls, codes: Iterable[str], lengths: Sequence[int]) -> TreeIndex:
        """The tree of codes whose prefixes are the levels, as (1, 3, 5) of "A00.1".

        Args:
            codes: texts; numbers have lost their leading zeros, and are refused.
            lengths: of the prefixes, rising; the whole code is the last level.

        Raises:
            InputError: what isn't a text, lengths that don't rise.
        """
        return cls.from_paths(code_paths(list(codes), lengths))

    @property
    def depth(self) -> int:
        """Levels below the root."""
        return int(self.ancestors_of_leaves.shape[1]) - 1

    @property
    def leaves(self) -> int:
        """How many paths there are."""
        return len(self.paths)

    @cached_property
    def q(self) -> int:
        """The largest number of children of a node."""
        pairs = self.ancestors_of_leaves.unfold(1, 2, 1).reshape(-1, 2).unique(dim=0)
        return max(2, int(torch.bincount(pairs[:, 0]).max()))

    @cached_property
    def positions(self) -> dict[tuple[Any, ...], int]:
        """Number of the leaf of each path."""
        return {path: i for i, path in enumerate(self.paths)}

    def tree(self) -> Tree:
        """The full tree that holds this one, its children padded to the largest number.

        Raises:
            InputError: more than 2^26 leaves, nearly all of which would be wasted.
        """
        if self.q**self.depth > MOST_LEAVES:
            raise InputError(
                "tree",
                given=f"{self.q}^{self.depth} leaves for {self.leaves} codes",
                expected=f"at most {MOST_LEAVES}",
                hint="TreeEncoder and TreeGaussianProcess take the TreeIndex itself",
            )
        return Tree(self.q, self.depth)

    def wasted(self) -> float:
        """Share of the full tree's leaves that no code has."""
        return 1 - self.leaves / float(self.q) ** self.depth

    def positions_in_tree(self) -> Int[Tensor, " leaves"]:
        """Each code's leaf in `tree()`, in tree order: children are numbered as they came.

        Raises:
            InputError: see `tree`.
        """
        full, digits = self.tree(), torch.zeros(self.leaves, dtype=torch.int64)
        for s in range(self.depth):
            pairs, which = self.ancestors_of_leaves[:, s : s + 2].unique(dim=0, return_inverse=True)
            first = torch.searchsorted(pairs[:, 0].contiguous(), pairs[:, 0].contiguous())
            digits = digits * full.q + (torch.arange(len(pairs)) - first)[which]
        return digits

    def mask(self) -> Tensor:
        """(leaves of `tree()`,) whether a code is there.

        Raises:
            InputError: see `tree`.
        """
        found = torch.zeros(self.tree().leaves, dtype=torch.bool)
        found[self.positions_in_tree()] = True
        return found

    def leaf(self, path: Sequence[Any]) -> int:
        """Number of a path's leaf.

        Args:
            path: labels.

        Raises:
            InputError: none of these paths.
        """
        found = self.positions.get(tuple(path))
        if found is None:
            raise InputError("path", given=tuple(path), expected="one that the index was made of")
        return found

    def ancestors(self, leaves: Int[Tensor, " n"]) -> Int[Tensor, "n levels"]:
        """Numbers of the nodes above each leaf, the whole first.

        Args:
            leaves: numbers of paths.

        Raises:
            InputError: numbers of no path.
        """
        leaves = _within(leaves, self.leaves)
        return self.ancestors_of_leaves.to(leaves.device)[leaves]


def code_paths(codes: Sequence[str], lengths: Sequence[int]) -> list[tuple[str, ...]]:
    """Paths of codes whose prefixes are the levels.

    Args:
        codes: texts.
        lengths: of the prefixes, rising.

    Raises:
        InputError: what isn't a text, lengths that don't rise.
    """
    require_whole(1, **{f"length {i}": n for i, n in enumerate(lengths)})
    if any(a >= b for a, b in itertools.pairwise(lengths)):
        raise InputError("lengths", given=tuple(lengths), expected="rising")
    paths = []
    for code in codes:
        if not isinstance(code, str) or not code:
            hint = "numbers lose leading zeros: read the column as text"
            raise InputError("codes", given=repr(code), expected="texts", hint=hint)
        cut = [code[:n] for n in lengths if n < len(code)]
        paths.append((*cut, code))
    return paths


def _within(leaves: Tensor, count: int) -> Tensor:
    if not isinstance(leaves, Tensor) or leaves.is_floating_point() or leaves.dtype == torch.bool:
        given = f"{leaves.dtype}" if isinstance(leaves, Tensor) else type(leaves).__name__
        raise InputError("leaves", given=given, expected="a tensor of whole numbers")
    if leaves.numel():
        low, high = (int(v) for v in leaves.aminmax())
        if low < 0 or high >= count:
            raise InputError("leaves", given=f"{low}..{high}", expected=f"0..{count - 1}")
    return leaves.long()
