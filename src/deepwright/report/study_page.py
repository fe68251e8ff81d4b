"""A study as one self-contained page."""

from __future__ import annotations

import re
from html import escape

from deepwright.core.results import StudyResult, Table
from deepwright.report.figures import svg
from deepwright.report.page import document
from deepwright.report.sections import code, folded
from deepwright.report.study_words import arms_table, claims_table, counted, edge_note, reasons, run_lines
from deepwright.report.tables import table_html


def study_page(result: StudyResult) -> str:
    """The page as a string: summary, claims, limits and figures stand open, the rest at a click.

    Args:
        result: of a study; every word is escaped.
    """
    why = "".join(f"<li><b>{escape(claim.text)}</b>: {escape(words)}</li>" for claim, words in reasons(result))
    limits = "".join(f"<li>{code(line)}</li>" for line in result.limits)
    figures = "".join(map(svg, result.figures))
    parts = [
        f'<header><p class="kind">Deepwright study</p><h1>{escape(result.study)}</h1></header>',
        f'<section class="verdict" aria-label="Summary"><p class="said">{escape(result.summary)}</p></section>',
        f'<section class="claims"><h2>Claims</h2><p>{escape(counted(result))}</p>{table_html(_claims(result))}',
        f"<ul>{why}</ul></section>" if why else "</section>",
        f"<section><h2>What this does not show</h2><ul>{limits}</ul></section>" if limits else "",
        f'<section><h2>Figures</h2><div class="figures">{figures}</div></section>' if figures else "",
    ]
    tables = [result.table, *result.tables]
    for i, (table, title) in enumerate(zip(tables, _titles(tables))):
        parts.append(folded(f"table-{i + 1}", title or f"Table {i + 1}", table_html(table), opened=i == 0))
    if result.arms:
        edges = f"<p>{escape(edge_note(result))}</p>" if edge_note(result) else ""
        parts.append(folded("arms", "How the arms were selected", table_html(arms_table(result)) + edges))
    lines = "".join(f"<li>{code(line)}</li>" for line in run_lines(result))
    parts.append(folded("run", "How it was run", f"<ul>{lines}</ul>", opened=True))
    return document(f"Study: {result.study}", "".join(parts))


def _claims(result: StudyResult) -> Table:
    """The table of claims with each verdict beside its claim, where a phone shows it."""
    table = claims_table(result)
    rows = [[row[0], row[-1], *row[1:-1]] for row in table.rows]
    return Table([table.columns[0], table.columns[-1], *table.columns[1:-1]], rows)


def _titles(tables: list[Table]) -> list[str]:
    """What a caption says before its colon, where no other caption begins so: the whole stands in the section."""
    short = [re.split(r"(?<=\S): ", table.caption, maxsplit=1)[0] for table in tables]
    return [s if short.count(s) == 1 else table.caption for s, table in zip(short, tables)]
