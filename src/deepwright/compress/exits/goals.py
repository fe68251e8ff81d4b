"""Thresholds for other goals than a share of harm: a speed-up, a balance of costs, a metric that may only fall so far.

All cuts move together along one level j: at every cut the j riskiest samples (relevant ones that leaving would harm, by
their score) are let go. The level that meets the goal is picked with a look at the data, so Clopper and Pearson's bound
doesn't hold for it; what does is a bound over all thresholds at once (Dvoretzky, Kiefer and Wolfowitz, with Massart's
constant):

    P(harm) <= events / n + sqrt(ln(1 / delta) / (2 n)).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from deepwright.compress.exits.policy import CalibrationError, just_above
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_number, require_within

LEVELS = 200


class Levels:
    """Joint thresholds from the safest to the boldest, and what each would do on the calibration samples.

    Args:
        readiness: (N, cuts) how ready each sample is to leave.
        relevant: (N,) samples that count.
        harmful: (N, cuts) whether leaving there harms.
        paths: cost of leaving at each cut and of running to the end.

    Raises:
        CalibrationError: no relevant sample, or none that may leave.
    """

    def __init__(
        self,
        readiness: Float[Tensor, "n cuts"],
        relevant: Bool[Tensor, " n"],
        harmful: Bool[Tensor, "n cuts"],
        paths: Sequence[float],
    ) -> None:
        if not bool(relevant.any()):
            raise CalibrationError("calibration data", given="no relevant sample", expected="some")
        if bool((relevant[:, None] & harmful).all()):
            raise CalibrationError(
                "calibration data",
                given="no sample that may leave: each is relevant and harmed at every cut",
                expected="some of both kinds",
                hint="exits do not pay on such data: there is nothing to skip",
            )
        readiness, relevant, harmful = readiness.cpu(), relevant.cpu(), harmful.cpu()
        self.readiness, self.relevant = readiness.double(), relevant
        self.harmful = harmful & relevant[:, None]
        self.paths = torch.tensor(paths, dtype=torch.float64)
        most = int(self.harmful.sum(0).max())
        self.levels = sorted({round(i * most / LEVELS) for i in range(LEVELS + 1)})

    def thresholds(self, level: int) -> tuple[float, ...]:
        """Just above the (level + 1)-th riskiest sample of each cut; everything leaves where there are no more."""
        found = []
        for k in range(self.readiness.shape[1]):
            risky = self.readiness[self.harmful[:, k], k].sort(descending=True).values
            above = level < len(risky)
            found.append(just_above(float(risky[level])) if above else -math.inf)
        return tuple(found)

    def left(self, thresholds: Sequence[float]) -> Tensor:
        """(N,) the cut where each sample leaves, `cuts` at the end."""
        leaving = self.readiness >= torch.tensor(thresholds, dtype=torch.float64)
        return torch.where(leaving.any(1), leaving.double().argmax(1), leaving.shape[1])

    def cost(self, left: Tensor) -> float:
        """Expected cost of a sample."""
        return float(self.paths[left.cpu()].mean())

    def _honest(self, left: Tensor) -> Tensor:
        """Where samples leave, those that are harmed at the end: a miss is no saving."""
        cuts = self.harmful.shape[1]
        at = left.clamp_max(cuts - 1)[:, None]
        return torch.where((left < cuts) & self.harmful.gather(1, at)[:, 0], cuts, left)

    def harms(self, left: Tensor) -> list[int]:
        """Samples harmed at each cut."""
        return [int((self.harmful[:, k] & (left == k)).sum()) for k in range(self.readiness.shape[1])]

    def bounds(self, events: Sequence[int], confidence: float) -> tuple[float, ...]:
        """Upper bounds of the share harmed at each cut that hold whichever level was picked."""
        n = int(self.relevant.sum())
        slack = math.sqrt(math.log(len(events) / (1 - confidence)) / (2 * n))
        return tuple(min(1.0, e / n + slack) for e in events)

    def for_speedup(self, wanted: float, static: float | None = None) -> int:
        """The safest level whose expected cost is low enough; a sample that leaves in harm is counted to the end.

        Args:
            wanted: how many times below `static` the expected cost must be.
            static: the cost to compare with, that of running to the end by default.

        Raises:
            CalibrationError: no level is that fast (the fastest is told).
        """
        require_within(1.0, math.inf, ends="()", target_speedup=wanted)
        whole = float(self.paths[-1]) if static is None else static
        reached = [whole / self.cost(self._honest(self.left(self.thresholds(j)))) for j in self.levels]
        for level, factor in zip(self.levels, reached):
            if factor >= wanted:
                return level
        raise CalibrationError(
            "target_speedup",
            given=wanted,
            expected=f"at most {max(reached):.3g}, the fastest level; samples that leave in harm save nothing",
            hint="a bolder goal only adds harm; exits do not pay here" if max(reached) <= 1 else None,
        )

    def for_utility(self, cost_harm: float, cost_sample: float) -> int:
        """The level of least cost_harm * P(harm) + cost_sample * E[cost] / cost of running to the end.

        Args:
            cost_harm: of a sample that leaves in harm.
            cost_sample: of a sample that runs to the end.
        """
        costs: dict[str, Any] = {"cost of harm in utility": cost_harm, "cost of a sample in utility": cost_sample}
        require_number(0, **costs)
        if cost_harm == cost_sample == 0:
            raise InputError("utility", given=(cost_harm, cost_sample), expected="two finite costs, not both 0")

        def loss(level: int) -> float:
            left = self.left(self.thresholds(level))
            share = sum(self.harms(left)) / len(left)
            return cost_harm * share + cost_sample * self.cost(left) / float(self.paths[-1])

        return min(self.levels, key=lambda level: (loss(level), level))

    def for_metric(self, metric: Callable[[Tensor], float], most: float) -> int:
        """The boldest level before the metric first falls by more than `most` below that of leaving nowhere.

        Args:
            metric: (N,) where each sample leaves -> a number, higher = better (mAP of the calibration frames).
            most: the fall allowed.
        """
        require_number(0, max_map_drop=most)
        cuts = self.readiness.shape[1]
        whole = metric(torch.full((len(self.readiness),), cuts))
        if not math.isfinite(whole):
            raise InputError("metric", given=f"{whole} where nobody leaves", expected="a number")
        best = None
        for level in self.levels:
            value = metric(self.left(self.thresholds(level)))
            if not whole - value <= most:
                break
            best = level
        if best is None:
            raise CalibrationError(
                "max_map_drop", given=most, expected=f"at least {whole - value:.3g}, the fall at the safest thresholds"
            )
        return best
