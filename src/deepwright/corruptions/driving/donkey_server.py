"""RoadSim behind Donkey's TCP protocol, so that Donkey agents drive without Unity, and clients are tested."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from dataclasses import replace
from typing import Any

from deepwright.corruptions.driving.connections import Connection, Listener
from deepwright.corruptions.driving.donkey import MAX_STEERING
from deepwright.corruptions.driving.json_stream import JsonStream
from deepwright.corruptions.driving.roads import Road
from deepwright.corruptions.driving.roadsim import RoadSim
from deepwright.corruptions.driving.served_car import ServedCar
from deepwright.corruptions.driving.simulators import InfrastructureError

_SCENES = ["generated_road"]
_LARGEST_SIDE = 1024
_REMEMBERED = 1000  # kinds of the last messages
_LOOK = 0.2  # seconds between two looks at whether to end


class DonkeyServer:
    """Speaks the simulator's side to one client after another; use it as a context.

    It answers each control by the telemetry of the step after it, so that a client's pace changes no result; where no
    control comes for `patience` seconds it repeats the last telemetry, as clients wait for at the beginning.

    Args:
        port: at which it listens; 0 for any that is free, which `.port` tells.
        host: address; this machine only by default.
        road: on which cars begin; `Road.random(seed)` by default.
        seed: of that road and of the world's looks.
        sim: with one car; colour pictures of 120 x 160 at 20 steps a second by default.
        patience: seconds.
    """

    def __init__(
        self,
        port: int = 9091,
        host: str = "127.0.0.1",
        *,
        road: Road | None = None,
        seed: int = 0,
        sim: RoadSim | None = None,
        patience: float = 0.5,
    ) -> None:
        sim = sim or RoadSim(1, (120, 160), rgb=True, dt=0.05)
        self.car = ServedCar(sim, road or Road.random(seed, max_angle=35), seed, MAX_STEERING)
        self.received: deque[str] = deque(maxlen=_REMEMBERED)
        self.patience = patience
        self._listener = Listener(host, port)
        self.port = self._listener.port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.serve, name="donkey", daemon=True)

    def __enter__(self) -> DonkeyServer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join(10)
        self._listener.close()

    def serve(self) -> None:
        """Serve until `stop` is called or the context ends."""
        while not self._stop.is_set():
            try:
                client = self._listener.accept(wait=_LOOK)
            except InfrastructureError:
                continue
            try:
                self._talk(client)
            except InfrastructureError:
                continue  # the client hung up: the next one is awaited
            finally:
                client.close()

    def stop(self) -> None:
        """End `serve`."""
        self._stop.set()

    def _talk(self, client: Connection) -> None:
        stream = JsonStream()
        self._say(client, "scene_selection_ready")
        self._say(client, "car_loaded")
        self._say(client, "need_car_config")
        heard = time.monotonic()
        while not self._stop.is_set():
            data = client.receive(min(self.patience, _LOOK))
            if data:
                heard = time.monotonic()
            elif time.monotonic() - heard >= self.patience:
                heard = time.monotonic()
                self._say(client, "telemetry", **self.car.telemetry())
            for message in stream.feed(data):
                self._hear(client, message)

    def _hear(self, client: Connection, message: dict[str, Any]) -> None:
        kind = f"{message.get('msg_type')!s:.40}"
        self.received.append(kind)
        if kind == "control":
            self.car.act(message)
            self._say(client, "telemetry", **self.car.telemetry())
        elif kind == "reset_car":
            self.car.reset()
        elif kind == "regen_road":
            self.car.new_road(message.get("wayPoints"))
        elif kind == "cam_config":
            self._picture_size(message)
        elif kind == "load_scene":
            self.car.reset()
            self._say(client, "scene_loaded")
            self._say(client, "car_loaded")
        elif kind == "get_scene_names":
            self._say(client, "scene_names", scene_names=_SCENES)
        elif kind == "exit_scene":
            self.car.reset()
            self._say(client, "scene_selection_ready")

    def _picture_size(self, message: dict[str, Any]) -> None:
        """Pictures of another size from now on; one that can't be is passed over."""
        try:
            size = int(message["img_h"]), int(message["img_w"])
        except (KeyError, TypeError, ValueError, OverflowError):
            return
        if not all(8 <= side <= _LARGEST_SIDE for side in size):
            return
        old = self.car.sim
        camera = replace(old.camera, size=size)
        sim = RoadSim(1, device=old.device, dt=old.dt, speed=old.speed, lag=old.lag, camera=camera)
        self.car = ServedCar(sim, self.car.road, self.car.seed, MAX_STEERING)

    def _say(self, client: Connection, kind: str, **fields: Any) -> None:
        client.send(json.dumps({"msg_type": kind, **fields}).encode() + b"\n")
