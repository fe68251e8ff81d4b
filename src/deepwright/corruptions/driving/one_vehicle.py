"""What simulators of one vehicle in another process share: the numbers of a message as telemetry, along a road."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.corruptions.driving.camera_files import decoded_picture, number_in
from deepwright.corruptions.driving.centrelines import Centrelines
from deepwright.corruptions.driving.roads import Road
from deepwright.corruptions.driving.simulators import InfrastructureError, Telemetry

NAN = float("nan")


class Follower:
    """One vehicle on a road, or on a map that only its simulator knows.

    Args:
        road: None where the simulator has its own.
    """

    def __init__(self, road: Road | None) -> None:
        self._lines = None if road is None else Centrelines([road], torch.device("cpu"))
        self._segment = torch.zeros(1, dtype=torch.long)

    def seen(self, message: Any) -> tuple[Float[Tensor, "1 3 h w"], Telemetry]:
        """The picture and the numbers of a Unity simulator's message.

        Its ground plane is x and z, its y is up, and its yaw turns from z to x, in degrees.

        Args:
            message: with image, cte, pos_x, pos_z, yaw, speed and hit; of these, numbers may be missing that aren't
                needed.

        Raises:
            InfrastructureError: no object, no picture, no place on a known road, no cross-track error.
        """
        if not isinstance(message, dict):
            raise InfrastructureError(f"telemetry that is no object: {message!r:.80}")
        picture = decoded_picture(message.get("image"))
        position = number_in(message, "pos_x"), number_in(message, "pos_z")
        hit = message.get("hit")
        found = self.telemetry(
            position,
            heading=math.pi / 2 - math.radians(number_in(message, "yaw")),
            speed=number_in(message, "speed"),
            xte=number_in(message, "cte"),
            stopped=isinstance(hit, str) and hit.lower() not in ("", "none"),
        )
        if self._lines is not None and not all(map(math.isfinite, position)):
            raise InfrastructureError("telemetry without a place (pos_x, pos_z), so that no end of the road is known")
        if not bool(found.xte.isfinite()):
            raise InfrastructureError("telemetry without a cross-track error (cte), by which a lane is left")
        return picture[None], found

    def telemetry(
        self,
        position: tuple[float, float],
        *,
        heading: float = NAN,
        speed: float = NAN,
        xte: float = NAN,
        heading_error: float = NAN,
        stopped: bool = False,
    ) -> Telemetry:
        """What a simulator said, and what follows from it on a known road.

        Args:
            position: metres.
            heading: radians from the x axis.
            speed: metres a second.
            xte: as the simulator measures it; computed on a known road where it doesn't.
            heading_error: as the simulator measures it; computed on a known road.
            stopped: whether the simulator ended the episode.
        """
        at = torch.tensor([position], dtype=torch.float64)
        arc, error, finished = NAN, heading_error, False
        if self._lines is not None and all(map(math.isfinite, position)):
            place = self._lines.locate(at, self._segment)
            self._segment = place.segment
            arc, finished = float(place.arc), bool(place.finished)
            error = math.remainder(heading - float(place.direction), math.tau) if math.isfinite(heading) else error
            xte = xte if math.isfinite(xte) else float(place.xte)
        number = [torch.tensor([v], dtype=torch.float64) for v in (heading, speed, xte, error, arc)]
        flag = [torch.tensor([v]) for v in (finished, stopped and not finished)]
        return Telemetry(at, *number, *flag)
