"""What stands over rising budgets, as it is shown: a table, a figure, an area and the budget that takes half."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from deepwright.checks.budgets import short
from deepwright.checks.curves import line
from deepwright.checks.subjects.subject import Subject
from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval


@dataclass(frozen=True)
class Shown:
    """The curves that a finding is about, at budget 0 and at each of its budgets.

    Attributes:
        network: under attack.
        noise: under noise of the same size.
        base: the baseline's, attacked.
        metric: what they are of; empty for the share that is right.
    """

    network: list[Interval]
    noise: list[Interval]
    base: list[Interval] | None
    metric: str = ""

    def written(self, value: float) -> str:
        """A value in words.

        Args:
            value: of a curve.
        """
        return f"{value:.3g}" if self.metric else f"{value:.1%}"

    def from_to(self, at: int) -> str:
        """What becomes of it up to a budget, in words that fit its direction as shown.

        Args:
            at: which budget.
        """
        before, after = self.network[0].value, self.network[at].value
        if self.written(before) == self.written(after):
            return f"stays at {self.written(before)}"
        return f"{'falls' if after < before else 'rises'} from {self.written(before)} to {self.written(after)}"

    def table(self, eps: Sequence[float], subject: Subject) -> Table:
        """One row a budget.

        Args:
            eps: the budgets.
            subject: whose curves they are.
        """
        named = self.metric or "robust accuracy"
        columns = ["budget", named, "95 % from", "95 % to", "under noise"]
        columns += [] if self.base is None else [subject.baseline_name]
        rows: list[list[Any]] = []
        for i, (e, point, noise) in enumerate(zip((0.0, *eps), self.network, self.noise, strict=True)):
            row: list[Any] = [short(e), point.value, point.low, point.high, noise.value]
            rows.append(row + ([] if self.base is None else [self.base[i].value]))
        return Table(columns, rows, f"{self._word(subject)} by L-inf budget")

    def figure(self, grid: Sequence[float], unit: str, subject: Subject) -> Figure:
        """The curves with their intervals.

        Args:
            grid: 0 and the budgets.
            unit: of the budgets.
            subject: whose curves they are.
        """
        series = [line("attack", grid, self.network), line("noise of the same size", grid, self.noise, True)]
        if self.base is not None:
            series.append(line(f"{subject.baseline_name}, attacked", grid, self.base, True))
        title = "Accuracy under attack" if subject.has_classes else "Under attack"
        title = f"{self.metric[0].upper()}{self.metric[1:]} under attack" if self.metric else title
        return Figure("line", title, series, f"L-inf budget ({unit})", self._word(subject), y_range=(0.0, 1.0))

    def _word(self, subject: Subject) -> str:
        return self.metric or ("accuracy" if subject.has_classes else "share right")


def area(grid: Sequence[float], points: Sequence[Interval]) -> Interval:
    """Mean over the budgets; its ends are those of the curve's ends, since all points share their samples.

    Args:
        grid: 0 and the budgets.
        points: of a curve.
    """
    curves = torch.tensor([[p.value for p in points], [p.low for p in points], [p.high for p in points]]).double()
    areas = torch.trapezoid(curves, torch.tensor(grid).double(), dim=1) / (grid[-1] - grid[0])
    return Interval(*areas.tolist())


def half(grid: Sequence[float], points: Sequence[Interval]) -> float:
    """The budget at which a curve crosses half of its clean value, by linear interpolation; infinity where it doesn't.

    Args:
        grid: 0 and the budgets.
        points: of a curve.
    """
    goal = points[0].value / 2
    for i in range(1, len(grid)):
        if points[i].value <= goal:
            a, b = points[i - 1].value, points[i].value
            return grid[i - 1] + (grid[i] - grid[i - 1]) * ((a - goal) / (a - b) if a > b else 0.0)
    return float("inf")
