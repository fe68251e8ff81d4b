"""What came of a campaign: its numbers, its page, its figures, and its scenarios as tests for a CI server."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from deepwright.core.results import Figure, Table
from deepwright.corruptions.driving import Agreement, Forewarning, OfflineCell, Outcome, Repaired, Threshold, by_cell
from deepwright.report import svg
from deepwright.report.junit import junit_document, junit_suite, legal_xml
from deepwright.report.page import document
from deepwright.report.tables import table_html

Cell = tuple[str, float]


@dataclass(frozen=True)
class Driven:
    """A campaign and what can be said of it.

    Attributes:
        outcomes: clean first, then cell by cell.
        table: one row a cell.
        thresholds: of each perturbation.
        agreement: of offline errors and failure rates; None where there is nothing to measure such errors on.
        film: the file, where there is one.
        offline: errors without driving, the clean ones first; empty where there is nothing to measure them on.
        undriven: cells for which no time was left.
        repaired: the pilot after its repair, where one was asked for and something could be repaired.
        weights: the file of the repaired pilot's.
        forewarning: whether pictures looked unusual before a failure, where that was watched.
    """

    outcomes: list[Outcome]
    table: Table
    thresholds: list[Threshold] = field(default_factory=list)
    agreement: Agreement | None = None
    film: Path | None = None
    offline: list[OfflineCell] = field(default_factory=list)
    undriven: list[Cell] = field(default_factory=list)
    repaired: Repaired | None = None
    weights: Path | None = None
    forewarning: Forewarning | None = None

    def lines(self) -> list[str]:
        """What was found, in words."""
        found = [str(threshold) for threshold in self.thresholds]
        if self.agreement is not None:
            rho = self.agreement.rho
            found.append(
                f"offline errors against failures: no rank correlation, {self.agreement.reason}"
                if rho is None
                else f"offline errors against failures: rank correlation {rho:.2f} over cells"
            )
            found += [
                f"they disagree on {name} {severity}: {how}" for (name, severity), how in self.agreement.discordant
            ]
        lost = sum(not o.counts for o in self.outcomes)
        if lost:
            found.append(f"{lost} episodes were lost to the infrastructure; drive again for them")
        if self.undriven:
            cells = ", ".join(f"{name} {severity}" for name, severity in self.undriven)
            found.append(f"time was up before {cells}; the same command goes on there")
        if self.forewarning is not None:
            found.append(str(self.forewarning))
        if self.repaired is not None:
            found.append(f"repaired by training on {', '.join(self.repaired.trained)}")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain data; each outcome has its scenario, from which it can be driven again."""
        rho = None if self.agreement is None or self.agreement.rho is None else vars(self.agreement.rho)
        repaired, told = self.repaired, self.forewarning
        return {
            "outcomes": [outcome.to_dict() for outcome in self.outcomes],
            "thresholds": {t.perturbation: t.severity for t in self.thresholds},
            "agreement": rho,
            "offline": [
                {"cell": c.cell, "error": vars(c.error), "drift": c.drift, "ratio": c.ratio} for c in self.offline
            ],
            "undriven": self.undriven,
            "forewarning": None if told is None else {**asdict(told), "cells": told.table.rows, "table": None},
            "repair": None
            if repaired is None
            else {
                "trained": repaired.trained,
                "before": [o.to_dict() for o in repaired.before],
                "after": [o.to_dict() for o in repaired.after],
            },
        }


def driven_page(title: str, driven: Driven, figures: Sequence[Figure]) -> str:
    """The page: words, tables, figures, the film.

    Args:
        title: which agent drove where.
        driven: the campaign.
        figures: drawn below the tables.
    """
    head = f'<header><p class="kind">Deepwright driving</p><h1>{escape(title)}</h1></header>'
    text = "".join(f"<p>{escape(line)}</p>" for line in driven.lines())
    tables = [driven.table]
    if driven.offline:
        tables.append(_offline_table(driven.offline))
    if driven.forewarning is not None:
        tables.append(driven.forewarning.table)
    if driven.repaired is not None:
        tables.append(driven.repaired.table)
    shown = "".join(table_html(table) for table in tables)
    drawn = "".join(f'<section class="page">{svg(figure)}</section>' for figure in figures)
    return document(title, f'{head}<section class="page">{text}{shown}</section>{drawn}{_moving(driven.film)}')


def _offline_table(cells: Sequence[OfflineCell]) -> Table:
    rows: list[list[Any]] = [[*c.cell, f"{c.error:.3f}", c.drift, c.ratio] for c in cells]
    columns = ["perturbation", "severity", "error (rad)", "drift (rad)", "error over clean"]
    caption = "Errors without driving: mean |steering - what was right| on recorded pictures, 95 % bootstrap intervals"
    return Table(columns, rows, caption)


def driven_junit(title: str, driven: Driven) -> str:
    """JUnit XML: a suite for each cell, a test for each scenario.

    An episode that the driver failed is a failure, one that the infrastructure ended an error, and a cell for which no
    time was left is skipped.

    Args:
        title: which agent drove where.
        driven: the campaign.
    """
    cells = dict.fromkeys(o.scenario.cell for o in driven.outcomes)
    suites = [
        junit_suite(f"driving.{_words(cell)}", [_case(o) for o in driven.outcomes if o.scenario.cell == cell])
        for cell in cells
    ]
    for cell in driven.undriven:
        case = Element("testcase", classname=f"deepwright.driving.{cell[0]}", name=_words(cell), time="0.000")
        SubElement(case, "skipped", message="no time was left")
        suites.append(junit_suite(f"driving.{_words(cell)}", [case]))
    return junit_document(title, suites, sum(o.seconds for o in driven.outcomes))


def _case(outcome: Outcome) -> Element:
    name, seed = outcome.scenario.cell[0], outcome.scenario.seed
    words = f"{_words(outcome.scenario.cell)}, road {seed}"
    case = Element("testcase", classname=f"deepwright.driving.{name}", name=words, time=f"{outcome.seconds:.3f}")
    told = f"{outcome.ended}{f': {outcome.reason}' if outcome.reason else ''}"
    if outcome.failed:
        failure = SubElement(case, "failure", message=legal_xml(told), type="driving")
        failure.text = legal_xml(f"After {outcome.seconds:.1f} simulated seconds; largest |xte| {_metres(outcome)}.")
    elif not outcome.counts:
        SubElement(case, "error", message=legal_xml(told), type="infrastructure")
    return case


def _metres(outcome: Outcome) -> str:
    return "unknown" if math.isnan(outcome.max_xte) else f"{outcome.max_xte:.2f} m of {outcome.limit:g} m"


def _words(cell: Cell) -> str:
    return "clean" if cell[1] == 0 else f"{cell[0]} {cell[1]}"


def driven_figures(outcomes: Sequence[Outcome], names: Sequence[str], severities: Sequence[float]) -> list[Figure]:
    """The share of roads driven to their end, and the worst episode's distance to the middle.

    Args:
        outcomes: of a campaign.
        names: of its perturbations.
        severities: of its.
    """
    rates = {c.cell: c.failures.value for c in by_cell(outcomes) if c.failures is not None}
    whole = [n for n in names if all((n, s) in rates for s in severities)]
    columns = [f"severity {s}" for s in severities]
    values = [[1 - rates[name, s] for s in severities] for name in whole]
    found = []
    if whole:
        series = [{"rows": [n.replace("_", " ") for n in whole], "columns": columns, "values": values}]
        found.append(Figure("heatmap", "Share of roads that were driven to their end", series, y_range=(0.0, 1.0)))
    last = worst(outcomes)
    clean = next(o for o in outcomes if o.scenario.cell == ("clean", 0) and o.scenario.seed == last.scenario.seed)
    lines = [
        {"name": name, "x": _seconds(o), "y": o.xte.tolist(), "smooth": True}
        for name, o in ((" ".join(map(str, last.scenario.cell)), last), ("clean", clean))
        if len(o.xte)
    ]
    if lines:
        title = f"Distance to the middle of road {last.scenario.seed}, to the left where positive"
        found.append(Figure("line", title, lines, "seconds", "metres"))
    return found


def _seconds(outcome: Outcome) -> list[float]:
    return [outcome.dt * (i + 1) for i in range(len(outcome.xte))]


def worst(outcomes: Sequence[Outcome]) -> Outcome:
    """The first failure of the cell with most of them; the largest distance where nobody failed.

    Args:
        outcomes: of a campaign.
    """
    cells = {c.cell: c.failures.value if c.failures else 0.0 for c in by_cell(outcomes)}
    return max(outcomes, key=lambda o: (o.failed, cells[o.scenario.cell], o.max_xte if len(o.xte) else 0.0))


def _moving(film: Path | None) -> str:
    """The film inside the page, which stays one file."""
    if film is None:
        return ""
    data = base64.b64encode(film.read_bytes()).decode()
    alt = "an episode: the camera's picture to the left, what the agent saw to the right"
    picture = f'<img alt="{alt}" src="data:image/gif;base64,{data}">'
    return f'<section class="page"><h2>The worst episode</h2>{picture}</section>'
