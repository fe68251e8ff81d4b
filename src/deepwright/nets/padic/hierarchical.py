"""A small matrix at each node of the tree mixes what its children hold: O(N q) numbers and time."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.nets.padic.operators import TreeOperator
from deepwright.nets.padic.passes import ball_sums
from deepwright.nets.padic.trees import Tree


class HierarchicalOperator(TreeOperator):
    """y = sum_s lift(M_s S_s): every node has a q x q matrix over the integrals of its children's balls.

    Has q^2 (N - 1) / (q - 1) weights a pair of channels, or l q^2 where the nodes of a level share theirs. A radial
    kernel is the case in which each matrix is a multiple of the identity, and that of the root has a constant beside.

    Args:
        tree: whose leaves carry the values; of depth 1 or more.
        in_channels: of x.
        out_channels: of K x.
        shared: one matrix a level.
    """

    def __init__(self, tree: Tree, in_channels: int = 1, out_channels: int = 1, shared: bool = False) -> None:
        super().__init__(tree, in_channels, out_channels)
        self.shared = shared
        q, depth = tree.q, tree.depth
        scale = (max(depth, 1) * in_channels * q) ** -0.5
        self.weights = nn.ParameterList(
            nn.Parameter(torch.randn(1 if shared else q ** (s - 1), out_channels, in_channels, q, q) * scale)
            for s in range(1, depth + 1)
        )

    def forward(self, x: Float[Tensor, "*batch inputs leaves"]) -> Float[Tensor, "*batch outputs leaves"]:
        """K x; weights are in units in which each level adds the same variance to white values.

        Args:
            x: values on the leaves, in tree order.

        Raises:
            InputError: another shape.
        """
        self.require_input(x)
        q, depth = self.tree.q, self.tree.depth
        sums = ball_sums(x, q, depth)
        y = x.new_zeros(*x.shape[:-2], self.out_channels, 1)
        for s, weight in enumerate(self.weights, 1):
            children = sums[s].unflatten(-1, (-1, q))  # of variance q^(l - s)
            mixed = _by_node(children, weight) * float(q) ** ((s - depth) / 2)
            y = (mixed + y[..., None]).flatten(-2)
        return y


def _by_node(children: Tensor, weight: Tensor) -> Tensor:
    """(..., in, nodes, q) and (nodes or 1, out, in, q, q) -> (..., out, nodes, q), as one batched product."""
    _, out, channels, q, _ = weight.shape
    rows = children.flatten(0, -4) if children.ndim > 3 else children[None]
    flat = rows.permute(2, 0, 1, 3).flatten(2)  # nodes, batch, in q
    matrix = weight.permute(0, 2, 4, 1, 3).reshape(-1, channels * q, out * q)
    mixed = flat @ matrix  # nodes, batch, out q
    mixed = mixed.unflatten(-1, (out, q)).permute(1, 2, 0, 3)
    return mixed.reshape(*children.shape[:-3], out, children.shape[-2], q)
