"""A finding as a section that opens: what was found, why this grade, what to do, pictures and tables."""

from __future__ import annotations

import re
from html import escape

from deepwright.checks.findings.finding import LETTERS, Finding
from deepwright.core.results import Table
from deepwright.core.statistics import Interval
from deepwright.report.figures import svg
from deepwright.report.tables import cut, framed, table_html
from deepwright.report.words import TITLES, sentence, spread, title_of, words_of, written

_BLOCK = 40  # characters from which Python stands on lines of its own, with a button that copies it


def finding_html(finding: Finding, opened: bool = False) -> str:
    """A folded section.

    Args:
        finding: of any check; every word is escaped.
        opened: from the start.
    """
    f = finding
    parts = [
        f'<div class="summary">{code(f.summary)}</div>',
        f'<div class="rule"><b>Why this grade.</b> {code(f.rule)}</div>' if f.rule else "",
        f'<div class="remedy"><b>What to do.</b> {code(f.remedy)}</div>' if f.remedy else "",
        f'<div class="figures">{"".join(map(svg, f.figures))}</div>' if f.figures else "",
        _values(f),
        "".join(map(_table, f.tables)),
        f'<p class="note">Measured in {f.seconds:.1f} seconds.</p>',
    ]
    question = f"<small>{TITLES[f.check][1]}</small>" if f.check in TITLES else ""
    return folded(f.check, title_of(f.check), "".join(parts), before=badge(f), after=maybe(f) + question, opened=opened)


def folded(anchor: str, title: str, body: str, *, before: str = "", after: str = "", opened: bool = False) -> str:
    """A section that opens at a click, by its anchor and for print.

    Args:
        anchor: its id.
        title: words.
        body: HTML whose words are escaped.
        before: HTML before the title.
        after: HTML after it.
        opened: from the start.
    """
    place = escape(anchor, quote=True)
    return (
        f'<details class="section" id="{place}"{" open" if opened else ""}><summary>{before}'
        f"<h2>{cut(title)}</h2>{after}</summary>{body}</details>"
    )


def badge(finding: Finding) -> str:
    """The grade; what else it could be is said beside it.

    Args:
        finding: of any check.
    """
    grade = finding.grade
    text = {"info": "i", "failed": "!", "n/a": "–"}.get(grade, grade)
    told = {"n/a": "does not apply", "failed": "could not run", "info": "not graded"}.get(grade, f"grade {grade}")
    other = f" (could be {' or '.join(finding.could_be)})" if finding.could_be else ""
    kind = escape(grade.replace("/", ""), quote=True)
    words = escape(told + other, quote=True)
    return f'<span class="badge g-{kind}" role="img" aria-label="{words}" title="{words}">{escape(text)}</span>'


def maybe(finding: Finding) -> str:
    """The other grades that the interval reaches, small.

    Args:
        finding: of any check.
    """
    if not finding.could_be:
        return ""
    words = f"or {', '.join(finding.could_be)}"
    if finding.grade not in LETTERS:
        words = f"{finding.could_be[0]} to {finding.could_be[-1]}"
    return f'<small class="maybe">{escape(words)}</small>'


def code(words: str) -> str:
    """Words in which `...` is set as code; long code stands on lines of its own.

    Args:
        words: of a remedy.
    """
    parts: list[str] = []
    for i, part in enumerate(words.split("`")):
        if i % 2 == 0:
            parts.append(escape(re.sub(r"^[:,;.] ", "", part) if i and parts[-1].startswith("<span") else part))
        elif len(part) < _BLOCK:
            parts.append(f"<code>{escape(part)}</code>")
        else:
            parts.append(
                f'<span class="block"><code tabindex="0">{escape(part)}</code>'
                '<button type="button" data-code>Copy</button></span>'
            )
    return "".join(parts)


def _values(finding: Finding) -> str:
    """The values by their words, with the interval where there is one."""
    if not finding.values:
        return ""
    rows = []
    for key, value in finding.values.items():
        word = words_of(finding.check, key)
        number = value.value if isinstance(value, Interval) else value
        data = escape(str(number), quote=True)
        rows.append(
            f'<tr><td>{cut(sentence(word.words))}</td><td class="n" data-v="{data}">{written(number, word.unit)}</td>'
            f'<td class="n">{spread(value, word.unit) or "–"}</td><td>{_better(finding, key)}</td></tr>'
        )
    columns = ["what", "measured", "95 % interval", "better"]
    return framed(columns, rows, f"numbers of {title_of(finding.check).lower()}", kind="data values")


def _better(finding: Finding, key: str) -> str:
    if key in finding.lower_is_better:
        return "lower"
    return "higher" if key in finding.higher_is_better else "–"


def _table(table: Table) -> str:
    """A table that opens at a click, so that the page stays short."""
    words = table.caption.split(" (")[0].split(";")[0] or "table"
    title = f"{escape(sentence(words))} ({len(table.rows)} row{'s' * (len(table.rows) != 1)})"
    return f"<details><summary>{title}</summary>{table_html(table)}</details>"
