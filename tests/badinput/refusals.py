"""Bad input as rows of a table: what is given, and the words that its refusal must say.

A room's file lists its `Bad` rows and ends with `test_it_is_refused = over(ROWS)`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from deepwright import InputError
from deepwright.cli import main


@dataclass(frozen=True)
class Bad:
    """One bad input.

    Args:
        name: what is given to which entry, unlike every other row's of its file; the test's name.
        call: gives it; gets an empty folder of its own.
        words: each stands in the refusal, whatever the case of its letters: the thing that is wrong as the user
            knows it, what was given, what to do.
    """

    name: str
    call: Callable[[Path], object]
    words: tuple[str, ...]


def command(*words: object) -> object:
    """The command line in this process.

    Args:
        words: what follows `deepwright`.

    Returns:
        What was printed, where it ends well.

    Raises:
        InputError: it ended as bad input (exit code 2); the message is what was printed.
        Exception: whatever the command raised beside that.
    """
    result = CliRunner().invoke(main, [str(word) for word in words])
    if result.exit_code == 2:
        raise InputError(result.output)
    assert result.exit_code != 3, result.output  # it broke, and printed its trace
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def over(rows: Sequence[Bad]) -> Callable:
    """A test of every row: refused as `InputError` (so without a trace), in words that help."""
    names = [row.name for row in rows]
    assert len(set(names)) == len(names), "two rows of one name"
    assert all(row.words for row in rows), "a row without words can't fail"

    @pytest.mark.usefixtures("unchecked")
    @pytest.mark.parametrize("row", rows, ids=names)
    def test_it_is_refused(row, tmp_path):
        with pytest.raises(InputError) as refusal:
            row.call(tmp_path)
        said = str(refusal.value).lower()
        assert [word for word in row.words if word.lower() not in said] == []

    return test_it_is_refused
