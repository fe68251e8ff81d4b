"""The tunnel: inputs from an enclosed class to the edge of the domain, all of which the network gives its label."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.devices import back_to
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.interpret.tunnel.domains import Domain
from deepwright.interpret.tunnel.maps import ScalarMap, as_map

_SHARE, _HALVINGS = 1 / 400, 14
_LOOKED_BACK, _LEAST = 64, 0.25  # of a full step: a way that moved less in so many steps has come to rest


@dataclass(frozen=True)
class TunnelPath:
    """A way along the gradient.

    Attributes:
        points: (T, n) inputs.
        values: (T,) of the map.
        reached_boundary: whether it ends at the edge of the domain.
        monotone: whether each step could be made so that the value goes the right way; not where the way came to rest.
    """

    points: Tensor
    values: Tensor
    reached_boundary: bool
    monotone: bool


def tunnel_path(
    fn: nn.Module | ScalarMap | Callable[[Tensor], Tensor],
    start: Float[Tensor, " n"],
    domain: Domain,
    direction: int = 1,
    *,
    max_steps: int = 4000,
) -> TunnelPath:
    """Follows the gradient of a scalar map to the edge of a domain.

    Without a critical point in the domain the way reaches the edge with the map's value ever rising (falling): every
    input on it is given the label that the first one has. Midpoint steps of diameter / 400, halved where a step would
    go the wrong way.

    Args:
        fn: a network with one output, a map, or a function (batch, n) -> (batch,).
        start: an input inside the domain.
        domain: in the units of the input.
        direction: +1 to rise, -1 to fall.
        max_steps: at most so many.

    Raises:
        InputError: a start outside the domain, another direction.
    """
    paths = tunnel_paths(as_map(fn, domain.dimension), start[None], domain, torch.tensor([direction]), max_steps)
    return paths[0]


def tunnel_paths(
    fn: ScalarMap, starts: Float[Tensor, "batch n"], domain: Domain, directions: Tensor, max_steps: int = 4000
) -> list[TunnelPath]:
    """Many ways at once.

    Args:
        fn: a map.
        starts: inputs inside the domain.
        domain: in their units.
        directions: +1 or -1 for each.
        max_steps: at most so many.

    Raises:
        InputError: a start outside the domain, another direction.
    """
    require_whole(1, max_steps=max_steps)
    x = starts.detach().to(fn.device, torch.float64).clone()
    sign = directions.to(x)
    if not bool((sign.abs() == 1).all()):
        raise InputError("direction", given=directions.tolist(), expected="+1 or -1")
    if not bool(domain.contains(x, 1e-9 * domain.diameter).all()):
        raise InputError("start", given="a point outside the domain", expected="one inside")
    step = torch.full_like(sign, _SHARE * domain.diameter)
    running, reached = torch.ones_like(sign, dtype=torch.bool), torch.zeros_like(sign, dtype=torch.bool)
    monotone = torch.ones_like(reached)
    with torch.no_grad():
        value = fn(x)
        history, values, moves = [x.clone()], [value.clone()], [running.clone()]
        for _ in range(max_steps):
            rows = running.nonzero()[:, 0]
            if not len(rows):
                break
            new, level, out, good = _step(fn, domain, x[rows], value[rows], sign[rows], step[rows])
            x[rows], value[rows] = new, level
            reached[rows] = out
            monotone[rows] &= good
            running[rows] = good & ~out
            history.append(x.clone())
            values.append(value.clone())
            moved = torch.zeros_like(running)
            moved[rows] = good
            moves.append(moved)
            if len(history) % _LOOKED_BACK == 0:
                rests = running & ((x - history[-_LOOKED_BACK]).norm(dim=1) < _LEAST * step)
                running, monotone = running & ~rests, monotone & ~rests
    track, levels, moved = torch.stack(history, 1), torch.stack(values, 1), torch.stack(moves, 1)
    ends, flags = reached.tolist(), monotone.tolist()
    return [
        TunnelPath(back_to(track[i][moved[i]], starts), back_to(levels[i][moved[i]], starts), ends[i], flags[i])
        for i in range(len(x))
    ]


def _step(
    fn: ScalarMap, domain: Domain, x: Tensor, value: Tensor, sign: Tensor, size: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A midpoint step of each way, halved until its value doesn't go the wrong way."""
    first = fn.direction(x)
    size = size.clone()
    good = torch.zeros_like(sign, dtype=torch.bool)
    out, to, level = good.clone(), x.clone(), value.clone()
    for _ in range(_HALVINGS):
        rows = (~good).nonzero()[:, 0]
        if not len(rows):
            break
        h = (size[rows] * sign[rows])[:, None]
        middle = fn.direction(x[rows] + h / 2 * first[rows])
        move = h * middle
        share = domain.exit_share(x[rows], move)
        leaves = share <= 1
        at = x[rows] + move * torch.where(leaves, share, torch.ones_like(share))[:, None]
        new = fn(at)
        # as far as numbers tell: a saturated map has the same value for a while
        fine = ((new - value[rows]) * sign[rows] >= -1e-14 * value[rows].abs()) & (move.norm(dim=1) > 0)
        kept = rows[fine]
        to[kept], level[kept], out[kept], good[kept] = at[fine], new[fine], leaves[fine], True
        size[rows[~fine]] /= 2
    return to, level, out, good
