"""Lipschitz constants: bounds from above that are proofs, and estimates from below that never are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.interpret.tunnel.layers import (
    Affine,
    Chain,
    Diagonal,
    Element,
    Opaque,
    Pointwise,
    Residual,
    skip_factor,
)

UP, DOWN = 1 + 1e-6, 1 - 1e-6
"""Bounds are rounded outward by these: more than the arithmetic of any matrix here loses."""
DENSE = 2**22  # numbers of a matrix up to which its singular values are computed


def singular_values(weight: Float[Tensor, "*batch o i"]) -> Float[Tensor, "*batch k"]:
    """Singular values in descending order.

    Args:
        weight: in float64.
    """
    values: Tensor = torch.linalg.svdvals(weight)
    return values


def smallest(weight: Float[Tensor, "o i"]) -> float:
    """A bound from below of |W^T v| / |v|: 0 where the rows outnumber the columns.

    Args:
        weight: any matrix.
    """
    if weight.shape[0] > weight.shape[1]:
        return 0.0
    values = singular_values(weight)
    return max(0.0, float(values[-1] * DOWN - 1e-12 * values[0]))


def largest(weight: Float[Tensor, "o i"]) -> float:
    """A bound from above of the spectral norm.

    Args:
        weight: any matrix.
    """
    return float(singular_values(weight)[0]) * UP if weight.numel() else 0.0


def convolution_norm(module: nn.Conv1d | nn.Conv2d | nn.Conv3d, size: Sequence[int]) -> float:
    """A bound from above of a convolution's spectral norm at the size that it works at.

    A zero-padded, strided convolution is a part of the circular one on the canvas that is padded until nothing wraps
    around; that one is block diagonal in the frequencies. Kernels reshaped to a matrix give no bound, and power
    iteration comes from below.

    Args:
        module: any stride, padding, dilation and groups.
        size: of the picture that comes in, without batch and channels.

    Raises:
        InputError: padding that isn't zeros.
    """
    if module.padding_mode != "zeros":
        raise InputError("convolution", given=f"padding_mode={module.padding_mode!r}", expected="'zeros'")
    kernel = _ungrouped(module.weight.detach().double(), module.groups)
    reach = [d * (k - 1) + 1 for d, k in zip(module.dilation, kernel.shape[2:], strict=True)]
    spread = kernel.new_zeros(*kernel.shape[:2], *reach)
    places: Any = (..., *(slice(None, None, d) for d in module.dilation))
    spread[places] = kernel
    canvas = [s + r - 1 for s, r in zip(size, reach, strict=True)]
    dims = tuple(range(2, 2 + len(canvas)))
    frequencies = torch.fft.rfftn(spread, canvas, dims)
    matrices = frequencies.flatten(2).permute(2, 0, 1)
    return float(torch.linalg.matrix_norm(matrices, 2).max()) * UP


def _ungrouped(kernel: Tensor, groups: int) -> Tensor:
    """The kernel of the same map without groups: zeros between channels of different ones."""
    if groups == 1:
        return kernel
    out, inside = kernel.shape[0] // groups, kernel.shape[1]
    whole = kernel.new_zeros(kernel.shape[0], inside * groups, *kernel.shape[2:])
    for g in range(groups):
        whole[g * out : (g + 1) * out, g * inside : (g + 1) * inside] = kernel[g * out : (g + 1) * out]
    return whole


def upper(element: Element) -> float:
    """A bound from above of an element's Lipschitz constant, wherever its input lies.

    Args:
        element: any; infinite where nothing is known.
    """
    if isinstance(element, Affine):
        return largest(element.weight)
    if isinstance(element, Diagonal):
        return float(element.factor.abs().max()) * (1 + 1e-12)
    if isinstance(element, Pointwise):
        return element.activation.sup[0]
    if isinstance(element, Opaque):
        return element.upper
    return chain_upper(element.skip) + chain_upper(element.branch)


def chain_upper(chain: Chain) -> float:
    """The product of its elements' bounds; a multiplier of 0 makes it 0 whatever else is unknown.

    Args:
        chain: of elements.
    """
    bounds = [upper(element) for element in chain]
    return 0.0 if 0.0 in bounds else math.prod(bounds)


def curvature(chain: Chain) -> tuple[float, float, float]:
    """Bounds of the first three derivatives of a chain: of compositions g(h), by L1 = g1 h1, L2 = g2 h1^2 + g1 h2,
    L3 = g3 h1^3 + 3 g2 h1 h2 + g1 h3.

    Args:
        chain: of elements.
    """
    h = (1.0, 0.0, 0.0)
    for element in chain:
        g = _derivatives(element)
        h = (
            _times(g[0], h[0]),
            _times(g[1], h[0] ** 2) + _times(g[0], h[1]),
            _times(g[2], h[0] ** 3) + 3 * _times(g[1], h[0] * h[1]) + _times(g[0], h[2]),
        )
    return h


def _times(a: float, b: float) -> float:
    return 0.0 if a == 0 or b == 0 else a * b


def _derivatives(element: Element) -> tuple[float, float, float]:
    if isinstance(element, Pointwise):
        return element.activation.sup
    if isinstance(element, Residual):
        skip, branch = curvature(element.skip), curvature(element.branch)
        return skip[0] + branch[0], skip[1] + branch[1], skip[2] + branch[2]
    return upper(element), float("inf") if isinstance(element, Opaque) else 0.0, 0.0


def skip_smallest(block: Residual) -> float:
    """A bound from below of |S^T v| / |v| of a block's skip: 0 where it reduces the dimension or isn't known.

    Args:
        block: any.
    """
    factor = skip_factor(block)
    if factor is not None:
        return float(factor.abs().min()) * (1 - 1e-12)
    if len(block.skip) == 1 and isinstance(block.skip[0], Affine):
        return smallest(block.skip[0].weight)
    return 0.0


def local_norm(
    function: nn.Module, x: Float[Tensor, "batch ..."], steps: int = 20, tol: float = 1e-6
) -> Float[Tensor, " batch"]:
    """The spectral norm of each sample's Jacobian by power iteration on J^T J: from below, so that it proves nothing.

    Args:
        function: rows don't look at each other.
        x: where.
        steps: at most so many.
        tol: stops where no norm changes by more than that share.
    """
    x = x.detach()
    v = torch.ones_like(x) + 0.1 * torch.linspace(-1, 1, x[0].numel(), dtype=x.dtype, device=x.device).view_as(x[:1])
    norms = x.new_zeros(len(x))
    for _ in range(steps):
        v = v / _length(v)
        image = torch.func.jvp(function, (x,), (v,))[1]
        found = _length(image).flatten()
        settled = bool(((found - norms).abs() <= tol * found).all())
        norms = torch.maximum(norms, found)
        if settled or not bool(image.any()):
            break
        v = torch.func.vjp(function, x)[1](image)[0]
        v = torch.where(_length(v) > 0, v, torch.ones_like(v))
    return norms


def _length(x: Tensor) -> Tensor:
    size = x.flatten(1).norm(dim=1)
    return size.clamp_min(torch.finfo(x.dtype).tiny).view(-1, *([1] * (x.ndim - 1)))


def pooled_norm(module: nn.Module) -> float:
    """The Lipschitz constant of pooling by maximum or mean over windows that don't overlap; infinite for others.

    Args:
        module: of torch's.
    """
    if not isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        return math.inf
    if isinstance(module, nn.AvgPool2d) and module.divisor_override is not None:
        return math.inf
    if isinstance(module, nn.MaxPool2d) and _pair(module.dilation) != (1, 1):
        return math.inf
    kernel, stride = _pair(module.kernel_size), _pair(module.stride)
    return 1.0 if all(s >= k for k, s in zip(kernel, stride, strict=True)) else math.inf


def _pair(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else value
