"""What all operators on a tree share: channels, what comes in, and the dense matrix of each."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.nets.padic.trees import Tree

_MOST_DENSE = 1 << 26


class TreeOperator(nn.Module):
    """(K x)(i) = q^-l sum_j K(i, j) x(j): an integral over the leaves, whose whole measure is 1.

    Args:
        tree: whose leaves carry the values.
        in_channels: of x.
        out_channels: of K x.

    Raises:
        InputError: channels below 1.
    """

    def __init__(self, tree: Tree, in_channels: int = 1, out_channels: int = 1) -> None:
        super().__init__()
        require_whole(1, in_channels=in_channels, out_channels=out_channels)
        self.tree, self.in_channels, self.out_channels = tree, in_channels, out_channels

    def require_input(self, x: Tensor) -> None:
        """Refuse another shape than (..., channels, leaves).

        Args:
            x: what came in.

        Raises:
            InputError: another shape.
        """
        self.tree.require_values(x)
        if x.ndim < 2 or x.shape[-2] != self.in_channels:
            expected = f"(..., {self.in_channels}, {self.tree.leaves}), channels before leaves"
            raise InputError("x", given=f"shape {tuple(x.shape)}", expected=expected, hint="x.unsqueeze(-2)")

    def dense(self) -> Float[Tensor, "outputs inputs leaves leaves"]:
        """The matrices that are applied, q^-l K, one for each pair of channels.

        Raises:
            InputError: more than 2^26 numbers.
        """
        n, c = self.tree.leaves, self.in_channels
        if n * n * c * self.out_channels > _MOST_DENSE:
            raise InputError("dense", given=f"{n} x {n} matrices", expected=f"at most {_MOST_DENSE} numbers")
        like = next((p for p in self.parameters()), torch.zeros(()))
        basis = torch.eye(n * c, dtype=like.dtype, device=like.device).reshape(n * c, c, n)
        return self(basis).reshape(c, n, self.out_channels, n).permute(2, 0, 3, 1)

    def extra_repr(self) -> str:
        """Tree and channels."""
        return f"{self.tree}, in_channels={self.in_channels}, out_channels={self.out_channels}"


class DenseOperator(TreeOperator):
    """Any kernel: N^2 weights a pair of channels, the general layer that the others stand for.

    Args:
        tree: whose leaves carry the values.
        in_channels: of x.
        out_channels: of K x.

    Raises:
        InputError: more than 2^26 weights.
    """

    def __init__(self, tree: Tree, in_channels: int = 1, out_channels: int = 1) -> None:
        super().__init__(tree, in_channels, out_channels)
        n = tree.leaves
        if n * n * in_channels * out_channels > _MOST_DENSE:
            raise InputError("operator", given=f"{n} x {n} dense weights", expected=f"at most {_MOST_DENSE}")
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, n, n) / math.sqrt(n * in_channels))

    def forward(self, x: Float[Tensor, "*batch inputs leaves"]) -> Float[Tensor, "*batch outputs leaves"]:
        """K x; the weight is q^-l K, of unit gain at first.

        Args:
            x: values on the leaves.

        Raises:
            InputError: another shape.
        """
        self.require_input(x)
        return torch.einsum("...in,oimn->...om", x, self.weight)
