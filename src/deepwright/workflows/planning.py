"""Plan in a domain: train a heuristic, search with it, hold it against those that are never too high."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from deepwright.core.devices import resolve
from deepwright.core.errors import InputError
from deepwright.core.files import reading, write_atomic, write_json, write_text
from deepwright.core.progress import bar
from deepwright.core.randomness import derive_seed
from deepwright.core.statistics import Interval
from deepwright.core.zips import open_zip
from deepwright.pathfinding import (
    AdditivePatterns,
    CornerTable,
    Domain,
    Heuristic,
    Limits,
    LinearConflict,
    LowerBoundHeuristic,
    MaxHeuristic,
    NPuzzle,
    PatternDatabase,
    Result,
    RubiksCube,
    TableHeuristic,
    ZeroHeuristic,
    bwas,
    check_domain,
    partition,
    sphere_sizes,
)
from deepwright.workflows.options import Say, finished, quiet, require_writable, unfinished
from deepwright.workflows.path_films import path_film
from deepwright.workflows.plan_options import PlanOptions, domain_of
from deepwright.workflows.plan_training import learned_heuristic
from deepwright.workflows.planned import Arm, Depths, Planned, plan_figures, plan_page

WEIGHTS = (1.0, 0.8, 0.7, 0.6, 0.5)
_VALIDATION = 20  # instances on which a weight is chosen
_SLACK = 1.03  # what its paths may cost there, over the least known
_BRIEF = 50_000  # nodes of a search on them
_LOOKED_AT = 4000  # states whose h is drawn against their true cost
_NEAR = 50_000  # states of a table of the nearest ones
_TABLE = 400_000  # states that are few enough for all of them to be looked at


def plan(options: PlanOptions = PlanOptions(), *, say: Say = quiet) -> Planned:  # noqa: B008 - frozen
    """Train a heuristic (or take one); solve instances with it and with the domain's bounds, each at its best weight.

    Args:
        options: the domain and the rest.
        say: told what is done.

    Raises:
        InputError: a domain that breaks its contract, instances that aren't its states; bad input of any kind.
    """
    require_writable(options.out)
    out, state = Path(options.out), unfinished(options.out, options.fresh)
    domain = domain_of(options.domain)
    device = torch.device(resolve(options.device or "cpu", "device"))
    _require_ways_back(domain, options)
    drawn, goals, notes = _instances(domain, options)
    if not isinstance(options.domain, str) or options.domain.endswith(".py"):
        tried = None if domain.inverse is not None else drawn
        say(f"{domain.name}: contract kept on {check_domain(domain, 200, options.seed, tried)} states")
    starts, goals = drawn.to(device), goals.to(device)
    _keep(out / "instances.npz", starts, goals)
    table, corners = _table(domain, goals), _corners(domain, goals, options.corners)
    learned, training = learned_heuristic(domain, options, state, device, say, starts)
    known: dict[str, Heuristic] = {"learned": learned, **bounds_of(domain, goals), **corners}
    arms = [_arm(name, heuristic, domain, (starts, goals), options, table, say) for name, heuristic in known.items()]
    least = _least(table, starts, goals, arms)
    notes += [*training, *_beyond(learned.reach, least, domain)]
    planned = Planned(domain.name, arms, least, table is not None, notes)
    depths = _depths(table, learned, domain, options)
    write_json(out / "plan.json", planned.to_dict())
    film = _film(domain, starts, arms[0], out / "path.gif")
    write_text(out / "plan.html", plan_page(planned, plan_figures(planned, depths), film))
    finished(options.out)
    return planned


def growth(domain: str | Path | Domain, radius: int) -> list[int]:
    """How many states are 0, 1, ..., radius actions away from a domain's goal.

    Args:
        domain: see `PlanOptions.domain`.
        radius: how far.
    """
    return sphere_sizes(domain_of(domain), radius)


def _require_ways_back(domain: Domain, options: PlanOptions) -> None:
    """Refuse early what nothing could be done with."""
    if domain.inverse is None and options.file is None:
        given = f"{domain.name}, whose actions can't be taken back, and no file"
        expected = "`inverse`, or a file: .npz with the `states` from which walks begin"
        raise InputError("domain", given=given, expected=expected)


def _instances(domain: Domain, options: PlanOptions) -> tuple[Tensor, Tensor, list[str]]:
    """Starts and goals: of a file, or walks away from the domain's goals; what of a file is left out, in words."""
    if options.file is None:
        steps = torch.full((options.walks,), options.reach)
        return *domain.sample_instances(steps, derive_seed("plan", "instances", seed=options.seed)), []
    expected = ".npz with `states`, and maybe `goals`"
    with reading(f"cannot read {options.file}", expected, options.file):
        open_zip(options.file, expected).close()
        with np.load(options.file, allow_pickle=False) as held:
            given, aims = held["states"], held.get("goals")
    states = _whole(domain, given, "states of the file")
    if not len(states):
        raise InputError(str(options.file), given="no states", expected="one or more")
    if aims is None and domain.goal is None:
        raise InputError(str(options.file), given="no goals", expected=f"`goals`: {domain.name} has none of its own")
    if aims is None:
        assert domain.goal is not None
        aims = domain.goal.expand(len(states), *domain.goal.shape).numpy()
    if len(aims) != len(states):
        raise InputError(
            str(options.file), given=f"{len(states)} states, {len(aims)} goals", expected="as many of both"
        )
    goals = _whole(domain, aims, "goals of the file")
    domain.require_goals(goals, "goals of the file")
    kept = len(states) if options.instances is None else min(options.instances, len(states))
    notes = [f"{kept} of {len(states)} instances of {options.file}"] if kept < len(states) else []
    return states[:kept], goals[:kept], notes


def _whole(domain: Domain, numbers: np.ndarray, what: str) -> Tensor:
    """Numbers of a file in the domain's dtype, into which no other number is folded."""
    expected = f"whole numbers in 0..{domain.num_values - 1}"
    if numbers.dtype.kind not in "iub":
        raise InputError(f"{what}, of {domain.name}", given=f"{numbers.dtype}", expected=expected)
    folded = torch.as_tensor(numbers.astype(np.int64)).to(domain.state_dtype)
    if not np.array_equal(folded.numpy().astype(np.int64), numbers):
        raise InputError(f"{what}, of {domain.name}", given=f"{numbers.dtype} beyond them", expected=expected)
    domain.require_states(folded, what)
    return folded


def _keep(path: Path, starts: Tensor, goals: Tensor) -> None:
    """As `file` takes them."""

    def write(stream: BinaryIO) -> None:
        np.savez(stream, states=starts.cpu().numpy(), goals=goals.cpu().numpy())

    write_atomic(path, write)


def bounds_of(domain: Domain, goals: Tensor) -> dict[str, Heuristic]:
    """The heuristics of a domain that are never too high, by name; h = 0 where it knows none.

    Args:
        domain: any.
        goals: (n, ...) that are sought.
    """
    one = bool((goals == goals[:1]).all())
    if type(domain).lower_bound is Domain.lower_bound:
        near = _nearest(domain, goals[0]) if one else None
        return {"none (h = 0)": ZeroHeuristic(), **({} if near is None else {"a table of the nearest states": near})}
    known: dict[str, Heuristic] = {"the domain's bound": LowerBoundHeuristic(domain)}
    if isinstance(domain, NPuzzle):
        known["linear conflict"] = LinearConflict(domain)
    if isinstance(domain, NPuzzle) and domain.n <= 4 and one:
        if domain.n == 4:
            known["pattern databases, summed"] = AdditivePatterns(domain, goal=goals[0])
        else:
            halves = partition(domain.n, domain.n**2 // 2)
            known["two pattern databases"] = MaxHeuristic(
                [PatternDatabase(domain, (*tiles, 0), goal=goals[0]) for tiles in halves]
            )
    return known


def _corners(domain: Domain, goals: Tensor, file: Path | str | None) -> dict[str, Heuristic]:
    """The table of a cube's corners, where it is asked for."""
    if file is None:
        return {}
    if not isinstance(domain, RubiksCube) or not bool((goals == domain.goal.to(goals.device)).all()):  # type: ignore[union-attr]
        raise InputError("corners", given=f"{file} beside other goals", expected="the goal of cube3")
    return {"the table of all corners": CornerTable(domain, file)}


def _nearest(domain: Domain, goal: Tensor) -> TableHeuristic | None:
    """Exact costs around a goal as far as they are few, and beyond these the least that they can be."""
    if domain.inverse is None or not domain.unit_cost or type(domain).is_goal is not Domain.is_goal:
        return None
    found, radius = None, 1
    while found is None or not found.complete:
        try:
            found = TableHeuristic(domain, radius, goal, max_states=_NEAR)
        except InputError:
            break
        radius += 1
    return found


def _table(domain: Domain, goals: Tensor) -> TableHeuristic | None:
    """Exact costs, where there is one goal and the states are few."""
    if domain.inverse is None or not domain.unit_cost or not bool((goals == goals[:1]).all()):
        return None
    try:
        table = TableHeuristic(domain, goal=goals[0], max_states=_TABLE)
    except InputError:
        return None
    return table if table.complete else None


def _arm(
    name: str,
    heuristic: Heuristic,
    domain: Domain,
    instances: tuple[Tensor, Tensor],
    options: PlanOptions,
    table: TableHeuristic | None,
    say: Say,
) -> Arm:
    """One heuristic at its weight: the one with the fewest expansions on other instances, at little above the least."""
    weight = options.weight
    if weight is None and domain.inverse is None:
        weight = 1.0
        say(f"{name}: weight 1, as nothing makes other instances on which to choose one")
    if weight is None:
        weight, kept = _best_weight(heuristic, domain, options, table, instances[0].device)
        if not kept:
            say(f"{name}: no weight solves all validation instances near the least cost; the largest is taken")
    say(f"{name}: {len(instances[0])} instances at weight {weight:g}")
    return Arm(name, weight, _searched(domain, *instances, heuristic, weight, options, name))


def _best_weight(
    heuristic: Heuristic, domain: Domain, options: PlanOptions, table: TableHeuristic | None, device: torch.device
) -> tuple[float, bool]:
    """The weight, and whether its paths cost little enough."""
    steps = torch.full((min(_VALIDATION, max(options.walks, 5)),), options.reach)
    starts, goals = (
        x.to(device) for x in domain.sample_instances(steps, derive_seed("plan", "validation", seed=options.seed))
    )
    brief = replace(options, max_nodes=min(options.max_nodes, _BRIEF))
    runs = {w: _searched(domain, starts, goals, heuristic, w, brief, f"weight {w:g}") for w in WEIGHTS}
    costs = {w: np.array([r.cost for r in results]) for w, results in runs.items()}
    least = np.min(list(costs.values()), 0) if table is None else table(starts, goals).cpu().numpy()
    near = [w for w in WEIGHTS if costs[w].sum() <= _SLACK * least.sum() and np.isfinite(costs[w]).all()]
    return min(near or [max(WEIGHTS)], key=lambda w: sum(r.nodes_expanded for r in runs[w])), bool(near)


def _searched(
    domain: Domain,
    starts: Tensor,
    goals: Tensor,
    heuristic: Heuristic,
    weight: float,
    options: PlanOptions,
    what: str,
) -> list[Result]:
    limits, found = Limits(nodes=options.max_nodes), []
    with bar(what, len(starts)) as watched:
        for start, goal in zip(starts, goals):
            found.append(
                bwas(domain, start, goal, heuristic, batch_size=options.batch_size, weight=weight, limits=limits)
            )
            watched.advance()
    return found


def _least(table: TableHeuristic | None, starts: Tensor, goals: Tensor, arms: Sequence[Arm]) -> list[float]:
    """The least cost known of each instance: exact ones, or the least of all paths that were found."""
    if table is not None:
        return table(starts, goals).tolist()
    return [min(costs) for costs in zip(*([r.cost for r in arm.results] for arm in arms))]


def _beyond(reach: int | None, least: Sequence[float], domain: Domain) -> list[str]:
    """A warning of instances that are farther than training ever went."""
    far = [cost for cost in least if np.isfinite(cost)]
    if reach is None or not domain.unit_cost or not far or max(far) <= reach:
        return []
    n = sum(cost > reach for cost in far)
    return [
        f"{n} of {len(least)} instances cost more than the {reach} steps of the longest walks of training, up to "
        f"{max(far):g}: there h was never trained; k_max of {max(far):g} or more reaches them"
    ]


def _depths(table: TableHeuristic | None, learned: Heuristic, domain: Domain, options: PlanOptions) -> Depths:
    """What the learned heuristic says at each true cost: its median, and the range of the middle half."""
    if table is None:
        return []
    steps = torch.arange(_LOOKED_AT) % (options.reach + 1)
    states, _ = domain.sample_instances(steps, derive_seed("plan", "depths", seed=options.seed))
    states = states.to(table.goal.device)
    goals = table.goal.expand(len(states), *table.goal.shape)
    true, said = table(states, goals), learned(states, goals)
    found = []
    for depth in true.unique().tolist():
        there = said[true == depth].double()
        low, middle, high = there.quantile(there.new_tensor([0.25, 0.5, 0.75])).tolist()
        found.append((depth, Interval(middle, low, high)))
    return found


def _film(domain: Domain, starts: Tensor, arm: Arm, path: Path) -> str | None:
    """The longest path that the first heuristic found."""
    solved = [i for i, r in enumerate(arm.results) if r.actions]
    if not solved:
        return None
    i = max(solved, key=lambda i: arm.results[i].cost)
    return path_film(domain, starts[i], arm.results[i].actions or [], path)
