"""Guarantees on top of any detector: p-values, fusion of several detectors, and a drift alarm on a stream."""

from __future__ import annotations

from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError, NotCalibratedError
from deepwright.core.requirements import require_finite
from deepwright.core.statistics import conformal_pvalues, drift_pvalue


class ConformalFusion:
    """p-values of several detectors' scores, fused into one with a false-alarm guarantee.

    Scores of held-out in-distribution data give split-conformal p-values; "min" takes the smallest times the number of
    detectors (Bonferroni: valid under any dependence); "fisher" sums -log p and calibrates that sum on the second half
    of the held-out data, since the scores depend on each other.

    Args:
        how: "min" or "fisher".
    """

    def __init__(self, how: str = "min") -> None:
        if how not in ("min", "fisher"):
            raise InputError("how", given=repr(how), expected="'min' or 'fisher'")
        self.how = how
        self._scores: dict[str, Tensor] | None = None
        self._fused: Tensor | None = None

    def calibrate(self, id_scores: dict[str, Float[Tensor, " n"]]) -> Self:
        """Held-out in-distribution scores by detector, in the same order of samples."""
        if not id_scores:
            raise InputError("calibration scores", given="none", expected="those of at least one detector")
        for name, scores in id_scores.items():
            require_finite(scores, f"calibration scores of {name!r}")
        n = {len(s) for s in id_scores.values()}
        if len(n) != 1 or min(n) < 20:
            raise InputError(
                "calibration scores", given=f"{sorted(n)} samples", expected="the same 20 samples or more each"
            )
        if self.how == "min":
            self._scores = id_scores
            return self
        half = min(n) // 2
        self._scores = {name: s[:half] for name, s in id_scores.items()}
        self._fused = self._fisher({name: s[half:] for name, s in id_scores.items()})
        return self

    def pvalues(self, scores: dict[str, Float[Tensor, " n"]]) -> Float[Tensor, " n"]:
        """P(an in-distribution input scores so high): alarm where it is at most the level that you accept."""
        if self._scores is None:
            raise NotCalibratedError("ConformalFusion")
        if scores.keys() != self._scores.keys():
            raise InputError(
                "scores", given=f"of {sorted(scores)}", expected=f"of {sorted(self._scores)}, as calibrated"
            )
        for name, values in scores.items():
            require_finite(values, f"scores of {name!r}")
        if self.how == "fisher":
            assert self._fused is not None
            return conformal_pvalues(self._fused, self._fisher(scores))
        each = torch.stack([conformal_pvalues(self._scores[name], scores[name]) for name in self._scores])
        return (each.amin(0) * len(each)).clamp_max(1.0)

    def _fisher(self, scores: dict[str, Tensor]) -> Tensor:
        assert self._scores is not None
        return -sum(conformal_pvalues(self._scores[name], scores[name]).log() for name in self._scores)  # type: ignore[return-value]


class DriftAlarm:
    """Counts alarms on a stream and says how surprising their number is at the calibrated rate.

    Args:
        rate: the share of alarms without drift.
    """

    def __init__(self, rate: float) -> None:
        if not 0 < rate < 1:
            raise InputError("rate", given=rate, expected="in (0, 1)")
        self.rate, self.alarms, self.seen = rate, 0, 0

    def update(self, alarms: Tensor) -> float:
        """Add a batch of booleans; returns the p-value of so many alarms without drift."""
        if alarms.dtype != torch.bool:
            raise InputError("alarms", given=str(alarms.dtype), expected="torch.bool", hint="detector.predict(...)")
        self.alarms += int(alarms.sum())
        self.seen += len(alarms)
        return drift_pvalue(self.alarms, self.seen, self.rate)
