"""Where vehicles are along their roads: exact distances to centre lines, for a batch at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from deepwright.corruptions.driving.roads import Road

_BACK, _AHEAD = 5, 15  # points around the last place in which the next one is looked for
_END = 0.95  # share of the last segment that counts as its end


@dataclass(frozen=True)
class Place:
    """Where vehicles are on their roads.

    Attributes:
        xte: signed distance to the centre line, in metres, positive to its left; at its end to its last segment's line.
        segment: the nearest one within the window.
        arc: metres along the centre line to the nearest point.
        direction: of that segment, in radians.
        finished: whether the end is reached: the nearest segment is the last, with at most 5 % of it to go.
    """

    xte: Float[Tensor, " n"]
    segment: Int64[Tensor, " n"]
    arc: Float[Tensor, " n"]
    direction: Float[Tensor, " n"]
    finished: Tensor


class Centrelines:
    """The centre lines of a batch of roads, in float64.

    Args:
        roads: one a vehicle.
        device: where vehicles are.
    """

    def __init__(self, roads: Sequence[Road], device: torch.device) -> None:
        longest = max(len(road.points) for road in roads)
        points = torch.zeros(len(roads), longest, 2, dtype=torch.float64)
        arc = torch.zeros(len(roads), longest, dtype=torch.float64)
        for i, road in enumerate(roads):
            n = len(road.points)
            points[i, :n], points[i, n:] = torch.tensor(road.points), torch.tensor(road.points[-1])
            arc[i, :n], arc[i, n:] = torch.tensor(road.arc), road.length
        steps = points.diff(dim=1)
        self.last = torch.tensor([len(road.points) - 2 for road in roads], device=device)
        self.points, self.arc, self.steps = points.to(device), arc.to(device), steps.to(device)
        self.squared = steps.square().sum(2).to(device)
        self.directions = torch.atan2(steps[..., 1], steps[..., 0]).to(device)
        self._window = torch.arange(-_BACK, _AHEAD + 1, device=device)
        self._rows = torch.arange(len(roads), device=device)[:, None]

    def locate(self, position: Float[Tensor, "n 2"], segment: Int64[Tensor, " n"]) -> Place:
        """The nearest point of each centre line, looked for from 5 points behind the last one to 15 ahead.

        The window keeps a vehicle on its own branch where a road comes near itself.

        Args:
            position: of the vehicles.
            segment: where they were.
        """
        near = torch.minimum((segment[:, None] + self._window).clamp_min(0), self.last[:, None])
        a, step, squared = self.points[self._rows, near], self.steps[self._rows, near], self.squared[self._rows, near]
        offset = position[:, None] - a
        share = ((offset * step).sum(2) / squared).clamp(0, 1)
        gap = offset - share[..., None] * step
        best = gap.square().sum(2).argmin(1, keepdim=True)
        found = near.gather(1, best)[:, 0]
        at = share.gather(1, best)[:, 0]
        offset, gap, step = (v.gather(1, best[..., None].expand(-1, -1, 2))[:, 0] for v in (offset, gap, step))
        length = squared.gather(1, best)[:, 0].sqrt()
        across = (step[:, 0] * offset[:, 1] - step[:, 1] * offset[:, 0]) / length
        finished = (found == self.last) & (at >= _END)
        distance = torch.where(across >= 0, 1.0, -1.0).double() * gap.norm(dim=1)
        rows = self._rows[:, 0]
        return Place(
            xte=torch.where(finished, across, distance),  # who drove past the end isn't beside the road for that
            segment=found,
            arc=self.arc[rows, found] + at * length,
            direction=self.directions[rows, found],
            finished=finished,
        )

    def ahead(
        self, position: Float[Tensor, "n 2"], heading: Float[Tensor, " n"], segment: Int64[Tensor, " n"], count: int
    ) -> Float[Tensor, "n 2"]:
        """The centre line's point so many points ahead (its last one at the end): metres forward, metres to the left.

        Args:
            position: of the vehicles.
            heading: radians.
            segment: where they are.
            count: points.
        """
        offset = self.points[self._rows[:, 0], torch.minimum(segment + count, self.last + 1)] - position
        cosine, sine = heading.cos(), heading.sin()
        return torch.stack(
            [cosine * offset[:, 0] + sine * offset[:, 1], cosine * offset[:, 1] - sine * offset[:, 0]], 1
        )
