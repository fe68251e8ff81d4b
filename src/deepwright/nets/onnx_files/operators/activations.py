"""Non-linearities."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from deepwright.nets.onnx_files.node import Node, Operator


def _relu(node: Node, x: Tensor) -> Tensor:
    return F.relu(x)


def _leaky_relu(node: Node, x: Tensor) -> Tensor:
    return F.leaky_relu(x, node.get("alpha", 0.01))


def _prelu(node: Node, x: Tensor, slope: Tensor) -> Tensor:
    return torch.where(x > 0, x, slope * x)


def _elu(node: Node, x: Tensor) -> Tensor:
    return F.elu(x, node.get("alpha", 1.0))


def _celu(node: Node, x: Tensor) -> Tensor:
    return F.celu(x, node.get("alpha", 1.0))


def _selu(node: Node, x: Tensor) -> Tensor:
    alpha, gamma = node.get("alpha", 1.6732632423543772), node.get("gamma", 1.0507009873554805)
    return gamma * F.elu(x, alpha)


def _gelu(node: Node, x: Tensor) -> Tensor:
    return F.gelu(x, approximate=node.get("approximate", "none"))


def _hard_sigmoid(node: Node, x: Tensor) -> Tensor:
    return (node.get("alpha", 0.2) * x + node.get("beta", 0.5)).clamp(0, 1)


def _hard_swish(node: Node, x: Tensor) -> Tensor:
    return F.hardswish(x)


def _sigmoid(node: Node, x: Tensor) -> Tensor:
    return torch.sigmoid(x)


def _tanh(node: Node, x: Tensor) -> Tensor:
    return torch.tanh(x)


def _softplus(node: Node, x: Tensor) -> Tensor:
    return F.softplus(x, threshold=1e9)  # torch's own cut at 20 is no part of ONNX's


def _softsign(node: Node, x: Tensor) -> Tensor:
    return F.softsign(x)


def _mish(node: Node, x: Tensor) -> Tensor:
    return F.mish(x)


def _thresholded(node: Node, x: Tensor) -> Tensor:
    return F.threshold(x, node.get("alpha", 1.0), 0.0)


def _clip(node: Node, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """Bounds come as inputs since opset 11; torch's own clamp passes gradients at the bounds as ReLU6 does."""
    return x if low is None and high is None else torch.clamp(x, low, high)


def _softmax(node: Node, x: Tensor) -> Tensor:
    return _over_axis(node, x, torch.softmax)


def _log_softmax(node: Node, x: Tensor) -> Tensor:
    return _over_axis(node, x, torch.log_softmax)


def _over_axis(node: Node, x: Tensor, function: object) -> Tensor:
    """Until opset 12 all axes from the one that is named on count as one."""
    assert callable(function)
    if node.opset >= 13:
        return function(x, node.get("axis", -1))
    axis = node.get("axis", 1) % x.ndim if x.ndim else 0
    return function(x.flatten(axis), -1).reshape(x.shape)


ACTIVATIONS: dict[str, Operator] = {
    "Celu": _celu,
    "Clip": _clip,
    "Elu": _elu,
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "LeakyRelu": _leaky_relu,
    "LogSoftmax": _log_softmax,
    "Mish": _mish,
    "PRelu": _prelu,
    "Relu": _relu,
    "Selu": _selu,
    "Sigmoid": _sigmoid,
    "Softmax": _softmax,
    "Softplus": _softplus,
    "Softsign": _softsign,
    "Tanh": _tanh,
    "ThresholdedRelu": _thresholded,
}
