"""Resize: every mode of interpolation is separable, so each axis is resampled by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from deepwright.nets.onnx_files.node import Node, Numbers, Operator, UnsupportedError, require_size, whole


def _resize(
    node: Node, x: Tensor, roi: Tensor | None = None, scales: Numbers | None = None, sizes: Numbers | None = None
) -> Tensor:
    mode, place = node.get("mode", "nearest"), node.get("coordinate_transformation_mode", "half_pixel")
    if node.get("antialias", 0) or node.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise UnsupportedError("Resize with antialias or a kept aspect ratio")
    axes = [a % x.ndim for a in node.get("axes", range(x.ndim))]
    for axis, (size, scale) in zip(axes, _targets(x, axes, scales, sizes)):
        if size == x.shape[axis] and scale == 1:
            continue
        require_size([*x.shape[:axis], size, *x.shape[axis + 1 :]], "Resize")
        where = _places(place, x.shape[axis], size, scale)
        if mode == "nearest":
            x = _picked(x, axis, _nearest(where, node.get("nearest_mode", "round_prefer_floor")))
        elif mode == "linear":
            x = _linear(x, axis, where)
        elif mode == "cubic":
            x = _cubic(x, axis, where, node.get("cubic_coeff_a", -0.75), bool(node.get("exclude_outside", 0)))
        else:
            raise UnsupportedError(f"Resize in the mode {mode}")
    return x


def _targets(x: Tensor, axes: Sequence[int], scales: Numbers | None, sizes: Numbers | None) -> list[tuple[int, float]]:
    """(size, scale) of each axis; the size is rounded down from the scale."""
    wanted, factors = whole(sizes), whole(scales)
    if wanted:
        return [(n, n / x.shape[a]) for a, n in zip(axes, wanted)]
    if not factors:
        raise UnsupportedError("Resize without scales or sizes")
    return [(x.shape[a] if s == 1 else math.floor(x.shape[a] * s), s) for a, s in zip(axes, factors)]


def _places(mode: str, size: int, target: int, scale: float) -> Tensor:
    """Where each number of the result lies on the axis that is resampled, in single precision as runtimes have it."""
    out, factor = torch.arange(target, dtype=torch.float32), torch.tensor(scale, dtype=torch.float32)
    if mode == "align_corners":
        return out * (size - 1) / (target - 1) if target > 1 else torch.zeros(target)
    if mode == "asymmetric":
        return out / factor
    if mode == "pytorch_half_pixel" and target == 1:
        return torch.zeros(target)
    half = (out + 0.5) / factor - 0.5
    if mode in ("half_pixel", "pytorch_half_pixel"):
        return half
    if mode == "half_pixel_symmetric":
        adjustment = target / (scale * size)
        return size / 2 * (1 - adjustment) + half
    raise UnsupportedError(f"Resize by {mode}")


def _nearest(where: Tensor, mode: str) -> Tensor:
    if mode == "floor":
        return where.floor()
    if mode == "ceil":
        return where.ceil()
    return (where - 0.5).ceil() if mode == "round_prefer_floor" else (where + 0.5).floor()


def _picked(x: Tensor, axis: int, rows: Tensor) -> Tensor:
    return x.index_select(axis, rows.clamp(0, x.shape[axis] - 1).long().to(x.device))


def _shaped(weights: Tensor, x: Tensor, axis: int) -> Tensor:
    shape = [1] * x.ndim
    shape[axis] = -1
    return weights.to(x).reshape(shape)


def _linear(x: Tensor, axis: int, where: Tensor) -> Tensor:
    where = where.clamp(0, x.shape[axis] - 1)
    low = where.floor()
    share = _shaped(where - low, x, axis)
    return _picked(x, axis, low) * (1 - share) + _picked(x, axis, low + 1) * share


def _cubic(x: Tensor, axis: int, where: Tensor, a: float, exclude: bool) -> Tensor:
    """Keys' kernel over the four numbers around each place."""
    low = where.floor()
    rows = [low + k for k in (-1, 0, 1, 2)]
    weights = [_keys((where - row).abs(), a) for row in rows]
    if exclude:
        inside = [(row >= 0) & (row < x.shape[axis]) for row in rows]
        weights = [w * fits for w, fits in zip(weights, inside)]
        total = torch.stack(weights).sum(0)
        weights = [w / total for w in weights]
    parts = [_picked(x, axis, row) * _shaped(w, x, axis) for row, w in zip(rows, weights)]
    return torch.stack(parts).sum(0)


def _keys(t: Tensor, a: float) -> Tensor:
    near = (a + 2) * t**3 - (a + 3) * t**2 + 1
    far = a * (t**3 - 5 * t**2 + 8 * t - 4)
    return torch.where(t <= 1, near, torch.where(t < 2, far, torch.zeros_like(t)))


RESIZING: dict[str, Operator] = {"Resize": _resize}
