"""RoadSim: a batched, deterministic simulator of cars on roads, with a camera; it needs nothing but torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.devices import resolve
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_number, require_positive, require_whole
from deepwright.corruptions.driving.cameras import Camera, Scenery
from deepwright.corruptions.driving.centrelines import Centrelines, Place
from deepwright.corruptions.driving.roads import Road
from deepwright.corruptions.driving.simulators import Capabilities, Telemetry, require_actions, require_starts

WHEELBASE, MAX_STEERING = 2.5, 0.5
_PULL, _DRAG = 3.0, 0.1  # dv/dt = 3 throttle - 0.1 v


class RoadSim:
    """Cars side by side, each on a road of its own.

    A car is a kinematic bicycle of wheelbase 2.5 m, stepped by Euler's rule: x' = v cos h, y' = v sin h,
    h' = v / 2.5 tan(steering), |steering| <= 0.5. Poses are float64, pictures float32. The same road, seed and actions
    give the same numbers in any batch.

    Args:
        n: cars.
        size: (height, width) of pictures.
        rgb: pictures in colour, with palette, light and roadside of each seed; else grey.
        device: where cars and pictures are; the CPU by default.
        dt: seconds of a step.
        speed: metres a second, kept by itself; None leaves it to the throttle, from standing.
        lag: seconds in which the wheels follow the steering (first order); 0 is at once.
        camera: another camera; `size` and `rgb` are then its own.

    Example:
        >>> import torch
        >>> from deepwright.corruptions import Road, RoadSim
        >>> sim = RoadSim(1)
        >>> picture = sim.reset([Road.from_angles([0] * 8)], seeds=[0])
        >>> picture, seen = sim.step(torch.zeros(1, 2))
        >>> picture.shape, seen.xte.tolist(), seen.arc.tolist()
        (torch.Size([1, 1, 40, 80]), [0.0], [0.8])
    """

    capabilities = Capabilities(custom_road=True, image=True, xte=True, deterministic=True, has_end=True)
    wheelbase, max_steering = WHEELBASE, MAX_STEERING

    def __init__(
        self,
        n: int = 1,
        size: tuple[int, int] = (40, 80),
        rgb: bool = False,
        device: torch.device | str | None = None,
        *,
        dt: float = 0.1,
        speed: float | None = 8.0,
        lag: float = 0.0,
        camera: Camera | None = None,
    ) -> None:
        require_whole(1, n=n)
        require_positive(dt=dt)
        require_number(0, lag=lag)
        if speed is not None:
            require_positive(speed=speed)
        self.n, self.dt, self.speed, self.lag = n, dt, speed, lag
        self.camera = camera or Camera(size, rgb)
        self.device = resolve(device or "cpu", "device")
        self._telemetry: Telemetry | None = None

    def __resume_identity__(self) -> Any:
        return type(self).__name__, self.n, self.dt, self.speed, self.lag, self.camera

    def __reduce__(self) -> Any:
        options = {"dt": self.dt, "speed": self.speed, "lag": self.lag, "camera": self.camera}
        return _made, (self.n, str(self.device), options)

    def telemetry(self) -> Telemetry:
        """Of the moment of the last picture.

        Raises:
            InputError: there was none yet.
        """
        if self._telemetry is None:
            raise InputError("RoadSim", given="no road yet", expected="a reset", hint="call .reset(roads, seeds) first")
        return self._telemetry

    def reset(self, roads: Sequence[Road | None], seeds: Sequence[int]) -> Float[Tensor, "n c h w"]:
        """Set each car at the start of its road, in its direction; the first pictures.

        Args:
            roads: one a car.
            seeds: of textures, palettes and noise, one a car.

        Raises:
            InputError: another number of roads or seeds.
        """
        require_starts(roads, seeds, self.n, needs_road=True)
        given = [road for road in roads if road is not None]
        self._lines = Centrelines(given, self.device)
        self._scenery = Scenery(self.camera, given, seeds, self.device)
        self._position = self._lines.points[:, 0].clone()
        self._heading = self._lines.directions[:, 0].clone()
        self._speed = torch.full((self.n,), self.speed or 0.0, dtype=torch.float64, device=self.device)
        self._wheels = torch.zeros(self.n, dtype=torch.float64, device=self.device)
        self._frame = 0
        self._place = self._lines.locate(self._position, torch.zeros(self.n, dtype=torch.long, device=self.device))
        self._telemetry = self._measured(self._place)
        return self._scenery.picture(self._position, self._heading, 0)

    def step(self, action: Float[Tensor, "n 2"]) -> tuple[Float[Tensor, "n c h w"], Telemetry]:
        """Act for `dt` seconds; the next pictures, and what is measured then.

        Args:
            action: steering in radians (to the left where positive; limited to +-0.5), and throttle in [-1, 1], which
                is without effect where the speed keeps itself.

        Raises:
            InputError: no reset before; another shape, NaN, angles above pi (which are degrees).
        """
        last = self.telemetry()
        if self._frame == 0 or self.device.type == "cpu":
            require_actions(action, self.n)  # an accelerator isn't waited for at each step
        steering, throttle = action.to(self.device, torch.float64).unbind(1)
        wanted = steering.clamp(-MAX_STEERING, MAX_STEERING)
        self._wheels = wanted + (self._wheels - wanted) * math.exp(-self.dt / self.lag) if self.lag else wanted
        moved = last.speed * self.dt
        self._position = self._position + moved[:, None] * torch.stack([self._heading.cos(), self._heading.sin()], 1)
        self._heading = self._heading + moved / WHEELBASE * self._wheels.tan()
        if self.speed is None:
            pull = _PULL * throttle.clamp(-1, 1) - _DRAG * last.speed
            self._speed = (last.speed + pull * self.dt).clamp_min(0)
        self._frame += 1
        self._place = self._lines.locate(self._position, self._place.segment)
        self._telemetry = self._measured(self._place)
        return self._scenery.picture(self._position, self._heading, self._frame), self._telemetry

    def ahead(self, points: int) -> Float[Tensor, "n 2"]:
        """Where the centre line is so many points ahead, seen from each car: metres forward, metres to the left.

        Args:
            points: of the road.
        """
        return self._lines.ahead(self._position, self._heading, self._place.segment, points)

    def close(self) -> None:
        """Nothing is open."""

    def _measured(self, place: Place) -> Telemetry:
        error = torch.remainder(self._heading - place.direction + torch.pi, 2 * torch.pi) - torch.pi
        return Telemetry(
            position=self._position,
            heading=self._heading,
            speed=self._speed,
            xte=place.xte,
            heading_error=error,
            arc=place.arc,
            finished=place.finished,
            stopped=torch.zeros_like(place.finished),
        )


def _made(n: int, device: str, options: dict[str, Any]) -> RoadSim:
    return RoadSim(n, device=device, **options)
