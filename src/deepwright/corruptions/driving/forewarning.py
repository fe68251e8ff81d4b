"""Whether pictures looked unusual before the driver failed: how often, how long before, and how often for nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_number, require_within
from deepwright.core.results import Table
from deepwright.core.statistics import Interval, wilson
from deepwright.corruptions.driving.scenarios import Outcome


@dataclass(frozen=True)
class Forewarning:
    """What watching the pictures would have told.

    Attributes:
        threshold: scores above it alarm.
        rate: at most so many clean episodes alarm, on average over clean episodes that the threshold is set on.
        ahead: seconds before the failure, at least, for an alarm to count as in time.
        warned: share of failed episodes with an alarm in time; None where none failed.
        false: share of passed episodes with an alarm; None where none passed.
        lead: median over failed episodes with an alarm of the seconds from the first one to the failure; None where
            there are none.
        table: one row a cell.
    """

    threshold: float
    rate: float
    ahead: float
    warned: Interval | None
    false: Interval | None
    lead: float | None
    table: Table

    def __str__(self) -> str:
        warned = "no failures" if self.warned is None else f"before {self.warned:.2f} of the failures"
        false = "" if self.false is None else f", and in {self.false:.2f} of the episodes that passed"
        lead = "" if self.lead is None else f"; median lead {self.lead:.1f} s"
        return f"unusual pictures {self.ahead:g} s {warned}{false}{lead}"


def forewarned(
    outcomes: Sequence[Outcome], clean: Sequence[Outcome], *, rate: float = 0.1, ahead: float = 1.0
) -> Forewarning:
    """Alarms by the scores of `evaluate(..., watch=...)`, at a rate of false alarms per clean episode.

    The threshold is the k-th largest of the clean episodes' highest scores, k = rate (n + 1) cut to whole: another
    clean episode that is exchangeable with them alarms with a probability of at most `rate`.

    Args:
        outcomes: of any scenarios, watched.
        clean: watched episodes without a perturbation, on other roads: the threshold is set on them alone.
        rate: of clean episodes that may alarm; 1 / rate - 1 clean episodes are needed.
        ahead: seconds before the failure, at least, for an alarm to be in time.

    Raises:
        InputError: episodes that weren't watched, too few clean ones, perturbed ones or `outcomes` themselves among
            them.
    """
    require_within(0, 1, ends="()", rate=rate)
    require_number(0, ahead=ahead)
    highest = _highest(clean, outcomes)
    k = int(rate * (len(highest) + 1) + 1e-9)
    if k < 1:
        needed = math.ceil(1 / rate - 1 - 1e-9)
        raise InputError("clean", given=f"{len(highest)} episodes", expected=f"{needed} or more for a rate of {rate:g}")
    threshold = sorted(highest, reverse=True)[k - 1]
    counted = [o for o in outcomes if o.counts and len(o.xte)]
    firsts = [(o, _first(o, threshold)) for o in counted]
    leads = [o.seconds - at for o, at in firsts if o.failed and at is not None]
    failed = [o.seconds - at if at is not None else -1.0 for o, at in firsts if o.failed]
    passed = [at is not None for o, at in firsts if o.passed]
    return Forewarning(
        threshold,
        rate,
        ahead,
        wilson(sum(lead >= ahead for lead in failed), len(failed)) if failed else None,
        wilson(sum(passed), len(passed)) if passed else None,
        _median(leads),
        _table(firsts, ahead, len(highest), rate),
    )


def _highest(clean: Sequence[Outcome], outcomes: Sequence[Outcome]) -> list[float]:
    """Each clean episode's highest score."""
    for outcome in (*clean, *outcomes):
        if outcome.counts and len(outcome.unusual) != len(outcome.xte):
            raise InputError("outcomes", given="episodes that weren't watched", expected="evaluate(..., watch=score)")
    if any(o.scenario.perturbation is not None for o in clean):
        raise InputError("clean", given="perturbed episodes", expected="episodes without a perturbation")
    known = {id(o) for o in outcomes}
    if any(id(o) in known for o in clean):
        raise InputError("clean", given="episodes of `outcomes` among them", expected="others, on other roads")
    return [float(o.unusual.max()) for o in clean if o.counts and len(o.unusual)]


def _first(outcome: Outcome, threshold: float) -> float | None:
    """Seconds at which the first alarm comes, with the picture; None without one."""
    above = (outcome.unusual > threshold).nonzero()
    return int(above[0]) * outcome.dt if len(above) else None


def _table(firsts: Sequence[tuple[Outcome, float | None]], ahead: float, n: int, rate: float) -> Table:
    rows: list[list[Any]] = []
    for cell in dict.fromkeys(o.scenario.cell for o, _ in firsts):
        mine = [(o, at) for o, at in firsts if o.scenario.cell == cell]
        leads = [o.seconds - at for o, at in mine if o.failed and at is not None]
        failed, passed = sum(o.failed for o, _ in mine), [at is not None for o, at in mine if o.passed]
        warned = sum(lead >= ahead for lead in leads)
        rows.append([*cell, failed, warned, _median(leads), len(passed), sum(passed)])
    columns = ["perturbation", "severity", "failed", f"alarm {ahead:g} s before", "median lead (s)", "passed", "alarm"]
    caption = f"Unusual pictures: at most {rate:.0%} of clean episodes alarm, set on {n} others"
    return Table(columns, rows, caption)


def _median(values: Sequence[float]) -> float | None:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return None if not ordered else (ordered[middle] + ordered[~middle]) / 2
