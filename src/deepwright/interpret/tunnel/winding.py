"""How often a gradient turns around along a loop in the plane: the sum of the indices of the zeros inside."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.interpret.tunnel.domains import Ball, Domain
from deepwright.interpret.tunnel.maps import ScalarMap, as_map

MOST = 2**16  # points of a loop
_TURN = math.pi / 4


def winding_number(
    fn: nn.Module | ScalarMap | Callable[[Tensor], Tensor],
    center: Tensor | Sequence[float] | None = None,
    radius: float | None = None,
    *,
    domain: Domain | None = None,
    points: int = 512,
) -> int:
    """The winding number of grad Phi along a circle, or along the boundary of a domain.

    It is the sum of (-1)^index over the critical points inside, if they are non-degenerate: +1 for an extremum, -1 for
    a saddle. The loop is halved wherever the gradient turns by pi/4 or more; a loop of fixed resolution gives wrong
    numbers. 0 doesn't mean that there is none: a minimum and a saddle cancel.

    Args:
        fn: a network with two inputs and one output, a map, or a function (batch, 2) -> (batch,).
        center: of the circle.
        radius: of the circle.
        domain: in place of a circle.
        points: to begin with; at least 8.

    Raises:
        InputError: neither circle nor domain, not in the plane, or fewer points.
        ArithmeticError: the gradient vanishes on the loop, or a turn can't be resolved in 2^16 points.
    """
    if (domain is None) == (center is None or radius is None):
        raise InputError("loop", given="neither or both", expected="center and radius, or a domain")
    require_whole(8, points=points)
    loop = domain if domain is not None else Ball([] if center is None else center, radius or 0.0)
    if loop.dimension != 2:
        raise InputError("loop", given=f"{loop.dimension} dimensions", expected="2")
    return winding(as_map(fn, 2), loop, points)[0]


def winding(fn: ScalarMap, loop: Domain, points: int = 512) -> tuple[int, float]:
    """The winding number and the least length of a gradient along the loop.

    Args:
        fn: in the plane.
        loop: whose boundary is followed.
        points: to begin with.

    Raises:
        ArithmeticError: see `winding_number`.
    """
    share = torch.arange(points, dtype=torch.float64, device=fn.device) / points
    direction, least = _read(fn, loop, share)
    while True:
        turns = _turns(direction)
        wide = turns.abs() >= _TURN
        if not bool(wide.any()):
            return round(float(turns.sum()) / (2 * math.pi)), least
        if len(share) + int(wide.sum()) > MOST:
            raise ArithmeticError(f"the gradient turns by more than pi/4 between {len(share)} points of the loop")
        after = torch.cat((share[1:], share[:1] + 1))
        middle = (share + after)[wide] / 2 % 1.0
        new, smallest = _read(fn, loop, middle)
        share, order = torch.cat((share, middle)).sort()
        if bool((share[1:] == share[:-1]).any()):
            raise ArithmeticError("the gradient turns by more than pi/4 between neighbouring numbers")
        direction, least = torch.cat((direction, new))[order], min(least, smallest)


def _read(fn: ScalarMap, loop: Domain, share: Float[Tensor, " batch"]) -> tuple[Tensor, float]:
    with torch.no_grad():
        x = loop.loop(share)
        direction, length = fn.direction(x), fn.gradient(x).norm(dim=1)
    if not bool((direction.norm(dim=1) > 0.5).all()) or not bool(torch.isfinite(direction).all()):
        raise ArithmeticError("the gradient vanishes on the loop, or is no number")
    return direction, float(length.min())


def _turns(direction: Float[Tensor, "batch two"]) -> Float[Tensor, " batch"]:
    after = direction.roll(-1, 0)
    cross = direction[:, 0] * after[:, 1] - direction[:, 1] * after[:, 0]
    return torch.atan2(cross, (direction * after).sum(1))
