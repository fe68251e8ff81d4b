"""Sums, means, extremes, sorted values."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from deepwright.nets.onnx_files.node import Node, Numbers, Operator, axes_of, whole


def _reduced(function: Callable[..., Tensor]) -> Operator:
    """An operator over axes: an attribute in older files, an input in newer ones, all of them where none is named."""

    def operator(node: Node, x: Tensor, axes: Numbers | None = None) -> Tensor:
        chosen = axes_of(node, axes)
        if not chosen:
            if node.get("noop_with_empty_axes", 0):
                return x
            chosen = list(range(x.ndim))
        return function(x, tuple(chosen), keepdim=bool(node.get("keepdims", 1))) if chosen else x

    return operator


def _prod(x: Tensor, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    for axis in sorted((a % x.ndim for a in axes), reverse=True):
        x = x.prod(axis, keepdim=keepdim)
    return x


def _l1(x: Tensor, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    return x.abs().sum(axes, keepdim=keepdim, dtype=x.dtype)


def _l2(x: Tensor, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    return torch.linalg.vector_norm(x, 2, axes, keepdim=keepdim)


def _log_sum(x: Tensor, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    return x.sum(axes, keepdim=keepdim).log()


def _sum(x: Tensor, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    return x.sum(axes, keepdim=keepdim, dtype=x.dtype)


def _mean(x: Tensor, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    return x.mean(axes, keepdim=keepdim)


def _square_sum(x: Tensor, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    return x.square().sum(axes, keepdim=keepdim, dtype=x.dtype)


def _argument(largest: bool) -> Operator:
    def operator(node: Node, x: Tensor) -> Tensor:
        axis, keep, last = node.get("axis", 0), bool(node.get("keepdims", 1)), node.get("select_last_index", 0)
        turned = x.flip(axis) if last else x
        found = (torch.argmax if largest else torch.argmin)(turned, axis, keepdim=keep)
        return x.shape[axis] - 1 - found if last else found

    return operator


def _top_k(node: Node, x: Tensor, k: Numbers) -> tuple[Tensor, Tensor]:
    (count,) = whole(k) or [0]
    axis = node.get("axis", -1)
    found = x.sort(dim=axis, descending=bool(node.get("largest", 1)), stable=True)  # of equal values the first, as ONNX
    return found.values.narrow(axis, 0, count), found.indices.narrow(axis, 0, count)


def _cumulated(node: Node, x: Tensor, axis: Numbers) -> Tensor:
    (along,) = whole(axis) or [0]
    turned = x.flip(along) if node.get("reverse", 0) else x
    total = turned.cumsum(along, dtype=x.dtype)
    if node.get("exclusive", 0):
        total = total - turned
    return total.flip(along) if node.get("reverse", 0) else total


REDUCTIONS: dict[str, Operator] = {
    "ArgMax": _argument(True),
    "ArgMin": _argument(False),
    "CumSum": _cumulated,
    "ReduceL1": _reduced(_l1),
    "ReduceL2": _reduced(_l2),
    "ReduceLogSum": _reduced(_log_sum),
    "ReduceLogSumExp": _reduced(torch.logsumexp),
    "ReduceMax": _reduced(torch.amax),
    "ReduceMean": _reduced(_mean),
    "ReduceMin": _reduced(torch.amin),
    "ReduceProd": _reduced(_prod),
    "ReduceSum": _reduced(_sum),
    "ReduceSumSquare": _reduced(_square_sum),
    "TopK": _top_k,
}
