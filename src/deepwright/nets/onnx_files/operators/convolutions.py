"""Convolutions and their transposes in one, two and three dimensions."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from deepwright.nets.onnx_files.node import Node, Operator, UnsupportedError

_CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def edges(
    node: Node, size: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[list[int], list[int]]:
    """How much is padded before and after each axis.

    Args:
        node: with `pads`, or `auto_pad`.
        size: of the input's axes.
        kernel: of the windows.
        strides: between windows.
        dilations: inside windows.
    """
    mode, n = node.get("auto_pad", "NOTSET"), len(kernel)
    if mode == "NOTSET":
        pads = list(node.get("pads", [0] * 2 * n))
        return pads[:n], pads[n:]
    if mode == "VALID":
        return [0] * n, [0] * n
    total = [
        max(0, (-(-s // step) - 1) * step + (k - 1) * d + 1 - s)
        for s, k, step, d in zip(size, kernel, strides, dilations)
    ]
    less, more = [t // 2 for t in total], [t - t // 2 for t in total]
    return (less, more) if mode == "SAME_UPPER" else (more, less)


def padding_of(before: Sequence[int], after: Sequence[int]) -> list[int]:
    """Both ends of each axis in the order of `F.pad`, which begins with the last axis.

    Args:
        before: each axis.
        after: each axis.
    """
    return [n for pair in zip(reversed(before), reversed(after)) for n in pair]


def _windows(node: Node, weight: Tensor) -> tuple[int, list[int], list[int], list[int]]:
    n = weight.ndim - 2
    if n not in _CONVOLUTIONS:
        raise UnsupportedError(f"{node.kind} in {n} dimensions")
    return n, list(weight.shape[2:]), list(node.get("strides", [1] * n)), list(node.get("dilations", [1] * n))


def _conv(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    n, kernel, strides, dilations = _windows(node, weight)
    before, after = edges(node, x.shape[2:], kernel, strides, dilations)
    if before != after:
        x, before = F.pad(x, padding_of(before, after)), [0] * n
    return _CONVOLUTIONS[n](x, weight, bias, strides, before, dilations, node.get("group", 1))


def _conv_transpose(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    n, kernel, strides, dilations = _windows(node, weight)
    extra, groups = list(node.get("output_padding", [0] * n)), node.get("group", 1)
    before, after = _cut(node, x.shape[2:], kernel, strides, dilations, extra)
    fits = all(e < max(s, d) for e, s, d in zip(extra, strides, dilations))
    if before == after and fits and min(before) >= 0:
        return _TRANSPOSED[n](x, weight, bias, strides, before, extra, groups, dilations)
    out = _TRANSPOSED[n](x, weight, None, strides, 0, 0, groups, dilations)
    # negative padding cuts; the bias is on what is added at the end too
    out = F.pad(out, padding_of([-b for b in before], [e - a for e, a in zip(extra, after)]))
    return out if bias is None else out + bias.reshape(-1, *[1] * n)


def _cut(
    node: Node,
    size: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    extra: Sequence[int],
) -> tuple[list[int], list[int]]:
    """What is cut from both ends of each axis of the full result."""
    n, mode, wanted = len(kernel), node.get("auto_pad", "NOTSET"), node.get("output_shape")
    if wanted is None and mode in ("NOTSET", "VALID"):
        return edges(node, size, kernel, strides, dilations)
    wanted = [s * step for s, step in zip(size, strides)] if wanted is None else list(wanted)[-n:]
    total = [
        step * (s - 1) + e + (k - 1) * d + 1 - w
        for s, step, e, k, d, w in zip(size, strides, extra, kernel, dilations, wanted)
    ]
    less, more = [t // 2 for t in total], [t - t // 2 for t in total]
    return (less, more) if mode == "SAME_UPPER" else (more, less)


CONVOLUTIONS: dict[str, Operator] = {"Conv": _conv, "ConvTranspose": _conv_transpose}
