"""Gymnasium's worlds as simulators: CarRacing-v3, seen from above, and highway-env's race track as a grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.packages import require_package
from deepwright.core.requirements import require_whole
from deepwright.corruptions.driving.centrelines import Centrelines
from deepwright.corruptions.driving.roads import Road
from deepwright.corruptions.driving.simulators import Capabilities, Telemetry, require_actions, require_starts

_SETTLE = 50  # frames in which CarRacing's picture zooms in
_CPU = torch.device("cpu")


class _Worlds:
    """Worlds side by side, each a Gymnasium environment of its own."""

    capabilities: Capabilities
    dt: float
    _own_road: str  # what decides it

    def __init__(self, n: int) -> None:
        require_whole(1, n=n)
        self.n = n
        self._worlds = [self._world() for _ in range(n)]
        self._telemetry: Telemetry | None = None

    def __resume_identity__(self) -> Any:
        return type(self).__name__, self.n, self.dt

    def __reduce__(self) -> Any:
        return type(self), (self.n,)

    def telemetry(self) -> Telemetry:
        """Of the moment of the last picture.

        Raises:
            InputError: there was none yet.
        """
        if self._telemetry is None:
            raise InputError(
                type(self).__name__, given="no episode yet", expected="a reset", hint=".reset(roads, seeds)"
            )
        return self._telemetry

    def reset(self, roads: Sequence[Road | None], seeds: Sequence[int]) -> Tensor:
        """Begin an episode in each world.

        Args:
            roads: None for each vehicle: the track comes from the seed.
            seeds: one a vehicle.

        Raises:
            InputError: a road, which this simulator can't be given.
        """
        require_starts(roads, seeds, self.n, needs_road=False)
        if any(road is not None for road in roads):
            raise InputError("roads", given="a Road", expected=f"None: {self._own_road}")
        seen = [self._begun(i, int(seed) % 2**31) for i, seed in enumerate(seeds)]
        self._stopped = torch.zeros(self.n, dtype=torch.bool)
        self._telemetry = self._measured()
        return torch.stack(seen)

    def step(self, action: Float[Tensor, "n 2"]) -> tuple[Tensor, Telemetry]:
        """Act for one step; the next observations, and what is measured then.

        Args:
            action: steering in radians (to the left where positive), and throttle in [-1, 1]; below 0 it brakes.

        Raises:
            InputError: no reset before; another shape, NaN, angles above pi.
        """
        self.telemetry()  # refuses a step before a reset
        require_actions(action, self.n)
        seen = []
        for i, (steering, throttle) in enumerate(action.detach().cpu().double().tolist()):
            picture, stopped = self._acted(i, steering, throttle)
            seen.append(picture)
            self._stopped[i] |= stopped
        self._telemetry = self._measured()
        return torch.stack(seen), self._telemetry

    def close(self) -> None:
        """Let go of the worlds."""
        for world in self._worlds:
            world.close()

    def _world(self) -> Any:
        raise NotImplementedError

    def _begun(self, i: int, seed: int) -> Tensor:
        raise NotImplementedError

    def _acted(self, i: int, steering: float, throttle: float) -> tuple[Tensor, bool]:
        raise NotImplementedError

    def _measured(self) -> Telemetry:
        raise NotImplementedError


class CarRacing(_Worlds):
    """Gymnasium's CarRacing-v3: pictures (n, 3, 96, 96) from above, a track from the seed, cross-track error from it.

    The track is closed; its end is where it began. Its first second, in which the picture zooms in, is passed over
    with the brake on. Distances are in the world's own units, of which the road is 13.3 wide.

    Args:
        n: worlds side by side, one after another in this process.

    Raises:
        MissingExtraError: without the extra `driving`.
    """

    capabilities = Capabilities(custom_road=False, image=True, xte=True, deterministic=True, has_end=True)
    dt = 1 / 50
    max_steering, wheelbase = 0.4, 3.24
    _own_road = "CarRacing's track comes from its seed"

    def _world(self) -> Any:
        require_package("gymnasium", "driving", "CarRacing")
        require_package("Box2D", "driving", "CarRacing")
        import gymnasium

        return gymnasium.make("CarRacing-v3", render_mode=None).unwrapped

    def reset(self, roads: Sequence[Road | None], seeds: Sequence[int]) -> Float[Tensor, "n 3 96 96"]:
        """Begin a lap in each world; see `Simulator.reset`.

        Args:
            roads: None for each vehicle.
            seeds: of the tracks.
        """
        self._lines: Centrelines | None = None
        return super().reset(roads, seeds)

    def ahead(self, points: int) -> Float[Tensor, "n 2"]:
        """Where the track is so many points ahead, seen from each car: forward and to the left.

        Args:
            points: of the track.
        """
        seen = self.telemetry()
        assert self._lines is not None
        return self._lines.ahead(seen.position, seen.heading, self._segment, points)

    @property
    def roads(self) -> list[Road]:
        """The tracks that are driven, as closed roads."""
        found = []
        for world in self._worlds:
            points = np.array([[x, y] for _, _, x, y in world.track])
            keep = np.linalg.norm(np.diff(points, axis=0, append=points[:1]), axis=1) > 1e-6
            points = points[keep]
            found.append(Road(np.concatenate([points, points[:1]]), width=self.road_width))
        return found

    @property
    def road_width(self) -> float:
        """Between the borders, in the world's units."""
        from gymnasium.envs.box2d.car_racing import TRACK_WIDTH

        return 2 * float(TRACK_WIDTH)

    def _begun(self, i: int, seed: int) -> Tensor:
        self._worlds[i].reset(seed=seed)
        picture = None
        for _ in range(_SETTLE):
            picture = self._worlds[i].step(np.array([0.0, 0.0, 1.0]))[0]
        return _picture(picture)

    def _acted(self, i: int, steering: float, throttle: float) -> tuple[Tensor, bool]:
        steering = min(max(steering, -self.max_steering), self.max_steering)  # the wheels turn no further
        throttle = min(max(throttle, -1.0), 1.0)
        action = np.array([-steering, max(throttle, 0.0), max(-throttle, 0.0)])
        picture, _, terminated, _, _ = self._worlds[i].step(action)
        return _picture(picture), bool(terminated)

    def _measured(self) -> Telemetry:
        hulls = [world.car.hull for world in self._worlds]
        position = torch.tensor([[*hull.position] for hull in hulls], dtype=torch.float64)
        if self._lines is None:
            self._lines = Centrelines(self.roads, _CPU)
            self._segment = torch.zeros(self.n, dtype=torch.long)
        place = self._lines.locate(position, self._segment)
        self._segment = place.segment
        heading = torch.tensor([hull.angle + math.pi / 2 for hull in hulls], dtype=torch.float64)
        return Telemetry(
            position=position,
            heading=heading,
            speed=torch.tensor([hull.linearVelocity.length for hull in hulls], dtype=torch.float64),
            xte=place.xte,
            heading_error=_wrapped(heading - place.direction),
            arc=place.arc,
            finished=place.finished,
            stopped=self._stopped & ~place.finished,
        )


class Highway(_Worlds):
    """highway-env's racetrack-v0: grids (n, 2, 12, 12) of what is on the road around, no pictures.

    For agents that read such a grid; perturbations of pictures don't apply to it. The track has no end: an episode is
    passed when its time is.

    Args:
        n: worlds side by side, one after another in this process.

    Raises:
        MissingExtraError: without the extra `driving`.
    """

    capabilities = Capabilities(custom_road=False, image=False, xte=True, deterministic=True, has_end=False)
    dt = 1 / 5
    max_steering = math.pi / 4
    _own_road = "highway-env has a track of its own"

    def _world(self) -> Any:
        require_package("gymnasium", "driving", "Highway")
        require_package("highway_env", "driving", "Highway")
        import gymnasium
        import highway_env  # noqa: F401 - registers its worlds

        return gymnasium.make("racetrack-v0", config={"policy_frequency": 5}).unwrapped

    def _begun(self, i: int, seed: int) -> Tensor:
        return torch.from_numpy(np.asarray(self._worlds[i].reset(seed=seed)[0], dtype=np.float32))

    def _acted(self, i: int, steering: float, throttle: float) -> tuple[Tensor, bool]:
        share = min(max(steering / self.max_steering, -1.0), 1.0)
        seen, _, terminated, _, _ = self._worlds[i].step(np.array([share]))
        return torch.from_numpy(np.asarray(seen, dtype=np.float32)), bool(terminated)

    def _measured(self) -> Telemetry:
        cars = [world.vehicle for world in self._worlds]
        position = torch.tensor(np.array([car.position for car in cars]), dtype=torch.float64)
        heading = torch.tensor([float(car.heading) for car in cars], dtype=torch.float64)
        lanes = [car.lane.local_coordinates(car.position) for car in cars]
        direction = torch.tensor([float(car.lane.heading_at(lane[0])) for car, lane in zip(cars, lanes)])
        return Telemetry(
            position=position,
            heading=heading,
            speed=torch.tensor([float(car.speed) for car in cars], dtype=torch.float64),
            xte=torch.tensor([float(lane[1]) for lane in lanes], dtype=torch.float64),
            heading_error=_wrapped(heading - direction.double()),
            arc=torch.full((self.n,), torch.nan, dtype=torch.float64),
            finished=torch.zeros(self.n, dtype=torch.bool),
            stopped=self._stopped.clone(),
        )


def _picture(pixels: Any) -> Float[Tensor, "3 h w"]:
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1).float() / 255


def _wrapped(angle: Tensor) -> Tensor:
    return torch.remainder(angle + torch.pi, 2 * torch.pi) - torch.pi
