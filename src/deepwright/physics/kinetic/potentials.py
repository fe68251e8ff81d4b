"""Energies of positions: what holds particles in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError


@runtime_checkable
class Potential(Protocol):
    """An energy of positions."""

    def value(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """V.

        Args:
            x: positions.
        """
        ...

    def grad(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """Its slope.

        Args:
            x: positions.
        """
        ...


class Harmonic:
    """V = sum_i k_i x_i^2 / 2.

    Args:
        k: stiffness, a number or (d,).
    """

    def __init__(self, k: float | Tensor = 1.0) -> None:
        self.k = torch.as_tensor(k, dtype=torch.float64)
        if self.k.ndim > 1 or not bool(torch.isfinite(self.k).all()):
            raise InputError("Harmonic", given=k, expected="a finite number, or (d,) of them")

    def value(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """V."""
        return 0.5 * (self.k.to(x) * x * x).sum(1)

    def grad(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """k x."""
        return self.k.to(x) * x


class DoubleWell:
    """V = sum_i (x_i^2 - 1)^2."""

    def value(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """V."""
        return (x * x - 1).square().sum(1)

    def grad(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """4 x (x^2 - 1)."""
        return 4 * x * (x * x - 1)


class Free:
    """V = 0."""

    def value(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """0."""
        return x.new_zeros(len(x))

    def grad(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """0."""
        return torch.zeros_like(x)


class CallablePotential:
    """Any function of positions; its slope by automatic differentiation.

    Args:
        function: (N, d) -> (N,).
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function

    def value(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """V."""
        return self.function(x)

    def grad(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """Its slope; gradients go on through it where they are asked for."""
        return torch.func.vmap(torch.func.grad(lambda p: self.function(p[None])[0]))(x)
