"""Every arm's setting picked on validation alike, with what was tried and what was chosen."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deepwright.core.errors import InputError
from deepwright.core.results import Arm
from deepwright.studies._frame.runs import Measure, Runs, mean


@dataclass(frozen=True)
class Selection:
    """The trials that were chosen, one an arm and seed, and how.

    Attributes:
        runs: the chosen trials, arm by arm and within each in the order of its seeds: read them as any others.
        arms: one an arm, for the result.
    """

    runs: Runs
    arms: list[Arm]


def select(
    runs: Runs,
    *,
    arms: str | Sequence[str],
    over: Sequence[str],
    by: Measure,
    words: str,
    data: str,
    budget: str | Mapping[Any, str],
    largest: bool = False,
    pooled: bool = False,
    why: Mapping[Any, str] | None = None,
) -> Selection:
    """Pick each arm's setting by the same rule on the same validation data.

    Args:
        runs: every setting of every arm, each with the same seeds.
        arms: the argument (or arguments) that tells arms apart; of several, the last is the method and those before
            say within which group it is compared.
        over: the arguments that are hyper-parameters; an arm has those that its trials have.
        by: the validation measure; never one of the test data.
        words: that measure, as a page says it.
        data: what it is measured on, as a page says it.
        budget: what one training may cost, of all arms or by arm.
        largest: the largest is the best; else the smallest.
        pooled: one setting for all seeds, by the mean; else each seed has its own.
        why: by arm, the reason for which it has other settings or another budget than the rest.

    Raises:
        InputError: an arm whose settings don't have the same seeds, a trial that comes twice, or an arm of which no
            trial has a finite validation measure.
    """
    axes = [arms] if isinstance(arms, str) else list(arms)
    sign = -1.0 if largest else 1.0
    scores = [sign * float(value) for value in runs.values(by)]
    rule = f"{'highest' if largest else 'lowest'} {words}, {'mean over the seeds' if pooled else 'seed by seed'}"
    found, picked = [], []
    for key, members in runs.places(*axes).items():
        table = _settings(runs, members, over, key)
        chosen = _choices(table, scores, pooled, key)
        places = [table[setting][seed] for seed, setting in chosen.items()]
        picked += places
        group, name = ("", key) if len(axes) == 1 else (", ".join(map(str, key[:-1])), key[-1])
        found.append(
            Arm(
                name=str(name),
                rule=rule if len(table) > 1 else "its only setting",
                data=data if len(table) > 1 else "",
                budget=budget if isinstance(budget, str) else budget[key],
                grid=_grid([runs.specs[i] for i in members], over),
                tried=len(table),
                chosen=dict(Counter(chosen.values()).most_common()),
                at_edge=_at_edge([runs.specs[i] for i in members], [runs.specs[i] for i in places], over),
                group=group,
                why=(why or {}).get(key, ""),
            )
        )
    return Selection(runs.only(picked), found)


def _settings(runs: Runs, members: list[int], over: Sequence[str], key: Any) -> dict[str, dict[int, int]]:
    """By setting in words and by seed, the trial's place."""
    table: dict[str, dict[int, int]] = {}
    for i in members:
        spec = runs.specs[i]
        by_seed = table.setdefault(_worded(_own(spec, over)), {})
        if spec["seed"] in by_seed:
            raise InputError(
                f"trials of {key}",
                given=f"two of seed {spec['seed']} with one setting",
                expected="one",
                hint="name the argument that differs in arms= or over=",
            )
        by_seed[spec["seed"]] = i
    if len({tuple(sorted(by_seed)) for by_seed in table.values()}) != 1:
        raise InputError(f"settings of {key}", given="other seeds in some", expected="the same seeds in each")
    return table


def _own(spec: Mapping[str, Any], over: Sequence[str]) -> dict[str, Any]:
    """A trial's hyper-parameters; an argument that is a dict of several is spread out."""
    own: dict[str, Any] = {}
    for axis in over:
        if axis in spec:
            own |= spec[axis] if isinstance(spec[axis], Mapping) else {axis: spec[axis]}
    return own


def _worded(setting: Mapping[str, Any]) -> str:
    """A setting as a page says it."""
    parts = [f"{k} = {v:g}" if isinstance(v, float) else f"{k} = {v}" for k, v in setting.items()]
    return ", ".join(parts) or "its only setting"


def _grid(specs: Sequence[Mapping[str, Any]], over: Sequence[str]) -> dict[str, list[Any]]:
    """By hyper-parameter, the values that were tried."""
    grid: dict[str, list[Any]] = {}
    for spec in specs:
        for name, value in _own(spec, over).items():
            if value not in grid.setdefault(name, []):
                grid[name].append(value)
    return grid


def _choices(table: dict[str, dict[int, int]], scores: list[float], pooled: bool, key: Any) -> dict[int, str]:
    """By seed, the setting with the smallest score; the first of several; one that isn't finite never wins."""
    seeds = list(next(iter(table.values())))
    chosen: dict[int, str] = {}
    for some in [seeds] if pooled else [[seed] for seed in seeds]:
        means = {setting: mean([scores[at[seed]] for seed in some]) for setting, at in table.items()}
        finite = {setting: value for setting, value in means.items() if math.isfinite(value)}
        if not finite:
            raise InputError(f"validation measure of {key}", given="none that is finite", expected="one at least")
        chosen |= dict.fromkeys(some, min(finite, key=finite.__getitem__))
    return chosen


def _at_edge(specs: Sequence[Mapping[str, Any]], chosen: Sequence[Mapping[str, Any]], over: Sequence[str]) -> int:
    """How many choices lie at the end of an axis of three or more numbers, where a wider grid might have won."""
    ends = {
        name: (min(values), max(values))
        for name, values in _grid(specs, over).items()
        if len(values) > 2 and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    }
    picked = [_own(spec, over) for spec in chosen]
    return sum(any(own[name] in ends[name] for name in ends if name in own) for own in picked)
