"""How well scores tell foreign inputs from the test data: areas under ROC curves, which sets count, and the grade."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from deepwright.checks.findings.finding import at_best, grade_up
from deepwright.checks.grading import Graded, at_end, graded, no_skill
from deepwright.checks.subjects.subject import Subject
from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval, newcombe
from deepwright.ood import auroc

_UNSURE = (
    "far inverted",
    "near class blends",
    "near shuffled columns",
    "near words out of order",
    "near time out of order",
)
MEAN, _WORST = (0.95, 0.9, 0.8, 0.65), (0.9, 0.8, 0.65, 0.5)


def judged_sets(subject: Subject) -> list[str]:
    """The sets that belong to no class, whatever the classes are.

    Inverted pictures, shuffled columns, words and times may keep their class, blends have two, and patches of
    photographs may show what large photographs are of.
    """
    data = subject.data
    unsure = set(_UNSURE)
    if data.kind == "image" and data.shape[0] == 3 and max(data.shape[1:]) > 64:
        unsure.add("far photo patches")
    return [name for name in subject.ood if name in data.ood or name not in unsure]


def graded_areas(subject: Subject, mean: Interval, worst: Interval) -> tuple[Graded, str]:
    """By the areas of the network's own confidence.

    Args:
        subject: of any task.
        mean: over the sets that are judged.
        worst: of them.
    """
    why = no_skill(subject)
    if why:
        return Graded("info"), f"Not graded: {why}; what doesn't know its own classes can't know what is foreign."

    def letter(side: int) -> str:
        return at_best(
            grade_up(at_end(mean, side, lower_is_better=False), MEAN),
            grade_up(at_end(worst, side, lower_is_better=False), _WORST),
        )

    found = graded(letter)
    return found, (
        f"AUROC of the network's own confidence is {mean.value:.3f} in the mean over the foreign sets and "
        f"{worst.value:.3f} on the worst of them: A from 0.95 in the mean and 0.9 on the worst, B from 0.9 "
        "and 0.8, C from "
        f"0.8 and 0.65, D from 0.65 and 0.5, E below.{found.words} Detectors are reported beside it; choosing one by "
        "these sets is optimistic."
    )


def area(inside: Tensor, outside: Tensor) -> Interval:
    """AUROC of scores that are larger for foreign inputs.

    Args:
        inside: of the network's own test data.
        outside: of a foreign set.
    """
    return newcombe(auroc(inside, outside), len(outside), len(inside))


def mean_area(areas: dict[str, Interval], judged: list[str]) -> Interval:
    """Mean over sets; its ends are the means of theirs, since all share the same inputs inside."""
    return Interval.mean_of([areas[name] for name in judged])


def areas_table(areas: dict[str, dict[str, Interval]], judged: list[str], left_out: Mapping[str, str]) -> Table:
    """All sets; mean and worst are of those that are judged, as in the summary."""
    rows: list[list[Any]] = [
        [
            d,
            *(area.value for area in found.values()),
            mean_area(found, judged).value,
            min(found[s].value for s in judged),
        ]
        for d, found in areas.items()
    ]
    sets = list(next(iter(areas.values())))
    rows.sort(key=lambda row: -row[-1])
    skipped = "".join(f"; {name} left out ({reason.split(';')[0]})" for name, reason in left_out.items())
    return Table(
        ["detector", *sets, "mean", "worst"],
        rows,
        f"AUROC of every detector from one forward pass a set; mean and worst of those that are judged{skipped}",
    )


def of_near_sets(detector: str, areas: dict[str, Interval], near: list[str]) -> str:
    """A sentence on the sets that the mean leaves out, which would be read into it otherwise; empty without any.

    Args:
        detector: whose areas.
        areas: of each set.
        near: sets that are shown and not judged.
    """
    if not near:
        return ""
    said = ", ".join(f"{name} {areas[name].value:.3f}" for name in near)
    return f" Not in the mean, for they may still belong: {said} by {detector}."


def areas_figure(areas: dict[str, dict[str, Interval]], sets: dict[str, Tensor]) -> Figure:
    """Detectors against sets as a heat map.

    Args:
        areas: of each detector and set.
        sets: in the order of the columns.
    """
    values = {d: [area.value for area in found.values()] for d, found in areas.items()}
    order = sorted(values, key=lambda d: -min(values[d]))
    series = [{"rows": order, "columns": list(sets), "values": [values[d] for d in order]}]
    return Figure("heatmap", "AUROC: detector x set", series, y_range=(0.5, 1.0))
