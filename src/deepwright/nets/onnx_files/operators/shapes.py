"""The same numbers in other shapes: reshaped, moved, cut, joined, padded, repeated."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from deepwright.nets.onnx_files.node import Node, Numbers, Operator, UnsupportedError, axes_of, require_size, whole
from deepwright.nets.onnx_files.operators.convolutions import padding_of


def _reshape(node: Node, x: Tensor, shape: Numbers) -> Tensor:
    wanted = whole(shape) or []
    if not node.get("allowzero", 0):
        wanted = [x.shape[i] if n == 0 else n for i, n in enumerate(wanted)]
    return x.reshape(wanted)


def _flatten(node: Node, x: Tensor) -> Tensor:
    axis = node.get("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return x.reshape(math.prod(x.shape[:axis]), -1) if x.numel() else x.reshape(math.prod(x.shape[:axis]), 0)


def _squeeze(node: Node, x: Tensor, axes: Numbers | None = None) -> Tensor:
    chosen = axes_of(node, axes)
    return x.squeeze() if chosen is None else x.squeeze(tuple(chosen))


def _unsqueeze(node: Node, x: Tensor, axes: Numbers | None = None) -> Tensor:
    chosen = axes_of(node, axes) or []
    for axis in sorted(a % (x.ndim + len(chosen)) for a in chosen):
        x = x.unsqueeze(axis)
    return x


def _transpose(node: Node, x: Tensor) -> Tensor:
    return x.permute(node.get("perm", list(reversed(range(x.ndim)))))


def _expand(node: Node, x: Tensor, shape: Numbers) -> Tensor:
    wanted = torch.broadcast_shapes(x.shape, tuple(whole(shape) or []))
    require_size(wanted, "Expand")
    return x.expand(wanted)


def _concat(node: Node, *parts: Tensor) -> Tensor:
    return torch.cat(parts, node.get("axis"))


def _split(node: Node, x: Tensor, sizes: Numbers | None = None) -> tuple[Tensor, ...]:
    axis, given = node.get("axis", 0), whole(sizes if sizes is not None else node.get("split"))
    if given is None:
        each = -(-x.shape[axis] // (node.get("num_outputs") or node.outputs))
        return x.split(each, axis)
    return x.split(given, axis)


def _slice(
    node: Node,
    x: Tensor,
    starts: Numbers,
    ends: Numbers,
    axes: Numbers | None = None,
    steps: Numbers | None = None,
) -> Tensor:
    first, last = whole(starts) or [], whole(ends) or []
    along, by = whole(axes) or list(range(len(first))), whole(steps) or [1] * len(first)
    for axis, start, end, step in zip(along, first, last, by):
        rows = range(x.shape[axis])[slice(start, _stop(end, x.shape[axis], step), step)]
        if step > 0:
            x = (
                x.narrow(axis, rows.start, rows.stop - rows.start if len(rows) else 0)
                if step == 1
                else _picked(x, axis, rows)
            )
        else:
            x = _picked(x, axis, rows)
    return x


def _stop(end: int, size: int, step: int) -> int | None:
    """Python's word for an end before the first row, which ONNX writes as a number below -size."""
    return None if step < 0 and end < -size else end


def _picked(x: Tensor, axis: int, rows: range) -> Tensor:
    return x.index_select(axis, torch.tensor(list(rows), dtype=torch.long, device=x.device))


def _pad(node: Node, x: Tensor, pads: Numbers, value: Numbers | None = None, axes: Numbers | None = None) -> Tensor:
    ends, along = whole(pads) or [], [a % x.ndim for a in whole(axes) or range(x.ndim)]
    before, after = [0] * x.ndim, [0] * x.ndim
    for i, axis in enumerate(along):
        before[axis], after[axis] = ends[i], ends[i + len(along)]
    require_size([max(0, n + b + a) for n, b, a in zip(x.shape, before, after)], "Pad")
    mode = node.get("mode", "constant")
    if mode == "constant":
        return F.pad(x, padding_of(before, after), value=(whole(value) or [0.0])[0])
    if mode not in ("reflect", "edge", "wrap"):
        raise UnsupportedError(f"Pad in the mode {mode}")
    for axis, (b, a) in enumerate(zip(before, after)):
        if b or a:
            x = x.index_select(axis, _mirrored(x.shape[axis], b, a, mode).to(x.device))
    return x


def _mirrored(size: int, before: int, after: int, mode: str) -> Tensor:
    """Which rows stand at the places of a padded axis."""
    place = torch.arange(-before, size + after)
    if mode == "edge":
        return place.clamp(0, size - 1)
    if mode == "wrap":
        return place % size
    period = max(1, 2 * (size - 1))
    place = place % period
    return torch.where(place < size, place, period - place)


def _tile(node: Node, x: Tensor, repeats: Numbers) -> Tensor:
    times = whole(repeats) or []
    require_size([n * t for n, t in zip(x.shape, times)], "Tile")
    return x.repeat(times)


def _depth_to_space(node: Node, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    b = node.get("blocksize")
    if node.get("mode", "DCR") == "CRD":
        return F.pixel_shuffle(x, b)
    parts = x.reshape(n, b, b, c // b**2, h, w).permute(0, 3, 4, 1, 5, 2)
    return parts.reshape(n, c // b**2, h * b, w * b)


def _space_to_depth(node: Node, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    b = node.get("blocksize")
    return x.reshape(n, c, h // b, b, w // b, b).permute(0, 3, 5, 1, 2, 4).reshape(n, c * b**2, h // b, w // b)


def _identity(node: Node, x: Tensor) -> Tensor:
    return x


def _dropout(node: Node, x: Tensor, ratio: Any = None, training: Any = None) -> Tensor:
    """Nothing, as in every network that is used and not trained."""
    if node.outputs > 1:
        raise UnsupportedError("Dropout with its mask")
    if training is not None and bool(training):
        raise UnsupportedError("Dropout in training mode")
    return x


SHAPES: dict[str, Operator] = {
    "Concat": _concat,
    "DepthToSpace": _depth_to_space,
    "Dropout": _dropout,
    "Expand": _expand,
    "Flatten": _flatten,
    "Identity": _identity,
    "Pad": _pad,
    "Reshape": _reshape,
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
