"""Scenarios driven by an agent in a simulator, in blocks side by side; finished blocks are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core import trials
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_callable, require_positive, require_whole
from deepwright.corruptions.driving.agents import Agent
from deepwright.corruptions.driving.collecting import acted
from deepwright.corruptions.driving.disturbances import Disturbance
from deepwright.corruptions.driving.latencies import Latencies
from deepwright.corruptions.driving.scenarios import (
    AGENT,
    INFRASTRUCTURE,
    LATE,
    LEFT,
    PASSED,
    STOPPED,
    Outcome,
    Scenario,
)
from deepwright.corruptions.driving.simulators import InfrastructureError, Simulator

_LOOK_EVERY = 10  # steps between two looks at an accelerator, whether all have ended
_LISTS = ("xte", "heading_error", "speed", "arc", "position")


def evaluate(
    sim: Simulator,
    agent: Agent,
    scenarios: Sequence[Scenario],
    *,
    max_xte: float = 4.0,
    timeout: float = 62.0,
    frozen: bool = False,
    tries: int = 3,
    watch: Callable[[Tensor], Tensor] | None = None,
    checkpoint: Path | str | None = None,
    jobs: int = 1,
    backend: str = "local",
) -> list[Outcome]:
    """Drive each scenario, up to where the lane is left, the road ends or time is up.

    They are driven side by side in blocks of `sim.n`; a last, smaller block is filled up, so that an agent always
    sees as many pictures, and an episode's numbers don't depend on its place or neighbours.

    Args:
        sim: in which they are driven.
        agent: pictures -> (steering in radians, throttle); a network in eval mode, or a function.
        scenarios: what is driven.
        max_xte: metres from the middle of the road at which the lane is left.
        timeout: simulated seconds; an agent that hasn't arrived by then fails, where the road has an end.
        frozen: draw perturbations once an episode, sensor noise too.
        tries: how often a block is begun where the simulator doesn't answer; then it is an infrastructure error, which
            counts for nothing and is driven anew the next time.
        watch: pictures -> (n,) how unusual each is, larger is more unusual: it is shown what the agent sees, and
            decides nothing. A detector's `score`.
        checkpoint: a folder of finished blocks; an interrupted campaign goes on there. Another agent, simulator or
            option finds nothing of its own and is driven.
        jobs: worker processes.
        backend: of `core.trials.run`.

    Returns:
        An outcome for each scenario, in order. An agent that gives another shape, NaN, or angles above pi has failed,
        and the others go on.

    Raises:
        InputError: no scenarios, a network in train mode, roads or perturbations that this simulator can't have, a
            watch that doesn't give one number a picture.
    """
    require_positive(max_xte=max_xte, timeout=timeout)
    require_whole(1, tries=tries)
    require_callable("agent", agent, "pictures -> (n, 2) actions")
    if watch is not None:
        require_callable("watch", watch, "pictures -> (n,) scores")
    if isinstance(agent, nn.Module) and any(module.training for module in agent.modules()):
        raise InputError("agent", given="a network in train mode", expected="eval mode", hint="agent.eval()")
    _check(sim, scenarios)
    blocks = [list(scenarios[i : i + sim.n]) for i in range(0, len(scenarios), sim.n)]
    options: dict[str, Any] = {"max_xte": float(max_xte), "timeout": float(timeout), "frozen": bool(frozen)}
    options["tries"] = tries
    if watch is not None:
        options["watch"] = watch
    found = trials.run(
        drive_block,
        [{"sim": sim, "agent": agent, "scenarios": block, **options} for block in blocks],
        store=checkpoint,
        jobs=jobs,
        backend=backend,
        description="driving",
        keep=_is_final,
    )
    outcomes = [row for block in found for row in block]
    return [
        Outcome(scenario, limit=float(max_xte), dt=float(sim.dt), **row) for scenario, row in zip(scenarios, outcomes)
    ]


def _check(sim: Simulator, scenarios: Sequence[Scenario]) -> None:
    if not scenarios or not all(isinstance(s, Scenario) for s in scenarios):
        raise InputError("scenarios", given=f"{len(scenarios)} of them", expected="one Scenario or more")
    kind, able = type(sim).__name__, sim.capabilities
    if not able.custom_road and any(s.road is not None for s in scenarios):
        raise InputError("scenarios", given="roads", expected=f"road=None: {kind} has its own")
    if not able.image and any(s.perturbation is not None for s in scenarios):
        raise InputError("scenarios", given="perturbations", expected=f"none: {kind} shows no pictures")
    if not able.xte:
        raise InputError("sim", given=f"{kind} without a cross-track error", expected="one that knows it")


def _is_final(block: list[dict[str, Any]]) -> bool:
    """Whether it says something about the driver, so that it needn't be driven again."""
    return all(row["ended"] != INFRASTRUCTURE for row in block)


def drive_block(
    sim: Simulator,
    agent: Agent,
    scenarios: list[Scenario],
    max_xte: float,
    timeout: float,
    frozen: bool,
    tries: int,
    watch: Callable[[Tensor], Tensor] | None = None,
) -> list[dict[str, Any]]:
    """Drive up to `sim.n` scenarios side by side.

    Args:
        sim: see `evaluate`.
        agent: see `evaluate`.
        scenarios: as many as vehicles, or fewer.
        max_xte: see `evaluate`.
        timeout: see `evaluate`.
        frozen: see `evaluate`.
        tries: see `evaluate`.
        watch: see `evaluate`.

    Returns:
        plain data of an `Outcome` for each scenario.
    """
    reason = ""
    for _ in range(tries):
        try:
            return _driven(sim, agent, scenarios, max_xte, max(1, round(timeout / sim.dt)), frozen, watch)
        except InfrastructureError as error:
            reason = str(error)
    return [{"ended": INFRASTRUCTURE, "reason": reason} for _ in scenarios]


def _driven(
    sim: Simulator,
    agent: Agent,
    scenarios: list[Scenario],
    max_xte: float,
    steps: int,
    frozen: bool,
    watch: Callable[[Tensor], Tensor] | None,
) -> list[dict[str, Any]]:
    padded = scenarios + [scenarios[-1]] * (sim.n - len(scenarios))
    disturb = Disturbance(padded, frozen)
    pictures = sim.reset([s.road for s in padded], [s.seed for s in padded])
    extra = ("action", "left", "finished", "stopped", "broke", *(() if watch is None else ("unusual",)))
    log: dict[str, list[Tensor]] = {name: [] for name in (*_LISTS, *extra)}
    device = sim.telemetry().xte.device
    ended = torch.zeros(sim.n, dtype=torch.bool, device=device)
    reason = ""
    every = 1 if device.type == "cpu" else _LOOK_EVERY
    took = Latencies(_place(agent, pictures))
    for step in range(steps):
        shown = disturb(pictures, step)
        action, broke, told = _action(agent, shown, sim.n, took)
        reason = reason or told
        pictures, seen = sim.step(action)
        left = seen.xte.abs() >= max_xte
        broke = broke.to(device)
        for name in _LISTS:
            log[name].append(getattr(seen, name))
        for name, value in (("action", action), ("left", left), ("broke", broke)):
            log[name].append(value)
        if watch is not None:
            log["unusual"].append(_scores(watch, shown))
        log["finished"].append(seen.finished)
        log["stopped"].append(seen.stopped)
        ended |= left | seen.finished | seen.stopped | broke
        if (step + 1) % every == 0 and bool(ended[: len(scenarios)].all()):
            break
    whole = {name: torch.stack(values).cpu() for name, values in log.items()}
    whole["latency"] = took.seconds()
    return [_row(whole, i, _passes_in_time(sim, s), reason) for i, s in enumerate(scenarios)]


def _passes_in_time(sim: Simulator, scenario: Scenario) -> bool:
    """Whether the road has no end, so that who is in the lane when time is up has passed."""
    return not (sim.capabilities.has_end or scenario.road is not None)


def _row(log: dict[str, Tensor], i: int, endless: bool, reason: str) -> dict[str, Any]:
    """One vehicle's episode, up to its end; a step that leaves the lane has failed even where the road ends in it."""
    order = (("broke", AGENT), ("left", LEFT), ("stopped", STOPPED), ("finished", PASSED))
    steps = len(log["xte"])
    firsts = {name: _first(log[name][:, i], steps) for name, _ in order}
    end = min(firsts.values())
    ended = next((word for name, word in order if firsts[name] == end), LATE) if end < steps else LATE
    if ended == LATE and endless:
        ended = PASSED
    kept = slice(0, min(end + 1, steps))
    row: dict[str, Any] = {name: log[name][kept, i].clone() for name in _LISTS}
    row["latency"] = log["latency"][kept].clone()
    if "unusual" in log:
        row["unusual"] = log["unusual"][kept, i].clone()
    row["steering"], row["throttle"] = (log["action"][kept, i, k].clone() for k in (0, 1))
    return row | {"ended": ended, "reason": reason if ended == AGENT else ""}


def _scores(watch: Callable[[Tensor], Tensor], shown: Tensor) -> Tensor:
    """How unusual each picture is; what is no number counts as most unusual."""
    with torch.no_grad():
        found = watch(shown.clone())
    if not isinstance(found, Tensor) or found.shape != (len(shown),):
        given = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise InputError("watch", given=given, expected=f"({len(shown)},), one number a picture")
    return found.detach().float().nan_to_num(torch.inf, torch.inf, -torch.inf).to(shown.device)


def _first(happened: Tensor, otherwise: int) -> int:
    where = happened.nonzero()
    return int(where[0]) if len(where) else otherwise


def _place(agent: Agent, pictures: Tensor) -> torch.device:
    """Where an agent works: with its parameters, or where it is shown pictures."""
    found = next(agent.parameters(), None) if isinstance(agent, nn.Module) else None
    return pictures.device if found is None else found.device


def _action(agent: Agent, pictures: Tensor, n: int, took: Latencies) -> tuple[Tensor, Tensor, str]:
    """Actions, zeros for vehicles whose agent gave none that can be; which those are, and why."""
    with took:
        found = acted(agent, pictures)
    nothing = torch.zeros(n, 2, device=pictures.device)
    if not isinstance(found, Tensor) or found.shape != (n, 2) or not found.is_floating_point():
        given = f"{found.dtype} of shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        return nothing, torch.ones(n, dtype=torch.bool), f"actions are {given}, not floats of shape ({n}, 2)"
    found = found.detach().float()
    finite, angles = found.isfinite().all(1), found[:, 0].abs() <= torch.pi
    broke = ~(finite & angles)
    if pictures.device.type != "cpu":
        return torch.where(broke[:, None], nothing, found), broke, "NaN, infinity, or an angle above pi (degrees?)"
    why = ""
    if bool(broke.any()):
        why = "steering above pi: radians are expected, not degrees" if bool(finite.all()) else "NaN or infinity"
        found = torch.where(broke[:, None], nothing, found)
    return found, broke, why
