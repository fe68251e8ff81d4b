"""What came of a plan: paths, what they cost beside the least known, the page and its figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import torch

from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval, bootstrap, wilson
from deepwright.pathfinding import Result
from deepwright.report import svg
from deepwright.report.page import document
from deepwright.report.tables import table_html

Depths = list[tuple[float, Interval]]  # least cost -> what h says there


@dataclass(frozen=True)
class Arm:
    """One heuristic on all instances.

    Attributes:
        name: of the heuristic.
        weight: of the path's cost.
        results: one an instance.
    """

    name: str
    weight: float
    results: list[Result]

    @property
    def solved(self) -> Interval:
        """Share of instances with a path."""
        return wilson(sum(r.actions is not None for r in self.results), len(self.results))

    @property
    def expanded(self) -> list[float]:
        """Nodes of each search, given up or not."""
        return [float(r.nodes_expanded) for r in self.results]


@dataclass(frozen=True)
class Planned:
    """Heuristics side by side on the same instances.

    Attributes:
        domain: its name.
        arms: the learned one first.
        least: the least cost known of each instance; infinite where nobody found a path.
        exact: whether that is the least there is.
        training: what the training did, in words.
    """

    domain: str
    arms: list[Arm]
    least: list[float]
    exact: bool
    training: list[str] = field(default_factory=list)

    @property
    def table(self) -> Table:
        """One row a heuristic."""
        columns = ["heuristic", "weight", "solved", "cost", "over the least known", "nodes expanded", "ms"]
        return Table(columns, [self._row(arm) for arm in self.arms], self._caption())

    def _row(self, arm: Arm) -> list[Any]:
        solved = [(r.cost, low) for r, low in zip(arm.results, self.least) if r.actions is not None]
        cost = sum(c for c, _ in solved) / len(solved) if solved else None
        least = sum(low for _, low in solved)
        over = sum(c for c, _ in solved) / least if least else None
        ms = 1000 * sum(r.seconds for r in arm.results) / len(arm.results)
        return [arm.name, arm.weight, str(arm.solved), cost, over, _shown(arm.expanded), ms]

    def _caption(self) -> str:
        least = "exact, by a table of all states" if self.exact else "of the paths that any of these found"
        return (
            f"{len(self.least)} instances of {self.domain}. Every path was replayed. Least costs: {least}. Costs are "
            "means over what the heuristic solved; weights were chosen on other instances where none was given."
        )

    def ratio(self, arm: Arm) -> Interval | None:
        """How many nodes the learned heuristic expands for each one of another's: a paired bootstrap of means.

        Over the instances that neither gave up; None for fewer than two, and where the other one expanded nothing.

        Args:
            arm: the other one.
        """
        ended = [not (a.status.startswith("limit") or b.status.startswith("limit")) for a, b in self._beside(arm)]
        pairs = torch.tensor([self.arms[0].expanded, arm.expanded]).T[torch.tensor(ended)]
        if len(pairs) < 2 or not bool(pairs[:, 1].any()):
            return None
        return bootstrap(pairs, lambda v: v[..., 0].sum(1) / v[..., 1].sum(1))  # draws of 0 / 0 are left out

    def _beside(self, arm: Arm) -> list[tuple[Result, Result]]:
        return list(zip(self.arms[0].results, arm.results))

    def lines(self) -> list[str]:
        """What was found, in words."""
        first, found = self.arms[0], list(self.training)
        for arm in self.arms[1:]:
            ratio = self.ratio(arm)
            if ratio is not None:
                found.append(f"{first.name} expands {ratio:.2f} times as many nodes as {arm.name}")
        given_up = [(arm.name, sum(r.status.startswith("limit") for r in arm.results)) for arm in self.arms]
        found += [
            f"{name}: {n} searches reached their limit; ratios leave these instances out" for name, n in given_up if n
        ]
        none = sum(self._is_cut_off(i) for i in range(len(self.least)))
        if none:
            found.append(f"{none} of {len(self.least)} instances have no way to the goal, however long")
        proved = sum(r.optimal for arm in self.arms for r in arm.results)
        if not self.exact:
            found.append(f"{proved} paths are proved to be cheapest; the others are the best that was found")
        return found

    def _is_cut_off(self, i: int) -> bool:
        """Whether it is known that nothing leads from an instance to its goal."""
        exhausted = any(arm.results[i].status == "exhausted" for arm in self.arms)
        return exhausted or (self.exact and math.isinf(self.least[i]))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, every path with it."""
        return {
            "domain": self.domain,
            "exact": self.exact,
            "least": [None if math.isinf(v) else v for v in self.least],
            "arms": [
                {"name": arm.name, "weight": arm.weight, "results": [_plain(r) for r in arm.results]}
                for arm in self.arms
            ],
            "training": self.training,
        }


def _plain(result: Result) -> dict[str, Any]:
    """Without infinities, which JSON hasn't."""
    return {k: None if isinstance(v, float) and math.isinf(v) else v for k, v in result.to_dict().items()}


def _shown(values: Sequence[float]) -> str:
    return f"{bootstrap(torch.tensor(values)):.0f}" if len(values) > 1 else f"{values[0]:.0f}"


def plan_figures(planned: Planned, depths: Depths) -> list[Figure]:
    """Costs against expansions, and what the learned heuristic says at each depth.

    Args:
        planned: all arms.
        depths: least cost -> median of h with the range of its middle half; empty where least costs aren't known.
    """
    made = [
        {"name": arm.name, "x": _solved(arm, "nodes_expanded"), "y": _solved(arm, "cost")}
        for arm in planned.arms
        if _solved(arm, "cost")
    ]
    title = "What a path costs, and what it took to find it"
    figures = [Figure("scatter", title, made, "nodes expanded", "cost of the path", log_x=True)]
    if depths:
        x = [depth for depth, _ in depths]
        learned = {
            "name": "learned h",
            "x": x,
            "y": [h.value for _, h in depths],
            "low": [h.low for _, h in depths],
            "high": [h.high for _, h in depths],
        }
        true = {"name": "least cost", "x": x, "y": x, "dashed": True}
        note = "Median over states of that depth; the band holds the middle half."
        figures.append(Figure("line", "What the heuristic says", [learned, true], "least cost", "h", note=note))
    return figures


def _solved(arm: Arm, what: str) -> list[float]:
    return [max(float(getattr(r, what)), 1.0) for r in arm.results if r.actions is not None]


def plan_page(planned: Planned, figures: Sequence[Figure], film: str | None) -> str:
    """The page: words, table, figures, one path frame by frame.

    Args:
        planned: all arms.
        figures: drawn below the table.
        film: HTML of a path, None where there is none.
    """
    title = f"Paths through {planned.domain}"
    head = f'<header><p class="kind">Deepwright plan</p><h1>{escape(title)}</h1></header>'
    text = "".join(f"<p>{escape(line)}</p>" for line in planned.lines())
    drawn = "".join(f'<section class="page">{svg(figure)}</section>' for figure in figures)
    moving = f'<section class="page">{film}</section>' if film else ""
    return document(title, f'{head}<section class="page">{text}{table_html(planned.table)}</section>{drawn}{moving}')
