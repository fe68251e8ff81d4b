"""Udacity's simulator (as modified for generated roads): it connects to us by Socket.IO, and we drive it."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_positive, require_whole
from deepwright.corruptions.driving.connections import Connection, Listener, with_back_off
from deepwright.corruptions.driving.one_vehicle import Follower
from deepwright.corruptions.driving.roads import Road
from deepwright.corruptions.driving.roadsim import RoadSim
from deepwright.corruptions.driving.served_car import ServedCar
from deepwright.corruptions.driving.simulators import (
    Capabilities,
    InfrastructureError,
    Telemetry,
    require_actions,
    require_starts,
)
from deepwright.corruptions.driving.socket_io import EventLink

MAX_STEERING = math.radians(25)  # of the simulator's car at a steering angle of 1


class UdacitySim:
    """Udacity's simulator in another process: it is the client, and connects to a port of ours.

    A simulator that broke off may connect again at the next `reset`. Roads are sent as track strings where they are
    given.

    Args:
        port: at which we listen; 0 for any that is free, which `.port` tells.
        host: address; this machine only by default.
        version: of Engine.IO, 3 or 4; None takes what the simulator speaks.
        timeout: seconds within which it must connect and answer.
        tries: how often it is awaited, each after a longer pause.
        wait: seconds of the first pause.
    """

    capabilities = Capabilities(custom_road=True, image=True, xte=True, deterministic=False, has_end=False)
    n, dt, max_steering = 1, 0.05, MAX_STEERING

    def __init__(
        self,
        port: int = 4567,
        host: str = "127.0.0.1",
        *,
        version: int | None = None,
        timeout: float = 10.0,
        tries: int = 3,
        wait: float = 0.5,
    ) -> None:
        require_whole(0, port=port)
        require_whole(1, tries=tries)
        require_positive(timeout=timeout, wait=wait)
        self.version, self.timeout, self.tries, self.wait = version, timeout, tries, wait
        self._listener = Listener(host, port)
        self.port = self._listener.port
        self._link: EventLink | None = None
        self._telemetry: Telemetry | None = None

    def __resume_identity__(self) -> Any:
        return type(self).__name__, self.version

    def telemetry(self) -> Telemetry:
        """Of the moment of the last picture."""
        if self._telemetry is None:
            raise InputError("UdacitySim", given="no episode yet", expected="a reset", hint=".reset(roads, seeds)")
        return self._telemetry

    def reset(self, roads: Sequence[Road | None], seeds: Sequence[int]) -> Float[Tensor, "1 3 h w"]:
        """Put the car at its start; the first picture.

        Args:
            roads: one, or None for the simulator's own.
            seeds: one, which the simulator has no use for.

        Raises:
            InfrastructureError: no simulator connected, or it doesn't answer.
        """
        require_starts(roads, seeds, 1, needs_road=False)
        link = self._linked()
        try:
            if roads[0] is not None:
                link.emit("track", {"track_string": roads[0].to_string()})
            link.emit("reset", {})
            link.forget()
            self._follower = Follower(roads[0])
            link.emit("steer", {"steering_angle": "0.0", "throttle": "0.0"})
            return self._seen(link.newest("telemetry"))
        except InfrastructureError:
            self._hang_up()
            raise

    def step(self, action: Float[Tensor, "1 2"]) -> tuple[Float[Tensor, "1 3 h w"], Telemetry]:
        """Send controls; the newest picture after them.

        Args:
            action: steering in radians (to the left where positive), and throttle in [-1, 1].

        Raises:
            InfrastructureError: it doesn't answer.
        """
        require_actions(action, 1)
        if self._link is None:
            raise InfrastructureError("there is no connection; reset first")
        steering, throttle = action[0].detach().cpu().double().tolist()
        share = min(max(-steering / self.max_steering, -1.0), 1.0)  # to the right where positive
        try:
            controls = {"steering_angle": str(share), "throttle": str(min(max(throttle, -1.0), 1.0))}
            self._link.emit("steer", controls)
            return self._seen(self._link.newest("telemetry")), self.telemetry()
        except InfrastructureError:
            self._hang_up()
            raise

    def close(self) -> None:
        """Hang up and listen no more."""
        self._hang_up()
        self._listener.close()

    def _hang_up(self) -> None:
        if self._link is not None:
            self._link.close()
        self._link = None

    def _linked(self) -> EventLink:
        if self._link is None:
            self._link = with_back_off(self._accepted, self.tries, self.wait)
        return self._link

    def _accepted(self) -> EventLink:
        connection = self._listener.accept(self.timeout, self.timeout)
        try:
            return EventLink.accepted(connection, self.version)
        except InfrastructureError:
            connection.close()
            raise

    def _seen(self, message: Any) -> Tensor:
        picture, self._telemetry = self._follower.seen(message)
        return picture


class UdacityClient:
    """RoadSim behind the simulator's side of that protocol: it connects to whoever drives; use it as a context.

    Args:
        port: of the driver.
        host: of the driver.
        road: on which the car begins; `Road.random(seed)` by default.
        seed: of that road and of the world's looks.
        sim: with one car; colour pictures of 160 x 320 at 20 steps a second by default.
        version: of Engine.IO.
        timeout: seconds within which the driver must answer.
    """

    def __init__(
        self,
        port: int = 4567,
        host: str = "127.0.0.1",
        *,
        road: Road | None = None,
        seed: int = 0,
        sim: RoadSim | None = None,
        version: int = 3,
        timeout: float = 10.0,
    ) -> None:
        sim = sim or RoadSim(1, (160, 320), rgb=True, dt=0.05)
        self.car = ServedCar(sim, road or Road.random(seed, max_angle=35), seed, MAX_STEERING)
        self.host, self.port, self.version, self.timeout = host, port, version, timeout
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.serve, name="udacity", daemon=True)

    def __enter__(self) -> UdacityClient:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def serve(self) -> None:
        """Drive as told until `stop` is called, the context ends or the driver hangs up.

        Raises:
            InfrastructureError: no driver answers.
        """
        link = with_back_off(self._joined)
        try:
            while not self._stop.is_set():
                self._heard(link)
        except InfrastructureError:
            return  # the driver hung up
        finally:
            link.close()

    def stop(self) -> None:
        """End `serve`."""
        self._stop.set()

    def _joined(self) -> EventLink:
        connection = Connection.to(self.host, self.port, self.timeout)
        try:
            return EventLink.joined(connection, f"{self.host}:{self.port}", self.version)
        except InfrastructureError:
            connection.close()
            raise

    def _heard(self, link: EventLink) -> None:
        """Answer an event; none for a while is a look at whether to end."""
        if not link.comes(0.2):
            return
        event, data = link.wait_for()
        if event == "steer" and isinstance(data, dict):
            self.car.act(data)
            link.emit("telemetry", self.car.telemetry())
        elif event == "track" and isinstance(data, dict):
            self.car.new_road(data.get("track_string"))
        elif event == "reset":
            self.car.reset()
