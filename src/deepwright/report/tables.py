"""Tables of the page: searched, sorted, copied and downloaded where they stand."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from deepwright.core.results import Table, show

_LONG = 48  # characters of a cell or a column's name that are shown whole
_SEARCHED = 8  # rows from which a search pays


def table_html(table: Table) -> str:
    """A table with its tools.

    Args:
        table: any; every word is escaped.
    """
    rows = [f"<tr>{''.join(cell(c) for c in row)}</tr>" for row in table.rows]
    return framed(table.columns, rows, table.caption, searched=len(rows) > _SEARCHED)


def framed(
    columns: Sequence[str], rows: Sequence[str], caption: str, *, kind: str = "data", searched: bool = False
) -> str:
    """Rows under the names of their columns, with the tools of a table.

    Args:
        columns: words.
        rows: HTML whose words are escaped.
        caption: words.
        kind: classes of the style.
        searched: with a field to search in it.
    """
    head = "".join(_head(c) for c in columns)
    name = escape(caption or "table", quote=True)
    search = f'<input type="search" placeholder="Search" aria-label="Search in {name}">' if searched else ""
    tools = (
        f'<div class="tools"><p>{escape(caption)}</p>{search}<button type="button" data-copy>Copy</button>'
        '<button type="button" data-csv>CSV</button></div>'
    )
    return (
        f'<div class="table">{tools}<div class="scroll" tabindex="0" role="region" aria-label="{name}">'
        f'<table class="{kind}" aria-label="{name}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div></div>"
    )


def _head(name: str) -> str:
    return f'<th scope="col" aria-sort="none"><button type="button">{cut(name)}</button></th>'


def cut(words: str) -> str:
    """Words of which a long run is cut with the whole on hover; a click shows it.

    Args:
        words: any.
    """
    if len(words) <= _LONG:
        return escape(words)
    return f'<span class="cut" title="{escape(words, quote=True)}">{escape(words)}</span>'


def cell(value: Any) -> str:
    """A cell; numbers carry their whole value for sorting and downloads.

    Args:
        value: of a table.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        words = show(value) if isinstance(value, float) else f"{value:,}"
        return f'<td class="n" data-v="{escape(str(value), quote=True)}">{escape(words)}</td>'
    return f"<td>{cut(show(value))}</td>"
