"""Vectors of leaves as sums over their balls: an embedding in which siblings help each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole


@runtime_checkable
class Hierarchy(Protocol):
    """A `Tree` or a `TreeIndex`: leaves, and the nodes above each."""

    @property
    def depth(self) -> int:
        """Levels below the root."""

    @property
    def leaves(self) -> int:
        """How many there are."""

    @property
    def nodes(self) -> int:
        """Balls of all depths."""

    def ancestors(self, leaves: Int[Tensor, " n"]) -> Int[Tensor, "n levels"]:
        """Numbers of the nodes above each leaf, the whole first.

        Args:
            leaves: numbers of leaves.
        """


class TreeEncoder(nn.Module):
    """Leaf -> sum of the vectors of all balls that hold it; in the place of `nn.Embedding`.

    A leaf that was never seen keeps the vectors of its ancestors, once `penalty` has drawn its own to 0.

    Args:
        tree: a `Tree`, or the `TreeIndex` of codes.
        dim: of the vectors.
        strengths: L2 strength of each level's vectors, `depth` + 1 numbers, the whole first; 1 each when None.

    Raises:
        InputError: another number of strengths, or negative ones.

    Example:
        >>> from deepwright.nets.padic import Tree
        >>> tuple(TreeEncoder(Tree(3, 2), 4)(torch.tensor([[0, 8]])).shape)
        (1, 2, 4)
    """

    level: Tensor
    strengths: Tensor

    def __init__(self, tree: Hierarchy, dim: int, strengths: Sequence[float] | None = None) -> None:
        super().__init__()
        require_whole(1, dim=dim)
        levels = tree.depth + 1
        chosen = torch.ones(levels) if strengths is None else torch.as_tensor(strengths, dtype=torch.float32)
        if chosen.shape != (levels,) or not bool((chosen >= 0).all()):
            raise InputError("strengths", given=strengths, expected=f"{levels} numbers of 0 or more")
        self.tree, self.dim = tree, dim
        self.weight = nn.Parameter(torch.randn(tree.nodes, dim) / levels**0.5)
        self.register_buffer("strengths", chosen)
        level = torch.zeros(tree.nodes, dtype=torch.int64)
        rows = tree.ancestors(torch.arange(tree.leaves))
        level[rows] = torch.arange(levels).expand_as(rows)
        self.register_buffer("level", level, persistent=False)

    def forward(self, leaves: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch dim"]:
        """Vectors.

        Args:
            leaves: numbers of leaves, in tree order.

        Raises:
            InputError: numbers of no leaf.
        """
        rows = self.tree.ancestors(leaves.flatten())
        return F.embedding_bag(rows, self.weight, mode="sum").unflatten(0, leaves.shape)

    def penalty(self) -> Float[Tensor, ""]:
        """sum over nodes of strength(level) |vector|^2, to be added to a loss."""
        return (self.strengths[self.level] * self.weight.square().sum(-1)).sum()
