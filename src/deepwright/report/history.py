"""Kept reports as one page: each number over time with its interval, and where grades changed.

Only what was measured alike lies on one line: the same task, classes, test samples and conditions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

from deepwright.checks.findings.comparison import compare
from deepwright.checks.findings.finding import Finding
from deepwright.checks.running import AuditReport
from deepwright.core.errors import InputError
from deepwright.core.files import write_text
from deepwright.core.results import Figure, Table
from deepwright.report.figures import svg
from deepwright.report.kept import Kept, alone, keep_report, kept_reports, same_measure
from deepwright.report.markdown import grade_words
from deepwright.report.page import document
from deepwright.report.sections import folded
from deepwright.report.tables import table_html
from deepwright.report.verdict import sentence_of
from deepwright.report.words import ends_of, sentence, spread, title_of, words_of, written

_GRADES = 12  # that a section's head shows, the last ones
_UNITS = (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))
_APART = (
    "Lines join only what was measured alike. Here task, classes, test samples or conditions differ between audits, "
    "and each kind has a line of its own."
)


def keep(report: AuditReport, folder: Path | str, now: datetime | None = None) -> Path:
    """Keep a report in a dated folder, and draw the page of all that are kept.

    Args:
        report: of an audit.
        folder: of all reports.
        now: the date; the present by default.

    Returns:
        The dated folder.

    Raises:
        InputError: a folder that can't be written, or that holds a single report.
    """
    dated = keep_report(report, folder, now)
    write_history(folder)
    return dated


def write_history(folder: Path | str) -> Path:
    """Draw `index.html` of the reports that are kept in a folder; two processes draw one after the other.

    Args:
        folder: of all reports.

    Raises:
        InputError: a folder that isn't there or can't be written.
    """
    if not Path(folder).is_dir():
        raise InputError("history", given=f"{folder}, which is no folder", expected="a folder of kept reports")
    page = Path(folder) / "index.html"
    with alone(page):
        reports, damaged = kept_reports(folder)
        return write_text(page, render_history(reports, damaged))


def render_history(reports: Sequence[Kept], damaged: dict[str, str] | None = None) -> str:
    """The page as a string.

    Args:
        reports: by date.
        damaged: folder -> why it can't be read.
    """
    count = f"{len(reports)} audit{'' if len(reports) == 1 else 's'}"
    head = f'<header><p class="kind">Deepwright audits</p><h1>{count} over time</h1></header>'
    parts = [head, _skipped(damaged or {}), folded("runs", "The audits", _runs(reports), opened=True)]
    changes = _changes(reports)
    words = table_html(changes) if changes.rows else '<p class="note">No grade changed from one audit to the next.</p>'
    parts.append(folded("grades", "Where grades changed", words, opened=True))
    checks = dict.fromkeys(f.check for kept in reports for f in kept.findings)
    parts += [_check(check, reports) for check in checks]
    return document(f"Audits: {count}", "".join(parts))


def _skipped(damaged: dict[str, str]) -> str:
    return "".join(f'<p class="note">Left out: {escape(name)}: {escape(why)}</p>' for name, why in damaged.items())


def _runs(reports: Sequence[Kept]) -> str:
    """Number, date, network, data and verdict of each, leading to its page."""
    items = []
    for kept in reports:
        place = escape(f"{kept.folder}/index.html", quote=True)
        title = escape(f"{kept.subject.get('name')} on {kept.subject.get('data')}")
        said = escape(sentence_of(kept.findings))
        items.append(f'<li><a href="{place}">{_when(kept)}</a> {title}. {said}</li>')
    return f"<ol>{''.join(items)}</ol>"


def _when(kept: Kept) -> str:
    return f"{kept.date:%Y-%m-%d %H:%M:%S} UTC"


def _changes(reports: Sequence[Kept]) -> Table:
    """Grades that are others than in the audit before, and whether a number behind them moved by more than noise."""
    rows: list[list[Any]] = []
    for before, after in pairwise(reports):
        try:
            found = compare(before.findings, after.findings, (before.subject, after.subject)).rows
        except InputError:  # another task or other classes
            rows.append([_when(after), "all", None, None, "another task or other classes: not compared"])
            continue
        for check, value, old, new, _, verdict in found:
            if value == "grade" and old != new:
                rows.append([_when(after), title_of(str(check)), old, new, verdict])
    return Table(["date", "check", "before", "after", "verdict"], rows, "grades that changed")


def _check(check: str, reports: Sequence[Kept]) -> str:
    """A section: what the grade comes from, then the other numbers, then all of them as a table."""
    runs = [_Run(i, kept, f) for i, kept in enumerate(reports, 1) for f in kept.findings if f.check == check]
    keys = list(dict.fromkeys(key for run in runs for key in run.finding.values))
    first = [key for key in keys if any(key in run.finding.graded_by for run in runs)] or keys[:1]
    rest = [key for key in keys if key not in first]
    time = _Time(reports)
    parts = [f'<div class="figures">{"".join(svg(_figure(check, key, runs, time)) for key in first)}</div>']
    if rest:
        more = "".join(svg(_figure(check, key, runs, time)) for key in rest)
        named = f"{len(rest)} more number{'' if len(rest) == 1 else 's'}"
        parts.append(f'<details><summary>{named}</summary><div class="figures">{more}</div></details>')
    parts.append(f"<details><summary>All as a table</summary>{table_html(_numbers(check, keys, runs))}</details>")
    grades = " → ".join(escape(grade_words(run.finding)) for run in runs[-_GRADES:])
    return folded(check, title_of(check), "".join(parts), after=f"<small>{grades}</small>")


@dataclass(frozen=True)
class _Run:
    """A check in one of the audits."""

    number: int
    kept: Kept
    finding: Finding


class _Time:
    """Seconds since the first audit in a unit that reads well."""

    def __init__(self, reports: Sequence[Kept]) -> None:
        self.start = reports[0].date
        whole = (reports[-1].date - self.start).total_seconds()
        self.unit, self.size = next((u for u in _UNITS if whole >= 2 * u[1]), _UNITS[-1])

    @property
    def label(self) -> str:
        """Of the axis."""
        return f"{self.unit} since the first audit, {self.start:%Y-%m-%d %H:%M} UTC"

    def of(self, kept: Kept) -> float:
        """When an audit was kept."""
        return (kept.date - self.start).total_seconds() / self.size


def _figure(check: str, key: str, runs: Sequence[_Run], time: _Time) -> Figure:
    """One number over time, a line for each way in which it was measured."""
    lines: dict[str, dict[str, Any]] = {}
    for run in runs:
        if key not in run.finding.values:
            continue
        name = f"{run.kept.subject.get('data')}, from audit {run.number}"
        alike = same_measure(run.kept.subject, run.finding)
        line = lines.setdefault(alike, {"name": name, "x": [], "y": [], "low": [], "high": []})
        for part, v in zip(("x", "y", "low", "high"), (time.of(run.kept), *ends_of(run.finding.values[key]))):
            line[part].append(v)
    words = sentence(words_of(check, key).words)
    return Figure("line", words, list(lines.values()), time.label, "", note=_APART if len(lines) > 1 else "")


def _numbers(check: str, keys: Sequence[str], runs: Sequence[_Run]) -> Table:
    """All numbers with their intervals."""
    rows: list[list[Any]] = []
    for run in runs:
        for key in keys:
            if key in run.finding.values:
                value, word = run.finding.values[key], words_of(check, key)
                shown = [sentence(word.words), written(value, word.unit), spread(value, word.unit) or "–"]
                rows.append([run.number, _when(run.kept), run.kept.subject.get("data"), *shown])
    columns = ["audit", "date", "data", "what", "measured", "95 % interval"]
    return Table(columns, rows, f"{title_of(check).lower()} over time")
