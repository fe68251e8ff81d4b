"""Foreign inputs to networks without one class a sample: detectors of features, and the task's own confidence.

Detectors see one pseudo-class of all training samples. Their features are what enters the last linear map, or, where
the network doesn't end in one (segmentation, detection), the channels' numbers of its widest layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.checks.findings.finding import Finding
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
from deepwright.checks.grading import Graded
from deepwright.checks.subjects.subject import Subject
from deepwright.core.errors import InputError
from deepwright.core.features import Activations, extract
from deepwright.core.tasks import Detection, MultiLabel, Regression, Segmentation, Task
from deepwright.ood import BBAS, KNN, MDS, Detector

_FIT_LIMIT = 2000
_USEFUL = 0.7  # AUROC of a detector that is advised, at least


@dataclass(frozen=True)
class Confidence:
    """What a task states about how sure it is.

    Attributes:
        name: in words.
        score: outputs in the task's form -> (N,), larger for what is more foreign.
    """

    name: str
    score: Callable[[Any], Float[Tensor, " n"]]


def confidence_of(task: Task, known: Any) -> Confidence | None:
    """The confidence that a task states in a sample; None where it states none, as numbers alone do.

    Args:
        task: without one class a sample.
        known: outputs on samples that belong, in the task's form; spreads of several numbers are told in theirs.
    """
    if isinstance(task, MultiLabel):
        return Confidence("least sure label", lambda out: -torch.maximum(out.sigmoid(), 1 - out.sigmoid()).amin(1))
    if isinstance(task, Segmentation):
        return Confidence("mean confidence of the pixels", lambda out: -out.softmax(1).amax(1).flatten(1).mean(1))
    if isinstance(task, Detection):
        return Confidence("largest score", _by_largest_score)
    if isinstance(task, Regression) and task.spread != "none":
        scale = _spreads(task, known).mean(0).clamp_min(1e-12)  # never of the samples that are scored

        def own(out: Tensor) -> Tensor:  # to a thousandth: between large quantiles less is only how floats round
            return (_spreads(task, out) / scale.to(out.device)).mean(1).round(decimals=3)

        return Confidence("its own spread", own)
    return None


def _by_largest_score(out: Any) -> Tensor:
    return torch.stack([-d.scores.amax() if len(d) else torch.zeros((), device=d.boxes.device) for d in out])


def _spreads(task: Regression, out: Tensor) -> Float[Tensor, "n outputs"]:
    """How uncertain each number is: its deviation, or the width of its interval or of all quantiles, in any order."""
    first = {"quantiles": 0, "interval": 1}.get(task.spread)
    wide = out[..., 1] if first is None else out[..., first:].amax(-1) - out[..., first:].amin(-1)
    return wide.double()


class _OneTensor(nn.Module):
    """A network that returns one tensor with a row a sample: its own output where that is one, else zeros."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        out = self.network(x)
        if isinstance(out, Tensor) and out.ndim == 2 and len(out) == len(x):
            return out
        return torch.zeros(len(x), 1, dtype=x.dtype, device=x.device)


def task_activations(network: nn.Module, batches: Iterable[Tensor]) -> Activations:
    """What detectors of features need from a network of any task; all samples are of one pseudo-class.

    Args:
        network: any.
        batches: inputs.

    Raises:
        InputError: a network of which nothing is seen.
    """
    acts = extract(_OneTensor(network), batches, progress="features")
    features = acts.features
    if features is None and acts.layers:
        features = max(acts.layers.values(), key=lambda values: values.shape[1])
    one = torch.zeros(len(acts), 1, device=acts.logits.device)
    return replace(acts, logits=one, labels=one[:, 0].long(), features=features, weight=None, bias=None)


def foreign_to_a_task(subject: Subject) -> Finding:
    """Detectors on near and far sets, beside the confidence that the task states, which is what is graded.

    Args:
        subject: without one class a sample, with foreign sets and training samples.
    """
    train = subject.data.train.take(_FIT_LIMIT, subject.seed)
    known = task_activations(subject.model, train.batches(subject.batch_size).inputs)
    chosen: dict[str, Detector] = {"KNN": KNN(), "MDS": MDS(), "BBAS": BBAS(use="single")}
    fitted, skipped = dict[str, Detector](), dict[str, str]()
    for name, detector in chosen.items():
        try:
            fitted[name] = detector.fit(known)
        except InputError as error:
            skipped[name] = str(error)
    own = confidence_of(subject.task, subject.outputs())
    if not fitted and own is None:
        return Finding.not_applicable("ood", f"nothing of the network can be watched: {next(iter(skipped.values()))}")
    test = subject.data.test.take(2 * subject.ood_limit, subject.seed).inputs()
    inside = _scores(subject, test, fitted, own)
    outside = {name: _scores(subject, x, fitted, own) for name, x in subject.ood.items()}
    areas = {d: {s: area(inside[d], outside[s][d]) for s in outside} for d in inside}
    return _finding(subject, areas, None if own is None else own.name, skipped)


def _scores(
    subject: Subject, x: Tensor, detectors: dict[str, Detector], own: Confidence | None
) -> dict[str, Float[Tensor, " n"]]:
    found: dict[str, Tensor] = {}
    if own is not None:
        found[own.name] = own.score(subject.read(x.split(subject.batch_size))).double().cpu()
    if detectors:
        acts = task_activations(subject.model, x.split(subject.batch_size))
        found |= {name: detector.score(acts).cpu() for name, detector in detectors.items()}
    return found


def _finding(subject: Subject, areas: dict[str, dict[str, Any]], own: str | None, skipped: dict[str, str]) -> Finding:
    judged = judged_sets(subject)
    best = max(areas, key=lambda d: mean_area(areas[d], judged).value)
    values: dict[str, Any] = {}
    found = Graded("info")
    rule = f"Not graded: a {subject.task.kind} of numbers alone states no confidence that could be wrong."
    if own is not None:
        worst = min((areas[own][s] for s in judged), key=lambda a: a.value)
        values = {"auroc_worst": worst, "auroc_mean": mean_area(areas[own], judged)}
        found, rule = graded_areas(subject, values["auroc_mean"], worst)
    values |= {f"auroc_{d}_mean": mean_area(areas[d], judged) for d in areas if d != own}
    top = mean_area(areas[best], judged)
    shown = [s for s in areas[best] if s not in judged]
    if shown:
        rule += f" Shown and not judged, for they may still belong: {', '.join(shown)}."
    told = f"{best} tells foreign inputs from the test data with a mean AUROC of {top.value:.3f} (0.5 is chance)."
    if own is not None:
        told = (
            f"By its own confidence ({own}) the network tells foreign inputs from its own test data with a mean AUROC "
            f"of {values['auroc_mean'].value:.3f} (0.5 is chance); {best} does best: {top.value:.3f} in the mean."
        )
    told += of_near_sets(best, areas[best], shown)
    return Finding(
        check="ood",
        grade=found.grade,
        summary=told,
        values=values,
        higher_is_better=tuple(values),
        rule=rule,
        remedy=_remedy(best, own, top, values),
        tables=[areas_table(areas, judged, skipped)],
        figures=[areas_figure(areas, subject.ood)],
        could_be=found.could_be,
        graded_by=("auroc_worst", "auroc_mean") if own is not None else (),
        conditions={"foreign sets": list(subject.ood), "judged": judged},
    )


def _remedy(best: str, own: str | None, top: Any, values: dict[str, Any]) -> str:
    """A detector to put beside the network, where one is clearly better than its confidence and far from chance."""
    before = values["auroc_mean"].value if own is not None else 0.5
    if own is not None and before >= MEAN[0]:
        return "Nothing to do here: try foreign inputs of your own, which are what counts."
    if best == own or top.low < _USEFUL or top.value < before + 0.02:
        return (
            "No detector of the house is clearly better here: nothing to put beside it. Try foreign inputs of your own."
        )
    made = cast(str, {"KNN": "ood.KNN()", "MDS": "ood.MDS()", "BBAS": "ood.BBAS(use='single')"}[best])
    batches = "(x for x, _ in subject.data.train.batches(250))"
    return (
        f"Put {best} beside the network: `beside = {made}.fit(checks.task_activations(subject.model, {batches}))`; it "
        f"scores `checks.task_activations(subject.model, [x])`: on these sets its mean AUROC is {top.value:.3f}. Check "
        "it on foreign inputs of your own before you rely on it."
    )
