"""Drive a campaign: an agent on roads under perturbations, in a simulator; failure rates, a film, a page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.devices import resolve, to_model
from deepwright.core.errors import InputError
from deepwright.core.files import write_json, write_text
from deepwright.core.pictures import Strip, strips
from deepwright.core.requirements import require_positive, require_whole, require_within
from deepwright.core.results import Figure, Table
from deepwright.corruptions.driving import (
    Agreement,
    CarlaSim,
    CarRacing,
    DonkeySim,
    Outcome,
    PurePursuit,
    Road,
    RoadSim,
    Scenario,
    Simulator,
    Threshold,
    UdacitySim,
    agreement,
    bundled_pilot,
    by_cell,
    collect,
    evaluate,
    failure_thresholds,
    gif,
    offline_errors,
    outcome_table,
    replay,
)
from deepwright.nets import load
from deepwright.report import svg
from deepwright.report.page import document
from deepwright.report.tables import table_html
from deepwright.workflows.options import (
    Say,
    finished,
    quiet,
    require_choice,
    require_several,
    require_writable,
    unfinished,
)

SIMULATORS = ("roadsim", "car-racing", "donkey", "udacity", "carla")
PERTURBATIONS = (
    "gaussian_noise",
    "gaussian_blur",
    "increase_brightness",
    "decrease_contrast",
    "fog_mapping",
    "translate",
)
_PORTS = {"donkey": 9091, "udacity": 4567, "carla": 2000}
_HOST, _SIZE = "127.0.0.1", (40, 80)
_SIDE_BY_SIDE = 16
_OFFLINE_ROADS = 4
_STRIP = 6  # pictures of the strip
_WATCHED = 4  # frames of the film: every so many


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
        severities: of 1..5.
        max_xte: metres from the middle at which the lane is left.
        tighter: a second limit, for which failures are counted too.
        timeout: simulated seconds of an episode.
        frozen: draw perturbations once an episode, sensor noise too.
        seed: of roads, worlds and perturbations.
        device: where RoadSim and the agent work; by default the CPU for RoadSim, and the agent where it lives.
        jobs: worker processes, for RoadSim.
        out: folder of `drive.html`, `outcomes.json`, `film.gif`, and of what an interrupted campaign goes on from.
        fresh: forget what an interrupted campaign left.

    Raises:
        InputError: words or numbers out of their range.
    """

    agent: str | Path | nn.Module | Any = None
    _: KW_ONLY
    weights: Path | str | None = None
    sim: str = "roadsim"
    host: str = _HOST
    port: int | None = None
    size: tuple[int, int] = _SIZE
    rgb: bool = False
    roads: int = 16
    max_angle: float = 35.0
    perturbations: Sequence[str] = PERTURBATIONS
    severities: Sequence[int] = (2, 5)
    max_xte: float = 4.0
    tighter: float = 2.0
    timeout: float = 62.0
    frozen: bool = False
    seed: int = 0
    device: str | None = None
    jobs: int = 1
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
            if self.sim not in _PORTS:
                raise InputError("port", given=self.port, expected=f"none: {self.sim} runs in this process")
        if self.host != _HOST and self.sim not in _PORTS:
            raise InputError("host", given=self.host, expected=f"none: {self.sim} runs in this process")
        if self.sim != "roadsim" and (self.rgb or tuple(self.size) != _SIZE):
            given = f"{self.size[0]} x {self.size[1]}{' in colour' if self.rgb else ''}"
            raise InputError("size", given=given, expected=f"none: {self.sim} has pictures of its own")
        if self.weights is not None and not isinstance(self.agent, str):
            raise InputError("weights", given=str(self.weights), expected="an agent by package.module:factory")
        if self.jobs > 1 and self.sim != "roadsim":
            raise InputError("jobs", given=self.jobs, expected=f"1 for {self.sim}, of which there is one")
        if self.device is not None:
            resolve(self.device, "device")


@dataclass(frozen=True)
class Driven:
    """A campaign and what can be said of it.

    Attributes:
        outcomes: clean first, then cell by cell.
        table: one row a cell.
        thresholds: of each perturbation.
        agreement: of offline errors and failure rates; None where the simulator has no expert.
        film: the file, where there is one.
    """

    outcomes: list[Outcome]
    table: Table
    thresholds: list[Threshold] = field(default_factory=list)
    agreement: Agreement | None = None
    film: Path | None = None

    def lines(self) -> list[str]:
        """What was found, in words."""
        found = [str(threshold) for threshold in self.thresholds]
        if self.agreement is not None:
            rho = self.agreement.rho
            found.append(
                f"offline errors against failures: no rank correlation, {self.agreement.reason}"
                if rho is None
                else f"offline errors against failures: rank correlation {rho:.2f} over cells"
            )
            found += [
                f"they disagree on {name} {severity}: {how}" for (name, severity), how in self.agreement.discordant
            ]
        lost = sum(not o.counts for o in self.outcomes)
        return found + ([f"{lost} episodes were lost to the infrastructure; drive again for them"] if lost else [])

    def to_dict(self) -> dict[str, Any]:
        """Plain data; each outcome has its scenario, from which it can be driven again."""
        rho = None if self.agreement is None or self.agreement.rho is None else vars(self.agreement.rho)
        return {
            "outcomes": [outcome.to_dict() for outcome in self.outcomes],
            "thresholds": {t.perturbation: t.severity for t in self.thresholds},
            "agreement": rho,
        }


def drive(options: DriveOptions = DriveOptions(), *, say: Say = quiet) -> Driven:
    """Drive every road clean and under each perturbation at each severity.

    Args:
        options: the agent and the rest.
        say: told what is driven.

    Raises:
        InputError: an agent that can't be opened or doesn't give actions, a package that isn't there; bad input of any
            kind.
    """
    require_writable(options.out)
    state = unfinished(options.out, options.fresh)
    agent = _agent(options)
    sim = _simulator(options)
    try:
        agent = _with_throttle(agent, sim, options)
        scenarios = _scenarios(options, sim)
        cells = 1 + len(options.perturbations) * len(options.severities)
        say(f"{len(scenarios)} episodes: {options.roads} roads, {cells} cells, in {options.sim}")
        outcomes = evaluate(
            sim,
            agent,
            scenarios,
            max_xte=options.max_xte,
            timeout=options.timeout,
            frozen=options.frozen,
            checkpoint=state,
            jobs=options.jobs,
        )
    finally:
        sim.close()
    return _written(options, sim, agent, outcomes)


def _written(options: DriveOptions, sim: Simulator, agent: Any, outcomes: list[Outcome]) -> Driven:
    """Files and page; the state is forgotten once they are there and nothing is left to drive."""
    out, film, told = Path(options.out), None, None
    figures = _figures(options, outcomes)
    if isinstance(sim, RoadSim):
        told = _agreement(options, agent, outcomes)
        film, shown = _film(sim, agent, outcomes, options, out / "film.gif")
        figures.append(shown)
    table = outcome_table(outcomes, options.tighter)
    driven = Driven(outcomes, table, failure_thresholds(outcomes), told, film)
    write_json(out / "outcomes.json", driven.to_dict())
    write_text(out / "drive.html", _page(options, driven, figures))
    if all(outcome.counts for outcome in outcomes):
        finished(options.out)
    return driven


class _SteeringOnly(nn.Module):
    """A network of one column as an agent: without throttle."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:
        steering = self.network(pictures)
        return torch.cat([steering, torch.zeros_like(steering)], 1)


def _agent(options: DriveOptions) -> Any:
    given = options.agent
    if given is None:
        agent: Any = bundled_pilot()
    elif isinstance(given, str | Path):
        agent = load(str(given), options.weights).eval()
    else:
        agent = given
    if options.device is not None and isinstance(agent, nn.Module):
        agent = agent.to(resolve(options.device, "device"))
    return agent


def _with_throttle(agent: Any, sim: Simulator, options: DriveOptions) -> Any:
    """An agent of two columns; a network that gives something else is refused before anything is driven."""
    if not isinstance(sim, RoadSim) or not isinstance(agent, nn.Module):
        return agent
    pictures = torch.rand(2, 3 if options.rgb else 1, *options.size)
    with torch.no_grad():
        found = agent(to_model(pictures, agent))
    shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
    if shape == (2, 1):
        return _SteeringOnly(agent).train(agent.training)
    if shape != (2, 2):
        raise InputError("agent", given=f"{shape} for two pictures", expected="(2, 2): steering and throttle")
    return agent


def _simulator(options: DriveOptions) -> Simulator:
    port = options.port or _PORTS.get(options.sim, 0)
    if options.sim == "car-racing":
        return CarRacing(1)
    if options.sim == "donkey":
        return DonkeySim(options.host, port)
    if options.sim == "udacity":
        return UdacitySim(port, options.host)
    if options.sim == "carla":
        return CarlaSim(options.host, port)
    episodes = options.roads * (1 + len(options.perturbations) * len(options.severities))
    return RoadSim(min(_SIDE_BY_SIDE, episodes), options.size, options.rgb, options.device or "cpu")


def _scenarios(options: DriveOptions, sim: Simulator) -> list[Scenario]:
    takes = sim.capabilities.custom_road
    own = [options.seed * 1000 + i for i in range(options.roads)]
    roads = [Road.random(seed, max_angle=options.max_angle) if takes else None for seed in own]
    clean = [Scenario(road, seed=seed) for road, seed in zip(roads, own)]
    return clean + [
        Scenario(road, name, severity, seed)
        for name in options.perturbations
        for severity in options.severities
        for road, seed in zip(roads, own)
    ]


def _agreement(options: DriveOptions, agent: Any, outcomes: list[Outcome]) -> Agreement:
    """Offline errors on fresh roads that the expert drove."""
    sim = RoadSim(_OFFLINE_ROADS, options.size, options.rgb)
    below = range(-_OFFLINE_ROADS, 0)  # a campaign's seeds are 0 and more
    roads = [Road.random(seed, max_angle=options.max_angle) for seed in below]
    data = collect(sim, PurePursuit(sim), roads, seed=options.seed)
    cells = [cell.cell for cell in by_cell(outcomes) if cell.cell != ("clean", 0)]
    errors = offline_errors(agent, data, cells, seed=options.seed)
    return agreement({e.cell: e.ratio for e in errors}, outcomes)


def _figures(options: DriveOptions, outcomes: list[Outcome]) -> list[Figure]:
    rates = {c.cell: c.failures.value for c in by_cell(outcomes) if c.failures is not None}
    names = [n for n in options.perturbations if all((n, s) in rates for s in options.severities)]
    columns = [f"severity {s}" for s in options.severities]
    values = [[1 - rates[name, s] for s in options.severities] for name in names]
    found = []
    if names:
        series = [{"rows": [n.replace("_", " ") for n in names], "columns": columns, "values": values}]
        found.append(Figure("heatmap", "Share of roads that were driven to their end", series, y_range=(0.0, 1.0)))
    worst = _worst(outcomes)
    clean = next(o for o in outcomes if o.scenario.cell == ("clean", 0) and o.scenario.seed == worst.scenario.seed)
    lines = [
        {"name": name, "x": _seconds(o), "y": o.xte.tolist(), "smooth": True}
        for name, o in ((" ".join(map(str, worst.scenario.cell)), worst), ("clean", clean))
        if len(o.xte)
    ]
    if lines:
        title = f"Distance to the middle of road {worst.scenario.seed}, to the left where positive"
        found.append(Figure("line", title, lines, "seconds", "metres"))
    return found


def _seconds(outcome: Outcome) -> list[float]:
    return [outcome.dt * (i + 1) for i in range(len(outcome.xte))]


def _worst(outcomes: list[Outcome]) -> Outcome:
    """The first failure of the cell with most of them; the largest distance where nobody failed."""
    cells = {c.cell: c.failures.value if c.failures else 0.0 for c in by_cell(outcomes)}
    return max(outcomes, key=lambda o: (o.failed, cells[o.scenario.cell], o.max_xte if len(o.xte) else 0.0))


def _film(sim: RoadSim, agent: Any, outcomes: list[Outcome], options: DriveOptions, path: Path) -> tuple[Path, Figure]:
    """The worst episode driven again: a film, and a strip of it for the page."""
    scenario = _worst(outcomes).scenario
    limits = {"max_xte": options.max_xte, "timeout": options.timeout}
    outcome, shown, seen = replay(sim, agent, scenario, **limits, frozen=options.frozen)
    film = gif(shown, seen, path, every=_WATCHED, seconds=sim.dt)
    at = torch.linspace(0, len(shown) - 1, min(_STRIP, len(shown))).round().long()
    captions = [f"{sim.dt * int(i):.1f} s" for i in at]
    rows = [Strip("the camera", shown[at], captions), Strip("what the agent saw", seen[at], captions)]
    name, severity = scenario.cell
    title = f"{name} {severity} on road {scenario.seed}: {outcome.ended} after {outcome.seconds:.1f} s"
    return film, strips(title, rows)


def _page(options: DriveOptions, driven: Driven, figures: list[Figure]) -> str:
    given = "the bundled pilot" if options.agent is None else options.agent
    agent = given if isinstance(given, str | Path) else type(given).__name__
    title = f"{agent} in {options.sim}"
    head = f'<header><p class="kind">Deepwright driving</p><h1>{escape(title)}</h1></header>'
    text = "".join(f"<p>{escape(line)}</p>" for line in driven.lines())
    table = f'<section class="page">{text}{table_html(driven.table)}</section>'
    drawn = "".join(f'<section class="page">{svg(figure)}</section>' for figure in figures)
    return document(title, f"{head}{table}{drawn}{_moving(driven.film)}")


def _moving(film: Path | None) -> str:
    """The film inside the page, which stays one file."""
    if film is None:
        return ""
    data = base64.b64encode(film.read_bytes()).decode()
    alt = "an episode: the camera's picture to the left, what the agent saw to the right"
    picture = f'<img alt="{alt}" src="data:image/gif;base64,{data}">'
    return f'<section class="page"><h2>The worst episode</h2>{picture}</section>'
