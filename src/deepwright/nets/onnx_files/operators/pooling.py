"""Pooling over windows and over whole maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from deepwright.nets.onnx_files.node import Node, Operator, UnsupportedError
from deepwright.nets.onnx_files.operators.convolutions import edges, padding_of

_MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_MEAN = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def _windows(node: Node, x: Tensor) -> tuple[int, list[int], list[int], list[int], list[int], list[int], bool]:
    kernel = list(node.get("kernel_shape"))
    n = len(kernel)
    strides, dilations = list(node.get("strides", [1] * n)), list(node.get("dilations", [1] * n))
    before, after = edges(node, x.shape[2:], kernel, strides, dilations)
    return n, kernel, strides, dilations, before, after, bool(node.get("ceil_mode", 0))


def _plain(before: Sequence[int], after: Sequence[int], kernel: Sequence[int]) -> bool:
    """Whether torch's own padding does it: as much at both ends, and at most half a window."""
    return list(before) == list(after) and all(b <= k // 2 for b, k in zip(before, kernel))


def _max_pool(node: Node, x: Tensor) -> Tensor:
    if node.outputs > 1:
        raise UnsupportedError("MaxPool with indices")
    n, kernel, strides, dilations, before, after, ceil = _windows(node, x)
    if not _plain(before, after, kernel):
        x, before = F.pad(x, padding_of(before, after), value=-torch.inf), [0] * n
    return _MAX[n](x, kernel, strides, before, dilations, ceil_mode=ceil)


def _average_pool(node: Node, x: Tensor) -> Tensor:
    n, kernel, strides, dilations, before, after, ceil = _windows(node, x)
    if any(d != 1 for d in dilations):
        raise UnsupportedError("AveragePool with dilations")
    everything = bool(node.get("count_include_pad", 0))
    if _plain(before, after, kernel):
        return _MEAN[n](x, kernel, strides, before, ceil_mode=ceil, count_include_pad=everything)
    around = padding_of(before, after)
    total = _MEAN[n](F.pad(x, around), kernel, strides, 0, ceil_mode=ceil)
    if everything:
        return total
    ones = torch.ones_like(x[:1, :1])
    return total / _MEAN[n](F.pad(ones, around), kernel, strides, 0, ceil_mode=ceil)


def _global_average(node: Node, x: Tensor) -> Tensor:
    return x.mean(tuple(range(2, x.ndim)), keepdim=True)


def _global_max(node: Node, x: Tensor) -> Tensor:
    return x.amax(tuple(range(2, x.ndim)), keepdim=True)


POOLING: dict[str, Operator] = {
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global_average,
    "GlobalMaxPool": _global_max,
    "MaxPool": _max_pool,
}
