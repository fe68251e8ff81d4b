"""Quantised values as the whole numbers that they are, held in floats so that gradients pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deepwright.nets.onnx_files.node import Node, Operator, UnsupportedError

_RANGES = {
    torch.uint8: (0, 255),
    torch.int8: (-128, 127),
    torch.int16: (-32768, 32767),
}


class _Rounded(torch.autograd.Function):
    """The nearest whole number, with the gradient of the identity: rounding itself has none anywhere."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


def _along(values: Tensor | None, x: Tensor, axis: int) -> Tensor | float:
    """Scales or zero points, of the whole tensor or of an axis."""
    if values is None:
        return 0.0
    values = values.to(x.dtype) if not values.is_floating_point() else values
    if values.numel() == 1:
        return values.reshape(())
    if values.ndim != 1:
        raise UnsupportedError("quantisation by blocks")
    shape = [1] * x.ndim
    shape[axis] = -1
    return values.reshape(shape)


def _quantize(node: Node, x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    """round(x / scale) + zero point, kept within the type's range (where there is no gradient beyond it)."""
    kind = zero.dtype if zero is not None else node.dtype(node.get("output_dtype") or 2)
    if kind not in _RANGES or node.get("block_size", 0):
        raise UnsupportedError(f"QuantizeLinear to {kind} or by blocks")
    axis = node.get("axis", 1)
    steps = _Rounded.apply(x / _along(scale, x, axis))
    return (steps + _along(zero, x, axis)).clamp(*_RANGES[kind])


def _dequantize(node: Node, x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    if node.get("block_size", 0):
        raise UnsupportedError("DequantizeLinear by blocks")
    axis, values = node.get("axis", 1), x.to(scale.dtype)
    return (values - _along(zero, values, axis)) * _along(scale, values, axis)


QUANTISATION: dict[str, Operator] = {"DequantizeLinear": _dequantize, "QuantizeLinear": _quantize}
