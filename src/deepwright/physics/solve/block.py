"""Residuals over points: one part of a sum of squares."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from deepwright.core.errors import InputError


class Diverged(RuntimeError):
    """Training met a residual that isn't finite; the last good parameters are back in the model.

    Args:
        step: where.
        block: which.
    """

    def __init__(self, step: int, block: str) -> None:
        super().__init__(
            f"step {step}: block {block!r} is NaN or infinite; the last good parameters are back in the model. "
            "Lower the learning rate, or look at the points of that block."
        )
        self.step, self.block = step, block


@dataclass(frozen=True)
class Block:
    """Residuals over points.

    Attributes:
        name: for reports.
        residual: (model, *tensors) -> (n,) or (n, m); row i may depend on row i of the tensors only, unless
            `pointwise` is False (an integral, say: then the Jacobian is built without batching over points).
        tensors: (n, ...) each: points and data that belong to them; a problem moves them to where its model lives.
        weight: of the mean square.
        draw: generator -> fresh tensors, for training on new points now and then.
        pointwise: see `residual`.

    Raises:
        InputError: tensors of different lengths, of none, or not of one float type; a weight that isn't 0 or more.
    """

    name: str
    residual: Callable[..., Tensor]
    tensors: tuple[Tensor, ...]
    weight: float = 1.0
    draw: Callable[[torch.Generator], tuple[Tensor, ...]] | None = None
    pointwise: bool = True

    def __post_init__(self) -> None:
        sizes = {len(t) for t in self.tensors}
        if len(sizes) != 1 or 0 in sizes:
            raise InputError(
                f"block {self.name!r}", given=f"tensors of {sorted(sizes)} rows", expected="equally many, not 0"
            )
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise InputError(f"weight of block {self.name!r}", given=self.weight, expected="a number, 0 or more")
        kinds = {t.dtype for t in self.tensors}
        if len(kinds) != 1 or not self.tensors[0].is_floating_point():
            found = ", ".join(sorted(map(str, kinds)))
            raise InputError(f"block {self.name!r}", given=f"tensors of {found}", expected="one float type")

    def __len__(self) -> int:
        return len(self.tensors[0])

    def fresh(self, generator: torch.Generator) -> Block:
        """The same block on new points, where it can draw them.

        Args:
            generator: of the draw, on the CPU.
        """
        return self if self.draw is None else replace(self, tensors=self.draw(generator))
