"""Arrays side by side on the same products, and over lengths of prompts."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.results import Cell, Table
from deepwright.hardware.arrays.array import ReshapingArray, SystolicArray
from deepwright.hardware.arrays.baselines import ARRAYS
from deepwright.hardware.arrays.conditions import Conditions, require_array, require_conditions
from deepwright.hardware.arrays.gemm import GEMM, require_gemms
from deepwright.hardware.arrays.many import totals
from deepwright.hardware.arrays.models import TOKENS, LanguageModel, llm_gemms
from deepwright.hardware.arrays.report import Report
from deepwright.hardware.arrays.simulating import simulate_under

Arrays = Mapping[str, SystolicArray | ReshapingArray]
DEFAULT = Conditions()


@dataclass(frozen=True)
class Comparison:
    """The same products on several arrays; ratios are to the first.

    Attributes:
        reports: by the arrays' names.
    """

    reports: dict[str, Report]

    @property
    def table(self) -> Table:
        """One row an array, with what bounds it, as a ratio of two bounds says less than one of the same."""
        first = next(iter(self.reports.values()))
        columns = ["array", "cycles", "seconds", "speed-up", "utilisation", "joules", "energy ratio", "EDP ratio"]
        rows: list[list[Cell]] = []
        for name, r in self.reports.items():
            ratios = [r.joules / first.joules, r.edp / first.edp] if first.joules > 0 else [None, None]
            rows.append([name, r.cycles, r.seconds, first.seconds / r.seconds, r.utilisation, r.joules, *ratios])
        bounds = [r.bound for r in self.reports.values()]
        words = f"relative to {next(iter(self.reports))}; bound: what the cycles are of"
        return Table([*columns, "bound"], [[*row, bound] for row, bound in zip(rows, bounds)], words)

    def to_markdown(self) -> str:
        """A table for a page."""
        return self.table.markdown()

    def to_csv(self) -> str:
        """Comma-separated values, with all digits."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.table.columns)
        writer.writerows(self.table.rows)
        return out.getvalue()

    def to_dict(self) -> dict[str, Any]:
        """Plain data: every report by its name."""
        return {name: report.to_dict() for name, report in self.reports.items()}


def compare(gemms: Sequence[GEMM], arrays: Arrays = ARRAYS, conditions: Conditions = DEFAULT) -> Comparison:
    """The same products on several arrays.

    Args:
        gemms: in order.
        arrays: by name; ratios are to the first.
        conditions: alike for all.

    Raises:
        InputError: no product, no array.
    """
    require_gemms(gemms)
    return Comparison({name: simulate_under(gemms, a, conditions) for name, a in _checked(arrays).items()})


@dataclass(frozen=True)
class Sweep:
    """A model over lengths of prompts on several arrays.

    Attributes:
        tokens: lengths.
        cycles: by array, one a length.
        joules: by array, one a length.
        clocks: by array, cycles a second.
    """

    tokens: tuple[int, ...]
    cycles: dict[str, list[int]]
    joules: dict[str, np.ndarray]
    clocks: dict[str, float]

    def seconds(self, name: str) -> np.ndarray:
        """One a length.

        Args:
            name: of an array.
        """
        if name not in self.cycles:
            raise unknown_name("array", str(name), self.cycles)
        return np.array(self.cycles[name], float) / self.clocks[name]

    def edp(self, name: str) -> np.ndarray:
        """Energy times delay, one a length.

        Args:
            name: of an array.
        """
        return self.joules[name] * self.seconds(name)

    def speedup(self, name: str, over: str | None = None) -> np.ndarray:
        """How many times as fast as another, one a length.

        Args:
            name: of an array.
            over: of another; the first where None.
        """
        return self.seconds(over or next(iter(self.cycles))) / self.seconds(name)


def sweep(
    name: str | LanguageModel,
    tokens: Sequence[int] = TOKENS,
    arrays: Arrays = ARRAYS,
    conditions: Conditions = DEFAULT,
    *,
    include_attention: bool = False,
    lm_head: bool = True,
) -> Sweep:
    """A language model over lengths of prompts, on several arrays.

    Args:
        name: of a model, or its sizes.
        tokens: lengths.
        arrays: by name; speed-ups are relative to the first.
        conditions: alike for all.
        include_attention: see `llm_gemms`.
        lm_head: see `llm_gemms`.

    Raises:
        InputError: an unknown model, no length, no array.
    """
    require_conditions(conditions)
    if not isinstance(tokens, Sequence | np.ndarray) or isinstance(tokens, str) or not len(tokens):
        raise InputError("tokens", given=f"{tokens!r:.60}", expected="lengths, at least one")
    work = [llm_gemms(name, t, include_attention=include_attention, lm_head=lm_head) for t in tokens]
    found = {word: totals(work, array, conditions) for word, array in _checked(arrays).items()}
    return Sweep(
        tuple(int(t) for t in tokens),
        {word: t.cycles for word, t in found.items()},
        {word: t.joules for word, t in found.items()},
        {word: arrays[word].clock_hz for word in found},
    )


def _checked(arrays: Arrays) -> Arrays:
    if not isinstance(arrays, Mapping) or not arrays:
        raise InputError("arrays", given=f"{arrays!r:.60}", expected="a dictionary of arrays by name, at least one")
    for array in arrays.values():
        require_array(array)
    return arrays
