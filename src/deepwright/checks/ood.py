"""Does it know what it does not know?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from deepwright.checks.findings.finding import Finding, at_best, grade_up
from deepwright.checks.grading import Graded, at_end, graded, no_skill
from deepwright.checks.held_out import why_none
from deepwright.checks.subjects.subject import Subject
from deepwright.core.features import extract
from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval, newcombe
from deepwright.ood import BBAS, DetectorSuite, auroc
from deepwright.ood.suite import ALL

_FIT_LIMIT = 4000
_UNSURE = ("far inverted", "near class blends", "near shuffled columns")
_MEAN, _WORST = (0.95, 0.9, 0.8, 0.65), (0.9, 0.8, 0.65, 0.5)
_USEFUL, _BETTER = 0.7, 0.02  # of a detector that is advised: at least so good, and so much better than confidence


def check_ood(subject: Subject) -> Finding:
    """Every detector on near and far sets from one forward pass each; the network's own confidence is what is graded.

    Applies where each sample has one class, to images and tables, and to series with foreign sets of their own.
    """
    if not subject.has_classes:
        return Finding.not_applicable("ood", f"a {subject.task.kind} has no classes that an input could belong to")
    if subject.without_scores:
        return Finding.not_applicable("ood", subject.without_scores)
    if not subject.ood:
        return Finding.not_applicable("ood", f"no sets are known that are foreign to {subject.data.kind} data")
    if not len(subject.data.train):
        return Finding.not_applicable("ood", "there are no training samples to fit detectors on")
    train = subject.data.train.take(_FIT_LIMIT, subject.seed)
    detectors = {cls.__name__: cls() for cls in ALL}
    if bool((torch.bincount(train.y, minlength=subject.classes) == 0).any()):
        detectors["BBAS"] = BBAS(use="single")
        detectors.pop("OutsideTheBox")
    if not subject.has_gradients:
        detectors = {name: d for name, d in detectors.items() if "input_grad" not in d.needs}
    suite = DetectorSuite(subject.model, detectors, task=subject.task)
    if subject.gives_probabilities:
        suite.skipped["Energy"] = "probabilities sum to 1, which leaves no energy to tell by"
        suite.detectors.pop("Energy")
    suite.fit(train.batches(subject.batch_size))
    if "MSP" not in suite.detectors:
        return Finding.not_applicable("ood", f"the network's confidence can't be read: {suite.skipped['MSP']}")
    known = subject.data.test.take(2 * subject.ood_limit, subject.seed)
    inside = suite.score(x for x, _ in known.batches(subject.batch_size))
    sets = subject.ood
    outside = {name: suite.score(_batches(x, subject.batch_size)) for name, x in sets.items()}
    areas = {d: {s: _area(inside[d], outside[s][d]) for s in sets} for d in suite.detectors}
    judged = _judged(subject)
    own, best = areas["MSP"], max(areas, key=lambda d: _mean(areas[d], judged).value)
    worst = min(judged, key=lambda s: own[s].value)
    mean = _mean(own, judged)
    values: dict[str, Any] = {"auroc_worst": own[worst], "auroc_mean": mean}
    values |= {f"auroc_{d}_mean": _mean(areas[d], judged) for d in ("MSP", "BBAS", best) if d in areas}
    values |= {f"auroc_{best}_worst": min((areas[best][s] for s in judged), key=lambda a: a.value)}
    found, rule = _grade(subject, mean, own[worst])
    shown = [s for s in sets if s not in judged]
    if shown:
        rule += f" Shown and not judged, for they may still belong to a class: {', '.join(shown)}."
    return Finding(
        check="ood",
        grade=found.grade,
        summary=f"By its confidence alone (MSP) the network tells foreign inputs from its own test data with a mean "
        f"AUROC of {mean.value:.3f} (0.5 is chance), and {worst!r} worst: {own[worst].value:.3f}. {best} does best: "
        f"{_mean(areas[best], judged).value:.3f} in the mean.",
        values=values,
        higher_is_better=tuple(values),
        rule=rule,
        remedy=_remedy(subject, best, detectors[best], mean, _mean(areas[best], judged)),
        tables=[_table(areas, judged, suite), *_explain(subject, suite, sets, judged)],
        figures=[_figure(areas, sets)],
        could_be=found.could_be,
        graded_by=("auroc_worst", "auroc_mean"),
        conditions={"foreign sets": list(sets), "judged": judged},
    )


def _judged(subject: Subject) -> list[str]:
    """The sets that belong to no class, whatever the classes are.

    Inverted pictures and shuffled columns may keep their class, blends have two, and patches of photographs may show
    what large photographs are of.
    """
    data = subject.data
    unsure = set(_UNSURE)
    if data.kind == "image" and data.shape[0] == 3 and max(data.shape[1:]) > 64:
        unsure.add("far photo patches")
    return [name for name in subject.ood if name in data.ood or name not in unsure]


def _grade(subject: Subject, mean: Interval, worst: Interval) -> tuple[Graded, str]:
    why = no_skill(subject)
    if why:
        return Graded("info"), f"Not graded: {why}; what doesn't know its own classes can't know what is foreign."

    def letter(side: int) -> str:
        return at_best(
            grade_up(at_end(mean, side, lower_is_better=False), _MEAN),
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


def _remedy(subject: Subject, best: str, detector: Any, own: Interval, area: Interval) -> str:
    """A detector to put beside the network, where one is clearly better than its confidence and far from chance."""
    if best != "MSP" and area.low >= _USEFUL and area.value >= own.value + _BETTER:
        threshold = "from samples that the network was never trained on, which aren't there"
        if not why_none(subject):
            part = "beside.score(subject.data.validation.batches(250))"
            threshold = f"from `beside.detectors['{best}'].calibrate({part}['{best}'])`"
        made = "ood.BBAS(use='single')" if best == "BBAS" and detector.use == "single" else f"ood.{best}()"
        return (
            f"Put {best} beside the network: `beside = ood.DetectorSuite(subject.model, {{'{best}': {made}}}, "
            f"task=subject.task).fit(subject.data.train.batches(250))`, with a threshold {threshold}: on these sets it "
            f"changes the mean AUROC from {own.value:.3f} to {area.value:.3f}. Check it on foreign inputs of your own "
            "before you rely on it."
        )
    if own.value >= _MEAN[0]:
        return "Nothing to do here: try foreign inputs of your own, which are what counts."
    return (
        f"No detector of the house is clearly better here than the network's own confidence (the best, {best}, reaches "
        f"{area.value:.3f} against {own.value:.3f}): nothing to put beside it. Foreign inputs of your own say more."
    )


def _batches(x: Tensor, size: int) -> Iterator[Tensor]:
    yield from x.split(size)


def _area(inside: Tensor, outside: Tensor) -> Interval:
    return newcombe(auroc(inside, outside), len(outside), len(inside))


def _mean(areas: dict[str, Interval], judged: list[str]) -> Interval:
    """Mean over sets; its ends are the means of theirs, since all share the same inputs inside."""
    parts = [areas[name] for name in judged]
    return Interval(*(sum(values) / len(parts) for values in zip(*((p.value, p.low, p.high) for p in parts))))


def _table(areas: dict[str, dict[str, Interval]], judged: list[str], suite: DetectorSuite) -> Table:
    """All sets; mean and worst are of those that are judged, as in the summary."""
    rows: list[list[Any]] = [
        [d, *(area.value for area in found.values()), _mean(found, judged).value, min(found[s].value for s in judged)]
        for d, found in areas.items()
    ]
    sets = list(next(iter(areas.values())))
    rows.sort(key=lambda row: -row[-1])
    skipped = "".join(f"; {name} left out ({reason.split(';')[0]})" for name, reason in suite.skipped.items())
    return Table(
        ["detector", *sets, "mean", "worst"],
        rows,
        f"AUROC of every detector from one forward pass a set; mean and worst of those that are judged{skipped}",
    )


def _figure(areas: dict[str, dict[str, Interval]], sets: dict[str, Tensor]) -> Figure:
    values = {d: [area.value for area in found.values()] for d, found in areas.items()}
    order = sorted(values, key=lambda d: -min(values[d]))
    series = [{"rows": order, "columns": list(sets), "values": [values[d] for d in order]}]
    return Figure("heatmap", "AUROC: detector x set", series, y_range=(0.5, 1.0))


def _explain(subject: Subject, suite: DetectorSuite, sets: dict[str, Tensor], judged: list[str]) -> list[Table]:
    """Which variables leave the boxes most on each set that is judged."""
    detector = suite.detectors.get("BBAS")
    if not isinstance(detector, BBAS):
        return []
    rows: list[list[Any]] = []
    for name in judged:
        acts = extract(subject.model, [sets[name][:50]], task=subject.task)
        tally: dict[tuple[str, str], list[float]] = {}
        for sample in detector.explain(acts, top=5):
            for found in sample:
                tally.setdefault(
                    (found.layer, f"{found.statistic} of channel {found.channel} {found.side}"), []
                ).append(found.deviations)
        for (layer, what), sizes in sorted(tally.items(), key=lambda item: -len(item[1]))[:3]:
            rows.append([name, layer, what, f"{len(sizes)} of {len(acts)}", sum(sizes) / len(sizes)])
    return [
        Table(
            ["set", "layer", "what leaves its box", "samples", "deviations outside"],
            rows,
            "why BBAS calls the sets foreign",
        )
    ]
