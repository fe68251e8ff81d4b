"""An audit as one self-contained page: no network, light and dark, readable on a phone, every word escaped."""

from __future__ import annotations

from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from deepwright.checks.findings.finding import Finding
from deepwright.checks.running import AuditReport
from deepwright.core.files import write_json, write_text
from deepwright.core.results import Table, show
from deepwright.core.statistics import Interval
from deepwright.report.figures import svg


def write_report(report: AuditReport, folder: Path | str) -> Path:
    """Write `index.html` and `report.json` into a folder; returns the page's path.

    Args:
        report: of an audit.
        folder: where to; it is made.

    Raises:
        InputError: a folder that can't be written.
    """
    folder = Path(folder)
    write_json(folder / "report.json", report.to_dict())
    return write_text(folder / "index.html", render(report))


def render(report: AuditReport) -> str:
    """The page as a string."""
    subject = report.subject
    title = f"{subject['name']} on {subject['data']}"
    sections = [_header(report, title), _grades(report)]
    if report.gates:
        rows: list[list[Any]] = [[g.condition, g.measured, "failed" if g.failed else "passed"] for g in report.gates]
        sections.append(_section("gates", "Gates", table_html(Table(["fails when", "measured", "result"], rows))))
    if report.comparison is not None:
        sections.append(_section("comparison", "Before and after", table_html(report.comparison)))
    sections += [_finding(f) for f in report.findings]
    return document(f"Audit: {title}", "".join(sections))


def document(title: str, body: str) -> str:
    """A page around a body: style and script inline, nothing fetched.

    Args:
        title: words.
        body: HTML whose words are escaped.
    """
    assets = resources.files("deepwright.report")
    style = (assets / "page.css").read_text()
    script = (assets / "page.js").read_text()
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
    return (
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<link rel="icon" href="data:,"><style>{style}</style></head>'
        f'<body><main>{body}</main><div id="tip" hidden></div><script>{script}</script></body></html>\n'
    )


def _section(anchor: str, title: str, body: str) -> str:
    return f'<section id="{escape(anchor, quote=True)}"><h2>{escape(title)}</h2>{body}</section>'


def _header(report: AuditReport, title: str) -> str:
    s = report.subject
    facts = [
        f"{s['network']}, {s['parameters']:,} parameters",
        f"{_answers(s)}, inputs {' x '.join(map(str, s['input']))}",
        f"{s['train']:,} / {s['validation']:,} / {s['test']:,} samples to fit, to calibrate, to measure",
        f"{report.seconds:.0f} seconds on {s['device']}",
    ]
    notes = "".join(f'<p class="note">{escape(n)}</p>' for n in s["notes"][:20])
    listed = "".join(f"<li>{escape(f)}</li>" for f in facts)
    head = f'<p class="kind">Deepwright audit</p><h1>{escape(title)}</h1>'
    return f'<header>{head}<ul class="facts">{listed}</ul>{notes}</header>'


def _answers(subject: dict[str, Any]) -> str:
    """What the network answers with: classes, labels, or its task's name."""
    task, classes = subject.get("task", "classification"), subject["classes"]
    if not classes:
        return task
    return f"{classes} classes" if task == "classification" else f"{task} with {classes} classes"


def _grades(report: AuditReport) -> str:
    cards = []
    for f in report.findings:
        cards.append(
            f'<a class="card" href="#{escape(f.check, quote=True)}">{_badge(f)}<b>{escape(f.check)}</b>'
            f"<span>{escape(f.summary.split('. ')[0].split('; ')[0])}{escape(_unsure(f))}</span></a>"
        )
    return f'<section class="cards">{"".join(cards)}</section>'


def _badge(finding: Finding) -> str:
    grade = finding.grade
    text = {"info": "i", "failed": "!", "n/a": "–"}.get(grade, grade)
    title = {"n/a": "does not apply", "failed": "could not run", "info": "not graded"}.get(grade, f"grade {grade}")
    title += _unsure(finding)
    kind = grade.replace("/", "")
    return f'<span class="badge g-{escape(kind, quote=True)}" title="{escape(title, quote=True)}">{escape(text)}</span>'


def _unsure(finding: Finding) -> str:
    """What else the grade could be, in words."""
    return f" (could be {' or '.join(finding.could_be)})" if finding.could_be else ""


def _code(words: str) -> str:
    """Words in which `...` is set as code."""
    parts = escape(words).split("`")
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))


def _finding(f: Finding) -> str:
    values: list[list[Any]] = []
    for name, value in f.values.items():
        interval = isinstance(value, Interval)
        row = [name.replace("_", " "), value.value if interval else value]
        values.append([*row, f"{show(value.low)} … {show(value.high)}" if interval else None])
    parts = [
        f'<p class="summary">{escape(f.summary)}</p>',
        f'<p class="rule"><b>Why this grade.</b> {escape(f.rule)}</p>' if f.rule else "",
        f'<p class="remedy"><b>What to do.</b> {_code(f.remedy)}</p>' if f.remedy else "",
        "".join(svg(figure) for figure in f.figures),
        table_html(Table(["value", "measured", "95 % interval"], values)) if values else "",
        "".join(_folded(t) for t in f.tables),
        f'<p class="note">{f.seconds:.1f} seconds</p>',
    ]
    anchor = escape(f.check, quote=True)
    return f'<section id="{anchor}"><h2>{_badge(f)} {escape(_sentence(f.check))}</h2>{"".join(parts)}</section>'


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _folded(table: Table) -> str:
    """A table that opens at a click, so that the page stays short."""
    words = table.caption.split(" (")[0].split(";")[0] or "table"
    title = f"{escape(_sentence(words))} ({len(table.rows)} rows)"
    return f"<details><summary>{title}</summary>{table_html(table)}</details>"


def table_html(table: Table) -> str:
    """A sortable, filterable table."""
    head = "".join(f'<th tabindex="0" role="button" aria-sort="none">{escape(c)}</th>' for c in table.columns)
    rows = "".join(f"<tr>{''.join(_cell(c) for c in row)}</tr>" for row in table.rows)
    search = '<input type="search" placeholder="filter" aria-label="filter rows">' if len(table.rows) > 8 else ""
    caption = f"<caption>{escape(table.caption)}</caption>" if table.caption else ""
    return (
        f'<div class="table">{search}<div class="scroll"><table class="data">{caption}'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></div>"
    )


def _cell(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        words = show(value) if isinstance(value, float) else f"{value:,}"
        return f'<td class="n" data-v="{escape(str(value), quote=True)}">{escape(words)}</td>'
    return f"<td>{escape(show(value))}</td>"
