"""Calibration of numbers: do 90 % intervals hold 90 % of the targets, and how wide must they be to do so?"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from deepwright.checks.confidences import STEPS
from deepwright.checks.findings.finding import Finding
from deepwright.checks.grading import Graded, graded_down, no_skill
from deepwright.checks.held_out import REMEDY, why_none
from deepwright.checks.subjects.subject import Subject
from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval, conformal_rank
from deepwright.core.tasks import Regression
from deepwright.risk import Coverage, conformal_half_width, coverage, miscoverage
from deepwright.risk.intervals import LEVELS

_MOVES = 8  # outputs whose correction is written out
_TOLD = 0.9  # the level that the summary speaks of, where it is there
_NARROWER = (
    "as wide for every sample. A network that predicts its own spread (a task with spread='variance', 'interval' or "
    "'quantiles') can be narrower where it is sure."
)
Ends = dict[float, tuple[Tensor, Tensor]]


def interval_calibration(subject: Subject) -> Finding:
    """Coverage and width of claimed intervals, or of conformal ones where the network gives numbers alone.

    Args:
        subject: of a regression.
    """
    claimed, conformal = _claimed(subject), _conformal(subject)
    if not claimed:
        return _of_points(subject, conformal)
    y = subject.data.test.y
    held = {level: (low <= y) & (y <= high) for level, (low, high) in claimed.items()}
    found = miscoverage(held, subject.seed)
    grade, rule = _grade(subject, found)
    rows = _rows(subject, claimed)
    level = min(claimed, key=lambda each: abs(each - _TOLD))
    means, unit = _means(subject, rows), _unit(subject)
    values: dict[str, Any] = {"miscoverage": found}
    values |= {f"coverage_{round(100 * each)}": share for each, (share, _) in means.items()}
    values |= {f"width_{round(100 * each)}": width for each, (_, width) in means.items()}
    values |= _conformal_values(subject, conformal)
    crossing = _crossing(subject)
    gaps = [share.value - each for each, (share, _) in means.items()]
    way = "too narrow" if sum(gaps) < 0 else "too wide"
    return Finding(
        check="calibration",
        grade=grade.grade,
        summary=f"Intervals that claim {level:.0%} hold {means[level][0].value:.1%} of {len(y)} test targets "
        f"(95 % interval {means[level][0].low:.1%} to {means[level][0].high:.1%}) at a mean "
        f"width of {means[level][1]:.3g}{unit}. In the mean over levels and outputs coverage "
        f"is off by {found}; on the whole they are {way}."
        f"{crossing}{_conformal_words(subject, conformal, level)}",
        values=values,
        rule=rule,
        remedy=_remedy(subject, grade, level, [c for _, c in rows if c.level == level]),
        tables=[_table(rows, "claimed intervals"), *_conformal_table(subject, conformal)],
        figures=[_figure(rows)],
        lower_is_better=("miscoverage",),
        could_be=grade.could_be,
        graded_by=("miscoverage",),
        conditions={"levels": sorted(claimed)},
    )


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _of_points(subject: Subject, conformal: Ends) -> Finding:
    """A network that gives numbers alone."""
    if not conformal:
        why = why_none(subject) or "there are too few validation samples for conformal ones"
        return Finding.not_applicable(
            "calibration", f"{_claims(subject)}, and {why}, so that conformal intervals can't be fitted"
        )
    rows = _rows(subject, conformal)
    level = min(conformal, key=lambda each: abs(each - _TOLD))
    (share, width), unit = _means(subject, rows)[level], _unit(subject)
    return Finding(
        check="calibration",
        grade="info",
        summary=f"{_sentence(_claims(subject))}; this is what conformal intervals would be: {level:.0%} of the "
        f"targets within a width of {width:.3g}{unit} (fitted on {len(subject.data.validation)} validation samples), "
        f"which holds {share.value:.1%} of {len(subject.data.test)} test targets (95 % interval {share.low:.1%} to "
        f"{share.high:.1%}).",
        values=_conformal_values(subject, conformal),
        rule="Not graded: there is no claim that could be wrong."
        if cast(Regression, subject.task).spread == "none"
        else "Not graded: quantiles that don't pair, as 0.05 and 0.95 do, claim no interval that could be judged.",
        remedy=f"For an interval around each number take `subject.outputs() - {width / 2:.4g}` to `subject.outputs() "
        f"+ {width / 2:.4g}`: {_NARROWER}"
        if subject.task.columns == (1,)
        else f"Add and subtract half of each output's width below: {_NARROWER}",
        tables=_conformal_table(subject, conformal),
        figures=[_figure(rows)],
    )


def _claimed(subject: Subject) -> Ends:
    """Ends of the central intervals that the network gives, by level."""
    task, out = cast(Regression, subject.task), subject.outputs().double()
    levels: tuple[float, ...] = LEVELS
    if task.spread in ("quantiles", "interval"):
        levels = tuple(sorted({round(1 - 2 * p, 9) for p in task.levels if p < 0.5}))
    found = {level: task.interval(out, level) for level in levels}
    # ends that cross would hold nothing at a negative width: they are put in order, which `_crossing` says
    return {level: (torch.minimum(*ends), torch.maximum(*ends)) for level, ends in found.items() if ends is not None}


def _crossed(subject: Subject) -> int:
    """On how many test samples quantiles, or the ends of an interval, cross."""
    spread = cast(Regression, subject.task).spread
    if spread not in ("quantiles", "interval"):
        return 0
    out = subject.outputs()[..., spread == "interval" :]  # of an interval the number itself stands first
    return int((out[..., 1:] < out[..., :-1]).flatten(1).any(1).sum())


def _crossing(subject: Subject) -> str:
    """On how many samples quantiles cross, in a sentence; empty where none do."""
    count, n = _crossed(subject), len(subject.outputs())
    what = "ends" if cast(Regression, subject.task).spread == "interval" else "quantiles"
    return f" Its {what} cross on {count} of {n} test samples; crossed ends were put in order." * (count > 0)


def _disordered(subject: Subject) -> bool:
    """Whether quantiles cross on most samples: then they come in another order than their levels."""
    return 2 * _crossed(subject) > len(subject.outputs())


def _claims(subject: Subject) -> str:
    """What the network says of its uncertainty where it gives no interval."""
    task = cast(Regression, subject.task)
    if task.spread not in ("quantiles", "interval"):
        return "the network claims no uncertainty"
    return f"none of its quantiles {', '.join(f'{p:g}' for p in task.levels)} pair to a central interval"


def _conformal(subject: Subject) -> Ends:
    """Ends of split-conformal intervals around the network's numbers, where validation samples allow them."""
    if why_none(subject):
        return {}
    task, known = cast(Regression, subject.task), subject.data.validation.y.double()
    errors = task.point(subject.outputs("validation")).double() - known
    point = task.point(subject.outputs()).double()
    found: Ends = {}
    for level in LEVELS:
        half = point.new_tensor([conformal_half_width(errors[:, i], level) for i in range(errors.shape[1])])
        if bool(torch.isfinite(half).all()):
            found[level] = (point - half, point + half)
    return found


def _rows(subject: Subject, ends: Ends) -> list[tuple[str, Coverage]]:
    """Coverage of each output at each level."""
    y = subject.data.test.y.double()
    names = cast(Regression, subject.task).names or tuple(f"output {i}" for i in range(y.shape[1]))
    return [
        (name, coverage(low[:, i], high[:, i], y[:, i], level))
        for level, (low, high) in sorted(ends.items())
        for i, name in enumerate(names)
    ]


def _unit(subject: Subject) -> str:
    """What mean widths are in, in words that follow a number."""
    return "" if subject.data.test.y.shape[1] == 1 else " deviations of each target"


def _means(subject: Subject, rows: list[tuple[str, Coverage]]) -> dict[float, tuple[Interval, float]]:
    """Share held and width of each level, in the mean over outputs (which share their samples).

    Outputs have units of their own, so widths of several are in deviations of their targets.
    """
    y = subject.data.test.y.double()
    scale = y.std(0, correction=0).clamp_min(1e-12).tolist() if y.shape[1] > 1 else [1.0]
    found = {}
    for level in sorted({c.level for _, c in rows}):
        mine = [c for _, c in rows if c.level == level]
        width = sum(c.width / s for c, s in zip(mine, scale)) / len(mine)
        found[level] = Interval.mean_of([c.held for c in mine]), width
    return found


def _grade(subject: Subject, found: Interval) -> tuple[Graded, str]:
    why = no_skill(subject)
    if why:
        return Graded("info"), f"Not graded: {why}; an interval around a guess is of no use, however true."
    if _disordered(subject):
        many = f"{_crossed(subject)} of {len(subject.outputs())}"
        why = f"Not graded: quantiles that cross on {many} samples aren't in the order of their levels."
        return Graded("info"), why
    grade = graded_down(found, STEPS)
    rule = (
        f"Coverage is off by {found.value:.3f} in the mean over levels and outputs, without what few samples add: A up "
        f"to 0.02, B up to 0.05, C up to 0.1, D up to 0.2, E beyond.{grade.words}"
    )
    return grade, rule


def _remedy(subject: Subject, grade: Graded, level: float, held: list[Coverage]) -> str:
    if _disordered(subject):
        levels = ", ".join(f"{p:g}" for p in cast(Regression, subject.task).levels)
        return f"Let the network give its quantiles in the order of their levels ({levels}), or sort them at its end."
    if grade.grade == "A":
        return "Nothing to do for the intervals."
    why = why_none(subject)
    if why:
        return f"No correction is advised, for {why}. {REMEDY}"
    task, known = cast(Regression, subject.task), subject.data.validation.y.double()
    ends = task.interval(subject.outputs("validation").double(), level)
    assert ends is not None
    # The conformal correction of claimed intervals: by how much targets leave them, each output in its own units.
    outside = torch.maximum(torch.minimum(*ends) - known, known - torch.maximum(*ends))
    rank = conformal_rank(len(outside), level)
    if rank > len(outside):
        return f"No correction is advised: {len(outside)} validation samples are too few for {level:.0%}. {REMEDY}"
    moves = outside.sort(0).values[rank - 1].tolist()
    if all((each.held.value < level) != (move > 0) for each, move in zip(held, moves, strict=True)):
        return (
            f"No correction is advised: {len(outside)} validation samples ask for another direction than the test "
            "samples, so it isn't determined. Take more validation samples."
        )
    names = task.names or tuple(f"output {i}" for i in range(len(moves)))
    many = len(moves) > 1
    ways = [
        f"{'widen both ends' if move > 0 else 'pull both ends in'} by {abs(move):.4g}{f' for {name}' if many else ''}"
        for name, move in zip(names[:_MOVES], moves)
    ]
    rest = f"; and so on for {len(moves) - _MOVES} more" if len(moves) > _MOVES else ""
    return (
        f"{_sentence('; '.join(ways))}{rest} (fitted on {len(outside)} validation samples): the {level:.0%} interval"
        f"{' of each output' if many else ''} then holds that share of new samples or more, on average."
    )


def _conformal_values(subject: Subject, conformal: Ends) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for level, (share, width) in _means(subject, _rows(subject, conformal)).items() if conformal else ():
        values[f"conformal_coverage_{round(100 * level)}"] = share
        values[f"conformal_width_{round(100 * level)}"] = width
    return values


def _conformal_words(subject: Subject, conformal: Ends, level: float) -> str:
    if level not in conformal:
        return ""
    share, width = _means(subject, _rows(subject, conformal))[level]
    return (
        f" Conformal ones of the same level around its numbers are {width:.3g}{_unit(subject)} wide and hold "
        f"{share.value:.1%}."
    )


def _conformal_table(subject: Subject, conformal: Ends) -> list[Table]:
    return [_table(_rows(subject, conformal), "conformal intervals, from validation errors")] if conformal else []


def _table(rows: list[tuple[str, Coverage]], caption: str) -> Table:
    columns = ["output", "level", "share held", "95 % from", "95 % to", "mean width"]
    data: list[list[Any]] = [[name, c.level, c.held.value, c.held.low, c.held.high, c.width] for name, c in rows]
    return Table(columns, data[:200], caption)


def _figure(rows: list[tuple[str, Coverage]]) -> Figure:
    names = list(dict.fromkeys(name for name, _ in rows))[:6]
    series = [
        {
            "name": name,
            "x": [c.level for other, c in rows if other == name],
            "y": [c.held.value for other, c in rows if other == name],
            "low": [c.held.low for other, c in rows if other == name],
            "high": [c.held.high for other, c in rows if other == name],
        }
        for name in names
    ]
    perfect = {"name": "as claimed", "x": [0, 1], "y": [0, 1], "dashed": True}
    return Figure("line", "Coverage of intervals", [*series, perfect], "level", "share held", y_range=(0.0, 1.0))
