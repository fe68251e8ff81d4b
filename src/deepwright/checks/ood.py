"""Does it know what it does not know?"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deepwright.checks.findings.finding import Finding
from deepwright.checks.foreign import foreign_to_a_task
from deepwright.checks.foreign_areas import (
    MEAN,
    area,
    areas_figure,
    areas_table,
    graded_areas,
    judged_sets,
    mean_area,
    of_near_sets,
)
from deepwright.checks.foreign_graphs import foreign_graphs
from deepwright.checks.held_out import why_none
from deepwright.checks.shown import foreign
from deepwright.checks.subjects.subject import Subject
from deepwright.core.features import extract
from deepwright.core.results import Table
from deepwright.core.statistics import Interval
from deepwright.ood import BBAS, DetectorSuite
from deepwright.ood.suite import ALL

_FIT_LIMIT = 4000
_USEFUL, _BETTER = 0.7, 0.02  # of a detector that is advised: at least so good, and so much better than confidence


def check_ood(subject: Subject) -> Finding:
    """Every detector on near and far sets from one forward pass each; the network's own confidence is what is graded.

    Where a sample hasn't one class, detectors of features, and what confidence the task states; without one (numbers)
    nothing is graded. Applies to images, tables, series, texts and graphs; of graphs see `foreign_graphs`.
    """
    if not len(subject.data.train):  # before foreign sets are made, some of which are made from training samples
        return Finding.not_applicable("ood", "there are no training samples to fit detectors on")
    if subject.has_classes and subject.without_scores:
        return Finding.not_applicable("ood", subject.without_scores)
    if not subject.ood:
        return Finding.not_applicable("ood", f"no sets are known that are foreign to {subject.data.kind} data")
    if subject.data.kind == "graphs":
        return foreign_graphs(subject)
    if not subject.has_classes:
        return foreign_to_a_task(subject)
    train = subject.data.train.take(_FIT_LIMIT, subject.seed)
    detectors = {cls.__name__: cls() for cls in ALL}
    if subject.data.kind in ("text", "tokens"):  # no gradient reaches a text
        detectors = {name: each for name, each in detectors.items() if "input_grad" not in each.needs}
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
    inside = suite.score(known.batches(subject.batch_size).inputs)
    sets = subject.ood
    outside = {name: suite.score(x.split(subject.batch_size)) for name, x in sets.items()}
    areas = {d: {s: area(inside[d], outside[s][d]) for s in sets} for d in suite.detectors}
    judged = judged_sets(subject)
    own, best = areas["MSP"], max(areas, key=lambda d: mean_area(areas[d], judged).value)
    worst = min(judged, key=lambda s: own[s].value)
    mean = mean_area(own, judged)
    values: dict[str, Any] = {"auroc_worst": own[worst], "auroc_mean": mean}
    values |= {f"auroc_{d}_mean": mean_area(areas[d], judged) for d in ("MSP", "BBAS", best) if d in areas}
    values |= {f"auroc_{best}_worst": min((areas[best][s] for s in judged), key=lambda a: a.value)}
    found, rule = graded_areas(subject, mean, own[worst])
    shown = [s for s in sets if s not in judged]
    if shown:
        rule += f" Shown and not judged, for they may still belong to a class: {', '.join(shown)}."
    return Finding(
        check="ood",
        grade=found.grade,
        summary=f"By its confidence alone (MSP) the network tells foreign inputs from its own test data with a mean "
        f"AUROC of {mean.value:.3f} (0.5 is chance), and {worst!r} worst: {own[worst].value:.3f}. {best} does best: "
        f"{mean_area(areas[best], judged).value:.3f} in the mean.{of_near_sets(best, areas[best], shown)}",
        values=values,
        higher_is_better=tuple(values),
        rule=rule,
        remedy=_remedy(subject, best, detectors[best], mean, mean_area(areas[best], judged)),
        tables=[areas_table(areas, judged, suite.skipped), *_explain(subject, suite, sets, judged)],
        figures=[
            areas_figure(areas, sets),
            *foreign(
                subject, known, {s: sets[s] for s in judged}, inside[best], {s: outside[s]["MSP"] for s in judged}, best
            ),
        ],
        could_be=found.could_be,
        graded_by=("auroc_worst", "auroc_mean"),
        conditions={"foreign sets": list(sets), "judged": judged},
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
    if own.value >= MEAN[0]:
        return "Nothing to do here: try foreign inputs of your own, which are what counts."
    return (
        f"No detector of the house is clearly better here than the network's own confidence (the best, {best}, reaches "
        f"{area.value:.3f} against {own.value:.3f}): nothing to put beside it. Foreign inputs of your own say more."
    )


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
