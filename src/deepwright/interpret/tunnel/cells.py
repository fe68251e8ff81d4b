"""The proof by cells: a box is cut until on every cell the gradient points to one side of a plane."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from deepwright.interpret.tunnel.domains import Ball, Domain
from deepwright.interpret.tunnel.intervals import enclose
from deepwright.interpret.tunnel.layers import Chain, device_of_chain
from deepwright.interpret.tunnel.norms import curvature

MOST = 2**18
MOST_FEATURES = 3
_BATCH = 8192
_FINEST = 2.0**-40  # of the domain's extent: below it cells aren't cut


@dataclass(frozen=True)
class Cells:
    """What the cells came to.

    Attributes:
        absent: whether no cell has a critical point: a proof.
        looked_at: cells.
        resisting: centres of cells of which nothing was shown (at most 512 of them).
        least: a bound from below of the gradient's length on the domain, where `absent`.
    """

    absent: bool
    looked_at: int
    resisting: Tensor
    least: float


def cell_certificate(chain: Chain, domain: Domain, budget: int = MOST) -> Cells:
    """Proves that there is no critical point in a domain of at most three dimensions, where it can.

    On a cell with centre c let u be the gradient's direction at c. If u . grad Phi > 0 for every gradient in the
    enclosure of the cell, or |grad Phi(c)| > L2 r with a bound L2 of the second derivatives, the cell has none.

    Args:
        chain: of one output, without unknown elements.
        domain: in the units of the input; of a ball, cells that lie outside don't count.
        budget: cells that are looked at.
    """
    device = device_of_chain(chain)
    low, high = (end.to(device) for end in domain.box().ends)
    centre, radius = ((low + high) / 2)[None], ((high - low) / 2)[None]
    whole = radius[0].clone()
    second = curvature(chain)[1]
    looked_at, least = 0, float("inf")
    while len(centre):
        if looked_at + len(centre) > budget or bool((radius < _FINEST * whole).all()):
            return Cells(False, looked_at, centre[:512], 0.0)
        looked_at += len(centre)
        bound = torch.cat([_bound(chain, *part, second) for part in zip(centre.split(_BATCH), radius.split(_BATCH))])
        outside = _outside(domain, centre, radius)
        clear = bound > 0
        if bool((clear & ~outside).any()):
            least = min(least, float(bound[clear & ~outside].min()))
        open_cells = ~(clear | outside)
        centre, radius = _cut(centre[open_cells], radius[open_cells])
    return Cells(True, looked_at, centre, least)


def _bound(chain: Chain, centre: Tensor, radius: Tensor, second: float) -> Tensor:
    """A bound from below of the gradient's length on each cell; not above 0 where nothing is shown."""
    exact = enclose(chain, centre, torch.zeros_like(radius))[1]
    gradient, spread = exact[0][:, 0], exact[1][:, 0]
    length = gradient.norm(dim=1)
    u = gradient / length.clamp_min(1e-300)[:, None]
    around, wide = (part[:, 0] for part in enclose(chain, centre, radius)[1])
    by_enclosure = (u * around).sum(1) - (u.abs() * wide).sum(1)
    by_curvature = length - spread.norm(dim=1) - second * radius.norm(dim=1) * (1 + 1e-6)
    best = torch.maximum(by_enclosure, by_curvature.nan_to_num(-1.0))
    return torch.where(length > 0, best, torch.full_like(best, -1.0))


def _outside(domain: Domain, centre: Tensor, radius: Tensor) -> Tensor:
    if not isinstance(domain, Ball):
        return torch.zeros(len(centre), dtype=torch.bool, device=centre.device)
    nearest = ((centre - domain.centre.to(centre)).abs() - radius).clamp_min(0)
    return nearest.norm(dim=1) > domain.radius


def _cut(centre: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    """Each cell in two, along its longest side."""
    side = radius.argmax(1, keepdim=True)
    half = radius.scatter(1, side, radius.gather(1, side) / 2)
    step = torch.zeros_like(radius).scatter(1, side, half.gather(1, side))
    return torch.cat((centre - step, centre + step)), torch.cat((half, half))
