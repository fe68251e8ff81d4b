"""Shapes, slabs and their area at once: which of them nothing beats in cycles, energy and area together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from deepwright.core.errors import InputError
from deepwright.core.pareto import nondominated
from deepwright.core.requirements import require_whole
from deepwright.core.results import Cell, Table
from deepwright.hardware.arrays.array import AreaModel, SystolicArray, divisors
from deepwright.hardware.arrays.conditions import Conditions, require_conditions
from deepwright.hardware.arrays.gemm import GEMM, require_gemms
from deepwright.hardware.arrays.many import needs_exact, on_shapes, whole_numbers

_AT_ONCE = 500_000  # cells of one array
DEFAULT, AREA = Conditions(), AreaModel()


@dataclass(frozen=True)
class Exploration:
    """What each configuration costs, and which are on the front.

    Attributes:
        rows: of each configuration.
        cols: of each.
        slabs: of each.
        cycles: Python's integers where 64 bits don't hold them.
        joules: of all parts.
        area: in PEs; see `AreaModel`.
        front: indices of those that nothing beats in cycles, energy and area, by cycles.
    """

    rows: np.ndarray
    cols: np.ndarray
    slabs: np.ndarray
    cycles: np.ndarray
    joules: np.ndarray
    area: np.ndarray
    front: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def table(self) -> Table:
        """The front."""
        words = ("rows", "cols", "slabs", "cycles", "joules", "area")
        columns = [getattr(self, word)[self.front].tolist() for word in words]
        rows: list[list[Cell]] = [list(row) for row in zip(*columns)]
        return Table(list(words), rows, f"nothing of {len(self):,} configurations beats these")


def explore(
    gemms: Sequence[GEMM],
    pe_budget: int = 16384,
    slabs: Sequence[int] = (1, 2, 4, 8, 16, 32),
    shapes: Sequence[tuple[int, int]] | None = None,
    conditions: Conditions = DEFAULT,
    area: AreaModel = AREA,
    array: SystolicArray | None = None,
) -> Exploration:
    """Every shape with every number of slabs that divides its rows, at once.

    Args:
        gemms: what is to be computed.
        pe_budget: the most PEs.
        slabs: numbers of slabs.
        shapes: (rows, cols); all of rows x cols = `pe_budget` where None. Shapes beyond the budget are left out.
        conditions: policy, memory, energy; products share no lanes here.
        area: in PEs.
        array: gives drain, clock and buffers; the defaults where None.

    Raises:
        InputError: no product, no configuration within the budget, conditions with groups or remainders.
    """
    found = require_gemms(gemms)
    require_whole(1, pe_budget=pe_budget)
    element = require_conditions(conditions).element(gemms)
    conditions = replace(conditions, bytes_per_element=element).of_width(element)
    listed: dict[str, object] = {"slabs": slabs, "shapes": shapes or ()}
    for words, value in listed.items():
        if not isinstance(value, Sequence | np.ndarray) or isinstance(value, str):
            raise InputError(words, given=f"{value!r:.60}", expected="a list")
    for k in slabs:
        require_whole(1, slabs=k)
    if conditions.concurrent or conditions.remainder:
        raise InputError(
            "conditions",
            given="concurrent or remainder",
            expected="neither",
            hint="simulate() one configuration with them",
        )
    like = array or SystolicArray()
    if like.dataflow != "os" or like.copies != 1:
        raise InputError("array", given=f"{like!r:.80}", expected="one output-stationary array")
    sides = [(d, pe_budget // d) for d in divisors(pe_budget)] if shapes is None else _pairs(shapes)
    kept = np.array([s for s in sides if s[0] * s[1] <= pe_budget], dtype=np.int64).reshape(-1, 2)
    parts = [_of_slabs(found, kept[kept[:, 0] % k == 0], int(k), conditions, area, like) for k in dict.fromkeys(slabs)]
    parts = [p for p in parts if len(p[0])]
    if not parts:
        given = f"{len(sides)} shapes, slabs {list(slabs)[:8]}"
        raise InputError("configurations", given=given, expected="one within the budget whose slabs divide its rows")
    rows, cols, number, cycles, joules, size = (np.concatenate(column) for column in zip(*parts))
    goals = np.stack([cycles.astype(float), joules, size], 1)
    front = np.flatnonzero(nondominated(goals))
    return Exploration(rows, cols, number, cycles, joules, size, front[np.argsort(goals[front, 0], kind="stable")])


def _pairs(shapes: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    pairs = list(shapes)
    for pair in pairs:
        if not isinstance(pair, tuple | list | np.ndarray) or len(pair) != 2:
            raise InputError("shapes", given=f"{pair!r:.60}", expected="(rows, cols) each")
        require_whole(1, rows=pair[0], cols=pair[1])
    return [(int(r), int(c)) for r, c in pairs]


def _of_slabs(
    gemms: list[GEMM], sides: np.ndarray, k: int, given: Conditions, area: AreaModel, like: SystolicArray
) -> tuple[np.ndarray, ...]:
    """All shapes with one number of slabs."""
    places: dict[tuple[int, int, int], int] = {}
    for g in gemms:
        size = (g.M, g.K, g.N)
        places[size] = places.get(size, 0) + g.copies
    element, rates = given.element(gemms), given.rates(like.clock_hz)
    M, K, N = (max(column) for column in zip(*places))
    largest = {"rows": int(sides[:, 0].max(initial=1)), "cols": int(sides[:, 1].max(initial=1))}
    times = sum(places.values())
    exact = needs_exact(M, K, N, times, **largest, copies=1, element=element, rates=rates)
    columns = whole_numbers(list(zip(*places)), exact)
    (repeats,) = whole_numbers([list(places.values())], exact)
    cycles: list[Any] = [np.zeros(0, object if exact else np.int64)]
    joules = [np.zeros(0)]
    for part in np.array_split(sides, max(1, -(-len(sides) * len(places) // _AT_ONCE))):
        shape = {"rows": part[:, :1], "cols": part[:, 1:], "slabs": k, "copies": 1}
        if exact:
            shape |= {"rows": part[:, :1].astype(object), "cols": part[:, 1:].astype(object)}
        words = {"dataflow": like.dataflow, "drain": like.drain}
        buffers = (like.activation_buffer, like.weight_buffer)
        each = on_shapes(columns, {**shape, **words}, given, element, rates, buffers)
        cycles.append((each.cycles * repeats).sum(1))
        joules.append((each.joules * repeats.astype(float)).sum(1))
    size = area.of(sides[:, 0], sides[:, 1], k)
    return sides[:, 0], sides[:, 1], np.full(len(sides), k), np.concatenate(cycles), np.concatenate(joules), size
