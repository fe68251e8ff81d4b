"""Percepts: does a vision network see a few figures as people do?"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from deepwright.checks.findings.finding import Finding, NotApplicableError
from deepwright.checks.subjects.subject import Subject
from deepwright.core.errors import InputError
from deepwright.interpret.mindset import PerceptionReport, Plan, as_grey_pixels, as_pixels, audit_perception

_LEAST = 28  # pixels a side below which strokes and fins run into each other
_LARGE = 160  # pixels a side above which fewer pictures are learned from


def check_perception(subject: Subject) -> Finding:
    """Two illusions and two orderings of pairs, drawn at the network's own size, beside what people do.

    Args:
        subject: of pictures.

    Raises:
        NotApplicableError: no pictures, too small ones, or a network without a last linear map to look into.
    """
    side = _side(subject)
    plan = Plan(
        items=60,
        train=1800 if side <= _LARGE else 1000,
        held_out=200,
        refits=60,
        size=side,
        seed=subject.seed,
        batch_size=subject.batch_size,
    )
    try:
        report = audit_perception(subject.model, _prepared(subject), plan=plan)
    except InputError as error:
        if error.what != "the last linear map":
            raise
        raise NotApplicableError("the network ends in no linear map whose inputs could be looked at") from error
    return Finding(
        check="perception",
        grade="info",
        summary=_summary(report),
        values=_values(report),
        rule="Not graded: whether a network should see as people do is the application's to say.",
        remedy="`deepwright.interpret.audit_perception` runs any of `list_experiments()` at any layer.",
        tables=[report.table()],
        figures=[report.sheet()],
        conditions={"pixels a side": side, "layer": report.layer, "experiments": list(report.verdicts)},
    )


def _side(subject: Subject) -> int:
    if subject.data.kind != "image" or len(subject.data.shape) != 3:
        raise NotApplicableError(f"figures are pictures, and this network reads {subject.data.kind} data")
    channels, height, width = subject.data.shape
    if channels not in (1, 3):
        raise NotApplicableError(f"figures are grey or coloured, and this network reads {channels} channels")
    if min(height, width) < _LEAST:
        raise NotApplicableError(f"figures need {_LEAST} pixels a side, and this network reads {height} x {width}")
    return min(height, width)


def _prepared(subject: Subject) -> Any:
    """Square pictures to what the network takes: grey where it is, in the middle of what isn't square."""
    channels, height, width = subject.data.shape
    pixels = as_grey_pixels if channels == 1 else as_pixels

    def prepare(images: Tensor) -> Tensor:
        side = images.shape[-1]
        left, top = (width - side) // 2, (height - side) // 2
        return F.pad(pixels(images), (left, width - side - left, top, height - side - top))

    return prepare


def _values(report: PerceptionReport) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for measured in report.measured:
        effect = measured.effects[report.layer]
        if not effect.reason:
            values[f"effect_of_{measured.experiment.name}"] = effect.mean
    verdicts = list(report.verdicts.values())
    return values | {"human_like": verdicts.count("human-like"), "experiments": len(verdicts)}


def _summary(report: PerceptionReport) -> str:
    by: dict[str, list[str]] = {}
    for name, verdict in report.verdicts.items():
        by.setdefault(verdict, []).append(name.replace("_", " "))
    parts = [f"{verdict}: {', '.join(names)}" for verdict, names in by.items()]
    return f"Of {len(report.verdicts)} effects that people show, this network's features are {'; '.join(parts)}."
