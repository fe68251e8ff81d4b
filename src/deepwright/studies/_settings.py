"""How to run a study: its size, its seeds, and where the work happens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deepwright.core.errors import InputError

_MOST_SEEDS = 1000
_RANGE = re.compile(r"([0-9]{1,9})(?:\s*-\s*([0-9]{1,9}))?")


@dataclass(frozen=True)
class Settings:
    """How to run a study.

    Attributes:
        quick: fewer seeds and samples, to see that it runs.
        data_root: of the real data sets.
        jobs: workers; see `core.trials.run`.
        backend: "local", "ray" or "dask"; see `core.trials.run`.
        store: a folder for finished trials; None keeps nothing.
        seeds: instead of a study's own; None keeps those.
    """

    quick: bool = False
    data_root: Path | None = None
    jobs: int = 1
    backend: str = "local"
    store: Path | None = None
    seeds: tuple[int, ...] | None = None

    def seeds_or(self, default: Sequence[int]) -> tuple[int, ...]:
        """The seeds that were asked for, or a study's own.

        Args:
            default: the study's own.
        """
        return tuple(default) if self.seeds is None else self.seeds


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
    if len(set(seeds)) != len(seeds) or len(seeds) > _MOST_SEEDS:
        raise _no_seeds(text)
    return tuple(seeds)


def _no_seeds(text: str) -> InputError:
    return InputError(
        "seeds",
        given=repr(text),
        expected=f"1 to {_MOST_SEEDS} different whole numbers",
        hint="--seeds 100-104 or 1,2,3",
    )
