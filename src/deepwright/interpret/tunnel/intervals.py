"""Enclosures of values and Jacobians over boxes: intervals with centre and radius, rounded outward, many boxes at once.

The Jacobian of a residual block is enclosed as a whole (skip and branch in one matrix), so that what cancels between
them does cancel.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.interpret.tunnel.layers import Affine, Chain, Diagonal, Element, Pointwise, Residual

Centres = Float[Tensor, "boxes *shape"]
_SLACK = 1e-12  # relative to all that enters a sum; float64 loses less in any sum of less than a thousand terms
Interval = tuple[Tensor, Tensor]
"""Centres and radii."""


def enclose(
    chain: Chain, centre: Float[Tensor, "boxes n"], radius: Float[Tensor, "boxes n"]
) -> tuple[Interval, Interval]:
    """Values and Jacobians of a chain over boxes.

    Args:
        chain: without unknown elements.
        centre: of each box.
        radius: of each box, feature by feature.

    Returns:
        values (boxes, outputs) and Jacobians (boxes, outputs, n), each as centres and radii.

    Raises:
        InputError: an element that isn't taken apart.
    """
    value: Interval = (centre, radius)
    eye = torch.eye(centre.shape[1], dtype=centre.dtype, device=centre.device).expand(len(centre), -1, -1)
    jacobian: Interval = (eye, torch.zeros_like(eye))
    for i, element in enumerate(chain):
        value, own = element_enclosure(element, *value)
        jacobian = own if i == 0 else product(own, jacobian)
    return value, jacobian


def element_enclosure(element: Element, centre: Tensor, radius: Tensor) -> tuple[Interval, Interval]:
    """Values and Jacobians of one element over boxes.

    Args:
        element: that is taken apart.
        centre: of each box.
        radius: of each box.
    """
    if isinstance(element, Affine):
        w = element.weight
        size = (centre.abs() + radius) @ w.abs().T + element.bias.abs()
        value = (element(centre), radius @ w.abs().T + _SLACK * size)
        wide = w.expand(len(centre), -1, -1)
        return value, (wide, torch.zeros_like(wide))
    if isinstance(element, Diagonal):
        size = (centre.abs() + radius) * element.factor.abs() + element.bias.abs()
        value = (element(centre), radius * element.factor.abs() + _SLACK * size)
        wide = torch.diag_embed(element.factor.expand_as(centre))
        return value, (wide, torch.zeros_like(wide))
    if isinstance(element, Pointwise):
        return _pointwise(element, centre, radius)
    if isinstance(element, Residual):
        return _residual(element, centre, radius)
    raise InputError(f"{element.name} has no enclosure", given=element.why)


def _pointwise(element: Pointwise, centre: Tensor, radius: Tensor) -> tuple[Interval, Interval]:
    low, high = centre - radius, centre + radius
    value = _from_ends(*element.activation.range(low, high))
    slope = _from_ends(*element.activation.slopes(low, high))
    return value, (torch.diag_embed(slope[0]), torch.diag_embed(slope[1]))


def _from_ends(low: Tensor, high: Tensor) -> Interval:
    centre = (low + high) / 2
    return centre, (high - low) / 2 + _SLACK * torch.maximum(low.abs(), high.abs())


def _residual(element: Residual, centre: Tensor, radius: Tensor) -> tuple[Interval, Interval]:
    """Values by the sum of both and by the mean value theorem, whichever is narrower."""
    skip, branch = enclose(element.skip, centre, radius), enclose(element.branch, centre, radius)
    jacobian = total(skip[1], branch[1])
    by_sum = total(skip[0], branch[0])
    middle = element(centre)
    wide = (jacobian[0].abs() + jacobian[1]) @ radius[..., None]
    by_mean = (middle, wide[..., 0] * (1 + _SLACK) + _SLACK * (by_sum[0].abs() + by_sum[1]))
    return _meet(by_sum, by_mean), jacobian


def _meet(a: Interval, b: Interval) -> Interval:
    """The intersection of two enclosures of the same thing."""
    low = torch.maximum(a[0] - a[1], b[0] - b[1])
    high = torch.minimum(a[0] + a[1], b[0] + b[1])
    return _from_ends(torch.minimum(low, high), torch.maximum(low, high))


def product(a: Interval, b: Interval) -> Interval:
    """Of matrices: |A| rad(B) + rad(A) (|B| + rad(B)) is the radius of A B.

    Args:
        a: centres and radii (boxes, o, m).
        b: centres and radii (boxes, m, i).
    """
    whole = b[0].abs() + b[1]
    radius = a[0].abs() @ b[1] + a[1] @ whole
    return a[0] @ b[0], radius * (1 + _SLACK) + _SLACK * ((a[0].abs() + a[1]) @ whole)


def total(a: Interval, b: Interval) -> Interval:
    """Of sums.

    Args:
        a: centres and radii.
        b: centres and radii.
    """
    return a[0] + b[0], (a[1] + b[1]) + _SLACK * (a[0].abs() + b[0].abs() + a[1] + b[1])
