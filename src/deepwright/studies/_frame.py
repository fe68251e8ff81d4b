"""The frame of a study: a grid of trials is run, read by arm and seed, and what it says becomes one result.

A study that stands in it has left to write: its trials, its grid, its claims and its sentence.
"""

from __future__ import annotations

import functools
import itertools
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from deepwright.core.errors import InputError
from deepwright.core.results import Claim, Figure, StudyResult, Table
from deepwright.core.statistics import Interval, mean_interval
from deepwright.core.trials import run as run_trials
from deepwright.studies._settings import Settings

Measure = str | Callable[[Any], Any]
"""What is read from a trial's result: its key, or a function of the whole result."""


@dataclass(frozen=True)
class Runs:
    """Trials' results beside the arguments that each was run with.

    Attributes:
        specs: the trials' arguments.
        rows: their results, in the same order.
        replayed: how many of them were in the store already.
        replayed_seconds: what those took when they were run.
    """

    specs: tuple[dict[str, Any], ...]
    rows: tuple[Any, ...]
    replayed: int = 0
    replayed_seconds: float = 0.0

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.rows)

    def __getitem__(self, index: int) -> Any:
        return self.rows[index]

    def by(self, *axes: str) -> dict[Any, Runs]:
        """The arms: one `Runs` for each value of an argument, or for each tuple of values of several.

        Args:
            axes: the arguments' names.
        """
        arms: dict[Any, list[int]] = {}
        for i, spec in enumerate(self.specs):
            key = spec[axes[0]] if len(axes) == 1 else tuple(spec[a] for a in axes)
            arms.setdefault(key, []).append(i)
        return {k: Runs(tuple(self.specs[i] for i in at), tuple(self.rows[i] for i in at)) for k, at in arms.items()}

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seed of each trial."""
        return tuple(spec["seed"] for spec in self.specs)

    def values(self, measure: Measure) -> list[Any]:
        """One value a trial.

        Args:
            measure: what is read.
        """
        return [row[measure] if isinstance(measure, str) else measure(row) for row in self.rows]

    def mean(self, measure: Measure) -> float:
        """Mean over the trials.

        Args:
            measure: what is read.
        """
        return mean(self.values(measure))

    def interval(self, measure: Measure) -> Interval:
        """Mean over the trials with Student's 95 % interval, which one trial doesn't have.

        Args:
            measure: what is read.
        """
        return mean_interval(self.values(measure))


class _Timed:
    """A trial function whose results say how long they took and in which call of `run_grid` they were made."""

    def __init__(self, function: Callable[..., Any], call: str) -> None:
        functools.update_wrapper(self, function)
        self.function, self.call = function, call

    def __resume_identity__(self) -> Callable[..., Any]:
        """The store's key is that of the function alone."""
        return self.function

    def __call__(self, **trial: Any) -> dict[str, Any]:
        begin = time.perf_counter()
        result = self.function(**trial)
        return {"result": result, "seconds": time.perf_counter() - begin, "call": self.call}


def cross(**axes: Any) -> list[dict[str, Any]]:
    """Every combination of the axes' values; the first axis changes slowest.

    Args:
        axes: by name, a list, tuple or range of values; anything else is a constant.
    """
    spread = [list(v) if isinstance(v, list | tuple | range) else [v] for v in axes.values()]
    return [dict(zip(axes, values)) for values in itertools.product(*spread)]


def run_grid(
    function: Callable[..., Any], grid: Sequence[dict[str, Any]], settings: Settings, description: str
) -> Runs:
    """Run a study's trials, or take them from its store.

    Args:
        function: the trial; see `core.trials.run`.
        grid: one dict of keyword arguments a trial.
        settings: store, jobs and backend.
        description: shown beside the bar.
    """
    timed = _Timed(function, uuid.uuid4().hex)
    found = run_trials(
        timed, grid, store=settings.store, jobs=settings.jobs, backend=settings.backend, description=description
    )
    old = [f for f in found if f["call"] != timed.call]
    return Runs(tuple(grid), tuple(f["result"] for f in found), len(old), sum(f["seconds"] for f in old))


def mean(values: Sequence[Any]) -> float:
    """Mean of numbers or of truth values.

    Args:
        values: at least one.

    Raises:
        InputError: there is none.
    """
    if len(values) == 0:
        raise InputError("values to average", given="none", expected="at least one")
    return sum(float(v) for v in values) / len(values)


def gaps(a: Runs, b: Runs, measure: Measure, other: Measure | None = None) -> list[float]:
    """One arm's measure minus another's, seed by seed.

    Args:
        a: the arm on the left.
        b: the arm on the right, with the same seeds.
        measure: what is read from both.
        other: what is read from `b`, where that is another measure.

    Raises:
        InputError: the arms' seeds differ.
    """
    return [x - y for x, y in _paired(a, b, measure, other)]


def ratios(a: Runs, b: Runs, measure: Measure, other: Measure | None = None) -> list[float]:
    """One arm's measure over another's, seed by seed.

    Args:
        a: the arm above the line.
        b: the arm below it, with the same seeds.
        measure: what is read from both.
        other: what is read from `b`, where that is another measure.

    Raises:
        InputError: the arms' seeds differ.
    """
    return [x / y for x, y in _paired(a, b, measure, other)]


def _paired(a: Runs, b: Runs, measure: Measure, other: Measure | None) -> list[tuple[float, float]]:
    if a.seeds != b.seeds:
        raise InputError(
            "two arms", given=f"seeds {a.seeds} and {b.seeds}", expected="the same seeds in the same order"
        )
    return list(zip(a.values(measure), b.values(measure if other is None else other)))


def banded(name: str, x: Sequence[Any], samples: Sequence[Sequence[float]]) -> dict[str, Any]:
    """A figure's series of means, with 95 % intervals over the seeds where every point has one.

    Args:
        name: in the legend.
        x: one place or label a point.
        samples: the values over seeds at each point.
    """
    points = [mean_interval(values) for values in samples]
    means = curve(name, x, [p.value for p in points])
    if not all(p.known for p in points):
        return means
    return {**means, "low": [p.low for p in points], "high": [p.high for p in points]}


def ends(interval: Interval) -> tuple[float | None, float | None]:
    """An interval's ends as cells of a table: none where they aren't known.

    Args:
        interval: over the seeds.
    """
    return (interval.low, interval.high) if interval.known else (None, None)


def curve(name: str, x: Sequence[Any], y: Sequence[Any], **more: Any) -> dict[str, Any]:
    """A figure's series without intervals.

    Args:
        name: in the legend.
        x: places or labels.
        y: values.
        more: what else `core.results.Figure` reads, `dashed` for one.
    """
    return {"name": name, "x": list(x), "y": list(y), **more}


def study_result(
    slug: str,
    runs: Sequence[Runs],
    *,
    seeds: Sequence[int],
    claims: list[Claim],
    tables: Sequence[Table],
    figures: Sequence[Figure],
    summary: str,
    settings: dict[str, Any],
) -> StudyResult:
    """Everything that a study found, with the seeds it was found on and what of it was replayed.

    `seconds` begins with what the replayed trials took when they were run; whoever times the run adds its own.

    Args:
        slug: the study's name on the command line.
        runs: of every grid.
        seeds: of the main grid.
        claims: each can fail.
        tables: the main one first.
        figures: at least one.
        summary: the sentence on top.
        settings: what else the numbers depend on.
    """
    recorded = {"seeds": list(seeds), **settings}
    replayed = sum(r.replayed for r in runs)
    if replayed:
        recorded["replayed from the store"] = f"{replayed} of {sum(map(len, runs))} trials"
    return StudyResult(
        slug,
        claims,
        tables[0],
        list(figures),
        list(tables[1:]),
        seconds=sum(r.replayed_seconds for r in runs),
        settings=recorded,
        summary=summary,
    )
