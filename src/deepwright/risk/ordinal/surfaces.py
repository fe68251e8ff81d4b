"""How far the surfaces of predicted and true regions lie apart, and where a map contradicts its order."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.tasks import ClassOrder
from deepwright.data.imaging import distance_to
from deepwright.risk.ordinal.decoding import require_probabilities
from deepwright.risk.ordinal.measures import counted_labels
from deepwright.risk.ordinal.terms import require_classes


def surface_distances(
    called: Tensor,
    target: Tensor,
    order: ClassOrder,
    *,
    spacing: Sequence[float] | None = None,
    valid: Tensor | None = None,
) -> dict[str, Tensor]:
    """Of each class's region (itself and all inside it) the 95 % Hausdorff and the average symmetric surface distance.

    A surface is the positions of a region with a face towards what isn't. The distances of both surfaces to each other
    are pooled within a picture, and averaged over pictures in which both have a surface.

    Args:
        called: (N, *positions) labels.
        target: (N, *positions) labels.
        order: of the classes.
        spacing: of neighbours along each axis; 1 by default.
        valid: (N, *positions) which positions count; the others take the label of the nearest that does, in both maps.
            None for all.

    Returns:
        "hd95" and "assd", each (K,): NaN for the outermost class and where there is no such picture.
    """
    called, target = (counted_labels(maps, order, valid) for maps in (called, target))
    if called.shape != target.shape:
        given = f"{tuple(called.shape)} and {tuple(target.shape)}"
        raise InputError("label maps", given=given, expected="one shape for both")
    found = torch.full((2, order.classes), torch.nan, dtype=torch.float64, device=called.device)
    for k, parent in enumerate(order.parents):
        if parent >= 0:
            inside = order.inside[:, k].to(called.device)
            found[:, k] = _distances(inside[called], inside[target], spacing)
    return {"hd95": found[0], "assd": found[1]}


def _distances(a: Tensor, b: Tensor, spacing: Sequence[float] | None) -> Tensor:
    surfaces = _surface(a), _surface(b)
    both = surfaces[0].flatten(1).any(1) & surfaces[1].flatten(1).any(1)
    values = []
    for one, other in zip(surfaces[0][both], surfaces[1][both]):
        to_one, to_other = (distance_to(s, s.ndim, spacing=spacing) for s in (one, other))
        pooled = torch.cat([to_other[one], to_one[other]]).double()
        values.append(torch.stack([pooled.quantile(0.95), pooled.mean()]))
    return torch.stack(values).mean(0) if values else torch.full((2,), torch.nan, dtype=torch.float64, device=a.device)


def _surface(mask: Tensor) -> Tensor:
    edge = torch.zeros_like(mask)
    for axis in range(1, mask.ndim):
        length = mask.shape[axis] - 1
        differs = mask.narrow(axis, 0, length) != mask.narrow(axis, 1, length)
        edge.narrow(axis, 0, length).logical_or_(differs)
        edge.narrow(axis, 1, length).logical_or_(differs)
    return edge & mask


def ordinal_inconsistency(p: Tensor, order: ClassOrder) -> Tensor:
    """(N, *positions): the mean over a position's neighbours of P . A P', A the levels between classes beyond one.

    A heat map of where the answers contradict the order; 0 where no neighbours may be of classes too far apart.

    Args:
        p: (N, K, *positions) probabilities.
        order: of the classes.

    Raises:
        InputError: numbers that aren't probabilities, NaN among them, or of other classes than the order's.
    """
    require_probabilities(p)
    require_classes(order, p)
    table = (order.distance - 1).clamp_min(0).to(p)
    total = torch.zeros_like(p)
    count = torch.zeros_like(p[:, 0])
    for axis in range(2, p.ndim):
        length = p.shape[axis] - 1
        total.narrow(axis, 0, length).add_(p.narrow(axis, 1, length))
        total.narrow(axis, 1, length).add_(p.narrow(axis, 0, length))
        count.narrow(axis - 1, 0, length).add_(1)
        count.narrow(axis - 1, 1, length).add_(1)
    energy = (p * torch.einsum("kj,nj...->nk...", table, total)).sum(1)
    return F.relu(energy / count.clamp_min(1))
