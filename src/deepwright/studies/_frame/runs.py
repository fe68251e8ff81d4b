"""A grid of trials is run, or replayed from its store, and read by arm and seed."""

from __future__ import annotations

import functools
import hashlib
import itertools
import math
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deepwright.core.errors import InputError
from deepwright.core.files import reading
from deepwright.core.machine import this_machine
from deepwright.core.statistics import Interval, mean_interval
from deepwright.core.trials import run as run_trials
from deepwright.studies._settings import Settings

Measure = str | Callable[[Any], Any]
"""What is read from a trial's result: its key, or a function of the whole result."""


def inside(*keys: Any) -> Callable[[Any], Any]:
    """A measure that lies deeper: `inside("auroc", "PGD")` reads `row["auroc"]["PGD"]`.

    Args:
        keys: from the outside in.
    """

    def read(row: Any) -> Any:
        for key in keys:
            row = row[key]
        return row

    return read


@dataclass(frozen=True)
class Runs:
    """Trials' results beside the arguments that each was run with.

    Attributes:
        specs: the trials' arguments.
        rows: their results, in the same order.
        replayed: how many of them were in the store already.
        seconds: what all of them took when they were run, one after another.
        waited: what the call of `run_grid` took.
        machines: on which they were run, each once.
    """

    specs: tuple[dict[str, Any], ...]
    rows: tuple[Any, ...]
    replayed: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    machines: tuple[dict[str, Any], ...] = ()

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
        return {key: self.only(places) for key, places in self.places(*axes).items()}

    def places(self, *axes: str) -> dict[Any, list[int]]:
        """The arms as `by` has them: the places of their trials.

        Args:
            axes: the arguments' names.
        """
        arms: dict[Any, list[int]] = {}
        for i, spec in enumerate(self.specs):
            key = spec[axes[0]] if len(axes) == 1 else tuple(spec[a] for a in axes)
            arms.setdefault(key, []).append(i)
        return arms

    def only(self, places: Sequence[int]) -> Runs:
        """Some of the trials, without the seconds and machines, which are those of all.

        Args:
            places: of the trials.
        """
        return Runs(tuple(self.specs[i] for i in places), tuple(self.rows[i] for i in places))

    def in_group(self, name: str) -> Runs:
        """The same trials, each said to be of a group of arms: what `select` compares with each other.

        Args:
            name: of the group.
        """
        return replace(self, specs=tuple({**spec, "group": name} for spec in self.specs))

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
        return over_trials(self.values(measure))

    def cells(self, measure: Measure) -> tuple[float | None, ...]:
        """Mean over the trials and its interval's ends, as `cells` has them.

        Args:
            measure: what is read.
        """
        return cells(self.interval(measure))


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
        seconds = time.perf_counter() - begin
        return {"result": result, "seconds": seconds, "call": self.call, "machine": this_machine()}


def cross(**axes: Any) -> list[dict[str, Any]]:
    """Every combination of the axes' values; the first axis changes slowest.

    Args:
        axes: by name, a list, tuple or range of values; anything else is a constant.
    """
    spread = [list(v) if isinstance(v, list | tuple | range) else [v] for v in axes.values()]
    return [dict(zip(axes, values)) for values in itertools.product(*spread)]


def run_grid(
    function: Callable[..., Any],
    grid: Sequence[dict[str, Any]],
    settings: Settings,
    description: str,
    files: Sequence[Path] = (),
) -> Runs:
    """Run a study's trials, or take them from its store.

    Args:
        function: the trial; see `core.trials.run`.
        grid: one dict of keyword arguments a trial.
        settings: store, jobs and backend.
        description: shown beside the bar.
        files: that the trials read by themselves: a stored trial that read others isn't taken.

    Raises:
        InputError: a file that can't be read.
    """
    begin = time.perf_counter()
    timed = _Timed(function, uuid.uuid4().hex)
    found = run_trials(
        timed,
        grid,
        store=settings.store,
        jobs=settings.jobs,
        backend=settings.backend,
        fingerprint=_fingerprint(files),
        description=description,
    )
    machines: list[dict[str, Any]] = []
    for trial in found:
        machine = trial.get("machine")  # an earlier version's store doesn't say
        if machine is not None and machine not in machines:
            machines.append(machine)
    return Runs(
        tuple(grid),
        tuple(trial["result"] for trial in found),
        replayed=sum(trial["call"] != timed.call for trial in found),
        seconds=sum(trial["seconds"] for trial in found),
        waited=time.perf_counter() - begin,
        machines=tuple(machines),
    )


def over_trials(values: Sequence[Any]) -> Interval:
    """Mean with Student's 95 % interval; where one trial diverged, what that makes of the mean and no interval.

    One trial's NaN or infinity doesn't stop a study that took hours: it is shown, and decides no claim.

    Args:
        values: one a trial, at least one.

    Raises:
        InputError: there is none.
    """
    if all(math.isfinite(value) for value in values):
        return mean_interval(values)
    return Interval(mean(values), -math.inf, math.inf)


def _fingerprint(files: Sequence[Path]) -> str:
    """One word for what files hold, wherever they are; "" for none."""
    found = []
    for path in files:
        with reading(f"cannot read {path}", "a file of the data root", path), path.open("rb") as stream:
            found.append(hashlib.file_digest(stream, "sha256").hexdigest())
    return ",".join(found)


def cells(interval: Interval) -> tuple[float | None, ...]:
    """A value and its interval's ends as cells of a table: no ends where they aren't known.

    Args:
        interval: over the seeds.
    """
    return (interval.value, interval.low, interval.high) if interval.known else (interval.value, None, None)


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
