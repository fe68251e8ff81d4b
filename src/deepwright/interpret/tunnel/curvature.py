"""Bounds of a chain's first three derivatives on a small ball, from enclosed Jacobians."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from deepwright.interpret.tunnel.intervals import element_enclosure
from deepwright.interpret.tunnel.layers import Affine, Chain, Diagonal, Element, Pointwise, Residual
from deepwright.interpret.tunnel.norms import largest, upper

Bounds = tuple[float, float, float]
Box = tuple[Tensor, Tensor]


def local_derivatives(chain: Chain, x: Tensor, radius: float) -> Bounds:
    """Bounds of the operator norms of the first three derivatives within a distance of a point.

    Args:
        chain: without unknown elements.
        x: (n,).
        radius: of the ball.
    """
    return _composed(chain, (x[None], torch.full_like(x, radius)[None]))[0]


def _composed(chain: Chain, value: Box) -> tuple[Bounds, Box]:
    """L1 = g1 h1, L2 = g2 h1^2 + g1 h2, L3 = g3 h1^3 + 3 g2 h1 h2 + g1 h3."""
    h: Bounds = (1.0, 0.0, 0.0)
    for element in chain:
        g = _bounds(element, value)
        value = element_enclosure(element, *value)[0]
        h = (
            _times(g[0], h[0]),
            _times(g[1], h[0] ** 2) + _times(g[0], h[1]),
            _times(g[2], h[0] ** 3) + 3 * _times(g[1], h[0] * h[1]) + _times(g[0], h[2]),
        )
    return h, value


def _times(a: float, b: float) -> float:
    return 0.0 if a == 0 or b == 0 else a * b


def _bounds(element: Element, value: Box) -> Bounds:
    if isinstance(element, Affine | Diagonal):
        return upper(element), 0.0, 0.0
    if isinstance(element, Pointwise):
        slope = element_enclosure(element, *value)[1]
        first = float((slope[0].abs() + slope[1]).max())
        return min(first, element.activation.sup[0]), element.activation.sup[1], element.activation.sup[2]
    if isinstance(element, Residual):
        jacobian = element_enclosure(element, *value)[1]
        whole = largest(jacobian[0][0]) + largest(jacobian[1][0])
        skip, branch = _composed(element.skip, value)[0], _composed(element.branch, value)[0]
        return min(whole, skip[0] + branch[0]), skip[1] + branch[1], skip[2] + branch[2]
    return math.inf, math.inf, math.inf
