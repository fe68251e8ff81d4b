"""Numbers picked by index, and put there."""

from __future__ import annotations

import torch
from torch import Tensor

from deepwright.nets.onnx_files.node import Node, Operator, UnsupportedError


def _from_the_front(indices: Tensor, size: int) -> Tensor:
    """ONNX counts from the end too; torch's own operators don't."""
    indices = indices.long()
    return torch.where(indices < 0, indices + size, indices)


def _gather(node: Node, x: Tensor, indices: Tensor) -> Tensor:
    axis = node.get("axis", 0) % x.ndim
    picked = x.index_select(axis, _from_the_front(indices, x.shape[axis]).reshape(-1))
    return picked.reshape((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


def _gather_elements(node: Node, x: Tensor, indices: Tensor) -> Tensor:
    axis = node.get("axis", 0) % x.ndim
    return x.gather(axis, _from_the_front(indices, x.shape[axis]))


def _gather_nd(node: Node, x: Tensor, indices: Tensor) -> Tensor:
    if node.get("batch_dims", 0):
        raise UnsupportedError("GatherND with batch_dims")
    return x[_places(x, indices)]


def _scatter_nd(node: Node, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    if node.get("reduction", "none") != "none":
        raise UnsupportedError(f"ScatterND with {node.get('reduction')}")
    return x.index_put(_places(x, indices), updates)


def _places(x: Tensor, indices: Tensor) -> tuple[Tensor, ...]:
    return tuple(_from_the_front(part, n) for part, n in zip(indices.unbind(-1), x.shape))


def _scatter_elements(node: Node, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    if node.get("reduction", "none") != "none":
        raise UnsupportedError(f"ScatterElements with {node.get('reduction')}")
    axis = node.get("axis", 0) % x.ndim
    return x.scatter(axis, _from_the_front(indices, x.shape[axis]), updates)


def _triangle(node: Node, x: Tensor, k: Tensor | None = None) -> Tensor:
    diagonal = 0 if k is None else int(k)
    return x.triu(diagonal) if node.get("upper", 1) else x.tril(diagonal)


INDEXING: dict[str, Operator] = {
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "ScatterElements": _scatter_elements,
    "ScatterND": _scatter_nd,
    "Trilu": _triangle,
}
