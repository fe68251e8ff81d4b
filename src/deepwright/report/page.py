"""An audit as one self-contained page: no network, light and dark, readable on a phone, every word escaped."""

from __future__ import annotations

from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from deepwright.checks.findings.finding import Finding
from deepwright.checks.running import AuditReport
from deepwright.core.files import write_json, write_text
from deepwright.core.results import Table
from deepwright.report.glossary import glossary_html
from deepwright.report.markdown import compared_in_words, inputs_of
from deepwright.report.sections import badge, code, finding_html, folded, maybe
from deepwright.report.tables import cut, table_html
from deepwright.report.verdict import (
    ASIDE,
    BAD,
    FAIR,
    GOOD,
    ORDER,
    UNSETTLED,
    UNTOLD,
    Number,
    first_things,
    five_numbers,
    sentence_of,
    side,
)
from deepwright.report.words import ends_of, sentence, spread, title_of, written

_SIDES = {
    GOOD: "Good",
    FAIR: "Fair",
    BAD: "Bad",
    UNSETTLED: "Unsettled",
    UNTOLD: "Can't be judged",
    ASIDE: "Not judged",
}
_NOTES = 2  # that stand open


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
    explains = report.kind == "explanation"
    top = [_header(report, title)]
    top += [_answers_to(report)] if explains else [_verdict(report), _numbers(report.findings), _first(report.findings)]
    sections = []
    if report.comparison is not None:
        sections.append(
            folded("comparison", "Before and after", table_html(compared_in_words(report.comparison)), opened=True)
        )
    sections += [finding_html(f, opened=explains and f.grade != "n/a") for f in report.findings]
    sections.append(folded("glossary", "What the words mean", glossary_html()))
    bar = '<div class="sections"><h2>In detail</h2><button type="button" id="all">Open all</button></div>'
    return document(f"{report.kind.capitalize()}: {title}", f"{''.join(top)}{bar}{''.join(sections)}{_footer(report)}")


def document(title: str, body: str) -> str:
    """A page around a body: style and script inline, nothing fetched.

    Args:
        title: words.
        body: HTML whose words are escaped.
    """
    assets = resources.files("deepwright.report")
    style = (assets / "page.css").read_text(encoding="utf-8")
    script = (assets / "page.js").read_text(encoding="utf-8")
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
    return (
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<link rel="icon" href="data:,"><style>{style}</style></head>'
        f'<body><main>{body}</main><div id="tip" role="tooltip" hidden></div><script>{script}</script></body></html>\n'
    )


def _header(report: AuditReport, title: str) -> str:
    s = report.subject
    facts = [
        f"{s['network']}, {s['parameters']:,} parameters",
        f"{_answers(s)}, {inputs_of(s)}",
        f"{s['train']:,} / {s['validation']:,} / {s['test']:,} samples to fit, to calibrate, to measure",
    ]
    notes = [f'<p class="note">{escape(n)}</p>' for n in s["notes"][:20]]
    more = "".join(notes[_NOTES:])
    rest = (
        f"<details><summary>{len(notes) - _NOTES} more note{'s' * (len(notes) > _NOTES + 1)}</summary>{more}</details>"
        if more
        else ""
    )
    listed = "".join(f"<li>{escape(f)}</li>" for f in facts)
    head = f'<p class="kind">Deepwright {escape(report.kind)}</p><h1>{escape(title)}</h1>'
    return f'<header>{head}<ul class="facts">{listed}</ul>{"".join(notes[:_NOTES])}{rest}</header>'


def _answers(subject: dict[str, Any]) -> str:
    """What the network answers with: classes, labels, or its task's name."""
    task, classes = subject.get("task", "classification"), subject["classes"]
    if not classes:
        return str(task)
    if task in ("regression", "forecast"):
        return f"{task} of {classes} number{'s' * (classes != 1)}"
    if task == "multi-label classification":
        return f"{task} with {classes} labels"
    return f"{classes} classes" if task == "classification" else f"{task} with {classes} classes"


def _answers_to(report: AuditReport) -> str:
    """The questions of an explanation, each with its answer in a sentence: nothing of it is a grade."""
    rows = []
    for f in report.findings:
        name, place = cut(title_of(f.check)), escape(f.check, quote=True)
        rows.append(f'<li>{badge(f)}<div><h3><a href="#{place}">{name}</a></h3><p>{code(f.summary)}</p></div></li>')
    return f'<section class="first" aria-label="Answers"><h2>Answers</h2><ol>{"".join(rows)}</ol></section>'


def _verdict(report: AuditReport) -> str:
    rows = []
    for name, words in _SIDES.items():
        found = [f for f in report.findings if side(f) == name]
        if found:
            rows.append(f'<li class="{name}"><span>{words}</span><div>{"".join(map(_chip, found))}</div></li>')
    return (
        f'<section class="verdict" aria-label="Verdict"><p class="said">{escape(sentence_of(report.findings))}</p>'
        f'<ul class="sides">{"".join(rows)}</ul>{_gates(report)}</section>'
    )


def _chip(finding: Finding) -> str:
    """A check with its grade, leading to its section."""
    place = escape(finding.check, quote=True)
    return f'<a class="chip" href="#{place}">{badge(finding)}<b>{cut(title_of(finding.check))}</b>{maybe(finding)}</a>'


def _gates(report: AuditReport) -> str:
    if not report.gates:
        return ""
    failed = [g for g in report.gates if g.failed]
    words = f"{len(failed)} of {len(report.gates)} gates failed" if failed else f"All {len(report.gates)} gates passed"
    rows: list[list[Any]] = [[g.condition, g.measured, "failed" if g.failed else "passed"] for g in report.gates]
    table = table_html(Table(["fails when", "measured", "result"], rows))
    opened = " open" if failed else ""
    return (
        f'<details id="gates" class="{"bad" if failed else "good"}"{opened}><summary>{words}</summary>{table}</details>'
    )


def _numbers(findings: list[Finding]) -> str:
    tiles = "".join(map(_tile, five_numbers(findings)))
    return f'<section class="numbers" aria-label="The numbers that matter">{tiles}</section>' if tiles else ""


def _tile(number: Number) -> str:
    place = escape(number.check, quote=True)
    interval = spread(number.value, number.unit)
    told = f"<small>{interval} (95 %)</small>" if interval else "<small>no interval</small>"
    better = f"<small>{number.better} is better</small>" if number.better else ""
    judged = f"<small>{escape(number.note)}</small>" if number.note else ""
    return (
        f'<a class="tile" href="#{place}"><span>{escape(sentence(number.name))}</span>'
        f"<strong>{written(number.value, number.unit)}</strong>{told}{_scale(number)}{better}{judged}</a>"
    )


def _scale(number: Number) -> str:
    """Where the number and its interval lie between 0 and the end of its scale."""
    places = [100 * min(1.0, max(0.0, v / number.top)) if v == v else 0.0 for v in ends_of(number.value)]
    end = written(number.top, number.unit) if number.unit != "share" else "100 %"
    style = f"--v:{places[0]:.1f}%;--l:{places[1]:.1f}%;--h:{max(0.0, places[2] - places[1]):.1f}%"
    return f'<span class="scale" aria-hidden="true" style="{style}"><i></i><b></b></span><em><i>0</i><i>{end}</i></em>'


def _first(findings: list[Finding]) -> str:
    things = first_things(findings)
    if not things:
        return ""
    items = []
    for f in things:
        name, place = cut(title_of(f.check)), escape(f.check, quote=True)
        items.append(f'<li>{badge(f)}<div><h3><a href="#{place}">{name}</a></h3><p>{code(f.remedy)}</p></div></li>')
    note = (
        f"{ORDER} In the Python, adversarial, checks, corruptions, ood and risk are modules of deepwright, and subject "
        "is what was audited: `Subject(model, data)` of deepwright.checks, or `build_subject(SubjectOptions(...), "
        "trains=False)` of deepwright.workflows with the words of your command. x and y are a batch of its data, "
        "logits what the network gives for it, and step is a number that counts batches."
    )
    return (
        f'<section class="first"><h2>What to do first</h2><ol>{"".join(items)}</ol>'
        f"<details><summary>How these were chosen, and what runs the Python</summary>"
        f'<div class="note">{code(note)}</div></details></section>'
    )


def _footer(report: AuditReport) -> str:
    device = escape(str(report.subject["device"]))
    return (
        f'<footer class="note">Measured in {report.seconds:.1f} seconds on {device}. Every number of this page, with '
        "its key for gates (--fail-on), is in report.json beside it.</footer>"
    )
