"""Proximal maps of group norms: what makes rows, columns and units exactly zero."""

from __future__ import annotations

import torch
from torch import Tensor

from deepwright.core.errors import InputError

_TINY = 1e-30


def shrink_(tensor: Tensor, thresholds: Tensor, over: int | tuple[int, ...]) -> Tensor:
    """Shrink groups in place: each is `t * (1 - threshold / ||t||)_+`, the norm taken over some dimensions.

    Args:
        tensor: what is shrunk.
        thresholds: broadcasts against the norms, whose reduced dimensions are kept.
        over: the dimensions of one group.
    """
    norms = torch.linalg.vector_norm(tensor, dim=over, keepdim=True)
    return tensor.mul_(shrinkage(norms, thresholds))


def shrinkage(norms: Tensor, thresholds: Tensor) -> Tensor:
    """`(1 - threshold / norm)_+`, 0 where the norm is 0, in any floating type.

    Args:
        norms: of groups.
        thresholds: broadcast against them.
    """
    return torch.where(norms > thresholds, 1 - thresholds / norms, 0.0)


def group_prox_(tensor: Tensor, dim: int, thresholds: Tensor | float) -> Tensor:
    """The proximal map of `sum_j threshold_j ||tensor[j]||_2` along one dimension, in place.

    Args:
        tensor: of floating point, any shape.
        dim: along it lie the groups.
        thresholds: one number, or one a group; not negative.

    Returns:
        The tensor, in which a group whose norm is below its threshold is exactly zero.

    Raises:
        InputError: thresholds of another number than the groups, or negative ones.

    Example:
        >>> group_prox_(torch.tensor([[3.0, 4.0], [0.3, 0.4]]), 0, 1.0)
        tensor([[2.4000, 3.2000],
                [0.0000, 0.0000]])
    """
    if not tensor.is_floating_point() or tensor.ndim == 0:
        given = f"{tensor.dtype}, shape {tuple(tensor.shape)}"
        raise InputError("tensor", given=given, expected="floating point, of at least one dimension")
    limits = torch.as_tensor(thresholds, dtype=tensor.dtype, device=tensor.device)
    groups = tensor.shape[dim]
    if limits.ndim and limits.shape != (groups,):
        raise InputError("thresholds", given=f"shape {tuple(limits.shape)}", expected=f"one number, or {groups}")
    if not bool((limits >= 0).all()):
        raise InputError("thresholds", given="negative ones or NaN", expected="at least 0")
    dim = dim % tensor.ndim
    shape = [1] * tensor.ndim
    shape[dim] = groups if limits.ndim else 1
    rest = tuple(d for d in range(tensor.ndim) if d != dim)
    with torch.no_grad():
        if rest:
            return shrink_(tensor, limits.reshape(shape), rest)
        return tensor.copy_(tensor.sign() * (tensor.abs() - limits).clamp_min(0.0))


def row_column_prox(
    matrix: Tensor, rows: Tensor | float, columns: Tensor | float, tol: float = 1e-8, cap: int = 20_000
) -> Tensor:
    """The proximal map of the *sum* of row norms and column norms, by Dykstra's alternation.

    Rows and then columns, once, isn't it: at thresholds of the order of the norms that is off by several hundredths.

    Args:
        matrix: (p, D).
        rows: a threshold for each row, or one.
        columns: a threshold for each column, or one.
        tol: the alternation ends when nothing changes by more than this, relative to the largest entry.
        cap: rounds at most.

    Returns:
        A new matrix; a row or column that either map makes zero is exactly zero.

    Raises:
        InputError: no matrix, or what `group_prox_` refuses.
    """
    if matrix.ndim != 2:
        raise InputError("matrix", given=f"shape {tuple(matrix.shape)}", expected="(variables, dimensions)")
    x = matrix.detach().clone()
    first, second = torch.zeros_like(x), torch.zeros_like(x)
    by_rows, by_columns = x, x
    limit = tol * float(x.abs().amax().clamp_min(_TINY)) if x.numel() else 0.0
    for _ in range(cap):
        by_rows = group_prox_(x + first, 0, rows)
        first = x + first - by_rows
        by_columns = group_prox_(by_rows + second, 1, columns)
        second = by_rows + second - by_columns
        moved = (by_columns - x).abs().amax() if x.numel() else torch.tensor(0.0)
        x = by_columns
        if float(moved) <= limit and float((by_rows - by_columns).abs().amax()) <= 10 * limit:
            break
    return x * (by_rows != 0).any(1, keepdim=True) * (by_columns != 0).any(0, keepdim=True)
