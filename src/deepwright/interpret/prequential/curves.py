"""Loss against samples: what a predictor costs to learn (the area above its last loss) and what it leaves (that loss).

The prequential code length of N labels is the sum of -log2 p(y_{n+1} | x_{n+1}, first n samples), in expectation the
area under the curve of test loss l against n. What of it isn't N times the last loss was paid for the predictor:

    K = integral of l(n) dn - l_cut (n_cut - n_0), by the trapezoid rule over the sizes that were measured.

Against the sum over all n the trapezoid rule loses half of what l falls by: half a bit of a table of fair coins.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from deepwright.core.errors import InputError
from deepwright.core.randomness import derive_seed
from deepwright.core.requirements import require_number, require_whole
from deepwright.core.results import Table
from deepwright.core.statistics import Interval

UNITS = {"nats": 1.0, "bits": 1 / math.log(2)}
CUTS = ("settled", "authors", None)
"""Where the integral ends: see `LossCurve.cut_at`."""
TOLERANCE = 5e-5
_LEAST, _SHARE = 5, 0.01


class NegativeAreaWarning(UserWarning):
    """A curve whose end is above its mean: its cost is given as 0."""


@dataclass(frozen=True)
class ModelCost:
    """What a predictor costs to learn.

    Attributes:
        value: not below 0.
        raw: as integrated; below 0 where noise lifts the end of the curve.
        size: samples at the cut.
        asymptote: loss there.
        unit: of value and raw; the asymptote's is the same, a label.
        cut: the rule.
    """

    value: float
    raw: float
    size: float
    asymptote: float
    unit: str
    cut: str | None


@dataclass(frozen=True)
class LossCurve:
    """Losses and accuracies over sizes, runs and test sets.

    Attributes:
        sizes: (sizes,) samples that were trained on, rising.
        tests: names of what it was tested on; the first is what methods take by default.
        loss: (tests, runs, sizes) mean -ln p of the labels, in nats; NaN where a size has fewer runs.
        accuracy: (tests, runs, sizes).
        clamped: labels whose probability was below 2^-40 and was taken for that.
        reliance: attribute -> (runs, sizes) fall of the accuracy when it is permuted among test samples.
        p_values: attribute -> (runs, sizes), of that fall.
    """

    sizes: np.ndarray
    tests: tuple[str, ...]
    loss: np.ndarray
    accuracy: np.ndarray
    clamped: int = 0
    reliance: dict[str, np.ndarray] = field(default_factory=dict)
    p_values: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = (len(self.tests), self.loss.shape[1] if self.loss.ndim == 3 else 0, len(self.sizes))
        if self.loss.shape != shape or self.accuracy.shape != shape or not all(shape):
            given = f"loss {self.loss.shape}, accuracy {self.accuracy.shape}"
            raise InputError("a loss curve", given=given, expected=f"(tests, runs, sizes) = {shape}, none of them 0")
        require_sizes(self.sizes, least=0)
        if np.isinf(self.loss).any() or np.isnan(self.loss).all(1).any():
            raise InputError("losses of a curve", given="infinite, or none at a size", expected="finite numbers")

    @classmethod
    def from_arrays(cls, sizes: Any, loss: Any, unit: str = "nats", test: str = "test") -> LossCurve:
        """A curve that was measured, or is known in closed form.

        Args:
            sizes: (sizes,) rising; 0 is allowed.
            loss: (sizes,) or (runs, sizes).
            unit: of the losses, "nats" or "bits".
            test: name of what it was tested on.
        """
        values = np.atleast_2d(np.asarray(loss, dtype=np.float64))[None] / _unit(unit)
        return cls(np.asarray(sizes, dtype=np.float64), (test,), values, np.full_like(values, math.nan))

    @classmethod
    def joined(cls, curves: Sequence[LossCurve]) -> LossCurve:
        """The runs of several curves of equal sizes and tests as runs of one.

        Args:
            curves: at least one.
        """
        if not curves:
            raise InputError("curves to join", given="none", expected="at least one")
        first = curves[0]
        for other in curves:
            if other.tests != first.tests or not np.array_equal(other.sizes, first.sizes):
                given = f"tests {other.tests} at {len(other.sizes)} sizes beside {first.tests} at {len(first.sizes)}"
                raise InputError("curves to join", given=given, expected="the same tests and sizes")
        names = ("reliance", "p_values")
        parts: dict[str, Any] = {
            n: {a: np.concatenate([getattr(c, n)[a] for c in curves]) for a in getattr(first, n)} for n in names
        }
        parts |= {name: np.concatenate([getattr(c, name) for c in curves], 1) for name in ("loss", "accuracy")}
        return cls(first.sizes, first.tests, **parts, clamped=sum(c.clamped for c in curves))

    @property
    def runs(self) -> int:
        """How often each size was trained, at most."""
        return self.loss.shape[1]

    def mean(self, test: str | None = None) -> np.ndarray:
        """(sizes,) mean loss over the runs, in nats.

        Args:
            test: which test set.
        """
        return np.nanmean(self.loss[self._test(test)], 0)

    def mean_accuracy(self, test: str | None = None) -> np.ndarray:
        """(sizes,) mean accuracy over the runs.

        Args:
            test: which test set.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # not known of curves that were given as losses
            return np.nanmean(self.accuracy[self._test(test)], 0)  # type: ignore[no-any-return]

    def resampled(self, rows: np.ndarray) -> LossCurve:
        """The curve of some runs, a run as often as it is named.

        Args:
            rows: of the runs.
        """
        beside: dict[str, Any] = {
            n: {a: v[rows] for a, v in getattr(self, n).items()} for n in ("reliance", "p_values")
        }
        return replace(self, loss=self.loss[:, rows], accuracy=self.accuracy[:, rows], **beside)

    def at(self, n: float, test: str | None = None, unit: str = "bits") -> float:
        """Mean loss a label after n samples, on the straight line between two sizes.

        Args:
            n: within the measured sizes.
            test: which test set.
            unit: "bits" or "nats".
        """
        self._inside(n)
        return float(np.interp(n, self.sizes, self.mean(test))) * _unit(unit)

    def asymptote(self, test: str | None = None, unit: str = "bits") -> float:
        """Mean loss a label at the largest size.

        Args:
            test: which test set.
            unit: "bits" or "nats".
        """
        return float(self.mean(test)[-1]) * _unit(unit)

    def area(self, n: float | None = None, test: str | None = None, unit: str = "bits") -> float:
        """Integral of the mean loss from the smallest size to n: the code length of the labels between.

        Args:
            n: within the measured sizes; the largest when None.
            test: which test set.
            unit: "bits" or "nats".
        """
        end = float(self.sizes[-1]) if n is None else float(n)
        self._inside(end)
        inner = self.sizes < end
        sizes = np.append(self.sizes[inner], end)
        return float(np.trapezoid(np.interp(sizes, self.sizes, self.mean(test)), sizes)) * _unit(unit)

    def cut_at(self, cut: str | None = "settled", tolerance: float = TOLERANCE, test: str | None = None) -> int:
        """Place of the size at which the integral ends.

        "authors": the first of the fifth size on whose loss is within `tolerance` nats of its neighbour's; it depends
        on the grid, and fires on a plateau before learning. "settled": the first such that is also above all later
        losses by no more than max(tolerance, 1 % of the whole fall). None: the last. Where none fires it is the last.

        Args:
            cut: the rule.
            tolerance: nats.
            test: which test set.

        Raises:
            InputError: an unknown rule, or fewer than 5 sizes for one.
        """
        if cut not in CUTS:
            raise InputError("cut", given=repr(cut), expected="'settled', 'authors' or None")
        require_number(0, tolerance=tolerance)
        if cut is not None and len(self.sizes) < _LEAST:
            hint = "cut=None integrates over all"
            raise InputError("sizes for a cut", given=len(self.sizes), expected=f"{_LEAST} or more", hint=hint)
        return _cut(self.mean(test), cut, tolerance)

    def model_cost(
        self,
        cut: str | None = "settled",
        tolerance: float = TOLERANCE,
        unit: str = "bits",
        test: str | None = None,
    ) -> float:
        """What the predictor costs to learn, not below 0.

        Args:
            cut: where the integral ends: "settled", "authors" or None; see `cut_at`.
            tolerance: of the cut, nats.
            unit: "bits" or "nats".
            test: which test set: the feature's own.

        Warns:
            NegativeAreaWarning: the integral is below 0.
        """
        found = self.cost(cut, tolerance, unit, test)
        if found.raw < 0:
            message = f"the loss rises at the end: the area is {found.raw:.4g} {unit}, and the cost is given as 0"
            warnings.warn(message, NegativeAreaWarning, stacklevel=2)
        return found.value

    def cost(
        self,
        cut: str | None = "settled",
        tolerance: float = TOLERANCE,
        unit: str = "bits",
        test: str | None = None,
    ) -> ModelCost:
        """What the predictor costs to learn, with the raw area and where the integral ended.

        Args:
            cut: where the integral ends: "settled", "authors" or None; see `cut_at`.
            tolerance: of the cut, nats.
            unit: "bits" or "nats".
            test: which test set: the feature's own.
        """
        i = self.cut_at(cut, tolerance, test)
        raw = _excess(self.sizes, self.mean(test), i) * _unit(unit)
        end = float(self.mean(test)[i]) * _unit(unit)
        return ModelCost(max(0.0, raw), raw, float(self.sizes[i]), end, unit, cut)

    def costs(self, tolerance: float = TOLERANCE, unit: str = "bits", test: str | None = None) -> dict[str, ModelCost]:
        """The cost under every cut, by its name ("none" for the whole curve).

        Args:
            tolerance: of the cuts, nats.
            unit: "bits" or "nats".
            test: which test set.
        """
        cuts = CUTS if len(self.sizes) >= _LEAST else (None,)
        return {str(cut).lower(): self.cost(cut, tolerance, unit, test) for cut in cuts}

    def confidence(
        self,
        bootstrap: int = 200,
        cut: str | None = "settled",
        unit: str = "bits",
        test: str | None = None,
        seed: int = 0,
    ) -> Interval:
        """The cost with the 95 % percentile interval of a bootstrap over the runs; one run of a size has none.

        Args:
            bootstrap: resamples.
            cut: where the integral ends.
            unit: "bits" or "nats".
            test: which test set.
            seed: of the resamples.
        """
        drawn = [
            self.resampled(rows).cost(cut, unit=unit, test=test).value for rows in run_draws(self, bootstrap, seed)
        ]
        return percentile_interval(self.cost(cut, unit=unit, test=test).value, drawn)

    def table(self) -> Table:
        """Loss (bits), accuracy and reliance by size, means over the runs."""
        heads = [f"{word}, {test}" for test in self.tests for word in ("loss (bits)", "accuracy")]
        names = list(self.reliance)
        rows: list[list[Any]] = []
        for i, n in enumerate(self.sizes):
            cells: list[Any] = [float(n)]
            for test in self.tests:
                cells += [float(self.mean(test)[i]) * UNITS["bits"], _cell(self.mean_accuracy(test)[i])]
            rows.append([*cells, *(_cell(np.nanmean(self.reliance[name][:, i])) for name in names)])
        columns = ["samples", *heads, *(f"falls without {name}" for name in names)]
        return Table(columns, rows, f"mean over {self.runs} runs")

    def _test(self, test: str | None) -> int:
        if test is None:
            return 0
        if test not in self.tests:
            raise InputError("test", given=repr(test), expected=", ".join(self.tests))
        return self.tests.index(test)

    def _inside(self, n: float) -> None:
        if not self.sizes[0] <= n <= self.sizes[-1]:
            raise InputError("n", given=n, expected=f"within {self.sizes[0]:g} to {self.sizes[-1]:g}, as measured")


def require_sizes(sizes: Any, least: int = 1) -> None:
    """Refuse sizes that don't rise, or are too small.

    Args:
        sizes: of a curve.
        least: the smallest that is allowed.
    """
    array = np.asarray(sizes, dtype=np.float64)
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all() or array[0] < least:
        raise InputError("sizes", given=np.array2string(array, threshold=8), expected=f"numbers from {least} on")
    if (np.diff(array) <= 0).any():
        given = np.array2string(array, threshold=8)
        raise InputError("sizes", given=given, expected="rising, none twice", hint="sorted(set(sizes))")


def run_draws(curve: LossCurve, bootstrap: int, seed: int, *others: LossCurve) -> list[np.ndarray]:
    """Resamples of a curve's runs, none of which leaves a size without one; none at all where a size has one run.

    Args:
        curve: whose runs are drawn.
        bootstrap: how many.
        seed: of the draws.
        others: of as many runs, of which the same ones are drawn.
    """
    require_whole(1, bootstrap=bootstrap)
    missing = np.concatenate([np.isnan(c.loss).any(0) for c in (curve, *others)], 1)
    if (~missing).sum(0).min() < 2:
        return []
    rng = np.random.default_rng(derive_seed("runs", seed=seed))
    rows = rng.integers(0, curve.runs, (bootstrap, curve.runs))
    return [row for row in rows if not missing[row].all(0).any()] if missing.any() else list(rows)


def percentile_interval(value: float, drawn: Sequence[float] | np.ndarray) -> Interval:
    """A value with the 95 % percentiles of its resamples, widened to hold it; infinite ends where there are none.

    Args:
        value: of all runs.
        drawn: of the resamples.
    """
    if len(drawn) < 2:
        return Interval(value, -math.inf, math.inf)
    low, high = (float(np.quantile(drawn, q)) for q in (0.025, 0.975))
    return Interval(value, min(low, value), max(high, value))


def log_sizes(largest: int, count: int = 100, smallest: int = 1) -> list[int]:
    """Whole numbers evenly apart on a logarithmic axis, each once.

    Args:
        largest: the last.
        count: before equal ones are left out.
        smallest: the first.
    """
    require_whole(1, largest=largest, count=count, smallest=smallest)
    return [int(n) for n in np.unique(np.geomspace(smallest, largest, count).round().astype(np.int64))]


def _unit(unit: str) -> float:
    if unit not in UNITS:
        raise InputError("unit", given=repr(unit), expected="'bits' or 'nats'")
    return UNITS[unit]


def _cut(loss: np.ndarray, cut: str | None, tolerance: float) -> int:
    if cut is None:
        return len(loss) - 1
    fires = np.abs(np.diff(loss, prepend=math.inf)) < tolerance
    fires[: _LEAST - 1] = False
    if cut == "settled":
        later = np.minimum.accumulate(loss[::-1])[::-1]
        fires &= loss - later <= max(tolerance, _SHARE * (loss[0] - loss.min()))
    return int(fires.argmax()) if fires.any() else len(loss) - 1


def _excess(sizes: np.ndarray, loss: np.ndarray, i: int) -> float:
    return float(np.trapezoid(loss[: i + 1], sizes[: i + 1]) - loss[i] * (sizes[i] - sizes[0]))


def _cell(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
