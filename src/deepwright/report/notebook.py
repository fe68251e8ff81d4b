"""An audit where a notebook shows a value: a fragment of HTML without script, nothing fetched, every word escaped."""

from __future__ import annotations

from html import escape

from deepwright.checks.findings.finding import Finding
from deepwright.checks.running import AuditReport
from deepwright.core.results import show
from deepwright.report.markdown import facts_of, grade_words
from deepwright.report.verdict import Number, five_numbers, sentence_of
from deepwright.report.words import sentence, spread, title_of

_CELL = 'style="text-align:left;vertical-align:top;overflow-wrap:anywhere"'


def as_fragment(report: AuditReport) -> str:
    """The verdict, the numbers that matter, the grades and the gates.

    Args:
        report: of an audit.
    """
    title = f"{report.subject['name']} on {report.subject['data']}"
    numbers = [_number(n) for n in five_numbers(report.findings)]
    parts = [
        f"<p><b>{escape(title)}</b></p>",
        f"<p>{escape(sentence_of(report.findings))}</p>",
        _table(["check", "grade", "finding"], [_finding(f) for f in report.findings]),
        _table(["number", "measured", "95 % interval"], numbers) if numbers else "",
    ]
    if report.gates:
        rows = [[g.condition, show(g.measured), "failed" if g.failed else "passed"] for g in report.gates]
        parts.append(_table(["gate fails when", "measured", "result"], rows))
    parts.append(f"<p><small>{escape(facts_of(report.subject))}</small></p>")
    return f'<div class="deepwright-audit">{"".join(parts)}</div>'


def _finding(finding: Finding) -> list[str]:
    return [title_of(finding.check), grade_words(finding), finding.summary.replace("`", "")]


def _number(number: Number) -> list[str]:
    return [sentence(number.name), number.measured, spread(number.value, number.unit) or "none"]


def _table(columns: list[str], rows: list[list[str]]) -> str:
    head = "".join(f'<th scope="col" {_CELL}>{escape(c)}</th>' for c in columns)
    body = "".join(f"<tr>{''.join(f'<td {_CELL}>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
