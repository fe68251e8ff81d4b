"""What a study asserts and how its arms were selected: plain data, decided by intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from deepwright.core.errors import InputError
from deepwright.core.statistics import Interval, mean_interval

RULES = ("mean", "every", "once", "timing")


@dataclass
class Claim:
    """What a paper (or we) assert, what was measured, and whether it holds.

    A claim about a mean holds when its whole 95 % interval lies on the side that was asked for, fails when the whole
    interval lies on the other, and isn't shown when the bar is inside; over one seed nothing is shown, nor by
    differences that all are 0 where the bar is. A claim about
    every seed holds when each is on that side. A number that is no sample (a closed form, a proof, a timing) decides
    by itself.

    Attributes:
        text: the claim, with its source.
        measured: mean over seeds; of "every", the seed that is nearest to failing.
        threshold: the margin that was asked for.
        sense: ">=" or "<=" (measured, threshold).
        holds: whether it is shown.
        n: seeds or repetitions.
        spread: standard deviation over them.
        low: end of the 95 % interval; None where there is none.
        high: the other end.
        rule: how it was decided: "mean", "every", "once" or "timing"; "" in results that went by the mean alone.
        basis: what n counts where that isn't seeds, or why one number is enough.
        reason: of a claim that doesn't hold, in one sentence.
        experiment: the table or figure of the page that shows the reason.
    """

    text: str
    measured: float
    threshold: float
    sense: str
    holds: bool
    n: int
    spread: float = 0.0
    low: float | None = None
    high: float | None = None
    rule: str = ""
    basis: str = ""
    reason: str = ""
    experiment: str = ""

    @property
    def verdict(self) -> str:
        """ "holds", "fails", or why it isn't shown: the end of an interval over one seed is no number."""
        if not math.isfinite(self.measured) or math.isnan(self.threshold) or (self.rule == "mean" and self.n == 1):
            return "one seed: not shown" if self.n == 1 else "no number: not shown"
        if self.holds:
            return "holds"
        if self.low is None or self.high is None:
            return "not shown" if self.rule == "mean" else "fails"
        return "not shown" if self.low <= self.threshold <= self.high else "fails"

    @classmethod
    def at_least(
        cls,
        text: str,
        values: Sequence[float] | float | Interval,
        threshold: float,
        *,
        n: int | None = None,
        every: bool = False,
        timing: bool = False,
        basis: str = "",
    ) -> Claim:
        """A claim that the mean of `values` is at least `threshold`.

        Args:
            text: what is claimed.
            values: one a seed; or an interval that was made from them; or one number that is no sample.
            threshold: the bar.
            n: seeds behind an interval, which must be said, or behind one number.
            every: it is claimed of every seed, and decided by the one that is nearest to failing.
            timing: seconds or quotients of them, which another machine repeats only roughly.
            basis: what n counts where that isn't seeds, or why one number is enough.

        Raises:
            InputError: no values, or not one a seed; an interval without `n` or of every seed; every seed and a timing.
        """
        return cls._of(text, values, float(threshold), ">=", n, _rule(values, every, timing), basis)

    @classmethod
    def at_most(
        cls,
        text: str,
        values: Sequence[float] | float | Interval,
        threshold: float,
        *,
        n: int | None = None,
        every: bool = False,
        timing: bool = False,
        basis: str = "",
    ) -> Claim:
        """A claim that the mean of `values` is at most `threshold`.

        Args:
            text: what is claimed.
            values: one a seed; or an interval that was made from them; or one number that is no sample.
            threshold: the bar.
            n: seeds behind an interval, which must be said, or behind one number.
            every: it is claimed of every seed, and decided by the one that is nearest to failing.
            timing: seconds or quotients of them, which another machine repeats only roughly.
            basis: what n counts where that isn't seeds, or why one number is enough.

        Raises:
            InputError: no values, or not one a seed; an interval without `n` or of every seed; every seed and a timing.
        """
        return cls._of(text, values, float(threshold), "<=", n, _rule(values, every, timing), basis)

    def because(self, reason: str, experiment: str) -> Claim:
        """The same claim, with the reason for which it doesn't hold; one that holds stays as it is.

        Args:
            reason: one sentence.
            experiment: caption or title (or its beginning) of the table or figure that shows it.
        """
        return self if self.holds else replace(self, reason=reason, experiment=experiment)

    @classmethod
    def _of(
        cls,
        text: str,
        values: Sequence[float] | float | Interval,
        threshold: float,
        sense: str,
        n: int | None,
        rule: str,
        basis: str,
    ) -> Claim:
        found, spread, counted = _measured(values, rule, sense)
        ends = (found.low, found.high) if found.known and rule in ("mean", "timing") else (None, None)
        if not math.isfinite(found.value):
            holds = False
        elif sense == ">=":
            holds = (found.value if ends[0] is None else ends[0]) >= threshold
        else:
            holds = (found.value if ends[1] is None else ends[1]) <= threshold
        many = counted if n is None else int(n)
        if rule in ("mean", "every") and (many < 1 or counted not in (0, many)):
            given = f"n = {many} over {counted} values" if counted else f"an interval with n = {n}"
            raise InputError(f"claim {text!r}", given=given, expected="the seeds that it was measured over")
        low, high = ends
        if rule == "mean" and (many == 1 or low is None or low == high == threshold == 0):
            holds = False  # a mean alone decides nothing, and no difference in any seed is none
        return cls(text, found.value, threshold, sense, bool(holds), many, spread, low, high, rule, basis)


def _rule(values: Sequence[float] | float | Interval, every: bool, timing: bool) -> str:
    if every and timing:
        raise InputError("a claim", given="every and timing", expected="one of them")
    if every and isinstance(values, Interval):
        raise InputError("a claim of every seed", given="an interval", expected="the values, one a seed")
    if timing:
        return "timing"
    if every:
        return "every"
    return "mean" if isinstance(values, Interval) or np.ndim(values) else "once"


def _measured(values: Sequence[float] | float | Interval, rule: str, sense: str) -> tuple[Interval, float, int]:
    """What decides, the spread over the values, and how many they are."""
    if isinstance(values, Interval):
        return values, 0.0, 0
    array = np.atleast_1d(np.asarray(values, dtype=float))
    if array.ndim != 1 or not len(array):
        raise InputError("a claim's values", given=f"shape {array.shape}", expected="one a seed, at least one")
    spread = float(array.std(ddof=1)) if len(array) > 1 else 0.0
    if rule == "every":
        worst = float(array.min() if sense == ">=" else array.max())
        return Interval(worst, worst, worst), spread, len(array)
    value = float(array.mean())
    if len(array) == 1 or not np.isfinite(array).all():
        return Interval(value, -math.inf, math.inf), spread if math.isfinite(value) else 0.0, len(array)
    if array.min() == array.max():  # whose mean may be rounded to either side of them, and of the bar
        return Interval(*[float(array[0])] * 3), 0.0, len(array)
    return mean_interval(array.tolist()), spread, len(array)


@dataclass
class Arm:
    """One of the ways that a study compares, and how its setting was selected.

    Attributes:
        name: as in the tables.
        rule: of the selection, in words: "lowest validation cross-entropy, seed by seed"; "as published" where nothing
            was selected.
        data: what it was selected on: "500 rows of each seed that are neither trained nor tested on".
        budget: what one training may cost: "100 epochs of 900 rows".
        grid: the arm's own hyper-parameters, with the values that were tried.
        tried: how many settings were.
        chosen: by setting in words, how many seeds it was chosen for.
        at_edge: seeds whose choice lies at the end of an axis of three or more numbers.
        group: arms of one group (a data set) are compared with each other.
        why: the reason, where it had another rule, budget or number of settings than the rest of its group.
    """

    name: str
    rule: str
    data: str = ""
    budget: str = ""
    grid: Mapping[str, list[Any]] = field(default_factory=dict)
    tried: int = 1
    chosen: Mapping[str, int] = field(default_factory=dict)
    at_edge: int = 0
    group: str = ""
    why: str = ""
