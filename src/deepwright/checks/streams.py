"""What does an attacker who reaches one channel of a forecaster do, to whom, and is it seen?"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.adversarial import SequenceFGSM
from deepwright.checks.budgets import budgets
from deepwright.checks.findings.finding import Finding, NotApplicableError
from deepwright.checks.subjects.series import channel_scale
from deepwright.checks.subjects.subject import Subject
from deepwright.core.results import Figure, Table
from deepwright.core.statistics import mean_interval
from deepwright.core.tasks import Forecast
from deepwright.data import Split, Windows
from deepwright.ood import (
    Cohort,
    EntitySelector,
    KNNDetector,
    Regime,
    Setup,
    SeverityMatrix,
    attack_parts,
    cross_validate,
    run_regime,
)

RATE = 0.05
"""Of false alarms."""
_LEAST = 20  # windows of an entity in each part
_TAIL = 0.1


def check_streams(subject: Subject) -> Finding:
    """Error of each entity as it is and under attack on the target's own channel; what a detector in front of it sees.

    Applies to forecasters of series whose entities are known, with training windows. The attack is one gradient step of
    the judged budget; the detector is the distance to the 7th nearest benign window.
    """
    streams = attacked_streams(subject)
    cohort, severity, setup = streams.cohort, streams.severity, streams.setup
    profiles = cohort.profiles(severity)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        selector = EntitySelector().fit(profiles)
    everybody = run_regime(cohort, list(cohort.train), setup).at_rate(RATE)
    found: dict[str, Regime] = {"all entities": everybody}
    chosen = selector.less_vulnerable_
    advice = "keep all: all risks are equal"
    gain = None
    if selector.more_vulnerable_ and len(chosen) > 1:
        found["the less vulnerable half"] = run_regime(cohort, chosen, setup).at_rate(RATE)
        gain = cross_validate(cohort, chosen, setup, RATE)
        advice = "train on the less vulnerable half" if gain.accepted else "keep all entities"
    return _finding(
        subject,
        cohort,
        profiles,
        found,
        chosen,
        gain,
        advice,
        streams.eps,
        streams.small,
        [str(w.message) for w in said],
    )


@dataclass(frozen=True)
class AttackedStreams:
    """Entities of a subject, attacked once, and how a detector is made of them.

    Attributes:
        cohort: everybody: training windows are the earlier part, test windows the later one.
        severity: low, normal and high by the tails of all training targets.
        setup: a detector of windows in deviations of the training windows.
        eps: budget of the attack, in units of the target's channel.
        small: entities with too few windows, which are left out.
        centre: mean of each channel of the training windows.
        spread: deviation of each.
    """

    cohort: Cohort
    severity: SeverityMatrix
    setup: Setup
    eps: float
    small: int
    centre: Tensor
    spread: Tensor


def require_streams(subject: Subject) -> str:
    """Refuse what has no entities whose forecasts could be attacked on their own channel.

    Args:
        subject: any.

    Returns:
        the column that says whose a window is.

    Raises:
        NotApplicableError: another task, no gradients, no column.
    """
    task = subject.task
    if not isinstance(task, Forecast) or task.channels != 1:
        raise NotApplicableError(f"only forecasts of one series are attacked so, and this is {task.kind}")
    if not subject.has_gradients:
        raise NotApplicableError("the network gives no gradients, which the attack follows")
    return _entities(subject)


def attacked_streams(subject: Subject) -> AttackedStreams:
    """All entities with windows enough, one gradient step of the judged budget on each.

    Args:
        subject: see `require_streams`.

    Raises:
        NotApplicableError: see there; fewer than four entities with windows enough, or two whom the attack moves.
    """
    column = require_streams(subject)
    early, late = (_by_entity(split, column) for split in (subject.data.train, subject.data.test))
    small = [n for n in early if min(len(early[n]), len(late.get(n, ()))) < _LEAST]
    for name in small:
        del early[name]
    if len(early) < 4:
        raise NotApplicableError(f"{len(early)} entities have {_LEAST} training and test windows or more; 4 are needed")
    centre, scale = channel_scale(subject.data.train)
    eps = budgets(subject).judged * float(scale[0])
    cohort = attack_parts(subject.model, SequenceFGSM(eps, 0, task=subject.task), early, late)
    moved = [all(bool(part[name].differs.any()) for part in (cohort.train, cohort.test)) for name in cohort.train]
    if sum(moved) < 2:
        raise NotApplicableError(
            f"one step changes windows of {sum(moved)} of {len(moved)} entities: the forecasts hardly depend on the "
            "target's own past, which is what is attacked"
        )
    setup = Setup(KNNDetector, view=partial(_in_deviations, centre.float(), scale.float()))
    return AttackedStreams(cohort, _severity(early), setup, eps, len(small), centre.float(), scale.float())


def _entities(subject: Subject) -> str:
    columns = subject.data.test.columns
    if subject.data.kind != "series" or not columns:
        raise NotApplicableError("whose each window is isn't known (--entity COLUMN --time COLUMN)")
    if subject.groups in columns and subject.groups in subject.data.train.columns:
        return str(subject.groups)
    return next(iter(columns))


def _by_entity(split: Split, column: str) -> dict[str, Windows]:
    """Entity -> its windows, in their order."""
    if column not in split.columns:
        raise NotApplicableError(f"the training windows don't say whose they are (column {column!r})")
    whose = np.asarray(split.columns[column]).astype(str)
    found = {}
    for name in sorted(set(whose.tolist())):
        rows = torch.from_numpy(np.flatnonzero(whose == name))
        none = torch.zeros(len(rows), dtype=torch.bool)
        y = torch.as_tensor(split.y)[rows].flatten(1).float()
        found[name] = Windows(split.inputs(rows), y, torch.arange(len(rows)), none)
    return found


def _severity(early: dict[str, Windows]) -> SeverityMatrix:
    """Low, normal and high by the tails of all training targets."""
    targets = torch.cat([windows.y.flatten() for windows in early.values()]).double()
    order = targets.sort().values
    low, high = float(order[int(_TAIL * (len(order) - 1))]), float(order[math.ceil((1 - _TAIL) * (len(order) - 1))])
    if not low < high:
        raise NotApplicableError("the target hardly moves: a tenth of it is as low as a tenth of it is high")
    return SeverityMatrix((low, high), SeverityMatrix.glucose().weights, 1, names=("low", "normal", "high"))


def _in_deviations(centre: Tensor, scale: Tensor, x: Tensor) -> Tensor:
    return (x - centre.to(x)) / scale.to(x)


def _finding(
    subject: Subject,
    cohort: Cohort,
    profiles: dict[Any, Any],
    found: dict[str, Regime],
    chosen: list[Any],
    gain: Any,
    advice: str,
    eps: float,
    small: int,
    said: list[str],
) -> Finding:
    rows, clean, attacked = [], [], []
    everybody = found["all entities"]
    for name, part in cohort.test.items():
        before = float((part.benign_forecast - part.y).abs().mean())
        after = float((part.forecast - part.y).abs().mean())
        clean.append(before)
        attacked.append(after)
        one = everybody.by_entity()[name]
        rows.append(
            [
                name,
                len(part.x),
                before,
                after,
                profiles[name].mean_log,
                profiles[name].flip_rate,
                one["recall"],
                one["false_alarms"],
                "less" if name in chosen else "more",
            ]
        )
    rows.sort(key=lambda row: -row[3])
    table = Table(
        [
            str(_entities(subject)),
            "windows",
            "mean absolute error",
            "under attack",
            "risk",
            "harmful",
            "attacks seen",
            "false alarms",
            "vulnerable",
        ],
        rows,
        f"By entity, under one step of {eps:.3g} on its own past; risk and harm on the training windows, the detector "
        f"at {RATE:.0%} false alarms over all entities",
    )
    seen, auroc = everybody.recall(), everybody.auroc()
    values: dict[str, Any] = {
        "error": mean_interval(clean),
        "attacked_error": mean_interval(attacked),
        "largest_attacked_error": max(attacked),
        "attacks_seen": seen,
        "auroc": auroc,
    }
    worst = rows[0]
    judged = ""
    if gain is not None:
        values["gain_of_selection"] = gain.gain
        half = found["the less vulnerable half"].recall()
        judged = (
            f" A detector trained on the less vulnerable half sees {half:.1%}; with "
            f"each entity left out its gain is {gain.gain.value:+.1%} (95 % interval {gain.gain.low:+.1%} to "
            f"{gain.gain.high:+.1%}): {advice}."
        )
    left_out = f" {small} entities with fewer than {_LEAST} windows were left out." if small else ""
    return Finding(
        check="streams",
        grade="info",
        summary=(
            f"One step of {eps:.3g} on the target's own past takes the mean absolute error over {len(rows)} entities "
            f"from {np.mean(clean):.3g} to {np.mean(attacked):.3g}; worst {worst[0]} ({worst[2]:.3g} to "
            f"{worst[3]:.3g}). A detector (distance to the 7th nearest training window) sees {seen:.1%} of the "
            f"attacked windows at {RATE:.0%} false alarms (AUROC {auroc:.3f}).{judged}{left_out}"
        ),
        values=values,
        rule="Not graded: how far off a forecast may be is yours to say (a gate on streams.attacked_error). The attack "
        f"is one gradient step, and a stronger one may do more. Low and high are the outer {_TAIL:.0%} of the training "
        "targets; whoever is there most of the time can't be taken there, and looks robust."
        + "".join(f" {words[0].upper()}{words[1:]}." for words in said),
        remedy="Put a detector in front of the forecaster: `ood.Roast` trains one, with severities of your own, and "
        "shows what each way of training it finds.",
        tables=[table],
        figures=[_figure(rows)],
        lower_is_better=("error", "attacked_error", "largest_attacked_error"),
        higher_is_better=("attacks_seen", "auroc"),
        conditions={"budget": eps, "false alarms": RATE},
    )


def _figure(rows: list[list[Any]]) -> Figure:
    names = [str(row[0]) for row in rows]
    series = [
        {"name": name, "x": names, "y": [row[k] for row in rows]} for name, k in (("as it is", 2), ("under attack", 3))
    ]
    return Figure("bar", "Error by entity", series, "entity", "mean absolute error")
