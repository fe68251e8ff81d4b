"""Any function from pictures to pictures as a perturbation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_callable
from deepwright.corruptions.engine import Context, Perturbation


@dataclass(frozen=True)
class _Mixed:
    """A share of what a function makes of the pictures."""

    function: Callable[[Tensor], Tensor]
    name: str

    def __call__(self, x: Tensor, mix: float, context: Context) -> Tensor:
        made = self.function(x.clone())
        if not isinstance(made, Tensor) or made.shape != x.shape or not bool(torch.isfinite(made).all()):
            given = f"shape {tuple(made.shape)}" if isinstance(made, Tensor) else type(made).__name__
            raise InputError(f"{self.name}(images)", given=given, expected=f"finite pictures {tuple(x.shape)}")
        return torch.lerp(x, made.to(x).clamp(0, 1), mix)


def as_perturbation(
    function: Callable[[Tensor], Tensor], name: str, *, label_preserving: bool = True, color: bool = True
) -> Perturbation:
    """A generator, a style network or any other function as a perturbation, mixed in by .2, .4, .6, .8 and 1.

    Args:
        function: (N, C, H, W) in [0, 1] -> the same; what it draws at random is its own affair.
        name: of the perturbation.
        label_preserving: whether numbers as targets (a steering angle) stay what they are.
        color: whether it takes three channels only, so that grey pictures are handed to it as such.

    Raises:
        InputError: no function; no name.
    """
    require_callable("function", function, "(images) -> images", "as_perturbation(gan.transform, 'night')")
    if not isinstance(name, str) or not name:
        raise InputError("name", given=repr(name), expected="a word")
    levels = (0.2, 0.4, 0.6, 0.8, 1.0)
    mixed = _Mixed(function, name)
    return Perturbation(name, "domain", mixed, levels, label_preserving, color=color, identity=0, differentiable=False)
