"""Questions and answers of a labelling loop, on disk before anything else happens to them."""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deepwright.core.errors import InputError
from deepwright.core.journal import Journal, stored_rows
from deepwright.core.resume import DamagedFileWarning, Identity, OtherWorkError, identity, place
from deepwright.labels.loop.records import Round

KIND = "labelling loop"


class LoopState:
    """Rounds and labels, one line each in one file.

    Args:
        checkpoint: the file, or None to keep them in memory only.
        parts: all that the questions depend on, by name; identified where there is a file.

    Attributes:
        identity: of the loop; empty without a file.
        rounds: so far.
        labels: sample -> class, in the order in which they were told.

    Raises:
        OtherWorkError: a file of another loop, with what differs.
        DamagedFileError: lines that aren't as they were written: a person's work, so it isn't thrown away.
        ForeignFileError: a file that isn't a loop's.
        InputError: a row that is neither a round nor a label, a round without the one before, or two labels of one
            sample that differ.
        LockedError: another process works on the file.
    """

    def __init__(self, checkpoint: Path | str | None, parts: Mapping[str, Any]) -> None:
        self.path = Path(checkpoint) if checkpoint is not None and place(checkpoint) else None
        self.identity = Identity() if self.path is None else identity(**parts)
        try:
            self._journal = Journal(self.path, self.identity, durable=True, kind=KIND)
        except OtherWorkError as error:
            raise OtherWorkError(error.path, KIND, error.differences, _HINT) from None
        rows = self._journal.rows
        try:
            self.rounds = _rounds(rows, self.path)
            self.labels = _labels(rows, self.path)
        except InputError:
            self.close()
            raise

    @property
    def pending(self) -> list[int]:
        """Samples that were asked for and have no label yet."""
        return [i for i in self.rounds[-1].asked if i not in self.labels] if self.rounds else []

    def ask(self, record: Round) -> None:
        """Keep a round's questions.

        Args:
            record: of the round.
        """
        self._journal.add(_name(len(self.rounds)), asdict(record))
        self.rounds.append(record)

    def tell(self, labels: Mapping[int, int]) -> None:
        """Keep answers.

        Args:
            labels: sample -> class.
        """
        self._journal.add_all({str(i): y for i, y in labels.items()})
        self.labels.update(labels)

    def before(self, number: int) -> dict[int, int]:
        """The labels that a round began with, in the order in which they were asked for.

        Args:
            number: of the round.
        """
        first = [i for record in self.rounds[:number] for i in record.asked]
        later = {i for record in self.rounds[number:] for i in record.asked}
        others = sorted(self.labels.keys() - first - later)  # of rounds whose line somebody took out of the file
        return {i: self.labels[i] for i in (*first, *others) if i in self.labels}

    def close(self) -> None:
        """Let other processes take the file."""
        self._journal.close()


_HINT = (
    "go on with what it was made from, or choose another file; read_labels() gives the labels that this one holds, "
    "and a new loop takes them as known="
)


def read_labels(checkpoint: Path | str) -> dict[int, int]:
    """The labels that a loop's file holds, whatever loop it belongs to: nobody has to give them twice.

    Args:
        checkpoint: the file.

    Returns:
        Sample -> class, in the order in which they were told. Damaged lines are left out with a warning.

    Raises:
        ForeignFileError: a file that isn't a loop's.
        InputError: a row that is neither a round nor a label, or two labels of one sample that differ.
    """
    _, rows, damaged = stored_rows(checkpoint, KIND)
    if damaged:
        warnings.warn(f"{checkpoint}: damaged lines {damaged} are left out", DamagedFileWarning, stacklevel=2)
    return _labels(rows, checkpoint)


def _name(number: int) -> str:
    return f"round {number}"


def _rounds(rows: Mapping[str, Any], path: Path | None) -> list[Round]:
    """The rounds from the first to the last: one that lies behind a gap must not be passed over, nor asked again."""
    names = list(itertools.takewhile(rows.__contains__, map(_name, itertools.count())))
    behind = [name for name in rows if _ROUND.fullmatch(name) and name not in set(names)]
    if behind:
        raise InputError(
            f"{path}", given=f"{behind[0]!r} without {_name(len(names))!r}", expected="every round", hint=_HINT
        )
    try:
        return [Round(**rows[name]) for name in names]
    except TypeError as error:
        raise InputError(f"{path}", given=str(error), expected="rounds of a labelling loop", hint=_HINT) from error


_ROUND = re.compile(r"round [0-9]+")
_SAMPLE = re.compile(r"([0-9]+)(\.0+)?")  # a loop of before wrote "35.0" where it was told floats


def _labels(rows: Mapping[str, Any], path: Path | str | None) -> dict[int, int]:
    """Sample -> class; whatever is neither that nor a round is an error, so that no label is passed over."""
    labels: dict[int, int] = {}
    for name, value in rows.items():
        if _ROUND.fullmatch(name):
            continue
        sample, label = _SAMPLE.fullmatch(name), _label(value)
        if sample is None or label is None:
            raise InputError(f"{path}", given=f"the row {name!r}: {value!r}", expected="rounds, and sample: class")
        if labels.setdefault(int(sample[1]), label) != label:
            given = f"the row {name!r}: {value!r} after the label {labels[int(sample[1])]}"
            raise InputError(
                f"{path}", given=given, expected="one label a sample", hint="delete the line that is wrong"
            )
    return labels


def _label(value: Any) -> int | None:
    """A class, or None where it is no whole number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not float(value).is_integer():
        return None
    return int(value)
