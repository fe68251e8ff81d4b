"""Normalisations."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from deepwright.nets.onnx_files.node import Node, Operator, UnsupportedError


def _batch(node: Node, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    if node.get("training_mode", 0):
        raise UnsupportedError("BatchNormalization in training mode")
    return F.batch_norm(x, mean, variance, scale, bias, False, 0.0, node.get("epsilon", 1e-5))


def _instance(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    return F.instance_norm(x, weight=scale, bias=bias, eps=node.get("epsilon", 1e-5))


def _layer(node: Node, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    if node.outputs > 1:
        raise UnsupportedError("LayerNormalization with its mean")
    shape, eps = x.shape[node.get("axis", -1) % x.ndim :], node.get("epsilon", 1e-5)
    if scale.shape == shape:
        return F.layer_norm(x, shape, scale, bias if bias is None else bias.expand(shape), eps)
    out = F.layer_norm(x, shape, eps=eps) * scale
    return out if bias is None else out + bias


def _group(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Scale and bias belong to groups until opset 20, to channels since."""
    groups = node.get("num_groups")
    if node.opset < 21 and len(scale) == groups:
        times = x.shape[1] // groups
        scale, bias = scale.repeat_interleave(times), bias.repeat_interleave(times)
    return F.group_norm(x, groups, scale, bias, node.get("epsilon", 1e-5))


def _response(node: Node, x: Tensor) -> Tensor:
    size = node.get("size")
    if size % 2 == 0:
        raise UnsupportedError("LRN over an even number of channels")
    return F.local_response_norm(x, size, node.get("alpha", 1e-4), node.get("beta", 0.75), node.get("bias", 1.0))


def _length(node: Node, x: Tensor) -> Tensor:
    length = torch.linalg.vector_norm(x, node.get("p", 2), node.get("axis", -1), keepdim=True)
    return torch.where(length == 0, torch.zeros_like(x), x / length)


NORMALISATION: dict[str, Operator] = {
    "BatchNormalization": _batch,
    "GroupNormalization": _group,
    "InstanceNormalization": _instance,
    "LRN": _response,
    "LayerNormalization": _layer,
    "LpNormalization": _length,
}
