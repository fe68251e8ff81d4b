"""Does it know what it does not know?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from deepwright.checks.finding import Finding, grade_up
from deepwright.checks.subject import Subject
from deepwright.core.features import extract
from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval
from deepwright.ood import BBAS, DetectorSuite, auroc
from deepwright.ood.suite import ALL

_FIT_LIMIT = 4000


def check_ood(subject: Subject) -> Finding:
    """Every detector on near and far sets from one forward pass each; the network's own confidence is what is graded.

    Applies where each sample has one class, to images and tables, and to series with foreign sets of their own.
    """
    if not subject.has_classes:
        return Finding.not_applicable("ood", f"a {subject.task.kind} has no classes that an input could belong to")
    if not subject.ood:
        return Finding.not_applicable("ood", f"no sets are known that are foreign to {subject.data.kind} data")
    if not len(subject.data.train):
        return Finding.not_applicable("ood", "there are no training samples to fit detectors on")
    train = subject.data.train.take(_FIT_LIMIT, subject.seed)
    detectors = {cls.__name__: cls() for cls in ALL}
    if bool((torch.bincount(train.y, minlength=subject.classes) == 0).any()):
        detectors["BBAS"] = BBAS(use="single")
        detectors.pop("OutsideTheBox")
    suite = DetectorSuite(subject.model, detectors, task=subject.task).fit(train.batches(subject.batch_size))
    known = subject.data.test.take(2 * subject.ood_limit, subject.seed)
    inside = suite.score(x for x, _ in known.batches(subject.batch_size))
    sets = subject.ood
    outside = {name: suite.score(_batches(x, subject.batch_size)) for name, x in sets.items()}
    areas = {d: {s: auroc(inside[d], outside[s][d]) for s in sets} for d in suite.detectors}
    own = areas["MSP"]
    worst = min(own, key=lambda s: own[s])
    skill = 2 * own[worst] - 1
    best = max(areas, key=lambda d: (min(areas[d].values()), sum(areas[d].values())))
    grade = grade_up(skill, (0.9, 0.8, 0.6, 0.3))
    far = [s for s in sets if s.startswith("far")]
    values: dict[str, Any] = {
        "auroc_worst": _interval(inside["MSP"], outside[worst]["MSP"]),
        "auroc_mean": _mean(own.values()),
    }
    values |= {f"auroc_{d}_mean": _mean(areas[d].values()) for d in ("MSP", "BBAS", best) if d in areas}
    values |= {f"auroc_{best}_worst": min(areas[best].values())}
    return Finding(
        check="ood",
        grade=grade,
        summary=f"By its confidence alone (MSP) the network tells {worst!r} from its own test data with AUROC "
        f"{own[worst]:.3f} (0.5 is chance). {best} does best in its worst set: {min(areas[best].values()):.3f}, "
        f"mean {_mean(areas[best].values()):.3f}.",
        values=values,
        higher_is_better=tuple(values),
        rule=f"Skill above chance, 2 AUROC - 1, of the network's own confidence on its worst set is {skill:.2f}: A "
        "from 0.9, B from 0.8, C from 0.6, D from 0.3, E below. Detectors are reported beside it; choosing one by "
        "these sets is optimistic.",
        remedy=f"Put {best} beside the network: ood.{best}().fit(extract(model, train)).calibrate(validation scores), "
        "and check it on outliers of your own (--ood FOLDER).",
        tables=[_table(areas, sets, suite), *_explain(subject, suite, sets, far)],
        figures=[_figure(areas, sets)],
        conditions={"foreign sets": list(sets)},
    )


def _batches(x: Tensor, size: int) -> Iterator[Tensor]:
    yield from x.split(size)


def _mean(values: Any) -> float:
    listed = list(values)
    return sum(listed) / len(listed)


def _interval(inside: Tensor, outside: Tensor) -> Interval:
    """Hanley and McNeil's interval of an AUROC."""
    a = auroc(inside, outside)
    m, n = len(outside), len(inside)
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    half = 1.96 * max((a * (1 - a) + (m - 1) * (q1 - a * a) + (n - 1) * (q2 - a * a)) / (m * n), 0) ** 0.5
    return Interval(a, max(0.0, a - half), min(1.0, a + half))


def _table(areas: dict[str, dict[str, float]], sets: dict[str, Tensor], suite: DetectorSuite) -> Table:
    rows: list[list[Any]] = [[d, *areas[d].values(), _mean(areas[d].values()), min(areas[d].values())] for d in areas]
    rows.sort(key=lambda row: -row[-1])
    skipped = "".join(f"; {name} left out ({reason.split(';')[0]})" for name, reason in suite.skipped.items())
    return Table(
        ["detector", *sets, "mean", "worst"], rows, f"AUROC of every detector from one forward pass a set{skipped}"
    )


def _figure(areas: dict[str, dict[str, float]], sets: dict[str, Tensor]) -> Figure:
    order = sorted(areas, key=lambda d: -min(areas[d].values()))
    series = [{"rows": order, "columns": list(sets), "values": [[areas[d][s] for s in sets] for d in order]}]
    return Figure("heatmap", "AUROC: detector x set", series, y_range=(0.5, 1.0))


def _explain(subject: Subject, suite: DetectorSuite, sets: dict[str, Tensor], far: list[str]) -> list[Table]:
    """Which variables leave the boxes most on each far set."""
    detector = suite.detectors.get("BBAS")
    if not isinstance(detector, BBAS):
        return []
    rows: list[list[Any]] = []
    for name in far:
        acts = extract(subject.model, [sets[name][:50]], task=subject.task)
        tally: dict[tuple[str, str], list[float]] = {}
        for sample in detector.explain(acts, top=5):
            for found in sample:
                tally.setdefault(
                    (found.layer, f"{found.statistic} of channel {found.channel} {found.side}"), []
                ).append(found.deviations)
        for (layer, what), sizes in sorted(tally.items(), key=lambda item: -len(item[1]))[:3]:
            rows.append([name, layer, what, f"{len(sizes)} of {len(acts)}", _mean(sizes)])
    return [
        Table(
            ["set", "layer", "what leaves its box", "samples", "deviations outside"],
            rows,
            "why BBAS calls the far sets foreign",
        )
    ]
