"""An expert that knows the road: pure pursuit of a point ahead."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.requirements import require_positive, require_whole
from deepwright.corruptions.driving.simulators import Telemetry


@runtime_checkable
class Guided(Protocol):
    """A simulator that can tell an expert where its road goes.

    Attributes:
        wheelbase: metres between the axles.
    """

    wheelbase: float

    def telemetry(self) -> Telemetry:
        """Of the moment of the last picture."""
        ...

    def ahead(self, points: int) -> Float[Tensor, "n 2"]:
        """Metres forward and to the left of the centre line's point so many points ahead."""
        ...


class PurePursuit:
    """Steers along the circle through a point of the centre line ahead: delta = atan(2 L sin(a) / max(d, 3)).

    d is the distance to that point, a its angle from the heading, L the wheelbase. It looks at its simulator, and at no
    picture.

    Args:
        sim: in which it drives; RoadSim or CarRacing.
        points: how far ahead it looks, in points of the road.
        speed: that it holds by the throttle; None leaves the throttle at 0.

    Source: R. C. Coulter, "Implementation of the pure pursuit path tracking algorithm", 1992.
    """

    def __init__(self, sim: Guided, points: int = 9, speed: float | None = None) -> None:
        require_whole(1, points=points)
        if speed is not None:
            require_positive(speed=speed)
        self.sim, self.points, self.speed = sim, points, speed

    def __call__(self, pictures: Tensor | None = None) -> Float[Tensor, "n 2"]:
        """Actions of this moment, in float32.

        Args:
            pictures: not looked at.
        """
        forward, left = self.sim.ahead(self.points).unbind(1)
        distance = torch.hypot(forward, left)
        angle = torch.atan2(left, forward)
        steering = torch.atan(2 * self.sim.wheelbase * angle.sin() / distance.clamp_min(3.0))
        throttle = torch.zeros_like(steering)
        if self.speed is not None:
            throttle = (self.speed - self.sim.telemetry().speed).div(self.speed).clamp(-1, 1)
        return torch.stack([steering, throttle], 1).float()
