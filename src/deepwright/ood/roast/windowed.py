"""What every detector of windows shares: fit, score (larger = more anomalous), a threshold and how it is set."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from deepwright.core.errors import InputError, NotCalibratedError, NotFittedError
from deepwright.core.requirements import require_positive, require_within

Threshold = Callable[[Tensor, Tensor | None], float]
METHODS = ("quantile", "fbeta", "precision")


class WindowDetector(ABC):
    """Base of the detectors of windows (N, steps, channels).

    Attributes:
        training_scores_: of the rows that it was fitted on, each as if it weren't among them.
        threshold_: scores above it are alarms; NaN before it is set.
    """

    def __init__(self) -> None:
        self.training_scores_: Tensor = torch.zeros(0)
        self.threshold_ = math.nan
        self._shape: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """How tables call it."""
        return type(self).__name__

    def fit(self, x: Float[Tensor, "n steps channels"], y: Bool[Tensor, " n"] | None = None) -> Self:
        """Learn what is normal: from all rows as they are, or from those that aren't labelled as attacked.

        Args:
            x: windows.
            y: whether each is attacked; detectors that can learn from those do.

        Raises:
            InputError: too few rows, other shapes, numbers that aren't finite, rows that are all one and the same.
        """
        _require_windows(x, "x")
        if y is not None and y.shape != x.shape[:1]:
            raise InputError("y", given=f"shape {tuple(y.shape)}", expected=f"({len(x)},), one a window")
        normal = x if y is None else x[~y.bool()]
        if len(normal) < self.fewest:
            raise InputError(self.name, given=f"{len(normal)} benign windows", expected=f"{self.fewest} or more")
        if bool((normal == normal[0]).all()):
            raise InputError(self.name, given="windows that are all the same", expected="a stream that moves")
        self._shape = tuple(x.shape[1:])
        self.training_scores_ = self._fit(normal, None if y is None else x[y.bool()])
        self.threshold_ = math.nan
        return self

    def score(self, x: Float[Tensor, "n steps channels"]) -> Float[Tensor, " n"]:
        """One number a window, larger where it is stranger, on x's device.

        Args:
            x: windows of the shape that it was fitted on.

        Raises:
            NotFittedError: before `fit`.
            InputError: another shape, numbers that aren't finite.
        """
        if not self._shape:
            raise NotFittedError(self.name)
        _require_windows(x, "x")
        if tuple(x.shape[1:]) != self._shape:
            raise InputError("x", given=f"windows of {tuple(x.shape[1:])}", expected=str(self._shape))
        return self._score(x)

    def predict(self, x: Float[Tensor, "n steps channels"]) -> Bool[Tensor, " n"]:
        """Whether each window is an alarm.

        Args:
            x: windows.

        Raises:
            NotCalibratedError: no threshold was set.
        """
        found = self.score(x)
        if math.isnan(self.threshold_):
            raise NotCalibratedError(self.name)
        return found > self.threshold_

    def set_threshold(
        self,
        method: str | Threshold = "quantile",
        value: float = 0.95,
        x: Tensor | None = None,
        y: Tensor | None = None,
    ) -> float:
        """Choose the threshold and return it.

        "quantile": of the scores of benign rows; "fbeta": the largest F-beta with beta `value` on labelled rows;
        "precision": the largest recall at a precision of `value` or more on them. Labelled rows are others than those
        that were fitted, or the threshold is too low.

        Args:
            method: of these, or a function of scores and labels.
            value: see above.
            x: rows that it is set on; the training scores by default.
            y: whether they are attacked; none of them by default.

        Raises:
            InputError: an unknown method, labels that are missing or of one kind, a precision that nothing reaches.
        """
        scores = self.training_scores_ if x is None else self.score(x)
        if not len(scores):
            raise NotFittedError(self.name)
        self.threshold_ = float(threshold(scores, y, method, value))
        return self.threshold_

    @property
    def fewest(self) -> int:
        """Benign rows that it needs."""
        return 2

    @abstractmethod
    def _fit(self, benign: Tensor, attacked: Tensor | None) -> Tensor:
        """Learn, and return the training scores."""

    @abstractmethod
    def _score(self, x: Tensor) -> Tensor: ...


def threshold(scores: Tensor, y: Tensor | None, method: str | Threshold, value: float) -> float:
    """Where alarms begin; see `WindowDetector.set_threshold`.

    Args:
        scores: of rows.
        y: whether each is attacked.
        method: how.
        value: its number.

    Raises:
        InputError: as there.
    """
    if callable(method):
        found = float(method(scores, y))
        if not math.isfinite(found):
            raise InputError("threshold", given=found, expected="a finite number")
        return found
    if method not in METHODS:
        raise InputError("method", given=repr(method), expected=" or ".join(map(repr, METHODS)) + ", or a function")
    if method == "quantile":
        require_within(0, 1, value=value)
        benign = scores if y is None else scores[~y.bool()]
        ordered = benign.double().sort().values
        return float(ordered[min(len(ordered) - 1, math.ceil(value * len(ordered)) - 1 if value > 0 else 0)])
    if y is None or not 0 < int(y.sum()) < len(y):
        raise InputError("y", given="labels of one kind, or none", expected=f"attacked and benign rows for {method!r}")
    cuts, precision, recall = _along(scores.double(), y.bool())
    if method == "fbeta":
        require_positive(value=value)
        worth = (1 + value**2) * precision * recall / (value**2 * precision + recall).clamp_min(1e-300)
        return float(cuts[worth.argmax()])
    require_within(0, 1, value=value)
    if not bool((precision >= value).any()):
        raise InputError("precision", given=value, expected=f"at most {float(precision.max()):.3f}, which is reached")
    return float(cuts[torch.where(precision >= value, recall, -1.0).argmax()])


def _along(scores: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Thresholds with what is above each: precision and recall; the lowest lies below all scores."""
    order = scores.argsort(descending=True)
    ranked, hits = scores[order], y[order].double().cumsum(0)
    last = torch.ones_like(y)
    last[:-1] = ranked[1:] != ranked[:-1]  # equal scores are alarms together
    count = torch.arange(1, len(y) + 1, dtype=torch.float64, device=scores.device)[last]
    reached = ranked[last]
    below = torch.cat([(reached[:-1] + reached[1:]) / 2, reached[-1:] - 1])
    return below, hits[last] / count, hits[last] / hits[-1]


class MeanRank(WindowDetector):
    """Several detectors as one: the mean over them of a score's rank among the training scores.

    Args:
        detectors: all of which see the same windows.
    """

    def __init__(self, detectors: Sequence[WindowDetector]) -> None:
        super().__init__()
        if len(detectors) < 2 or not all(isinstance(d, WindowDetector) for d in detectors):
            raise InputError("detectors", given=f"{len(detectors)}", expected="two or more detectors of windows")
        self.detectors = list(detectors)

    @property
    def name(self) -> str:
        """How tables call it."""
        return " + ".join(d.name for d in self.detectors)

    @property
    def fewest(self) -> int:
        """Benign rows that it needs."""
        return max(d.fewest for d in self.detectors)

    def _fit(self, benign: Tensor, attacked: Tensor | None) -> Tensor:
        labels = torch.zeros(len(benign), dtype=torch.bool, device=benign.device)
        x = benign
        if attacked is not None:
            x = torch.cat([benign, attacked])
            labels = torch.cat([labels, torch.ones(len(attacked), dtype=torch.bool, device=benign.device)])
        for detector in self.detectors:
            detector.fit(x, labels)
        return self._ranks([d.training_scores_ for d in self.detectors])

    def _score(self, x: Tensor) -> Tensor:
        return self._ranks([d.score(x) for d in self.detectors])

    def _ranks(self, scores: Sequence[Tensor]) -> Tensor:
        ranks = []
        for detector, found in zip(self.detectors, scores):
            known = detector.training_scores_.double().sort().values
            ranks.append(torch.searchsorted(known, found.double()) / len(known))
        return torch.stack(ranks).mean(0)


def _require_windows(x: Any, name: str) -> None:
    if not isinstance(x, Tensor) or x.ndim != 3 or not x.is_floating_point():
        given = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise InputError(name, given=given, expected="windows (N, steps, channels) of floats")
    if not bool(torch.isfinite(x).all()):
        raise InputError(name, given="missing or infinite values", expected="finite numbers")
