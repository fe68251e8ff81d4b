"""Arithmetic on shapes in Python: no device is asked for it, and `torch.export` follows it with a free batch size."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from deepwright.nets.onnx_files.node import Node

_LONG = 64  # numbers: a constant of more is no shape
_WHOLE = (6, 7)  # int32, int64


class Sizes(list[Any]):
    """A shape, or what was computed from shapes: whole numbers, or torch's symbols of them.

    Args:
        numbers: in order.
        scalar: whether it stands for a number rather than for a vector.
    """

    def __init__(self, numbers: Sequence[Any], scalar: bool = False) -> None:
        super().__init__(numbers)
        self.scalar = scalar

    def tensor(self, device: torch.device | str) -> Tensor:
        """The same for an operator that takes tensors.

        Args:
            device: where it works.
        """
        return torch.tensor(self[0] if self.scalar else list(self), dtype=torch.long, device=device)


def constant_sizes(value: Tensor) -> Sizes | None:
    """A constant as sizes; None where it can be none.

    Args:
        value: of any type and shape.
    """
    if value.is_floating_point() or value.dtype == torch.bool or value.ndim > 1 or value.numel() > _LONG:
        return None
    return Sizes(value.reshape(-1).tolist(), scalar=value.ndim == 0)


def _gather(node: Node, values: Sizes, places: Sizes) -> Sizes | None:
    return Sizes([values[i] for i in places], places.scalar) if not values.scalar else None


def _concat(node: Node, *parts: Sizes) -> Sizes | None:
    return None if any(p.scalar for p in parts) else Sizes([n for p in parts for n in p])


def _unsqueeze(node: Node, values: Sizes, axes: Sizes | None = None) -> Sizes | None:
    return Sizes(values) if values.scalar else None


def _squeeze(node: Node, values: Sizes, axes: Sizes | None = None) -> Sizes | None:
    return Sizes(values, scalar=True) if len(values) == 1 and not values.scalar else None


def _slice(node: Node, values: Sizes, *bounds: Sizes) -> Sizes | None:
    if values.scalar or len(bounds[0]) != 1:
        return None
    step = bounds[3][0] if len(bounds) > 3 else 1
    return Sizes(list(values)[bounds[0][0] : bounds[1][0] : step]) if step > 0 else None


def _cast(node: Node, values: Sizes) -> Sizes | None:
    return values if node.get("to") in _WHOLE else None


def _same(node: Node, values: Sizes) -> Sizes | None:
    return values


def _by_number(function: Callable[[Any, Any], Any]) -> Callable[..., Sizes | None]:
    def computed(node: Node, a: Sizes, b: Sizes) -> Sizes | None:
        if len(a) != len(b) and 1 not in (len(a), len(b)):
            return None
        n = max(len(a), len(b))
        left, right = (list(s) * (n // len(s)) if len(s) else [] for s in (a, b))
        return Sizes([function(x, y) for x, y in zip(left, right)], a.scalar and b.scalar)

    return computed


def _div(node: Node, a: Sizes, b: Sizes) -> Sizes | None:
    """Of sizes only, which are no less than 0: there is one way to round."""
    if any(isinstance(n, int) and n < 0 for n in a) or any(isinstance(n, int) and n <= 0 for n in b):
        return None
    return _by_number(operator.floordiv)(node, a, b)


ON_SIZES: dict[str, Callable[..., Sizes | None]] = {
    "Add": _by_number(operator.add),
    "Cast": _cast,
    "Concat": _concat,
    "Div": _div,
    "Gather": _gather,
    "Identity": _same,
    "Mul": _by_number(operator.mul),
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Sub": _by_number(operator.sub),
    "Unsqueeze": _unsqueeze,
}
"""Operators that are computed so where all of their inputs are sizes; None where it is better done with tensors."""
