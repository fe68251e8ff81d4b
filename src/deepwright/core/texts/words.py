"""Where the words of a text are."""

from __future__ import annotations

import re

WORD = re.compile(r"\w+(?:['’]\w+)*")
"""Letters and digits, with an apostrophe between them."""


def word_spans(text: str) -> list[tuple[int, int]]:
    """(begin, end) of every word.

    Args:
        text: any.

    Example:
        >>> [text[a:b] for text in ["It isn't, no."] for a, b in word_spans(text)]
        ['It', "isn't", 'no']
    """
    return [match.span() for match in WORD.finditer(text)]
