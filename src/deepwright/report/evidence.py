"""What an audit has to show for ISO/IEC 24029 and the EU AI Act, row by row, with what is missing.

A row says what a clause is about, what was measured for it, where, and what isn't there. Rows for which nothing was
measured stay: they are "not covered". No row says that a clause is met; that is for people to judge, by the documents.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepwright.checks.findings.finding import Finding
from deepwright.checks.running import AuditReport
from deepwright.core.errors import InputError
from deepwright.core.files import jsonable
from deepwright.core.results import Table
from deepwright.core.spreadsheets import csv_text
from deepwright.core.statistics import Interval
from deepwright.report.clauses import CLAUSES, Clause
from deepwright.report.markdown import facts_of, plain, table_markdown
from deepwright.report.verdict import UNTOLD, side
from deepwright.report.words import sentence, spread, title_of, words_of, written

UNCOVERED = "not covered"
FORMS = (".md", ".csv", ".json")
NOTE = (
    "The text of the standard and of the law alone says what a clause asks. Rows of ISO/IEC 24029 name the subject of "
    "a clause, as its published table of contents does; rows of the AI Act tell the law in brief and in our words. A "
    "row shows what was measured for it and what is missing; none says that a clause is met, and this table is no "
    "declaration of conformity."
)
_FEW = 4  # values of a check that a row shows


@dataclass(frozen=True)
class Evidence:
    """One row.

    Attributes:
        source: the document.
        clause: its number there.
        about: what it is about.
        measured: in words with intervals, or "not covered".
        where: sections and anchors of the report.
        missing: what isn't there.
        values: the numbers behind it, as {check, value, measured, low, high}.
    """

    source: str
    clause: str
    about: str
    measured: str
    where: str
    missing: str
    values: tuple[dict[str, Any], ...] = ()


def evidence_of(report: AuditReport) -> list[Evidence]:
    """A row for each clause of `clauses.CLAUSES`.

    Args:
        report: of an audit.
    """
    return [_row(clause, report) for clause in CLAUSES]


def evidence_table(report: AuditReport) -> Table:
    """The rows as a table.

    Args:
        report: of an audit.
    """
    columns = ["document", "clause", "what it is about", "what was measured", "where", "what is missing"]
    rows: list[list[Any]] = [[e.source, e.clause, e.about, e.measured, e.where, e.missing] for e in evidence_of(report)]
    return Table(columns, rows, "evidence for ISO/IEC 24029 and the EU AI Act")


def as_evidence(report: AuditReport, form: str = ".md") -> str:
    """The rows as a file's text.

    Args:
        report: of an audit.
        form: ".md", ".csv" (cells that a spreadsheet takes for formulas are guarded) or ".json".

    Raises:
        InputError: another form.
    """
    require_form(f"evidence{form}", "form")
    table = evidence_table(report)
    if form == ".csv":
        return csv_text([table.columns, *table.rows])
    if form == ".json":
        plain_rows = [e.__dict__ | {"values": list(e.values)} for e in evidence_of(report)]
        content = {"subject": report.subject, "note": NOTE, "rows": plain_rows}
        return json.dumps(jsonable(content), indent=1, allow_nan=False) + "\n"
    title = f"# Evidence: {plain(report.subject['name'])} on {plain(report.subject['data'])}"
    parts = [title, NOTE, plain(facts_of(report.subject)), table_markdown(table.columns, table.rows)]
    return "\n\n".join(parts) + "\n"


def require_form(path: Path | str, what: str) -> str:
    """The ending of a file that says in which form evidence is written.

    Args:
        path: of the file.
        what: begins the message.

    Raises:
        InputError: another ending.
    """
    ending = Path(path).suffix.lower()
    if ending not in FORMS:
        raise InputError(what, given=str(path), expected=f"a name that ends in {', '.join(FORMS)}")
    return ending


def _row(clause: Clause, report: AuditReport) -> Evidence:
    """The clause beside what the report has for it."""
    findings = {f.check: f for f in report.findings}
    told, missing = [], [clause.missing]
    places: list[str] = []
    numbers: list[dict[str, Any]] = []
    for check, patterns in clause.values:
        silent = _silence(check, findings.get(check))
        keys = [] if silent else list(_keys(findings[check], patterns))
        if not keys:
            missing.append(silent or f"{title_of(check)}: not measured here.")
            continue
        found = findings[check]
        told.append(f"{title_of(check)}: {'; '.join(_number(found, key) for key in keys)}.")
        places.append(f"{title_of(check)} (index.html#{check})")
        if side(found) == UNTOLD:
            missing.append(f"{title_of(check)} could not be judged: its section says why.")
        numbers += [_plain_number(found, key) for key in keys]
    for fact in clause.facts:
        words, gap, place = _FACTS[fact](report)
        told += [words] if words else []
        missing += [gap] if gap else []
        places += [place] if words else []
    measured = " ".join(told) or UNCOVERED
    where = ", ".join(dict.fromkeys(places)) or "–"
    return Evidence(clause.source, clause.number, clause.about, measured, where, " ".join(missing), tuple(numbers))


def _silence(check: str, finding: Finding | None) -> str:
    """Why a check has nothing to say; empty where it has."""
    if finding is None:
        return f"{title_of(check)} was not run."
    if finding.grade == "failed":
        return f"{title_of(check)} could not run."
    return f"{title_of(check)}: {finding.summary}" if finding.grade == "n/a" else ""


def _keys(finding: Finding, patterns: tuple[str, ...]) -> Iterator[str]:
    """The values that are meant, at most a few; without patterns what the grade comes from, else the first."""
    if patterns:
        named = [key for p in patterns for key in finding.values if re.fullmatch(p, key)]
    else:
        named = [key for key in finding.graded_by if key in finding.values] or list(finding.values)
    yield from list(dict.fromkeys(named))[:_FEW]


def _number(finding: Finding, key: str) -> str:
    value, word = finding.values[key], words_of(finding.check, key)
    interval = spread(value, word.unit)
    return f"{word.words} {written(value, word.unit)} ({f'{interval}, 95 %' if interval else 'no interval'})"


def _plain_number(finding: Finding, key: str) -> dict[str, Any]:
    value = finding.values[key]
    ends = (value.low, value.high) if isinstance(value, Interval) else (None, None)
    return {"check": finding.check, "value": key, "measured": finding.number(key), "low": ends[0], "high": ends[1]}


def _subject(report: AuditReport) -> tuple[str, str, str]:
    return sentence(facts_of(report.subject)), "", "top of index.html"


def _data(report: AuditReport) -> tuple[str, str, str]:
    subject = report.subject
    digest = f", digest {subject['test_digest']}" if subject.get("test_digest") else ""
    return f"Measured on {subject['test']:,} test samples of {subject['data']}{digest}.", "", "top of index.html"


def _gates(report: AuditReport) -> tuple[str, str, str]:
    if not report.gates:
        return "", "No goal was set: set gates (--fail-on).", ""
    results = "; ".join(f"fails when {g.condition}: {'failed' if g.failed else 'passed'}" for g in report.gates)
    return f"Gates: {results}.", "", "Gates (index.html#gates)"


def _comparison(report: AuditReport) -> tuple[str, str, str]:
    if report.comparison is None:
        return "", "No earlier audit was compared (--compare).", ""
    verdicts = [row[-1] for row in report.comparison.rows]
    counts = {word: verdicts.count(word) for word in ("better", "worse", "within noise")}
    said = ", ".join(f"{n} {word}" for word, n in counts.items())
    return f"Compared with an earlier audit: {said}.", "", "Before and after (index.html#comparison)"


_FACTS = {"subject": _subject, "data": _data, "gates": _gates, "comparison": _comparison}
