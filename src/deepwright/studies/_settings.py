"""How to run a study: its size, its seeds, and where the work happens."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole

_MOST_SEEDS, _LARGEST_SEED = 1000, 10**9 - 1
_LONGEST = 60  # characters of a folder's name
_RANGE = re.compile(r"([0-9]{1,9})(?:\s*-\s*([0-9]{1,9}))?")


@dataclass(frozen=True)
class Settings:
    """How to run a study.

    Attributes:
        quick: fewer seeds and samples, to see that it runs.
        data_root: folder of the real data sets.
        jobs: workers; see `core.trials.run`.
        backend: "local", "ray" or "dask"; see `core.trials.run`.
        store: a folder for finished trials; None keeps nothing.
        seeds: instead of a study's own; None keeps those.

    Raises:
        InputError: seeds that aren't different whole numbers from 0 on, no jobs, or a data root that is no folder: a
            study would leave out what it holds.
    """

    quick: bool = False
    data_root: Path | None = None
    jobs: int = 1
    backend: str = "local"
    store: Path | None = None
    seeds: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        require_whole(1, jobs=self.jobs)
        if self.data_root is not None and not Path(self.data_root).is_dir():
            hint = "give the folder of the data sets, or none (DEEPWRIGHT_DATA unset) to leave them out"
            raise InputError("data_root", given=self.data_root, expected="a folder that is there", hint=hint)
        for name in ("data_root", "store"):
            place = getattr(self, name)
            object.__setattr__(self, name, None if place is None else Path(place))
        if self.seeds is not None:
            object.__setattr__(self, "seeds", _different(self.seeds))

    def seeds_or(self, default: Sequence[int], aside: Sequence[int] = ()) -> tuple[int, ...]:
        """The seeds that were asked for, or a study's own.

        Args:
            default: the study's own.
            aside: those on which the study chooses settings: what is tested on them was tuned on them. A quick run
                may, for it shows nothing.

        Raises:
            InputError: one that was asked for is among them.
        """
        tuned = [] if self.quick else sorted(set(self.seeds or ()) & set(aside))
        if tuned:
            given = f"{', '.join(map(str, tuned))}, on which settings are chosen"
            raise InputError("seeds", given=given, expected="seeds that nothing is tuned on", hint="--seeds 100-104")
        return tuple(default) if self.seeds is None else self.seeds

    @property
    def folder(self) -> str:
        """Name of the folder for results on these seeds, "seeds-100-104"; "" for a study's own."""
        if self.seeds is None:
            return ""
        words = ",".join(f"{a}-{b}" if b > a else str(a) for a, b in _in_a_row(self.seeds))
        if len(words) > _LONGEST:
            words = f"{self.seeds[0]}-and-{len(self.seeds) - 1}-more-{hashlib.sha256(words.encode()).hexdigest()[:8]}"
        return f"seeds-{words}"


def _in_a_row(seeds: Iterable[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of seeds that follow each other."""
    runs: list[list[int]] = []
    for seed in seeds:
        if runs and seed == runs[-1][1] + 1:
            runs[-1][1] = seed
        else:
            runs.append([seed, seed])
    return ((first, last) for first, last in runs)


def _different(seeds: Iterable[int]) -> tuple[int, ...]:
    """Seeds as Python's whole numbers, each once."""
    if isinstance(seeds, str) or not isinstance(seeds, Iterable):
        raise _no_seeds(seeds)
    found = tuple(seeds)
    for seed in found:
        require_whole(0, seed=seed)
    whole = tuple(map(int, found))
    if not whole or len(set(whole)) < len(whole) or len(whole) > _MOST_SEEDS or max(whole) > _LARGEST_SEED:
        raise _no_seeds(found)
    return whole


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds from text: "100-104" (both ends count), "1,2,3", or both, "0,100-104".

    Args:
        text: whole numbers from 0 on and ranges of them, between commas.

    Raises:
        InputError: anything else, a seed that comes twice, or more than a thousand.
    """
    seeds: list[int] = []
    for part in text.split(","):
        found = _RANGE.fullmatch(part.strip())
        if found is None:
            raise _no_seeds(text)
        first = int(found[1])
        last = first if found[2] is None else int(found[2])
        if not 0 <= last - first < _MOST_SEEDS:
            raise _no_seeds(text)
        seeds += range(first, last + 1)
    return _different(seeds)


def _no_seeds(given: object) -> InputError:
    return InputError(
        "seeds",
        given=repr(given)[:80],
        expected=f"1 to {_MOST_SEEDS} different whole numbers from 0 to {_LARGEST_SEED}",
        hint="--seeds 100-104 or 1,2,3",
    )
