"""Tensors that are made, and types that are changed."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from deepwright.nets.onnx_files.node import Node, Numbers, Operator, require_size, whole
from deepwright.nets.onnx_files.sizes import Sizes


def _shape(node: Node, x: Tensor) -> Sizes:
    return Sizes(x.shape[node.get("start", 0) : node.get("end")])


def _size(node: Node, x: Tensor) -> Tensor:
    return torch.tensor(x.numel(), dtype=torch.long, device=x.device)


def _constant_of_shape(node: Node, shape: Tensor) -> Tensor:
    sizes, value = whole(shape) or [], node.get("value")
    require_size(sizes, "ConstantOfShape")
    if value is None:
        return torch.zeros(sizes, dtype=node.dtype(1), device=_place(shape))
    dtype = node.precision.now if value.dtype == node.precision.file else value.dtype
    return torch.full(sizes, value.item(), dtype=dtype, device=_place(shape))


def _place(shape: Any) -> torch.device | None:
    return shape.device if isinstance(shape, Tensor) else None


def _range(node: Node, start: Numbers, limit: Numbers, delta: Numbers) -> Tensor:
    first, last, step = ((whole(n) or [0])[0] for n in (start, limit, delta))
    device = node.precision.device
    if any(isinstance(n, float) for n in (first, last, step)):
        count = max(0, math.ceil((last - first) / step)) if step else -1
        require_size([count], "Range")
        dtype = start.dtype if isinstance(start, Tensor) else node.precision.now
        return (first + step * torch.arange(count, device=device)).to(dtype)
    if all(isinstance(n, int) for n in (first, last, step)):
        require_size([len(range(first, last, step)) if step else -1], "Range")
    dtype = start.dtype if isinstance(start, Tensor) else torch.long
    return torch.arange(first, last, step, dtype=dtype, device=device)


def _cast(node: Node, x: Tensor) -> Tensor:
    return x.to(node.dtype(node.get("to")))


def _cast_like(node: Node, x: Tensor, like: Tensor) -> Tensor:
    return x.to(like.dtype)


def _one_hot(node: Node, indices: Tensor, depth: Tensor, values: Tensor) -> Tensor:
    count = int(depth)
    require_size([*indices.shape, count], "OneHot")
    axis = node.get("axis", -1)
    places = torch.where(indices < 0, indices + count, indices).long().unsqueeze(axis)
    shape = [1] * places.ndim
    shape[axis] = count
    hot = places == torch.arange(count, device=indices.device).reshape(shape)
    return torch.where(hot, values[1], values[0])


def _eye_like(node: Node, x: Tensor) -> Tensor:
    dtype = x.dtype if node.get("dtype") is None else node.dtype(node.get("dtype"))
    return torch.ones(x.shape, dtype=dtype, device=x.device).triu(node.get("k", 0)).tril(node.get("k", 0))


MAKING: dict[str, Operator] = {
    "Cast": _cast,
    "CastLike": _cast_like,
    "ConstantOfShape": _constant_of_shape,
    "EyeLike": _eye_like,
    "OneHot": _one_hot,
    "Range": _range,
    "Shape": _shape,
    "Size": _size,
}
