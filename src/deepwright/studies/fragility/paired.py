"""Differences between two arms over the same seeds, with intervals that fit how the seeds' rows are related."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from deepwright.core.statistics import Interval
from deepwright.studies._frame import Measure, cells, gaps, ratios
from deepwright.studies.fragility.choosing import Arms
from deepwright.studies.fragility.worlds import MADE, REAL_ROWS, WORLDS


@dataclass(frozen=True)
class Gap:
    """A mean difference.

    Attributes:
        interval: 95 %.
        p: two-sided, of no difference.
    """

    interval: Interval
    p: float

    @property
    def cells(self) -> tuple[float | None, ...]:
        """The mean and both ends, as cells of a table."""
        return cells(self.interval)


def against(
    arms: Arms, data: str, method: str, measure: Measure, baseline: str = "erm", other: Measure | None = None
) -> Gap:
    """One method's measure minus the baseline's on one table.

    Args:
        arms: chosen trials by data and method.
        data: a world's name.
        method: on the left.
        measure: what is compared.
        baseline: on the right.
        other: what is read of the baseline, where that is another measure.
    """
    return over_seeds(data, gaps(arms[data, method], arms[data, baseline], measure, other))


def over_seeds(data: str, differences: list[float]) -> Gap:
    """Differences over seeds, each of new rows where the table is made, of another split where it is real.

    Splits of one set share rows, and their spread alone gives intervals that are much too short. There the variance of
    the mean over J splits is (1 / J + tested / learnt) times that between them, with Student's distribution.

    Args:
        data: a world's name.
        differences: one a seed.

    Source: C. Nadeau and Y. Bengio, "Inference for the Generalization Error", 2003.
    """
    if len(differences) == 1:
        return Gap(Interval(differences[0], -math.inf, math.inf), 1.0)
    world = WORLDS[data]
    learnt = world.rows + world.held
    return corrected(differences, 0.0 if world.source == MADE else (REAL_ROWS[world.source] - learnt) / learnt)


def corrected(differences: list[float], tested: float) -> Gap:
    """Student's interval and p-value for the mean over random splits of one set, or over sets of their own.

    Args:
        differences: one a split or set, two or more.
        tested: test rows over the rows that were learnt from; 0 where no rows are shared.
    """
    from scipy import stats

    values = np.asarray(differences, dtype=float)
    n, mean = len(values), float(values.mean())
    error = float(values.std(ddof=1)) * math.sqrt(1 / n + tested)
    half = float(stats.t.ppf(0.975, n - 1)) * error
    p = 1.0 if mean == 0 else (0.0 if error == 0 else 2 * float(stats.t.sf(abs(mean) / error, n - 1)))
    return Gap(Interval(mean, mean - half, mean + half), p)


def lowered(arms: Arms, data: str, measure: Measure, method: str = "fragility", baseline: str = "erm") -> Gap:
    """By which share a method lowers the baseline's measure, seed by seed.

    Args:
        arms: chosen trials by data and method.
        data: a world's name.
        measure: above 0.
        method: FragilityLoss unless said otherwise.
        baseline: what it is held against.
    """
    return over_seeds(data, [1 - ratio for ratio in ratios(arms[data, method], arms[data, baseline], measure)])
