"""CARLA through its own client: synchronous steps, a camera at the front, cross-track error from its lanes."""

from __future__ import annotations

import importlib
import math
import queue
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.packages import require_package
from deepwright.core.requirements import require_positive, require_whole
from deepwright.corruptions.driving.connections import with_back_off
from deepwright.corruptions.driving.one_vehicle import Follower
from deepwright.corruptions.driving.roads import Road
from deepwright.corruptions.driving.simulators import (
    Capabilities,
    InfrastructureError,
    Telemetry,
    require_actions,
    require_starts,
)


class CarlaSim:
    """A CARLA server in another process: one vehicle on its map, stepped together with us.

    The vehicle stands at the map's place number `seed`; its lane has no end, so that an episode is passed when its
    time is. Its axes are turned into ours: y to the left, angles counterclockwise. `close` takes vehicle and sensors
    away and leaves the server's clock as it was.

    Args:
        host: where it runs.
        port: at which it listens.
        map_name: that it loads; None leaves the one that is there.
        size: (height, width) of the camera.
        vehicle: CARLA's name of it.
        timeout: seconds within which it must answer.
        tries: to connect, each after twice the time.
        wait: seconds after the first failure to connect.

    Raises:
        MissingExtraError: at the first `reset`, without the package `carla`.
    """

    capabilities = Capabilities(custom_road=False, image=True, xte=True, deterministic=False, has_end=False)
    n, dt = 1, 0.05

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 2000,
        *,
        map_name: str | None = None,
        size: tuple[int, int] = (240, 320),
        vehicle: str = "vehicle.tesla.model3",
        timeout: float = 20.0,
        tries: int = 3,
        wait: float = 0.5,
    ) -> None:
        require_whole(1, port=port, tries=tries, height=size[0], width=size[1])
        require_positive(timeout=timeout, wait=wait)
        self.host, self.port, self.map_name, self.size, self.vehicle = host, port, map_name, size, vehicle
        self.timeout, self.tries, self.wait = timeout, tries, wait
        self._client: Any = None
        self._before: Any = None  # the server's settings
        self._actors: list[Any] = []
        self._telemetry: Telemetry | None = None

    def __resume_identity__(self) -> Any:
        return type(self).__name__, self.host, self.port, self.map_name, self.size, self.vehicle

    def telemetry(self) -> Telemetry:
        """Of the moment of the last picture."""
        if self._telemetry is None:
            raise InputError("CarlaSim", given="no episode yet", expected="a reset", hint=".reset(roads, seeds)")
        return self._telemetry

    def reset(self, roads: Sequence[Road | None], seeds: Sequence[int]) -> Float[Tensor, "1 3 h w"]:
        """Set a new vehicle at one of the map's places; the first picture.

        Args:
            roads: None: the map has its own.
            seeds: one: the number of the place.

        Raises:
            InputError: a road.
            InfrastructureError: the server doesn't answer.
        """
        require_starts(roads, seeds, 1, needs_road=False)
        if roads[0] is not None:
            raise InputError("roads", given="a Road", expected="None: CARLA drives on its map")
        require_package("carla", "carla", "CarlaSim")
        if self._client is None:
            self._client = with_back_off(self._connected, self.tries, self.wait)
        try:
            with _told():
                self._clear()
                self._spawn(seeds[0])
                return self._seen(self._world.tick())
        except InfrastructureError:
            self.close()
            raise

    def step(self, action: Float[Tensor, "1 2"]) -> tuple[Float[Tensor, "1 3 h w"], Telemetry]:
        """Act for one step of the server.

        Args:
            action: steering in radians (to the left where positive), and throttle in [-1, 1]; below 0 it brakes.

        Raises:
            InfrastructureError: the server doesn't answer.
        """
        require_actions(action, 1)
        if not self._actors:
            raise InfrastructureError("there is no vehicle; reset first")
        steering, throttle = action[0].detach().cpu().double().tolist()
        share = min(max(-steering / self.max_steering, -1.0), 1.0)  # to the right where positive
        gas = min(max(throttle, -1.0), 1.0)
        with _told():
            control = _carla().VehicleControl(throttle=max(gas, 0.0), steer=share, brake=max(-gas, 0.0))
            self._car.apply_control(control)
            return self._seen(self._world.tick()), self.telemetry()

    def close(self) -> None:
        """Take the vehicle away and give the server its clock back, if it still answers; `reset` connects again."""
        if self._client is None:
            return
        self._client, actors, self._actors = None, self._actors, []
        with suppress(RuntimeError):
            _destroy(actors)
        with suppress(RuntimeError):
            self._world.apply_settings(self._before)

    def _connected(self) -> Any:
        with _told():
            client = _carla().Client(self.host, self.port)
            client.set_timeout(self.timeout)
            self._world = client.get_world() if self.map_name is None else client.load_world(self.map_name)
            self._before = self._world.get_settings()
            settings = self._world.get_settings()
            settings.synchronous_mode, settings.fixed_delta_seconds = True, self.dt
            self._world.apply_settings(settings)
            return client

    def _clear(self) -> None:
        _destroy(self._actors)
        self._actors = []

    def _spawn(self, place: int) -> None:
        carla, kinds = _carla(), self._world.get_blueprint_library()
        places = self._world.get_map().get_spawn_points()
        if not places:
            raise InfrastructureError("the map has no place for a vehicle")
        self._car = self._world.spawn_actor(kinds.find(self.vehicle), places[place % len(places)])
        self._actors.append(self._car)
        self.max_steering = math.radians(self._car.get_physics_control().wheels[0].max_steer_angle)
        camera = kinds.find("sensor.camera.rgb")
        h, w = self.size
        for name, value in {"image_size_x": w, "image_size_y": h, "fov": 80}.items():
            camera.set_attribute(name, str(value))
        place_of_it = carla.Transform(carla.Location(x=1.5, z=1.5), carla.Rotation(pitch=-10))
        self._pictures: queue.Queue[Any] = queue.Queue()
        self._hits: list[Any] = []
        for kind, where, hear in (
            (camera, place_of_it, self._pictures.put),
            (kinds.find("sensor.other.collision"), carla.Transform(), self._hits.append),
        ):
            sensor = self._world.spawn_actor(kind, where, attach_to=self._car)
            self._actors.append(sensor)
            sensor.listen(hear)
        self._follower = Follower(None)

    def _seen(self, frame: int) -> Tensor:
        """The picture of a frame, and what is measured then."""
        try:
            while (image := self._pictures.get(timeout=self.timeout)).frame < frame:
                pass
        except queue.Empty:
            raise InfrastructureError(f"no picture from CARLA in {self.timeout:g} s") from None
        pixels = np.frombuffer(image.raw_data, dtype=np.uint8).reshape(image.height, image.width, 4)
        at, speed = self._car.get_transform(), self._car.get_velocity()
        lane = self._world.get_map().get_waypoint(at.location, project_to_road=True).transform
        yaw = math.radians(lane.rotation.yaw)
        right = (at.location.y - lane.location.y) * math.cos(yaw) - (at.location.x - lane.location.x) * math.sin(yaw)
        self._telemetry = self._follower.telemetry(
            (at.location.x, -at.location.y),
            heading=-math.radians(at.rotation.yaw),
            speed=math.hypot(speed.x, speed.y),
            xte=-right,
            heading_error=math.remainder(yaw - math.radians(at.rotation.yaw), math.tau),
            stopped=bool(self._hits),
        )
        return torch.from_numpy(pixels[..., 2::-1].copy()).permute(2, 0, 1).float()[None] / 255


def _destroy(actors: Sequence[Any]) -> None:
    for actor in reversed(actors):
        if hasattr(actor, "stop"):
            actor.stop()
        actor.destroy()


def _carla() -> Any:
    return importlib.import_module("carla")


@contextmanager
def _told() -> Iterator[None]:
    """CARLA's client raises RuntimeError where its server doesn't answer."""
    try:
        yield
    except RuntimeError as error:
        raise InfrastructureError(f"CARLA: {error}") from error
