"""An audit as Markdown, for the summary of a CI run or a model card: no word of the report can become structure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from deepwright.checks.findings.finding import LETTERS, Finding
from deepwright.checks.running import AuditReport
from deepwright.core.results import Table, show
from deepwright.report.verdict import first_things, five_numbers, sentence_of
from deepwright.report.words import sentence, spread, title_of, words_of, written

# References of HTML are text to every reader of Markdown, in a table too, and never its syntax.
_SYNTAX = str.maketrans({c: f"&#{ord(c)};" for c in "&<>|\\`*_~[]#@$!"})
_LINK = re.compile(r"://|www\.|mailto:", re.IGNORECASE)
_NOTES = 5  # that a summary shows


def as_markdown(report: AuditReport) -> str:
    """The verdict, the numbers that matter, the grades, the gates, what to do first and what changed.

    Args:
        report: of an audit.
    """
    title = f"# Audit: {plain(report.subject['name'])} on {plain(report.subject['data'])}"
    return f"{title}\n\n{summary_markdown(report)}\n"


def summary_markdown(report: AuditReport) -> str:
    """What `as_markdown` writes under its title, for a page that has another one.

    Args:
        report: of an audit.
    """
    parts = [
        f"**{plain(sentence_of(report.findings))}**",
        _numbers(report.findings),
        _grades(report.findings),
        _gates(report),
        _first(report.findings),
        _changes(report),
        _notes(report.subject),
        plain(facts_of(report.subject)),
    ]
    return "\n\n".join(part for part in parts if part)


def plain(words: Any) -> str:
    """Words as one line of text in which nothing is a link, markup or the end of a cell.

    Args:
        words: any.
    """
    return _escaped(_in_a_line(str(words)))


def coded(words: str) -> str:
    """A sentence in which what stands between backticks is code.

    Args:
        words: of a remedy.
    """
    parts = _in_a_line(words).split("`")
    if len(parts) % 2 == 0:  # the last backtick opens nothing
        parts[-2:] = ["`".join(parts[-2:])]
    return "".join(f"`{p}`" if i % 2 and p.strip() else _escaped(p) for i, p in enumerate(parts))


def _in_a_line(words: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in words).split())


def _escaped(line: str) -> str:
    text = line.translate(_SYNTAX)
    return _LINK.sub(lambda found: found[0].translate({ord(":"): "&#58;", ord("."): "&#46;"}), text)


def table_markdown(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table whose cells are plain words.

    Args:
        columns: their names.
        rows: of cells.
    """
    lines = [columns, *rows]
    cells = [f"| {' | '.join(plain(cell) or ' ' for cell in line)} |" for line in lines]
    return "\n".join([cells[0], "|" + " --- |" * len(columns), *cells[1:]])


def grade_words(finding: Finding) -> str:
    """A grade with the others that its interval reaches, or why there is none.

    Args:
        finding: of any check.
    """
    told = {"n/a": "does not apply", "failed": "could not run", "info": "not graded"}
    grade = told.get(finding.grade, finding.grade)
    if not finding.could_be:
        return grade
    if finding.grade in LETTERS:
        return f"{grade} (or {', '.join(finding.could_be)})"
    return f"{grade} ({finding.could_be[0]} to {finding.could_be[-1]})"


def facts_of(subject: dict[str, Any]) -> str:
    """What was audited, in a line.

    Args:
        subject: of an `AuditReport`.
    """
    counts = f"{subject['train']:,} / {subject['validation']:,} / {subject['test']:,} samples"
    network = f"{subject['network']}, {subject['parameters']:,} parameters, {inputs_of(subject)}"
    return f"{network}; {counts} to fit, to calibrate, to measure; on {subject['device']}."


def inputs_of(subject: dict[str, Any]) -> str:
    """The size of an input, in words.

    Args:
        subject: of an `AuditReport`.
    """
    size = " x ".join(map(str, subject["input"]))
    return f"texts of up to {size} characters" if subject["kind"] == "text" else f"inputs {size}"


def compared_in_words(comparison: Table) -> Table:
    """The comparison with checks by their titles, and values by their words in their units.

    Args:
        comparison: of an `AuditReport`; other tables stay as they are.
    """
    if comparison.columns[:2] != ["check", "value"]:
        return comparison
    return Table(comparison.columns, [_compared(row) for row in comparison.rows], comparison.caption)


def _compared(row: Sequence[Any]) -> list[Any]:
    check, value, *numbers, verdict = row
    if value == "grade":
        return [title_of(str(check)), "grade", *numbers, verdict]
    word = words_of(str(check), str(value))
    return [title_of(str(check)), word.words, *("–" if v is None else written(v, word.unit) for v in numbers), verdict]


def _numbers(findings: Sequence[Finding]) -> str:
    rows = [
        [sentence(n.name), n.measured, spread(n.value, n.unit) or "no interval", n.better or "–"]
        for n in five_numbers(findings)
    ]
    return table_markdown(["Number", "Measured", "95 % interval", "Better"], rows) if rows else ""


def _grades(findings: Sequence[Finding]) -> str:
    rows = [[title_of(f.check), grade_words(f), f.summary.replace("`", "")] for f in findings]
    return table_markdown(["Check", "Grade", "Finding"], rows)


def _gates(report: AuditReport) -> str:
    if not report.gates:
        return ""
    rows = [[g.condition, show(g.measured), "failed" if g.failed else "passed"] for g in report.gates]
    return f"## Gates\n\n{table_markdown(['Fails when', 'Measured', 'Result'], rows)}"


def _first(findings: Sequence[Finding]) -> str:
    things = [f"1. {plain(title_of(f.check))}: {coded(f.remedy)}" for f in first_things(findings)]
    return "## What to do first\n\n" + "\n".join(things) if things else ""


def _changes(report: AuditReport) -> str:
    """The rows of the comparison that are more than noise."""
    if report.comparison is None:
        return ""
    told = compared_in_words(report.comparison)
    rows = [[*row[:4], row[-1]] for row in told.rows if row[-1] in ("better", "worse")]
    if not rows:
        return "## Before and after\n\nNo value differs from the earlier report by more than noise."
    return f"## Before and after\n\n{table_markdown(['Check', 'Value', 'Before', 'After', 'Verdict'], rows)}"


def _notes(subject: dict[str, Any]) -> str:
    notes = list(subject["notes"])
    lines = [f"- {plain(note)}" for note in notes[:_NOTES]]
    if len(notes) > _NOTES:
        lines.append(f"- and {len(notes) - _NOTES} more note{'s' * (len(notes) > _NOTES + 1)}, in the report")
    return "## Notes\n\n" + "\n".join(lines) if lines else ""
