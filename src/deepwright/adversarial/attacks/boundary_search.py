"""What decision-based attacks share: a start that fools, and the walk from it to the boundary, by answers alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from deepwright.adversarial.projections import column, norms
from deepwright.adversarial.victim import Batch, Victim
from deepwright.core.errors import InputError
from deepwright.core.randomness import Streams

AT_ONCE = 256
"""Inputs a forward pass, where there are fewer samples."""


class Answers:
    """Which points fool, asked in batches; nothing but the network's decisions is used.

    Args:
        victim: the network.
        batch: the samples.
    """

    def __init__(self, victim: Victim, batch: Batch) -> None:
        self.victim, self.y, self.n = victim, batch.y, len(batch.x)

    def __call__(self, points: Float[Tensor, "k ..."], rows: Int64[Tensor, " k"]) -> Bool[Tensor, " k"]:
        """One answer a point.

        Args:
            points: inputs in the working precision.
            rows: which samples they belong to; a sample may come several times.
        """
        size = max(AT_ONCE, self.n)
        parts = [self._ask(points[i : i + size], rows[i : i + size]) for i in range(0, len(points), size)]
        return torch.cat(parts)

    def _ask(self, points: Tensor, rows: Tensor) -> Tensor:
        return self.victim.succeeded(self.victim.out(points, rows), self.y[rows])


Starting = Callable[[Tensor, Any], Tensor]


def starts(
    answers: Answers,
    batch: Batch,
    name: str,
    seed: int,
    bounds: tuple[float, float],
    tries: int,
    given: Starting | None,
) -> tuple[Tensor, Tensor]:
    """(points, (N,) whether they fool): x itself where it does, what is given, else uniform noise in the box.

    Args:
        answers: of the network.
        batch: the samples.
        name: of the attack, for its streams.
        seed: of the streams.
        bounds: of every coordinate; where there are none, noise is drawn from twice the range of each sample.
        tries: most draws.
        given: the user's, or None.

    Raises:
        InputError: given points of another shape, or outside of the box.
    """
    x, rows = batch.x, batch.rows
    points = x.clone()
    found = answers(x, rows)
    for t in range(tries if given is None else 1):
        left = (~found).nonzero().flatten()
        if len(left) == 0:
            break
        if given is None:
            streams = Streams(seed, batch.ids[left.cpu()], f"{name}-start", t, x.device)
            drawn = within(streams.uniform(*x.shape[1:]).to(x.dtype), x[left], bounds)
        else:
            drawn = _taken(given(x[left], batch.y[left]), x[left], bounds)
        if batch.mask is not None:
            drawn = torch.where(batch.mask[left].expand_as(drawn) > 0, drawn, x[left])
        fools = answers(drawn, left)
        points[left] = torch.where(column(fools, x), drawn, points[left])
        found[left] = fools
    return points, found


def _taken(drawn: Any, x: Tensor, bounds: tuple[float, float]) -> Tensor:
    if not isinstance(drawn, Tensor) or drawn.shape != x.shape:
        given = tuple(drawn.shape) if isinstance(drawn, Tensor) else type(drawn).__name__
        raise InputError("starting", given=given, expected=f"inputs of shape {tuple(x.shape)}")
    if not bool(((drawn >= bounds[0]) & (drawn <= bounds[1])).all()):
        raise InputError("starting", given="inputs outside of the box, or NaN", expected=f"within {bounds}")
    return drawn.to(x)


def within(u: Float[Tensor, "n ..."], x: Float[Tensor, "n ..."], bounds: tuple[float, float]) -> Tensor:
    """Numbers in [0, 1] as coordinates of the box, or of one about each sample where there is none.

    Args:
        u: in [0, 1].
        x: the samples.
        bounds: the box.
    """
    low, high = _span(x, bounds)
    return low + u * (high - low)


def _span(x: Tensor, bounds: tuple[float, float]) -> tuple[Any, Any]:
    if bounds[0] > -torch.inf and bounds[1] < torch.inf:
        return bounds
    flat = x.flatten(1)
    low, high = flat.amin(1), flat.amax(1)
    middle, half = (low + high) / 2, (high - low).clamp_min(1.0)
    low, high = (middle - half).clamp_min(bounds[0]), (middle + half).clamp_max(bounds[1])
    return column(low, x), column(high, x)


def towards_x(points: Tensor, x: Tensor, share: Float[Tensor, " k"], norm: str) -> Tensor:
    """Points nearer to x: a share of the way in L2, in L-inf clipped to that share of their distance.

    Args:
        points: where they are.
        x: the clean inputs.
        share: 1 stays, 0 is x.
        norm: "linf" or "l2".
    """
    whole = column(share == 1, x)  # x + (p - x) needn't be p to the last bit
    if norm == "l2":
        return torch.where(whole, points, x + (points - x) * column(share, x))
    reach = column(share * norms(points - x, "linf"), x)
    nearer = x + torch.maximum(torch.minimum(points - x, reach), -reach)
    return torch.where(whole, points, nearer)


def to_boundary(
    answers: Answers, points: Tensor, x: Tensor, rows: Tensor, norm: str, tolerance: Float[Tensor, " k"]
) -> Tensor:
    """Points that fool as near to x on their way there as bisection finds, to a tolerance of the way.

    Args:
        answers: of the network.
        points: that fool.
        x: clean inputs of these samples.
        rows: which samples they are.
        norm: "linf" or "l2".
        tolerance: of the share of the way, each.
    """
    low, high = torch.zeros_like(tolerance), torch.ones_like(tolerance)
    while True:
        half = (low + high) / 2  # the numbers may be coarser than the tolerance
        active = ((high - low > tolerance) & (half > low) & (half < high)).nonzero().flatten()
        if len(active) == 0:
            return towards_x(points, x, high, norm)
        middle = half[active]
        fools = answers(towards_x(points[active], x[active], middle, norm), rows[active])
        high[active] = torch.where(fools, middle, high[active])
        low[active] = torch.where(fools, low[active], middle)
