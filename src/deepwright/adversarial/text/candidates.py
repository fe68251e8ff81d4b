"""What may stand in the place of a word: a list of the user's, or the slips that a hand makes."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from deepwright.core.errors import InputError
from deepwright.core.files import reading
from deepwright.core.requirements import require_whole
from deepwright.core.texts import NEIGHBOURS

_SHORTEST = 4  # letters of a word that a slip still leaves readable


class Substitutions:
    """Candidates from a list: word -> what may stand in its place, whatever the case; a capital stays one.

    Args:
        words: word -> candidates.

    Raises:
        InputError: anything else than words with lists of words.
    """

    def __init__(self, words: Mapping[str, Sequence[str]]) -> None:
        if not isinstance(words, Mapping) or not words:
            raise InputError("substitutions", given=repr(words)[:60], expected='{"good": ["fine", "decent"], ...}')
        self.words: dict[str, tuple[str, ...]] = {}
        for word, others in words.items():
            fine = isinstance(word, str) and isinstance(others, list | tuple) and all(map(_is_text, others))
            if not fine:
                given = f"{others!r} for {word!r}"
                raise InputError("substitutions", given=given, expected="a list of words for each word")
            self.words[word.lower()] = tuple(dict.fromkeys(o for o in others if o.lower() != word.lower()))

    def __call__(self, word: str) -> tuple[str, ...]:
        """Candidates for a word; none where the list has none.

        Args:
            word: as it stands in the text.
        """
        found = self.words.get(word.lower(), ())
        return tuple(other[:1].upper() + other[1:] for other in found) if word[:1].isupper() else found


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def read_substitutions(path: Path | str) -> Substitutions:
    """A list from a file: a `.json` object {word: [candidates]}, or lines `word,candidate,candidate`.

    Args:
        path: the file.

    Raises:
        InputError: no such file, or one of another form.
    """
    expected = 'JSON {"word": ["candidate", ...]}, or lines word,candidate,candidate'
    with reading(f"cannot read the substitutions of {path}", expected, path):
        text = Path(path).read_text(encoding="utf-8-sig")
        if Path(path).suffix.lower() == ".json":
            return Substitutions(json.loads(text))
        rows = [[cell.strip() for cell in row if cell.strip()] for row in csv.reader(text.splitlines())]
    return Substitutions({row[0]: row[1:] for row in rows if len(row) > 1})


def typos(word: str, most: int = 12) -> tuple[str, ...]:
    """Slips inside a word, first and last letter kept: two letters swapped, one lost, doubled, or hit beside its key.

    Args:
        word: of four letters or more; shorter ones have none.
        most: at most so many, spread over the word.
    """
    require_whole(1, most=most)
    if len(word) < _SHORTEST or not word.isalpha():
        return ()
    found: list[str] = []
    for i in range(1, len(word) - 1):
        head, letter, tail = word[:i], word[i], word[i + 1 :]
        if i < len(word) - 2:
            found.append(head + tail[0] + letter + tail[1:])
        found.append(head + tail)
        found.append(head + letter + letter + tail)
        found += [head + key + tail for key in NEIGHBOURS.get(letter, "")[:2]]
    kept = [other for other in dict.fromkeys(found) if other != word]
    step = max(1, -(-len(kept) // most))
    return tuple(kept[::step])
