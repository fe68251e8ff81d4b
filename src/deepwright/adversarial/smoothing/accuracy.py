"""How much of a data set is right and certified at each radius."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepwright.adversarial.smoothing.smoothed import ABSTAINED, Smoothed
from deepwright.adversarial.smoothing.votes import classes_of
from deepwright.core.errors import InputError
from deepwright.core.identity import digest
from deepwright.core.inference import require_labels
from deepwright.core.journal import Journal
from deepwright.core.progress import bar
from deepwright.core.requirements import require_number, require_whole, require_within
from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval, wilson


@dataclass
class CertifiedAccuracy:
    """A smoothed classifier on a data set.

    Attributes:
        sigma: deviation of the noise.
        draws: of each certificate.
        alpha: probability that one certificate is wrong, at most; the intervals are over samples and don't hold it.
        radii: rising.
        curve: share of all samples that is right and certified at each radius, with Wilson intervals.
        abstained: share on which the noise doesn't decide.
        mean_radius: over all samples, 0 where wrong or undecided.
        right: whether each sample's class is right.
        radius: of each sample's certificate, whatever its class.
    """

    sigma: float
    draws: int
    alpha: float
    radii: tuple[float, ...]
    curve: list[Interval]
    abstained: Interval
    mean_radius: float
    right: list[bool] = field(repr=False)
    radius: list[float] = field(repr=False)

    def table(self) -> Table:
        """The curve in numbers."""
        rows: list[list[Any]] = [[r, p.value, p.low, p.high] for r, p in zip(self.radii, self.curve)]
        caption = (
            f"{len(self.right)} samples, noise of deviation {self.sigma:g}, {self.draws} draws each, every certificate "
            f"at {1 - self.alpha:.3%}; undecided: {self.abstained.value:.1%}"
        )
        return Table(["L2 radius", "right and certified", "95 % from", "95 % to"], rows, caption)

    def figure(self) -> Figure:
        """The curve."""
        series = [
            {
                "name": "smoothed network",
                "x": list(self.radii),
                "y": [p.value for p in self.curve],
                "low": [p.low for p in self.curve],
                "high": [p.high for p in self.curve],
            }
        ]
        return Figure(
            "line", "Right and certified within a radius", series, "L2 radius", "share of samples", y_range=(0.0, 1.0)
        )


def certified_accuracy(
    smoothed: Smoothed,
    batches: Iterable[tuple[Tensor, Tensor]],
    radii: Sequence[float] | None = None,
    *,
    draws: int = 1000,
    alpha: float = 0.001,
    first: int = 100,
    checkpoint: Path | str | None = None,
    description: str = "certificates",
) -> CertifiedAccuracy:
    """Certify every sample of a data set.

    Args:
        smoothed: the classifier.
        batches: (inputs, labels); samples are numbered as they come.
        radii: at which the share is told; 0 to twice sigma in steps of half of it by default.
        draws: see `Smoothed.certify`.
        alpha: see there.
        first: see there.
        checkpoint: a JSON-lines file; each finished batch is appended, and an interrupted run resumes to the identical
            report. Another network, task, option, input or label is an error that says which.
        description: beside the bar.

    Raises:
        InputError: no batches, labels that aren't classes, bad options, a checkpoint of other work.
    """
    if not isinstance(smoothed, Smoothed):
        raise InputError("smoothed", given=type(smoothed).__name__, expected="a Smoothed(model, sigma)")
    radii = tuple(smoothed.sigma * k / 2 for k in range(5)) if radii is None else _rising(radii)
    require_whole(1, draws=draws, first=first)
    require_within(0, 1, ends="()", alpha=alpha)
    numbers: dict[str, Any] = {"draws": draws, "alpha": alpha, "first": first}
    settings = {**numbers, "sigma": smoothed.sigma, "seed": smoothed.seed}
    task = {} if smoothed.task is None else smoothed.task.identity()
    log = Journal(checkpoint, {"model": smoothed.model, "task": task, "options": settings}, kind="certified accuracy")
    right: list[bool] = []
    radius: list[float] = []
    undecided = 0
    classes: int | None = None
    with bar(description, None) as running:
        for batch in batches:
            x, y = _pair(batch)
            classes = classes_of(smoothed.model, x, smoothed.task) if classes is None else classes
            require_labels(y, classes, len(x))
            name, print_ = str(len(right)), "" if checkpoint is None else str(digest([x, y], "data"))
            row = log.same(name, print_, len(right))
            if row is None:
                ids = torch.arange(len(right), len(right) + len(x))
                found = smoothed.certify(x, draws, alpha, first=first, ids=ids)
                sure = found.prediction == y.to(found.prediction.device)
                row = {"right": sure.tolist(), "radius": found.radius.tolist(), "data": print_}
                row["undecided"] = int((found.prediction == ABSTAINED).sum())
                log.add(name, row)
            right += row["right"]
            radius += row["radius"]
            undecided += row["undecided"]
            running.advance(1, f"{sum(right)}/{len(right)} right")
    n = len(right)
    if n == 0:
        raise InputError("batches", given="none", expected="at least one")
    counted = [a for a, sure in zip(radius, right) if sure]
    # a radius of 0 asks for a class that the noise decides, any other one that lies within the certificate
    curve = [wilson(sum(a >= r for a in counted), n) for r in radii]
    return CertifiedAccuracy(
        smoothed.sigma, draws, alpha, radii, curve, wilson(undecided, n), math.fsum(counted) / n, right, radius
    )


def _rising(radii: Sequence[float]) -> tuple[float, ...]:
    if isinstance(radii, str) or not isinstance(radii, Sequence) or not radii:
        raise InputError("radii", given=repr(radii), expected="a sequence of L2 radii")
    for radius in radii:
        require_number(0, radius=radius)
    return tuple(sorted(set(map(float, radii))))


def _pair(batch: Any) -> tuple[Tensor, Tensor]:
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise InputError("batches", given=type(batch).__name__, expected="pairs (inputs, labels)", hint="[(x, y)]")
    return batch[0], batch[1]
