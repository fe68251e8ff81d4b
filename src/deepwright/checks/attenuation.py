"""How little must be taken away of an object's brightness until a detector loses it? For those who ask."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deepwright.adversarial.patches import SAAP, constant_shares, smallest_shares
from deepwright.adversarial.victim import NoGradientError
from deepwright.checks.findings.finding import Finding, NotApplicableError
from deepwright.checks.subjects.subject import Subject
from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval, wilson
from deepwright.core.tasks import CandidateDetection, Detection

_IMAGES, _STEPS, _HALVINGS = 32, 30, 4
_TOLD = (0.125, 0.25, 0.5)  # shares that halving reaches exactly


def check_attenuation(subject: Subject) -> Finding:
    """Smallest share of an object's brightness whose loss hides it, beside dimming it evenly; only where it is named.

    Applies to detectors that show all their candidates. What is taken away is placed where it hides the object best.
    """
    task = require_candidates(subject)
    split = subject.data.test.take(min(_IMAGES, subject.attack_limit), subject.seed)
    attack = SAAP(
        task, steps=_STEPS, bounds=subject.bounds, batch_size=min(_IMAGES, subject.batch_size), seed=subject.seed
    )
    images, truth = split.inputs(), [t.boxes for t in split.y]
    try:
        placed = torch.cat(smallest_shares(attack, subject.model, images, truth, halvings=_HALVINGS))
    except NoGradientError as error:
        raise NotApplicableError("no gradient leads from its outputs back to the picture") from error
    even = torch.cat(constant_shares(attack, subject.model, images, truth, halvings=_HALVINGS))
    seen = placed > 0
    if not bool(seen.any()):
        raise NotApplicableError("the detector finds none of the objects looked at: nothing can be hidden")
    area = torch.cat([(b[:, 2:] - b[:, :2]).prod(1) for b in truth])
    return _finding(placed[seen].cpu(), even[seen].cpu(), area[seen].cpu(), len(split))


def require_candidates(subject: Subject) -> CandidateDetection:
    """The task of a detector that can be attacked.

    Args:
        subject: any.

    Raises:
        NotApplicableError: no detector, or one whose final detections alone are seen, or without gradients.
    """
    if not isinstance(subject.task, Detection):
        raise NotApplicableError(f"only detectors lose objects, and this is {subject.task.kind}")
    if not isinstance(subject.task, CandidateDetection):
        raise NotApplicableError(
            "only its final detections are seen; audit deepwright.nets.CandidateBoxes(detector) with CandidateDetection"
        )
    if not subject.has_gradients:
        raise NotApplicableError("the network gives scores only, and the attack follows gradients")
    return subject.task


def _finding(placed: Tensor, even: Tensor, area: Tensor, images: int) -> Finding:
    n = len(placed)
    at = {share: (wilson(int((placed <= share).sum()), n), wilson(int((even <= share).sum()), n)) for share in _TOLD}
    values: dict[str, Any] = {}
    for share, (attacked, dimmed) in at.items():
        values |= {f"hidden_at_{share:g}": attacked, f"dimmed_at_{share:g}": dimmed}
    values["median_share"] = float(placed.quantile(0.5, interpolation="higher"))
    values["median_share_dimmed"] = float(even.quantile(0.5, interpolation="higher"))
    first = at[_TOLD[0]]
    said = " (some of them by nothing that was tried)" if bool(torch.isinf(placed).any()) else ""
    return Finding(
        check="attenuation",
        grade="info",
        summary=(
            f"Of {n} objects in {images} images that are found, {first[0].value:.1%} are lost when an eighth of their "
            f"brightness is taken away where it counts, {first[1].value:.1%} when it is taken evenly. Half of the "
            f"objects are lost at {_share(values['median_share'])}{said}, evenly at "
            f"{_share(values['median_share_dimmed'])}."
        ),
        values={name: value for name, value in values.items() if isinstance(value, Interval) or value < float("inf")},
        rule="Not graded. Shares are upper bounds: the attack has gradients and a few dozen steps, and a stronger one "
        "may need less. Lost: no detection overlaps the object by 0.1 any more.",
        remedy="`adversarial.patches.adversarial_training_hook` attacks a share of each training batch.",
        tables=[_by_size(placed, even, area)],
        figures=[_figure(at)],
        lower_is_better=tuple(name for name in values if "_at_" in name),
        higher_is_better=("median_share", "median_share_dimmed"),
        conditions={"steps": _STEPS, "halvings": _HALVINGS},
    )


def _share(value: float) -> str:
    return f"{value:.1%}" if value < float("inf") else "no share"


def _by_size(placed: Tensor, even: Tensor, area: Tensor) -> Table:
    order = area.argsort(stable=True)
    rows: list[list[Any]] = []
    for name, part in zip(("small", "medium", "large"), order.tensor_split(3)):
        if len(part):
            middle = [float(t[part].quantile(0.5, interpolation="higher")) for t in (placed, even)]
            cells = [m if m < float("inf") else None for m in middle]
            rows.append([name, len(part), float(area[part].mean()) ** 0.5, *cells])
    columns = ["objects", "n", "side, pixels", "share, median", "dimmed evenly, median"]
    return Table(columns, rows, "By size, a third of the objects each; empty where nothing hides half of them")


def _figure(at: dict[float, tuple[Interval, Interval]]) -> Figure:
    series = []
    for i, name in enumerate(("placed", "evenly")):
        each = [pair[i] for pair in at.values()]
        series.append(
            {
                "name": name,
                "x": list(at),
                "y": [e.value for e in each],
                "low": [e.low for e in each],
                "high": [e.high for e in each],
            }
        )
    return Figure("line", "Objects lost", series, "share of brightness taken away", "share lost", y_range=(0, 1))
