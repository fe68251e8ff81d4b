"""A detector in front of a forecaster: whom it learns from, what it sees, and what gets past it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from deepwright.checks.findings.finding import Finding
from deepwright.checks.held_out import why_none
from deepwright.checks.streams import AttackedStreams, attacked_streams
from deepwright.checks.subjects.subject import Subject
from deepwright.core.inference import read_outputs
from deepwright.core.requirements import require_within
from deepwright.core.results import Table
from deepwright.core.statistics import Interval, mean_interval
from deepwright.ood import CrossValidation, EntitySelector, EvasiveSteps, WatchedForecaster, cross_validate
from deepwright.ood.roast.cohort import Part

_K = 7
_MOST = 300  # windows of an entity that the attacker who knows the detector works on


@dataclass
class StreamGuard:
    """What a detector is worth in front of a forecaster.

    Attributes:
        watched: the forecaster with its detector.
        kept: entities whose training windows the detector holds.
        without: the finding of the forecaster alone.
        beside: the finding with the detector.
        notes: what a reader must know.
    """

    watched: WatchedForecaster
    kept: tuple[Any, ...]
    without: Finding
    beside: Finding
    notes: list[str]


def measured_stream_guard(subject: Subject, rate: float) -> StreamGuard:
    """Choose whom a detector learns from, calibrate it, and measure it with two attackers, one of whom knows it.

    The less vulnerable half is trained on where leaving each entity out in turn says that this finds more, else all.
    The threshold is that of validation windows of all entities, or of training windows left out one by one. What is
    measured is of the later part of each entity: alarms, and by how much more the forecast errs where there is none.

    Args:
        subject: see `streams.require_streams`.
        rate: of false alarms.

    Raises:
        NotApplicableError: see `streams.attacked_streams`.
    """
    require_within(0, 1, ends="()", rate=rate)
    streams = attacked_streams(subject)
    kept, gain, said = _whom(streams, rate)
    watched, told = _watched(subject, streams, kept, rate)
    attacks = {
        "one step": {name: part.attacked for name, part in streams.cohort.test.items()},
        "knows it": _evading(subject, streams, watched),
    }
    rows = {name: _measured(subject, watched, part, name, attacks) for name, part in streams.cohort.test.items()}
    return StreamGuard(
        watched,
        kept,
        _finding(rows, streams, rate, None, said),
        _finding(rows, streams, rate, (kept, gain), [*said, told]),
        [told, *said, "the forecasts are as before: what is new is the alarm, which `model.watched(x)` gives"],
    )


def _whom(streams: AttackedStreams, rate: float) -> tuple[tuple[Any, ...], CrossValidation | None, list[str]]:
    cohort = streams.cohort
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        selector = EntitySelector().fit(cohort.profiles(streams.severity))
    everybody = tuple(cohort.train)
    chosen = selector.less_vulnerable_
    words = [str(w.message) for w in said]
    if not selector.more_vulnerable_ or len(chosen) < 2:
        return everybody, None, words
    gain = cross_validate(cohort, chosen, streams.setup, rate)
    return (tuple(chosen) if gain.accepted else everybody), gain, words


def _watched(
    subject: Subject, streams: AttackedStreams, kept: tuple[Any, ...], rate: float
) -> tuple[WatchedForecaster, str]:
    """The module, its threshold at the rate, and what the threshold was set on."""
    windows = torch.cat([streams.cohort.train[name].x for name in kept])
    made = partial(WatchedForecaster, subject.model, windows, centre=streams.centre, spread=streams.spread)
    held_out = subject.data.validation
    if len(held_out) >= math.ceil(1 / rate) and not why_none(subject):
        scored = made(threshold=1.0, k=_K)
        batches = (x for x, _ in held_out.batches(subject.batch_size))
        scores = torch.cat([scored.score(x.to(scored.centre)).cpu() for x in batches])
        told = f"the threshold is that of {len(scores)} validation windows of all entities, {rate:.1%} of them above it"
    else:  # each training window as if it weren't there: its first neighbour is itself
        scored = made(threshold=1.0, k=_K + 1)
        whole = torch.cat([part.x for part in streams.cohort.train.values()])
        mine = set(kept)
        scores = torch.cat(
            [
                (scored if name in mine else made(threshold=1.0, k=_K)).score(part.x.to(scored.centre)).cpu()
                for name, part in streams.cohort.train.items()
            ]
        )
        told = (
            f"the threshold is that of {len(whole)} training windows, each left out of its own neighbours: "
            "new ones may raise more alarms"
        )
    ordered = scores.double().sort().values
    cut = float(ordered[min(len(ordered) - 1, math.ceil((1 - rate) * len(ordered)) - 1)])
    return made(threshold=max(cut, 1e-12), k=_K), told


def _evading(subject: Subject, streams: AttackedStreams, watched: WatchedForecaster) -> dict[Any, Tensor]:
    attack = EvasiveSteps(watched.score, 1.0, streams.eps)
    found = {}
    for name, part in streams.cohort.test.items():
        rows = _tried(len(part.x))
        x, y = part.x[rows].to(watched.centre), part.y[rows].to(watched.centre)
        found[name] = attack(subject.model, x, y).to(part.x)
    return found


def _tried(windows: int) -> Tensor:
    """Rows that the attacker who knows the detector works on, spread over all: the first ones are one time of it."""
    count = min(windows, _MOST)
    return torch.arange(count) * windows // count


def _measured(
    subject: Subject, watched: WatchedForecaster, part: Part, name: Any, attacks: Mapping[str, Mapping[Any, Tensor]]
) -> dict[str, float]:
    """One entity: errors, alarms, and by how much more the forecast errs where there is no alarm."""

    def seen(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        said = torch.cat(read_outputs(subject.model, x.split(1024), lambda out, n: out)).reshape(len(x), -1).cpu()
        with torch.no_grad():
            return (said - y.reshape(len(x), -1).cpu()).abs().mean(1), watched.score(x.to(watched.centre)).cpu() > 1

    clean, false = seen(part.x, part.y)
    row = {"error": float(clean.mean()), "false alarms": float(false.double().mean())}
    for attack, each in attacks.items():
        x = each[name]
        rows = torch.arange(len(x)) if len(x) == len(part.x) else _tried(len(part.x))
        error, alarm = seen(x, part.y[rows])
        moved = (x != part.x[rows]).flatten(1).any(1).cpu()
        more = (error - clean[rows]).clamp_min(0)
        row[f"{attack}: error"] = float(error.mean())
        row[f"{attack}: seen"] = float(alarm[moved].double().mean()) if bool(moved.any()) else math.nan
        row[f"{attack}: harm"] = float(more.mean())
        row[f"{attack}: harm without an alarm"] = float((more * ~alarm).mean())
    return row


def _mean(rows: Mapping[Any, Mapping[str, float]], column: str) -> Interval:
    return mean_interval([row[column] for row in rows.values() if not math.isnan(row[column])])


def _finding(
    rows: Mapping[Any, Mapping[str, float]],
    streams: AttackedStreams,
    rate: float,
    guard: tuple[tuple[Any, ...], CrossValidation | None] | None,
    said: list[str],
) -> Finding:
    """Of the forecaster alone (no guard), or with it."""
    suffix = "harm" if guard is None else "harm without an alarm"
    values: dict[str, Any] = {
        "error": _mean(rows, "error"),
        "harm": _mean(rows, f"one step: {suffix}"),
        "harm_by_one_who_knows": _mean(rows, f"knows it: {suffix}"),
    }
    if guard is not None:
        values |= {"attacks_seen": _mean(rows, "one step: seen"), "false_alarms": _mean(rows, "false alarms")}
        if not all(math.isnan(row["knows it: seen"]) for row in rows.values()):
            values["seen_of_one_who_knows"] = _mean(rows, "knows it: seen")
    columns = ["error", "one step: error", f"one step: {suffix}", "knows it: error", f"knows it: {suffix}"]
    columns += ["false alarms", "one step: seen", "knows it: seen"] if guard is not None else []
    table = Table(
        ["entity", *columns],
        [[str(name), *(None if math.isnan(row[c]) else row[c] for c in columns)] for name, row in rows.items()],
        f"By entity, mean absolute error and by how much more it errs under a budget of {streams.eps:.3g} "
        "(a window that errs less counts as 0); "
        f"the attacker who knows the detector is tried on at most {_MOST} windows of each entity, spread over all",
    )
    return Finding(
        check="stream guard",
        grade="info",
        summary=_summary(values, streams, rate, guard),
        values=values,
        rule="Not graded: how far off a forecast may be is yours to say (a gate on harm). The one who knows the "
        "detector follows its gradient and the forecaster's for 20 steps and three weights; a stronger one may do more."
        + "".join(f" {words[0].upper()}{words[1:]}." for words in said),
        remedy="Read the numbers of the attacker who knows the detector before you rely on it.",
        tables=[table],
        lower_is_better=("error", "harm", "harm_by_one_who_knows", "false_alarms"),
        higher_is_better=tuple(v for v in ("attacks_seen", "seen_of_one_who_knows") if guard is None or v in values),
        conditions={"budget": streams.eps, "false alarms": rate},
    )


def _summary(values: Mapping[str, Any], streams: AttackedStreams, rate: float, guard: Any) -> str:
    one, knowing = values["harm"].value, values["harm_by_one_who_knows"].value
    if guard is None:
        return (
            f"One step of {streams.eps:.3g} on the target's own past adds {one:.3g} to a mean absolute error of "
            f"{values['error'].value:.3g}, and {knowing:.3g} where the attacker knows the detector that is put in "
            "front; nothing is seen of either."
        )
    kept, gain = guard
    known = "An attacker who knows it finds no window that he could move without an alarm."
    if "seen_of_one_who_knows" in values:
        seen = values["seen_of_one_who_knows"].value
        known = f"Of an attacker who knows it {seen:.1%} are seen, and what passes adds {knowing:.3g}."
    whole = len(kept) == len(streams.cohort.train)
    whom = "all entities" if whole else f"the {len(kept)} less vulnerable of {len(streams.cohort.train)} entities"
    why = (
        ""
        if gain is None
        else (
            f" (left out in turn, entities are watched better by the less vulnerable half by {gain.gain.value:+.1%}, "
            f"95 % interval {gain.gain.low:+.1%} to {gain.gain.high:+.1%})"
        )
    )
    return (
        f"A detector of {whom}{why} raises an alarm on {values['attacks_seen'].value:.1%} of the attacked windows and "
        f"on {values['false_alarms'].value:.1%} of the others (set for {rate:.1%}); what passes it adds {one:.3g} to "
        f"the error. {known}"
    )
