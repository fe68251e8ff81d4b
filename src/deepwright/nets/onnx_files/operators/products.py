"""Products of matrices."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from deepwright.nets.onnx_files.node import Node, Operator


def _gemm(node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    a = a.t() if node.get("transA", 0) else a
    weight = b if node.get("transB", 0) else b.t()
    if alpha == 1 and (c is None or (beta == 1 and c.shape == weight.shape[:1])):
        return F.linear(a, weight, c)
    out = alpha * F.linear(a, weight)
    return out if c is None else out + beta * c


def _matmul(node: Node, a: Tensor, b: Tensor) -> Tensor:
    """A map by a matrix is a linear layer, and is called so that it is seen as one."""
    return F.linear(a, b.t()) if b.ndim == 2 and a.ndim > 1 and a.is_floating_point() else torch.matmul(a, b)


def _einsum(node: Node, *inputs: Tensor) -> Tensor:
    return torch.einsum(node.get("equation").replace(" ", ""), *inputs)


PRODUCTS: dict[str, Operator] = {"Einsum": _einsum, "Gemm": _gemm, "MatMul": _matmul}
