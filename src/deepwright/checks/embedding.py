"""What a network's shape forbids: can it put one class inside another at all, and which block stands in the way?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from deepwright.checks.findings.finding import Finding, NotApplicableError
from deepwright.checks.subjects.subject import Subject
from deepwright.core.errors import InputError
from deepwright.core.results import Figure, Table
from deepwright.core.tasks import Binary, Classification, Regression

if TYPE_CHECKING:
    from deepwright.interpret import EmbeddingReport

_MOST_FEATURES, _MOST_OUTPUTS, _ROWS, _CELLS = 50, 4, 2000, 2**14


def check_embedding(subject: Subject) -> Finding:
    """Whether each logit has a critical point on the data's box: proved absent, verified, or undecided; and the blocks.

    Of inputs of more than 50 features nothing is searched: their residual blocks are listed with what they weigh.

    Args:
        subject: of a classification or a regression.

    Raises:
        NotApplicableError: another task, no gradients, inputs that don't vary, or a network that can't be traced.
    """
    x = _inputs(subject)
    try:
        if x[0].numel() > _MOST_FEATURES:
            return _of_blocks(subject, x)
        reports = _reports(subject, x)
    except InputError as error:
        raise NotApplicableError(str(error)) from error
    counts = {v: sum(r.verdict == v for _, r in reports) for v in ("ABSENT", "PRESENT", "UNDECIDED")}
    first = reports[0][1]
    values: dict[str, Any] = {f"outputs_{name.lower()}": count for name, count in counts.items()}
    values["width"], values["features"] = max(first.widths), x[0].numel()
    if first.sample_floor is not None and first.sample_floor.majority is not None:
        values["floor_of_samples"] = first.sample_floor.majority
    return Finding(
        check="embedding",
        grade="info",
        summary=_summary(reports, counts),
        values=values,
        rule="Not graded: whether a class must lie inside another is the data's to say.",
        remedy=" ".join(first.advice),
        tables=[_verdicts(reports), first.table()],
        figures=_figures(reports),
        conditions={"domain": "the box of the test inputs, a tenth wider"},
    )


def _inputs(subject: Subject) -> Tensor:
    if not isinstance(subject.task, Classification | Binary | Regression):
        raise NotApplicableError(f"it looks at single outputs, and this is {subject.task.kind}")
    if not subject.has_gradients:
        raise NotApplicableError("the network has no gradients here")
    x = subject.data.test.inputs(slice(0, _ROWS))
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise NotApplicableError("its inputs aren't tensors of real numbers")
    if x[0].numel() <= _MOST_FEATURES and bool((x.flatten(1).amax(0) == x.flatten(1).amin(0)).any()):
        raise NotApplicableError("a feature of its inputs doesn't vary: the box of the data has no volume")
    return x


def _reports(subject: Subject, x: Tensor) -> list[tuple[str, EmbeddingReport]]:
    """One a logit; of two logits, of their difference."""
    from deepwright.interpret import audit_embedding

    y = subject.data.test.y[: len(x)]
    with torch.no_grad():
        width = subject.model(x[:2].to(subject.device)).reshape(2, -1).shape[1]
    names = subject.class_names
    labels = y if y.ndim == 1 else y.reshape(len(y), -1)[:, 0]
    if width <= 2:
        outputs = None if width == 1 else (1, 0)
        name = names[1] if len(names) == 2 else "output"
        return [(name, audit_embedding(subject.model, (x, labels), outputs=outputs, cells=_CELLS, seed=subject.seed))]
    found = []
    for k in range(min(width, _MOST_OUTPUTS)):
        own = (labels == k).long() if len(names) == width else labels
        report = audit_embedding(subject.model, (x, own), outputs=k, cells=_CELLS, seed=subject.seed)
        found.append((names[k] if k < len(names) else f"output {k}", report))
    return found


def _summary(reports: list[tuple[str, EmbeddingReport]], counts: dict[str, int]) -> str:
    first = reports[0][1]
    said = (
        f"Of {len(reports)} outputs looked at {counts['ABSENT']} are proved to have no critical point on the data's "
        f"box, {counts['PRESENT']} have a verified one, {counts['UNDECIDED']} are undecided. The network is "
        f"{first.structure} (widths {', '.join(map(str, first.widths))})."
    )
    if counts["ABSENT"]:
        said += " Where there is none, no class can lie inside another: a tunnel of its label leads to the edge."
    return said


def _verdicts(reports: list[tuple[str, EmbeddingReport]]) -> Table:
    rows: list[list[Any]] = []
    for name, report in reports:
        margin = report.certificate.margin if math.isfinite(report.certificate.margin) else None
        reached = sum(w.reached_boundary for w in report.witnesses)
        rows.append([name, report.verdict, margin, sum(p.verified for p in report.points), reached, report.reason])
    columns = ["output", "verdict", "log10 of the margin", "verified points", "tunnels to the edge", "why"]
    return Table(columns, rows, "Whether each output can have a critical point on the box of the data")


def _figures(reports: list[tuple[str, EmbeddingReport]]) -> list[Figure]:
    return [figure for _, report in reports[:1] for figure in report.figures]


def _of_blocks(subject: Subject, x: Tensor) -> Finding:
    """What can be said of a large network: its blocks, what they weigh, and bounds of their branches."""
    from deepwright.interpret import channel_ratios, find_residual_blocks

    x = x[:32]
    blocks = find_residual_blocks(subject.model, x)
    if not blocks:
        raise NotApplicableError(f"{x[0].numel()} features are too many for a search, and it has no residual blocks")
    table = channel_ratios(subject.model, x, blocks)
    ratios = [float(row[1]) for row in table.rows if isinstance(row[1], float)]
    values: dict[str, Any] = {"blocks": len(blocks), "features": x[0].numel()}
    if ratios:
        values |= {"least_ratio": min(ratios), "largest_ratio": max(ratios)}
    return Finding(
        check="embedding",
        grade="info",
        summary=(
            f"{x[0].numel()} features are too many for a proof or a search. Of {len(blocks)} residual blocks the table "
            "says what the residual weighs against the skip: a block that always weighs little can't fold."
        ),
        values=values,
        rule="Not graded: ratios on data are no proof.",
        tables=[table],
    )
