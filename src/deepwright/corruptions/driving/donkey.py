"""Donkey Car's simulator (sdsandbox) over TCP: a client that drives in it.

JSON objects go both ways; the simulator ends each of its own by a line break. Source of the messages: the public
protocol of tawnkramer/gym-donkeycar and sdsandbox.
"""

from __future__ import annotations

import json
import math
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_positive, require_whole
from deepwright.corruptions.driving.connections import Connection, with_back_off
from deepwright.corruptions.driving.json_stream import JsonStream
from deepwright.corruptions.driving.one_vehicle import Follower
from deepwright.corruptions.driving.roads import Road
from deepwright.corruptions.driving.simulators import (
    Capabilities,
    InfrastructureError,
    Telemetry,
    require_actions,
    require_starts,
)

MAX_STEERING = math.radians(25)  # of the simulator's car at a steering of 1


class DonkeyLink:
    """Messages to and from a Donkey simulator.

    Args:
        connection: to it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection, self.stream = connection, JsonStream()
        self._waiting: deque[dict[str, Any]] = deque()

    def send(self, kind: str, **fields: Any) -> None:
        """Send a message.

        Args:
            kind: its `msg_type`.
            **fields: its other fields.
        """
        self._connection.send(json.dumps({"msg_type": kind, **fields}).encode())

    def wait_for(self, kind: str) -> dict[str, Any]:
        """The next message of a kind; others are passed over, pings answered.

        Args:
            kind: its `msg_type`.

        Raises:
            InfrastructureError: none in time, or the simulator broke off.
        """
        until = time.monotonic() + self._connection.timeout
        while True:
            while self._waiting:
                message = self._waiting.popleft()
                if message.get("msg_type") == kind:
                    return message
                self._heard(message)
            left = until - time.monotonic()
            if left <= 0:
                raise InfrastructureError(f"no {kind!r} from the simulator in {self._connection.timeout:g} s")
            self._waiting.extend(self.stream.feed(self._connection.receive(left)))

    def newest(self, kind: str) -> dict[str, Any]:
        """The last message of a kind of those that have come, once one has.

        Args:
            kind: its `msg_type`.
        """
        found = self.wait_for(kind)
        for data in self._connection.pending():
            self._waiting.extend(self.stream.feed(data))
        while any(message.get("msg_type") == kind for message in self._waiting):
            found = self.wait_for(kind)
        return found

    def forget(self) -> None:
        """Pass over all that has come."""
        for data in self._connection.pending():
            self._waiting.extend(self.stream.feed(data))
        while self._waiting:
            self._heard(self._waiting.popleft())

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _heard(self, message: dict[str, Any]) -> None:
        if message.get("msg_type") == "aborted":
            raise InfrastructureError("the simulator aborted")
        if message.get("msg_type") == "ping":
            self.send("pong")


class DonkeySim:
    """A Donkey simulator in another process: one vehicle, pictures, its own clock.

    It is connected at the first `reset`, and again where the connection broke. Roads are sent as way points where
    they are given; cross-track errors are the simulator's own.

    Args:
        host: where it runs.
        port: at which it listens.
        scene: that it loads; None leaves the one that is there.
        size: (height, width) of the camera; None leaves it.
        timeout: seconds within which it must answer.
        tries: to connect, each after twice the time.
        wait: seconds after the first failure to connect.
    """

    capabilities = Capabilities(custom_road=True, image=True, xte=True, deterministic=False, has_end=False)
    n, dt, max_steering = 1, 0.05, MAX_STEERING

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 9091,
        *,
        scene: str | None = None,
        size: tuple[int, int] | None = (120, 160),
        timeout: float = 10.0,
        tries: int = 3,
        wait: float = 0.5,
    ) -> None:
        require_whole(1, port=port, tries=tries)
        require_positive(timeout=timeout, wait=wait)
        self.host, self.port, self.scene, self.size = host, port, scene, size
        self.timeout, self.tries, self.wait = timeout, tries, wait
        self._link: DonkeyLink | None = None
        self._telemetry: Telemetry | None = None

    def __resume_identity__(self) -> Any:
        return type(self).__name__, self.host, self.port, self.scene, self.size

    def telemetry(self) -> Telemetry:
        """Of the moment of the last picture."""
        if self._telemetry is None:
            raise InputError("DonkeySim", given="no episode yet", expected="a reset", hint=".reset(roads, seeds)")
        return self._telemetry

    def reset(self, roads: Sequence[Road | None], seeds: Sequence[int]) -> Float[Tensor, "1 3 h w"]:
        """Put the car at its start; the first picture.

        Args:
            roads: one, or None for the scene's own.
            seeds: one, which the simulator has no use for.

        Raises:
            InfrastructureError: it doesn't answer.
        """
        require_starts(roads, seeds, 1, needs_road=False)
        road = roads[0]
        link = self._linked()
        try:
            if road is not None:
                link.send("regen_road", wayPoints=road.to_string(), road_style="0", rand_seed="0", turn_increment="0")
            link.send("reset_car")
            link.forget()
            self._follower = Follower(road)
            link.send("control", steering="0.0", throttle="0.0", brake="1.0")
            return self._seen(link.newest("telemetry"))
        except InfrastructureError:
            self.close()
            raise

    def step(self, action: Float[Tensor, "1 2"]) -> tuple[Float[Tensor, "1 3 h w"], Telemetry]:
        """Send controls; the newest picture after them.

        Args:
            action: steering in radians (to the left where positive), and throttle in [-1, 1]; below 0 it brakes.

        Raises:
            InfrastructureError: it doesn't answer.
        """
        require_actions(action, 1)
        if self._link is None:
            raise InfrastructureError("there is no connection; reset first")
        steering, throttle = action[0].detach().cpu().double().tolist()
        share = min(max(-steering / self.max_steering, -1.0), 1.0)  # to the right where positive
        gas = min(max(throttle, -1.0), 1.0)
        try:
            controls = {"steering": str(share), "throttle": str(max(gas, 0.0)), "brake": str(max(-gas, 0.0))}
            self._link.send("control", **controls)
            return self._seen(self._link.newest("telemetry")), self.telemetry()
        except InfrastructureError:
            self.close()
            raise

    def close(self) -> None:
        """Hang up; the next `reset` connects again."""
        if self._link is not None:
            self._link.close()
        self._link = None

    def _linked(self) -> DonkeyLink:
        if self._link is None:
            self._link = with_back_off(self._connected, self.tries, self.wait)
        return self._link

    def _connected(self) -> DonkeyLink:
        link = DonkeyLink(Connection.to(self.host, self.port, self.timeout))
        try:
            if self.scene is not None:
                link.send("load_scene", scene_name=self.scene)
                link.wait_for("car_loaded")
            if self.size is not None:
                h, w = (str(side) for side in self.size)
                link.send("cam_config", img_h=h, img_w=w, img_d="3", img_enc="JPG")
        except InfrastructureError:
            link.close()
            raise
        return link

    def _seen(self, message: Any) -> Tensor:
        picture, self._telemetry = self._follower.seen(message)
        return picture


def scene_names(host: str = "127.0.0.1", port: int = 9091, timeout: float = 10.0) -> list[str]:
    """The scenes that a Donkey simulator has.

    Args:
        host: where it runs.
        port: at which it listens.
        timeout: seconds within which it must answer.

    Raises:
        InfrastructureError: it doesn't answer.
    """
    try:
        link = DonkeyLink(Connection.to(host, port, timeout))
    except OSError as error:
        raise InfrastructureError(f"no simulator at {host}:{port}: {error}") from error
    try:
        link.send("get_scene_names")
        names = link.wait_for("scene_names").get("scene_names", [])
        if not isinstance(names, list):
            raise InfrastructureError(f"scene names that are no list: {names!r:.80}")
        return [str(name) for name in names]
    finally:
        link.close()
