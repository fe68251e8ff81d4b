"""Text in CSV files that a spreadsheet must not take for a formula."""

from __future__ import annotations

_FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # spreadsheets in Chinese and Japanese take the wide forms, too
_GUARD = "'"


def guarded(text: str) -> str:
    """A cell's text as spreadsheets show it and don't run it: an apostrophe goes before what would be a formula.

    Numbers stay as they are. Source: OWASP, "CSV injection".

    Args:
        text: of the cell; `csv.writer` does the quoting.

    Example:
        >>> guarded("=HYPERLINK(1)"), guarded("-1.5"), guarded("a.png")
        ("'=HYPERLINK(1)", '-1.5', 'a.png')
        >>> unguarded(guarded("=1+1"))
        '=1+1'
    """
    begins = text.lstrip(" ")
    if not begins.startswith((*_FORMULA, _GUARD)) or _is_number(text):
        return text
    return _GUARD + text


def unguarded(text: str) -> str:
    """What `guarded` was given.

    Args:
        text: of a cell that it made, or of one that nobody guarded.
    """
    bare = text.removeprefix(_GUARD)
    return bare if guarded(bare) == text else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
