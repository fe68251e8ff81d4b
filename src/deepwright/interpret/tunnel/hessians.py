"""Second derivatives of a chain, written out: only activations bend."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.interpret.tunnel.layers import Affine, Chain, Diagonal, Element, Pointwise, Residual, run

Points = Float[Tensor, "batch n"]
Vectors = Float[Tensor, "batch inputs"]
Tangents = Float[Tensor, "#batch inputs n"]  # the same for all points, or one each
Jacobians = Float[Tensor, "#batch outputs n"]


def chain_hessian(chain: Chain, x: Points) -> Float[Tensor, "batch n n"]:
    """H = sum over activations of (dz/dx)^T diag(g s''(z)) (dz/dx), g what the gradient is behind each.

    Args:
        chain: of one output, without unknown elements.
        x: points.
    """
    n = x.shape[1]
    eye = torch.eye(n, dtype=x.dtype, device=x.device).expand(len(x), n, n)
    return _back(chain, x, eye, x.new_ones(len(x), 1))[1]


def jacobian(chain: Chain, x: Vectors, tangents: Tangents) -> Jacobians:
    """J T of a chain.

    Args:
        chain: without unknown elements.
        x: what comes in.
        tangents: T.
    """
    for element in chain:
        tangents = element_jacobian(element, x, tangents)
        x = run((element,), x)
    return tangents


def element_jacobian(element: Element, x: Vectors, tangents: Tangents) -> Jacobians:
    """J T of one element.

    Args:
        element: that is taken apart.
        x: what comes in.
        tangents: T.
    """
    if isinstance(element, Affine):
        return element.weight @ tangents
    if isinstance(element, Diagonal):
        return element.factor[:, None] * tangents
    if isinstance(element, Pointwise):
        return element.activation.slope(x)[..., None] * tangents
    if isinstance(element, Residual):
        return jacobian(element.skip, x, tangents) + jacobian(element.branch, x, tangents)
    raise TypeError(type(element).__name__)


def _back(chain: Chain, x: Tensor, tangents: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient in front of a chain and the sum of its activations' parts of the Hessian, from that behind it."""
    seen = []
    for element in chain:
        seen.append((x, tangents))
        tangents = element_jacobian(element, x, tangents)
        x = run((element,), x)
    n = tangents.shape[2]
    hessian = x.new_zeros(len(x), n, n)
    for element, (at, into) in zip(reversed(chain), reversed(seen), strict=True):
        if isinstance(element, Affine):
            g = g @ element.weight
        elif isinstance(element, Diagonal):
            g = g * element.factor
        elif isinstance(element, Pointwise):
            bent = g * element.activation.bend(at)
            hessian = hessian + into.transpose(1, 2) @ (bent[..., None] * into)
            g = g * element.activation.slope(at)
        elif isinstance(element, Residual):
            (g_skip, h_skip), (g_branch, h_branch) = (_back(c, at, into, g) for c in (element.skip, element.branch))
            g, hessian = g_skip + g_branch, hessian + h_skip + h_branch
    return g, hessian
