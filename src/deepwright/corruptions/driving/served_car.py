"""RoadSim in the place of a Unity simulator: one car whose telemetry and controls have that protocol's words."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import torch

from deepwright.core.errors import InputError
from deepwright.corruptions.driving.camera_files import coded_picture, number_in
from deepwright.corruptions.driving.road_tiles import tiles_of
from deepwright.corruptions.driving.roads import Road
from deepwright.corruptions.driving.roadsim import RoadSim

_REMEMBERED = 1000  # of the last controls


class ServedCar:
    """One car of RoadSim, told what to do in the words of messages.

    Args:
        sim: with one car.
        road: on which it begins.
        seed: of the world's looks.
        max_steering: radians at a steering of 1.

    Attributes:
        controls: the last thousand (steering, throttle) that it was told.
        steps: how many it has driven in all.
    """

    def __init__(self, sim: RoadSim, road: Road, seed: int, max_steering: float) -> None:
        if sim.n != 1:
            raise InputError("sim", given=f"{sim.n} cars", expected="a RoadSim with one")
        self.sim, self.seed, self.max_steering = sim, seed, max_steering
        self.road = road
        self.controls: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED)
        self.steps = 0
        self.reset()

    def reset(self) -> None:
        """Put it at the start of its road."""
        self.picture = self.sim.reset([self.road], [self.seed])[0]

    def new_road(self, text: Any) -> None:
        """Drive on another road.

        Args:
            text: as `Road.parse` reads it; what isn't one changes nothing.
        """
        try:
            road = Road.parse(str(text), self.road.width)
            tiles_of(road)  # refuses one that is too large
        except InputError:
            return
        self.road = road
        self.reset()

    def act(self, message: dict[str, Any]) -> None:
        """Drive for one step.

        Args:
            message: with steering (to the right where positive), throttle and brake, as numbers or as text.
        """
        name = "steering" if "steering" in message else "steering_angle"
        steering, throttle = number_in(message, name, 0.0), number_in(message, "throttle", 0.0)
        throttle -= number_in(message, "brake", 0.0)
        if not (math.isfinite(steering) and math.isfinite(throttle)):
            return
        self.controls.append((steering, throttle))
        self.steps += 1
        share, gas = (min(max(value, -1.0), 1.0) for value in (steering, throttle))
        action = torch.tensor([[-share * self.max_steering, gas]], device=self.sim.device)
        self.picture = self.sim.step(action)[0][0]

    def telemetry(self) -> dict[str, Any]:
        """What the simulator would say now."""
        seen = self.sim.telemetry()
        x, y = seen.position[0].tolist()
        yaw = math.degrees(math.pi / 2 - float(seen.heading)) % 360
        return {
            "image": coded_picture(self.picture),
            "cte": float(seen.xte),
            "pos_x": x,
            "pos_y": 0.0,
            "pos_z": y,
            "speed": float(seen.speed),
            "yaw": yaw,
            "hit": "none",
            "done": bool(seen.finished),
            "time": self.sim.dt * self.steps,
        }
