"""Kernels of the difference: N numbers a pair of channels, O(N log N) by Fourier's transform of the group."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.nets.padic.operators import TreeOperator
from deepwright.nets.padic.trees import Tree


class TreeConvolution(TreeOperator):
    """K(i, j) = k(i - j) in one of two groups on the leaves.

    "ring" is Z/p^l with its carries: addition of integers, characters exp(2 pi i n k / p^l), q prime. "digits" is
    (Z/q)^l, without carries, for any q: each digit by itself, Walsh's transform for q = 2. The two aren't the same.
    Values come in and go out in tree order; `kernel` is in tree order too.

    Args:
        tree: whose leaves carry the values.
        in_channels: of x.
        out_channels: of K x.
        group: "ring" or "digits".

    Raises:
        InputError: another group, or "ring" with a q that isn't prime.
    """

    order: Tensor
    back: Tensor

    def __init__(self, tree: Tree, in_channels: int = 1, out_channels: int = 1, group: str = "ring") -> None:
        super().__init__(tree, in_channels, out_channels)
        if group not in ("ring", "digits"):
            raise InputError("group", given=repr(group), expected='"ring" or "digits"')
        if group == "ring" and not _is_prime(tree.q):
            raise InputError(
                "group", given=f'"ring" with q = {tree.q}', expected="a prime q", hint='group="digits" takes any'
            )
        self.group = group
        n = tree.leaves
        # k in units in which white values keep their variance: q^-l sum k x has variance q^-l mean k^2
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, n) / in_channels**0.5)
        if group == "ring":
            integers = tree.to_ring(torch.arange(n))  # of each leaf in tree order
            self.register_buffer("back", integers, persistent=False)
            self.register_buffer("order", tree.to_tree(torch.arange(n)), persistent=False)

    def kernel(self) -> Float[Tensor, "outputs inputs leaves"]:
        """k on the leaves, in tree order, differentiable."""
        return self.weight * math.sqrt(self.tree.leaves)

    def forward(self, x: Float[Tensor, "*batch inputs leaves"]) -> Float[Tensor, "*batch outputs leaves"]:
        """k * x.

        Args:
            x: values on the leaves, in tree order, float32 or float64.

        Raises:
            InputError: another shape, or half precision, which has no Fourier transform on a CPU.
        """
        self.require_input(x)
        if x.dtype not in (torch.float32, torch.float64):
            raise InputError(
                "x", given=str(x.dtype), expected="float32 or float64", hint="a Fourier transform: .float()"
            )
        k = self.weight / math.sqrt(self.tree.leaves)
        if self.group == "digits":
            spectrum = torch.einsum("oin,...in->...on", self._walsh(k), self._walsh(x))
            return self._walsh(spectrum, inverse=True)
        n = self.tree.leaves
        if not x.numel():  # of which MKL makes no transform
            return x.new_zeros(*x.shape[:-2], self.out_channels, n)
        spectrum = torch.einsum(
            "oin,...in->...on", torch.fft.rfft(k[..., self.order]), torch.fft.rfft(x[..., self.order])
        )
        return torch.fft.irfft(spectrum, n=n)[..., self.back]

    def _walsh(self, x: Tensor, inverse: bool = False) -> Tensor:
        """The q-point transform along every digit; real throughout for q = 2."""
        q = self.tree.q
        turns = torch.outer(torch.arange(q), torch.arange(q)).to(x.device) * (2 * math.pi / q)
        real = x.real.dtype if x.is_complex() else x.dtype
        if q == 2:
            matrix = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=real, device=x.device)
        else:
            matrix = torch.polar(torch.ones_like(turns, dtype=real), turns.to(real) * (1 if inverse else -1))
        x = x.to(matrix.dtype)
        for s in range(self.tree.depth):
            x = torch.einsum("...qr,pq->...pr", x.unflatten(-1, (q**s, q, -1)), matrix).flatten(-3)
        x = x / self.tree.leaves if inverse else x
        return x.real if inverse and x.is_complex() else x


def _is_prime(q: int) -> bool:
    return q > 1 and all(q % d for d in range(2, math.isqrt(q) + 1))
