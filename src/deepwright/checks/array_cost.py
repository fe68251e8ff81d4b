"""What a network costs on a systolic array, which layers waste it, and what would not."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.results import Cell, Table
from deepwright.hardware import (
    SISA,
    TPU_V4,
    AreaModel,
    Conditions,
    Workload,
    at_batch,
    explore,
    gemms_from_module,
    simulate,
)
from deepwright.hardware.arrays.simulating import simulate_under
from deepwright.nets import fixed_batch

_AT_ONCE = (1, 4, 16, 64, 256)
_MOST = 5
_BUFFERS = 1152  # bytes a cycle, which eight slabs of 8 bits take
_WORTH = 0.05  # fewer cycles than that aren't worth another shape
AREA = AreaModel()


@dataclass(frozen=True)
class ArrayCost:
    """What a finding says of arrays.

    Attributes:
        words: a sentence; why nothing is said, where nothing is.
        values: for gates.
        tables: the layers that waste most, and what more inputs at once do.
    """

    words: str
    values: dict[str, Any]
    tables: list[Table]


def array_cost(model: nn.Module, x: Tensor) -> ArrayCost:
    """One input on an array of 128 x 128 in one piece, and on the same in slabs, with elements of 8 bits.

    Two forward passes show the products at every batch; the rest is whole numbers.

    Args:
        model: left as found.
        x: one input.
    """
    try:
        passes = _passes(model, x)
    except InputError as error:
        return ArrayCost(f"On systolic arrays nothing is said: {error.what}, {error.given}.", {}, [])
    one = passes[0]
    whole, slabs = (simulate(one, array, bytes_per_element=1) for array in (TPU_V4, SISA))
    words = (
        f"An array of 128 x 128 would take {whole.cycles:,} cycles for {_inputs(one.batch)} and multiply in "
        f"{whole.utilisation:.1%} of its elements' time, in eight slabs ({AREA.overhead(SISA):.1%} more area) "
        f"{slabs.cycles:,}.{_shape(one)}"
    )
    if one.unmapped:
        words += f" Not mapped: {', '.join(one.unmapped)}."
    tables = [_layers(passes)]
    if len(passes) == 2:
        tables.append(_batches(passes))
    return ArrayCost(
        words, {"array_cycles": ceil(whole.cycles / (one.batch or 1)), "array_utilisation": whole.utilisation}, tables
    )


def _shape(work: Workload) -> str:
    """The shape within the square's area that takes the fewest cycles on the same buffers, where that is worth saying.

    Slabs are never slower, so they pay here for what they take: every number of them that fits is tried.
    """
    given = Conditions(buffer_bandwidth=_BUFFERS, bytes_per_element=1)
    room, before = AREA.area(TPU_V4), simulate_under(work, TPU_V4, given).cycles
    numbers = [2**i for i in range(TPU_V4.pes.bit_length())]
    sides = {(rows, cols) for cols in numbers for k in numbers if (rows := _highest(cols, k, room))}
    found = explore(work, TPU_V4.pes, numbers, sorted(sides), given, AREA)
    cycles = np.where(found.area <= room, found.cycles.astype(float), np.inf)
    best = int(cycles.argmin())
    if cycles[best] > (1 - _WORTH) * before:
        return ""
    pieces = int(found.slabs[best])
    form = f"{found.rows[best]} x {found.cols[best]}" + f" in {pieces} slabs" * (pieces > 1)
    return (
        f" Of shapes within its area, with {_BUFFERS:,} bytes a cycle from the buffers, {form} takes the fewest, "
        f"{int(found.cycles[best]):,}: {1 - cycles[best] / before:.0%} fewer than the square."
    )


def _highest(cols: int, slabs: int, room: float) -> int:
    """The most rows in so many slabs that the area and the elements of the square allow; 0 where none do."""
    fixed = float(AREA.of(0, cols, slabs))
    rows = min((room - fixed) / float(AREA.of(1, cols, slabs) - fixed), TPU_V4.pes / cols)
    return max(0, int(rows) // slabs * slabs)


def _passes(model: nn.Module, x: Tensor) -> list[Workload]:
    """Of one input and of the same twice; of a full batch alone, where the network takes no other."""
    only = fixed_batch(model)
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what isn't mapped is told in words
        for batch in (1, 2) if only is None else (only,):
            rows = torch.zeros(batch, dtype=torch.long, device=x.device)
            found.append(gemms_from_module(model, x[rows], bytes_per_element=1))
    if len(found) == 2:
        try:
            at_batch(found[0], found[1], 3)
        except InputError:
            return found[:1]
    return found


def _inputs(batch: int | None) -> str:
    return "one input" if batch == 1 else f"{batch} inputs at once"


def _layers(passes: list[Workload]) -> Table:
    """The products whose idle elements cost most, and the batch that would use them."""
    one = passes[0]
    whole, slabs = (simulate(one, array, bytes_per_element=1) for array in (TPU_V4, SISA))
    order = sorted(range(len(one)), key=lambda i: whole.rows[i].macs - whole.rows[i].cycles * whole.pes)
    rows: list[list[Cell]] = []
    for i in order[:_MOST]:
        g, a, b = one[i], whole.rows[i], slabs.rows[i]
        sizes = [g.M, g.K, g.N, g.copies, a.cycles / whole.cycles, a.utilisation, b.utilisation]
        rows.append([g.name, *sizes, *(_filled(passes, i) if len(passes) == 2 else (None, None))])
    columns = ["product", "M", "K", "N", "times", "of all cycles", "used of 128 x 128", "used of 8 slabs"]
    words = (
        f"{_inputs(one.batch)} on a systolic array of 128 x 128: where its elements idle most, and how many inputs at "
        "once would use them best, in one piece"
    )
    return Table([*columns, "inputs at once", "used then"], rows, words)


def _filled(passes: list[Workload], i: int) -> tuple[int, float]:
    """The fewest inputs at once with which a product uses the array 99 % as well as at the best."""
    found = []
    for batch in _AT_ONCE:
        g = replace(at_batch(passes[0], passes[1], batch)[i], group=None)
        found.append((batch, simulate(g, TPU_V4, bytes_per_element=1).utilisation))
    most = max(used for _, used in found)
    return next((batch, used) for batch, used in found if used >= 0.99 * most)


def _batches(passes: list[Workload]) -> Table:
    rows: list[list[Cell]] = []
    for batch in _AT_ONCE:
        work = at_batch(passes[0], passes[1], batch)
        whole, slabs = (simulate(work, array, bytes_per_element=1) for array in (TPU_V4, SISA))
        cycles = [whole.cycles / batch, whole.utilisation, slabs.cycles / batch, slabs.utilisation]
        rows.append([batch, *cycles, whole.cycles / slabs.cycles])
    columns = ["inputs at once", "cycles an input", "used", "in 8 slabs", "used of 8 slabs", "slabs are faster by"]
    words = "a systolic array of 128 x 128 at more inputs at once; elements of 8 bits, memory that never binds"
    return Table(columns, rows, words)
