"""Drive a campaign: an agent on roads under perturbations, in a simulator; failure rates, a film, a page."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.adversarial.semantic import ImageFeatures
from deepwright.core.devices import resolve, to_model
from deepwright.core.errors import InputError
from deepwright.core.files import write_json, write_text
from deepwright.core.inference import has_gradients
from deepwright.core.pictures import Strip, strips
from deepwright.core.results import Figure
from deepwright.corruptions.driving import (
    CarlaSim,
    CarRacing,
    Demonstrations,
    DonkeySim,
    Forewarning,
    OfflineCell,
    Outcome,
    PurePursuit,
    Repaired,
    Road,
    RoadSim,
    Scenario,
    Simulator,
    UdacitySim,
    agreement,
    bundled_pilot,
    collect,
    evaluate,
    failure_thresholds,
    forewarned,
    gif,
    offline_errors,
    outcome_table,
    read_recording,
    repair,
    replay,
    worst_families,
)
from deepwright.nets import load, write_weights
from deepwright.workflows.drive_options import PORTS, DriveOptions
from deepwright.workflows.driven import Cell, Driven, driven_figures, driven_junit, driven_page, worst
from deepwright.workflows.options import Say, finished, quiet, require_writable, unfinished

_CLEAN: Cell = ("clean", 0)
_SIDE_BY_SIDE = 16
_OFFLINE_ROADS = 4
_REPAIR_ROADS = 16  # with steering noise, and as many that the agent drives itself
_STRIP = 6  # pictures of the strip
_WATCHED = 4  # frames of the film: every so many
_CALIBRATING = 19  # clean episodes on which the alarm's threshold is set

Watch = Callable[[Tensor], Tensor]


def drive(options: DriveOptions = DriveOptions(), *, say: Say = quiet) -> Driven:  # noqa: B008 - frozen
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
        _require_repairable(options, agent)
        data = _pictures(options)
        cells = [(name, severity) for name in options.perturbations for severity in options.severities]
        offline = _offline(options, agent, data, cells, say)
        if options.order == "worst-first":
            ratios = {cell.cell: cell.error.value for cell in offline}
            cells.sort(key=lambda cell: -ratios[cell])
        n = 1 + len(cells)
        say(f"{options.roads * n} episodes: {options.roads} roads, {n} cells, in {options.sim}")
        watch = _watch(options, agent, data, say)
        outcomes, undriven = _campaign(options, sim, agent, [_CLEAN, *cells], state, watch)
        told = None if watch is None else _forewarning(options, sim, agent, outcomes, state, watch, say)
        repaired = _repaired(options, sim, agent, data, outcomes, state, say) if options.repair else None
    finally:
        sim.close()
    return _written(options, sim, agent, _Found(outcomes, undriven, offline, repaired, told))


@dataclass(frozen=True)
class _Found:
    """What is driven and measured, before anything is written."""

    outcomes: list[Outcome]
    undriven: list[Cell]
    offline: list[OfflineCell]
    repaired: Repaired | None
    forewarning: Forewarning | None


def _campaign(
    options: DriveOptions, sim: Simulator, agent: Any, cells: list[Cell], state: Path, watch: Watch | None
) -> tuple[list[Outcome], list[Cell]]:
    """All cells, or those that are begun before time is up (the clean one always is); and those that aren't."""
    words = {**_limits(options), "watch": watch, "jobs": options.jobs, "checkpoint": state}
    scenarios = {cell: _scenarios(options, sim, cell) for cell in cells}
    if options.time_budget is None:
        together = [scenario for cell in cells for scenario in scenarios[cell]]
        return evaluate(sim, agent, together, **words), []
    begin, outcomes = time.monotonic(), list[Outcome]()
    for i, cell in enumerate(cells):
        if i and time.monotonic() - begin > options.time_budget:
            return outcomes, cells[i:]
        outcomes += evaluate(sim, agent, scenarios[cell], **words)
    return outcomes, []


def _limits(options: DriveOptions) -> dict[str, Any]:
    """How an episode ends, and how it is perturbed."""
    return {"max_xte": options.max_xte, "timeout": options.timeout, "frozen": options.frozen}


def _written(options: DriveOptions, sim: Simulator, agent: Any, found: _Found) -> Driven:
    """Files and page; the state is forgotten once they are there and nothing is left to drive."""
    out, film, weights = Path(options.out), None, None
    outcomes = found.outcomes
    figures = driven_figures(outcomes, options.perturbations, options.severities)
    if isinstance(sim, RoadSim):
        film, shown = _film(sim, agent, outcomes, options, out / "film.gif")
        figures.append(shown)
    if found.repaired is not None:
        network = found.repaired.network
        weights = write_weights(
            out / "repaired.safetensors", network.network if isinstance(network, _SteeringOnly) else network
        )
    told = agreement({c.cell: c.ratio for c in found.offline}, outcomes) if found.offline else None
    driven = Driven(
        outcomes,
        outcome_table(outcomes, options.tighter),
        failure_thresholds(outcomes),
        told,
        film,
        found.offline,
        found.undriven,
        found.repaired,
        weights,
        found.forewarning,
    )
    write_json(out / "outcomes.json", driven.to_dict())
    write_text(out / "drive.html", driven_page(_title(options), driven, figures))
    if options.junit is not None:
        write_text(options.junit, driven_junit(_title(options), driven))
    if all(outcome.counts for outcome in outcomes) and not found.undriven:
        finished(options.out)
    return driven


def _title(options: DriveOptions) -> str:
    given = "the bundled pilot" if options.agent is None else options.agent
    return f"{given if isinstance(given, str | Path) else type(given).__name__} in {options.sim}"


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
    port = options.port or PORTS.get(options.sim, 0)
    if options.sim == "car-racing":
        return CarRacing(1)
    if options.sim == "donkey":
        return DonkeySim(options.host, port)
    if options.sim == "udacity":
        return UdacitySim(port, options.host)
    if options.sim == "carla":
        return CarlaSim(options.host, port)
    cells = 1 + len(options.perturbations) * len(options.severities)
    episodes = options.roads * (1 if options.time_budget is not None else cells)
    return RoadSim(min(_SIDE_BY_SIDE, episodes), options.size, options.rgb, options.device or "cpu")


def _scenarios(options: DriveOptions, sim: Simulator, cell: Cell) -> list[Scenario]:
    """A cell on every road, each with a seed of its own."""
    own = [options.seed * 1000 + i for i in range(options.roads)]
    name, severity = (None, 0) if cell == _CLEAN else cell
    takes = sim.capabilities.custom_road
    return [Scenario(_road(options, seed) if takes else None, name, severity, seed) for seed in own]


def _road(options: DriveOptions, seed: int) -> Road:
    return Road.random(seed, max_angle=options.max_angle)


def _other_roads(options: DriveOptions, use: int, n: int) -> list[Road]:
    """Of another use than the campaign, whose seeds are 0 and more."""
    return [_road(options, -1 - 1000 * use - i) for i in range(n)]


def _pictures(options: DriveOptions) -> Demonstrations | None:
    """Recorded pictures with what was right: the user's, or of fresh roads that RoadSim's expert drove."""
    ours = options.sim == "roadsim"
    if options.recording is not None:
        return read_recording(options.recording, size=options.size if ours else None, rgb=options.rgb or not ours)
    if not ours:
        return None
    sim = RoadSim(_OFFLINE_ROADS, options.size, options.rgb)
    return collect(sim, PurePursuit(sim), _other_roads(options, 0, _OFFLINE_ROADS), seed=options.seed)


def _offline(
    options: DriveOptions, agent: Any, data: Demonstrations | None, cells: list[Cell], say: Say
) -> list[OfflineCell]:
    """Errors without driving; none where the agent's steering there is no number, unless the order hangs on them."""
    if data is None:
        return []
    try:
        return offline_errors(agent, data, cells, seed=options.seed)
    except InputError as error:
        if options.order == "worst-first":
            raise
        say(f"no errors without driving: {error}")
        return []


def _require_repairable(options: DriveOptions, agent: Any) -> None:
    able = isinstance(agent, nn.Module) and has_gradients(agent) and any(p.requires_grad for p in agent.parameters())
    if options.repair and not able:
        given = f"an agent that can't be trained ({type(agent).__name__})"
        raise InputError("repair", given=given, expected="a network with parameters")


def _repaired(
    options: DriveOptions,
    sim: Simulator,
    agent: nn.Module,
    data: Demonstrations | None,
    outcomes: list[Outcome],
    state: Path,
    say: Say,
) -> Repaired | None:
    """A repair on fresh roads; None where the campaign has no failures to train on."""
    try:
        names = worst_families(outcomes)
    except InputError as error:
        say(f"nothing is repaired: {error}")
        return None
    say(f"a repair by training on {', '.join(names)}")
    if options.recording is None:
        world = RoadSim(min(_SIDE_BY_SIDE, _REPAIR_ROADS), options.size, options.rgb)
        expert = PurePursuit(world)
        data = collect(world, expert, _other_roads(options, 1, _REPAIR_ROADS), seed=options.seed)
        own = copy.deepcopy(agent).cpu()
        data += collect(world, expert, _other_roads(options, 2, _REPAIR_ROADS), dagger=own, seed=options.seed)
    assert data is not None
    roads = _other_roads(options, 3, options.roads)
    return repair(sim, agent, data, outcomes, roads, **_limits(options), seed=options.seed, checkpoint=state / "repair")


def _watch(options: DriveOptions, agent: Any, data: Demonstrations | None, say: Say) -> Watch | None:
    """How unusual pictures are to the agent's layers, beside those that it has without driving."""
    if not options.watch:
        return None
    assert data is not None
    if not isinstance(agent, nn.Module):
        raise InputError("watch", given=f"an agent of {type(agent).__name__}", expected="a network, which has layers")
    say(f"what {len(data)} pictures look like to the agent's layers")
    return ImageFeatures().bind(agent).fit(data.pictures).score


def _forewarning(
    options: DriveOptions, sim: Simulator, agent: Any, outcomes: list[Outcome], state: Path, watch: Watch, say: Say
) -> Forewarning:
    """Alarms at a rate that is set on clean episodes of other roads."""
    say(f"{_CALIBRATING} clean episodes on other roads, for the alarm")
    takes = sim.capabilities.custom_road
    roads: list[Road | None] = list(_other_roads(options, 4, _CALIBRATING)) if takes else [None] * _CALIBRATING
    scenarios = [Scenario(road, seed=-1 - 4000 - i) for i, road in enumerate(roads)]
    clean = evaluate(sim, agent, scenarios, **_limits(options), watch=watch, jobs=options.jobs, checkpoint=state)
    return forewarned(outcomes, clean)


def _film(sim: RoadSim, agent: Any, outcomes: list[Outcome], options: DriveOptions, path: Path) -> tuple[Path, Figure]:
    """The worst episode driven again: a film, and a strip of it for the page."""
    scenario = worst(outcomes).scenario
    outcome, shown, seen = replay(sim, agent, scenario, **_limits(options))
    film = gif(shown, seen, path, every=_WATCHED, seconds=sim.dt)
    at = torch.linspace(0, len(shown) - 1, min(_STRIP, len(shown))).round().long()
    captions = [f"{sim.dt * int(i):.1f} s" for i in at]
    rows = [Strip("the camera", shown[at], captions), Strip("what the agent saw", seen[at], captions)]
    name, severity = scenario.cell
    title = f"{name} {severity} on road {scenario.seed}: {outcome.ended} after {outcome.seconds:.1f} s"
    return film, strips(title, rows)
