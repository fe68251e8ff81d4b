"""What a campaign of `deepwright drive` is asked for: which agent, where, under what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

from torch import nn

from deepwright.core.devices import resolve
from deepwright.core.errors import InputError
from deepwright.core.files import require_new_file
from deepwright.core.requirements import require_positive, require_whole, require_within
from deepwright.corruptions.driving import Scenario
from deepwright.workflows.options import require_choice, require_several

SIMULATORS = ("roadsim", "car-racing", "donkey", "udacity", "carla")
PERTURBATIONS = (
    "gaussian_noise",
    "gaussian_blur",
    "increase_brightness",
    "decrease_contrast",
    "fog_mapping",
    "translate",
)
ORDERS = ("given", "worst-first")
PORTS = {"donkey": 9091, "udacity": 4567, "carla": 2000}
HOST, SIZE = "127.0.0.1", (40, 80)


@dataclass(frozen=True)
class DriveOptions:
    """Which agent drives, where, under what, and where the files go.

    Attributes:
        agent: None for the bundled pilot; else as `deepwright audit` takes a network (package.module:factory, a
            file), or a network or function itself: pictures (n, C, H, W) in [0, 1] -> (n, 2) steering in radians and
            throttle, or (n, 1) steering.
        weights: of a factory.
        sim: one of `SIMULATORS`.
        host: of a simulator in another process.
        port: likewise; its usual one by default.
        size: (height, width) of RoadSim's pictures.
        rgb: RoadSim in colour.
        roads: how many, each with a seed of its own; where the simulator has its own roads, how many seeds.
        max_angle: degrees at a node of a road.
        perturbations: names.
        severities: up to 5; between two levels where each perturbation has something there.
        max_xte: metres from the middle at which the lane is left.
        tighter: a second limit, for which failures are counted too.
        timeout: simulated seconds of an episode.
        frozen: draw perturbations once an episode, sensor noise too.
        seed: of roads, worlds and perturbations.
        device: where RoadSim and the agent work; by default the CPU for RoadSim, and the agent where it lives.
        jobs: worker processes, for RoadSim.
        recording: a Donkey tub or a log of Udacity's simulator (`read_recording`) on which errors without driving are
            measured, and a repair is trained; else RoadSim's expert drives for that, and other simulators have none.
        order: "worst-first" drives the cells with the largest errors without driving first.
        time_budget: wall-clock seconds after which no further cell is begun; the same command goes on there.
        repair: train a copy of the agent on what it failed under, and drive both on fresh roads; RoadSim only.
        watch: also tell whether the pictures looked unusual to the agent's layers before it failed: `forewarned` on
            the scores of `ImageFeatures`, with its threshold set on clean episodes of other roads. For a network, and
            where there are pictures without driving (`roadsim`, `recording`).
        junit: file in which each scenario is a test.
        out: folder of `drive.html`, `outcomes.json`, `film.gif`, `repaired.safetensors`, and of what an interrupted
            campaign goes on from.
        fresh: forget what an interrupted campaign left.

    Raises:
        InputError: words or numbers out of their range.
    """

    agent: str | Path | nn.Module | Any = None
    _: KW_ONLY
    weights: Path | str | None = None
    sim: str = "roadsim"
    host: str = HOST
    port: int | None = None
    size: tuple[int, int] = SIZE
    rgb: bool = False
    roads: int = 16
    max_angle: float = 35.0
    perturbations: Sequence[str] = PERTURBATIONS
    severities: Sequence[float] = (2, 5)
    max_xte: float = 4.0
    tighter: float = 2.0
    timeout: float = 62.0
    frozen: bool = False
    seed: int = 0
    device: str | None = None
    jobs: int = 1
    recording: Path | str | None = None
    order: str = "given"
    time_budget: float | None = None
    repair: bool = False
    watch: bool = False
    junit: Path | str | None = None
    out: Path | str = Path("driving")
    fresh: bool = False

    def __post_init__(self) -> None:
        require_choice("sim", self.sim, SIMULATORS)
        require_whole(1, roads=self.roads, jobs=self.jobs)
        require_whole(0, seed=self.seed)
        require_within(0, 180, max_angle=self.max_angle)
        require_positive(max_xte=self.max_xte, tighter=self.tighter, timeout=self.timeout)
        if self.tighter > self.max_xte:
            raise InputError("tighter", given=self.tighter, expected=f"up to max_xte, {self.max_xte:g}")
        require_several("perturbations", self.perturbations)
        require_several("severities", self.severities)
        for name in self.perturbations:
            for severity in self.severities:
                Scenario(None, name, severity)
        if self.port is not None:
            require_whole(1, port=self.port)
            require_within(1, 65535, port=self.port)
            if self.sim not in PORTS:
                raise InputError("port", given=self.port, expected=f"none: {self.sim} runs in this process")
        if self.host != HOST and self.sim not in PORTS:
            raise InputError("host", given=self.host, expected=f"none: {self.sim} runs in this process")
        if self.sim != "roadsim" and (self.rgb or tuple(self.size) != SIZE):
            given = f"{self.size[0]} x {self.size[1]}{' in colour' if self.rgb else ''}"
            raise InputError("size", given=given, expected=f"none: {self.sim} has pictures of its own")
        if self.weights is not None and not isinstance(self.agent, str):
            raise InputError("weights", given=str(self.weights), expected="an agent by package.module:factory")
        if self.jobs > 1 and self.sim != "roadsim":
            raise InputError("jobs", given=self.jobs, expected=f"1 for {self.sim}, of which there is one")
        require_choice("order", self.order, ORDERS)
        if self.time_budget is not None:
            require_positive(time_budget=self.time_budget)
        if self.order != "given" and self.sim != "roadsim" and self.recording is None:
            expected = "recording= of pictures, as errors without driving are measured on"
            raise InputError("order", given=f"{self.order} in {self.sim}", expected=expected)
        if self.repair and self.sim != "roadsim":
            raise InputError("repair", given=f"in {self.sim}", expected="roadsim, whose expert says what is right")
        if self.watch and self.sim != "roadsim" and self.recording is None:
            expected = "recording= of pictures, of which it learns what is usual"
            raise InputError("watch", given=f"True in {self.sim}", expected=expected)
        if self.junit is not None:
            require_new_file(self.junit, "cannot write JUnit XML")
        if self.device is not None:
            resolve(self.device, "device")
