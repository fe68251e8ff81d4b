"""What a suite of perturbations found: errors by perturbation and severity, as a table and a figure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval


@dataclass
class CorruptionReport:
    """Errors by perturbation and severity.

    Attributes:
        n: samples.
        severities: of 1..5.
        clean: mean error without perturbation; Wilson's interval where a sample is right or wrong, else bootstrapped.
        errors: name -> mean error at each severity.
        mce: mean over perturbations of sum_s error / sum_s reference error (reference 1 when none was given).
        relative: mean over perturbations and severities of error / clean error; None where that says nothing: without a
            clean error, or for a network that is no better than the best constant answer before any perturbation.
        mean_error: mean over perturbations and severities, with Wilson's interval of a share of n samples (errors
            within [0, 1] vary at most as much as a share does).
        skipped: name -> why a perturbation was left out.
        headline: the task's metric that was measured beside the errors; None where none was.
        clean_headline: that metric without perturbation; None where it isn't defined.
        headlines: name -> that metric at each severity, likewise.
        without_attention: name of a guided perturbation -> samples whose map points nowhere, which its row leaves out.
    """

    n: int
    severities: tuple[int, ...]
    clean: Interval
    errors: dict[str, list[float]]
    mce: float
    relative: float | None
    mean_error: Interval
    skipped: dict[str, str] = field(default_factory=dict)
    headline: str | None = None
    clean_headline: float | None = None
    headlines: dict[str, list[float | None]] = field(default_factory=dict)
    without_attention: dict[str, int] = field(default_factory=dict)

    def table(self) -> Table:
        """One row a perturbation, worst first."""
        rows: list[list[Any]] = [[name, *values, sum(values) / len(values)] for name, values in self.errors.items()]
        rows.sort(key=lambda row: -float(row[-1]))
        columns = ["perturbation", *(f"severity {s}" for s in self.severities), "mean"]
        return Table(columns, rows, f"error on {self.n} samples; {self.clean.value:.3f} without perturbation")

    def mean_headline(self) -> float | None:
        """Mean of the headline metric over perturbations and severities; None where it isn't defined in all of them."""
        values = [value for row in self.headlines.values() for value in row]
        found = [value for value in values if value is not None]
        return sum(found) / len(found) if found and len(found) == len(values) else None

    def headline_table(self, rises: bool, name: str | None = None) -> Table:
        """The headline metric of each perturbation and severity, worst first.

        Args:
            rises: whether it is better when it is larger.
            name: of the metric in words; its key by default.
        """
        rows: list[list[Any]] = []
        for perturbation, values in self.headlines.items():
            known = [value for value in values if value is not None]
            rows.append([perturbation, *values, sum(known) / len(known) if known else None])
        worst = float("-inf") if rises else float("inf")
        rows.sort(key=lambda row: (1 if rises else -1) * (worst if row[-1] is None else row[-1]))
        columns = ["perturbation", *(f"severity {s}" for s in self.severities), "mean"]
        clean = "undefined" if self.clean_headline is None else f"{self.clean_headline:.3g}"
        return Table(columns, rows, f"{name or self.headline} on {self.n} samples; {clean} without perturbation")

    def figure(self) -> Figure:
        """Accuracy as a heat map."""
        order = [row[0] for row in self.table().rows]
        values = [[1 - e for e in self.errors[str(name)]] for name in order]
        rows = [str(name).replace("_", " ") for name in order]
        series = [{"rows": rows, "columns": [str(s) for s in self.severities], "values": values}]
        return Figure("heatmap", "Accuracy under each perturbation", series, "severity", "", y_range=(0.0, 1.0))
