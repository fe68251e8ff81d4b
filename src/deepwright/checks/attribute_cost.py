"""What is cheap to read from a network: the bits by which a line learns attributes from its features."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.checks.findings.finding import Finding, NotApplicableError
from deepwright.checks.foreign import task_activations
from deepwright.checks.quality.samples import attributes_of
from deepwright.checks.subjects.subject import Subject
from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval
from deepwright.data import Split
from deepwright.interpret import FitConfig, LossCurve, loss_curve

LABEL = "label"
"""The name under which the label itself is read."""
_TRAIN, _HELD, _TEST, _LEAST = 2000, 500, 1000, 64
_RUNS, _MOST_VALUES, _BINS = 5, 20, 4
_TELLS = 0.05  # share of its entropy below which nothing of an attribute is read


@dataclass(frozen=True)
class _Read:
    """How one target is read: its curve, and what it holds before anything is known, in bits a sample."""

    name: str
    values: int
    entropy: float
    curve: LossCurve

    @cached_property
    def cost(self) -> Interval:
        return self.curve.confidence(200, cut=None)

    @property
    def left(self) -> float:
        return self.curve.asymptote()

    @property
    def told(self) -> float:
        """Share of its entropy that is read in the end."""
        return max(0.0, 1 - self.left / self.entropy) if self.entropy > 0 else 0.0


def check_attribute_cost(subject: Subject, attributes: Sequence[str] | None = None) -> Finding:
    """Prequential cost of attributes, and of the label, read by a line from the network's frozen features.

    Low cost and little left: who trains a head on these features gets the attribute with few samples, and a head that
    goes by it is as cheap. Training samples are coded, validation samples stop the reading, test samples measure it.

    Args:
        subject: of classes, with training samples and a network whose features can be seen.
        attributes: names of columns of the table, of what is known beside the inputs, or of statistics of pictures;
            `subject.attributes`, `subject.groups`, or all that is known beside the inputs, when None. Columns of many
            numbers are read by quarters.

    Raises:
        NotApplicableError: another task, too few training samples, no features, no attributes.
    """
    if not subject.has_classes:
        raise NotApplicableError(f"what is read is compared with a class a sample, and this is {subject.task.kind}")
    parts = _parts(subject)
    columns = [attributes_of(subject, part) for part in parts]
    names = _names(subject, attributes, columns[0])
    features = _features(subject, parts)
    targets = {LABEL: [part.y.long() for part in parts]}
    targets |= {name: _coded([column[name] for column in columns]) for name in names}
    read = [_read_target(name, features, codes, subject) for name, codes in targets.items()]
    label, others = read[0], read[1:]
    cheap = [r for r in others if r.told >= _TELLS and r.cost.high < label.cost.low]
    values: dict[str, Any] = {}
    for r in read:
        values |= {f"cost_of_{_key(r.name)}": r.cost, f"told_of_{_key(r.name)}": r.told}
    return Finding(
        check="attribute_cost",
        grade="info",
        summary=_summary(label, others, cheap),
        values=values,
        rule="Not graded: whether a network may hold an attribute that is cheap to read is the application's to say.",
        remedy=_remedy(cheap),
        tables=[_table(read)],
        figures=[_figure(read)],
        conditions={"attributes": ", ".join(names), "samples": int(label.curve.sizes[-1])},
    )


def _parts(subject: Subject) -> list[Split]:
    data = subject.data
    train, held = data.train, data.validation
    if not len(held):
        order = torch.arange(len(train))
        train, held = train.where(order % 5 != 0), train.where(order % 5 == 0)
    parts = [train.take(_TRAIN, subject.seed), held.take(_HELD, subject.seed), data.test.take(_TEST, subject.seed)]
    if len(parts[0]) < _LEAST or not len(parts[1]):
        raise NotApplicableError(f"{len(parts[0])} training samples are too few to read from: {_LEAST} are needed")
    return parts


def _key(name: str) -> str:
    return name.replace(" ", "_")


def _names(subject: Subject, asked: Sequence[str] | None, known: Mapping[str, Any]) -> list[str]:
    beside = [name for name in subject.data.train.columns if name != "file"]
    names = list(asked or subject.attributes or ([subject.groups] if subject.groups else beside))
    if not names:
        raise NotApplicableError("no attribute was named, and nothing is known of the samples beside their inputs")
    for name in names:
        if name not in known:
            there = ", ".join(list(known)[-8:]) or "none"
            raise NotApplicableError(f"the training samples have no column {name!r}; they have {there}")
    return names


def _features(subject: Subject, parts: Sequence[Split]) -> list[Tensor]:
    """Features of each part, standardised by those of training."""
    found = []
    for part in parts:
        features = task_activations(subject.model, part.batches(subject.batch_size).inputs).features
        if features is None:
            raise NotApplicableError("nothing of the network is seen before its outputs")
        found.append(features.flatten(1).float())
    center, scale = found[0].mean(0), found[0].std(0)
    return [(x - center) / scale.where(scale > 1e-8, torch.ones_like(scale)) for x in found]


def _coded(columns: Sequence[Any]) -> list[Tensor]:
    """Values as numbers from 0 on, by those of training; -1 for what is unknown or never seen there."""
    arrays = [np.asarray(c.cpu().numpy() if isinstance(c, Tensor) else c) for c in columns]
    numeric = all(a.dtype.kind in "fiub" for a in arrays)
    if numeric:
        arrays = [a.astype(np.float64) for a in arrays]
        known = arrays[0][np.isfinite(arrays[0])]
        if len(np.unique(known)) > _MOST_VALUES:
            parted = _quarters(known)
            return [_where(a, parted(a), np.isfinite(a)) for a in arrays]
    else:
        there = [np.array([v is not None and v == v for v in a], dtype=bool) for a in arrays]  # NaN isn't itself
        arrays = [np.array([str(v) for v in a]) for a in arrays]
        known = arrays[0][there[0]]
    values = np.unique(known)
    if not len(values):
        raise NotApplicableError("a column of which no training sample has a value is no attribute")
    if len(values) > _MOST_VALUES:
        raise NotApplicableError(f"a column of {len(values)} different texts is no attribute: {_MOST_VALUES} at most")
    at = [np.searchsorted(values, a).clip(0, max(0, len(values) - 1)) for a in arrays]
    seen = [values[i] == a for a, i in zip(arrays, at)]
    if not numeric:
        seen = [s & t for s, t in zip(seen, there)]
    return [_where(a, i, s) for a, i, s in zip(arrays, at, seen)]


def _quarters(known: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Numbers -> their quarter of those that are known; of many equal ones the side on which more parts are left."""
    edges = np.unique(np.quantile(known, np.arange(1, _BINS) / _BINS))
    parts: list[Callable[..., Any]] = [
        partial(np.searchsorted, edges, side="right"),
        partial(np.searchsorted, edges, side="left"),
    ]
    return max(parts, key=lambda part: len(np.unique(part(known))))


def _where(array: np.ndarray, codes: np.ndarray, known: np.ndarray) -> Tensor:
    return torch.from_numpy(np.where(known, codes, -1).astype(np.int64).reshape(len(array)))


class _Line(nn.Module):
    """A linear reader that begins by knowing nothing."""

    def __init__(self, features: int, values: int) -> None:
        super().__init__()
        self.line = nn.Linear(features, values)
        nn.init.zeros_(self.line.weight)
        nn.init.zeros_(self.line.bias)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.line(x)
        return out


def _read_target(name: str, features: Sequence[Tensor], codes: Sequence[Tensor], subject: Subject) -> _Read:
    rows = [(c >= 0).nonzero()[:, 0] for c in codes]
    pairs = [(x[r.to(x.device)], c[r].to(x.device)) for x, c, r in zip(features, codes, rows)]
    (x, y), held, test = pairs
    values = int(max(int(c.max()) for c in codes)) + 1
    if len(y) < _LEAST or not len(held[1]) or not len(test[1]):
        raise NotApplicableError(f"{len(y)} training samples with a known {name!r}: {_LEAST} are needed")
    device = x.device

    def line(seed: int) -> nn.Module:
        return _Line(x.shape[1], max(2, values)).to(device)

    sizes = [n for n in (2**k for k in range(20)) if n < len(y)] + [len(y)]
    config = FitConfig(lr=1e-2, max_steps=200, calibrate=True)
    curve = loss_curve(line, (x, y), held, {"": test}, sizes, _RUNS, subject.seed, fit=config)
    calibrated = replace(curve, tests=curve.tests[1:], loss=curve.loss[1:], accuracy=curve.accuracy[1:])
    share = torch.bincount(y, minlength=values).double() / len(y)
    entropy = -float((share * share.clamp_min(1e-300).log2()).sum())
    return _Read(name, int((share > 0).sum()), entropy, calibrated)


def _summary(label: _Read, others: Sequence[_Read], cheap: Sequence[_Read]) -> str:
    n = int(label.curve.sizes[-1])
    said = (
        f"A line reads the label from the network's features at a cost of {label.cost.value:.0f} bits (95 % interval "
        f"{label.cost.low:.0f} to {label.cost.high:.0f}) over {n} samples, and {label.told:.0%} of what it holds. "
    )
    if cheap:
        words = ", ".join(f"{r.name} ({r.cost.value:.0f} bits, {r.told:.0%} of it)" for r in cheap)
        return said + f"Cheaper to read than the label: {words}."
    held = [r for r in others if r.told >= _TELLS]
    if not held:
        return said + f"Of {', '.join(r.name for r in others)} nothing is read."
    words = ", ".join(f"{r.name} {r.cost.value:.0f} bits, {r.told:.0%} of it" for r in held)
    return said + f"No named attribute is shown to be cheaper: {words}."


def _remedy(cheap: Sequence[_Read]) -> str:
    if not cheap:
        return ""
    return (
        "See whether the network goes by it: `deepwright audit MODEL --data DATA --check groups --group COLUMN`; a new "
        "last layer is trained by `deepwright harden MODEL --data DATA --with dfr --groups COLUMN`."
    )


def _table(read: Sequence[_Read]) -> Table:
    rows: list[list[Any]] = []
    for r in read:
        ends = (None, None) if not r.cost.known else (r.cost.low, r.cost.high)
        rows.append([r.name, r.values, r.entropy, r.cost.value, *ends, r.left, r.told])
    heads = ["read", "values", "bits a sample before", "cost (bits)", "low", "high", "bits a sample left", "share told"]
    n = int(read[0].curve.sizes[-1])
    caption = f"What a line reads from the features: cost over up to {n} training samples, {_RUNS} orders of them"
    return Table(heads, rows, caption)


def _figure(read: Sequence[_Read]) -> Figure:
    series = [
        {"name": r.name, "x": r.curve.sizes.tolist(), "y": [v / math.log(2) for v in r.curve.mean().tolist()]}
        for r in read
    ]
    title = "What is left of each to say after so many samples"
    return Figure("line", title, series, "training samples of the line", "bits a sample", log_x=True)
