"""Arithmetic, comparisons and logic, number by number."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import torch
from torch import Tensor

from deepwright.nets.onnx_files.node import Node, Operator


def _plain(function: Callable[..., Tensor]) -> Operator:
    """An operator that is a torch function as it stands."""

    def operator(node: Node, *inputs: Tensor) -> Tensor:
        return function(*inputs)

    return operator


def _folded(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    """An operator of any number of inputs."""

    def operator(node: Node, *inputs: Tensor) -> Tensor:
        return reduce(function, inputs)

    return operator


def _div(node: Node, a: Tensor, b: Tensor) -> Tensor:
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def _pow(node: Node, a: Tensor, b: Tensor) -> Tensor:
    return torch.pow(a, b).to(a.dtype)  # the exponent's type doesn't count


def _mod(node: Node, a: Tensor, b: Tensor) -> Tensor:
    return torch.fmod(a, b) if node.get("fmod", 0) else torch.remainder(a, b)


def _mean(node: Node, *inputs: Tensor) -> Tensor:
    return reduce(torch.add, inputs) / len(inputs)


def _is_infinite(node: Node, x: Tensor) -> Tensor:
    found = torch.isinf(x)
    if not node.get("detect_positive", 1):
        found = found & (x < 0)
    return found if node.get("detect_negative", 1) else found & (x > 0)


ELEMENTWISE: dict[str, Operator] = {
    "Abs": _plain(torch.abs),
    "Acos": _plain(torch.acos),
    "Acosh": _plain(torch.acosh),
    "Add": _plain(torch.add),
    "And": _plain(torch.logical_and),
    "Asin": _plain(torch.asin),
    "Asinh": _plain(torch.asinh),
    "Atan": _plain(torch.atan),
    "Atanh": _plain(torch.atanh),
    "Ceil": _plain(torch.ceil),
    "Cos": _plain(torch.cos),
    "Cosh": _plain(torch.cosh),
    "Div": _div,
    "Equal": _plain(torch.eq),
    "Erf": _plain(torch.erf),
    "Exp": _plain(torch.exp),
    "Floor": _plain(torch.floor),
    "Greater": _plain(torch.gt),
    "GreaterOrEqual": _plain(torch.ge),
    "IsInf": _is_infinite,
    "IsNaN": _plain(torch.isnan),
    "Less": _plain(torch.lt),
    "LessOrEqual": _plain(torch.le),
    "Log": _plain(torch.log),
    "Max": _folded(torch.maximum),
    "Mean": _mean,
    "Min": _folded(torch.minimum),
    "Mod": _mod,
    "Mul": _plain(torch.mul),
    "Neg": _plain(torch.neg),
    "Not": _plain(torch.logical_not),
    "Or": _plain(torch.logical_or),
    "Pow": _pow,
    "Reciprocal": _plain(torch.reciprocal),
    "Round": _plain(torch.round),
    "Sign": _plain(torch.sign),
    "Sin": _plain(torch.sin),
    "Sinh": _plain(torch.sinh),
    "Sqrt": _plain(torch.sqrt),
    "Sub": _plain(torch.sub),
    "Sum": _folded(torch.add),
    "Tan": _plain(torch.tan),
    "Where": _plain(torch.where),
    "Xor": _plain(torch.logical_xor),
}
