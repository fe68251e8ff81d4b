"""Many products on many shapes at once: the closed form over NumPy arrays, in 64 bits where they suffice.

Where a number could pass 2^63, the same lines run on Python's own integers: slower, and never wrapped.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from deepwright.hardware.arrays.array import ReshapingArray, SystolicArray, divisors
from deepwright.hardware.arrays.conditions import Conditions
from deepwright.hardware.arrays.gemm import GEMM
from deepwright.hardware.arrays.simulating import simulate_under
from deepwright.hardware.arrays.timing import (
    chosen,
    cycles_of,
    fold,
    memory_cycles,
    powered_of,
    sizes_of,
    smaller,
    traffic,
)

Array = np.ndarray
_LARGEST = 2**62


class Totals(NamedTuple):
    """What each workload costs in all.

    Attributes:
        cycles: Python's integers.
        joules: of all parts.
    """

    cycles: list[int]
    joules: Array


class _Each(NamedTuple):
    cycles: Array
    joules: Array


def whole_numbers(columns: Sequence[Sequence[int]], exact: bool) -> tuple[Array, ...]:
    """Columns of whole numbers as arrays.

    Args:
        columns: of numbers.
        exact: as Python's integers, else in 64 bits.
    """
    return tuple(np.array(list(column), dtype=object if exact else np.int64) for column in columns)


def needs_exact(
    M: int,
    K: int,
    N: int,
    times: int,
    *,
    rows: int,
    cols: int,
    copies: int,
    element: int,
    rates: tuple[Fraction | None, Fraction | None],
) -> bool:
    """Whether something that is computed from sizes up to these could pass what 64 bits hold.

    Args:
        M: the largest.
        K: the largest.
        N: the largest.
        times: the most repetitions.
        rows: the most.
        cols: the most.
        copies: of the array.
        element: bytes of an element.
        rates: bytes a cycle of DRAM and buffers.
    """
    edge = 3 * rows + cols
    volume = (M + edge) * (K + edge) * (N + edge) * copies
    scale = max([1] + [r.denominator for r in rates if r is not None])
    widest = max([1] + [r.numerator for r in rates if r is not None])
    moved = (2 * M * K * N + M * N * (2 * K + 1)) * 4 * element  # one row or column a tile is the worst
    return max(volume * max(times, edge), moved * max(scale, times), widest) >= _LARGEST


def totals(
    workloads: Sequence[Sequence[GEMM]], array: SystolicArray | ReshapingArray, conditions: Conditions
) -> Totals:
    """Cycles and joules of each workload: equal products are computed once.

    Args:
        workloads: products in order.
        array: any.
        conditions: with groups or remainders, product by product; else all at once.
    """
    if conditions.concurrent or conditions.remainder:
        reports = [simulate_under(list(w), array, conditions) for w in workloads]
        return Totals([r.cycles for r in reports], np.array([r.joules for r in reports]))
    elements = {conditions.element(w) for w in workloads}
    if len(elements) > 1:
        parts = [totals([w], array, conditions) for w in workloads]
        return Totals([p.cycles[0] for p in parts], np.array([p.joules[0] for p in parts]))
    places: dict[tuple[int, int, int], int] = {}
    where = [[places.setdefault((g.M, g.K, g.N), len(places)) for g in w] for w in workloads]
    each = _each(list(places), array, conditions, elements.pop())
    cycles, joules = each.cycles.tolist(), each.joules.tolist()
    sums = [sum(cycles[i] * g.copies for i, g in zip(at, w)) for at, w in zip(where, workloads)]
    energy = [sum(joules[i] * g.copies for i, g in zip(at, w)) for at, w in zip(where, workloads)]
    return Totals(sums, np.array(energy))


def _each(
    sizes: list[tuple[int, int, int]], array: SystolicArray | ReshapingArray, given: Conditions, element: int
) -> _Each:
    """Each product at its best fusion, or in its best form."""
    given = given.of_width(element)
    if isinstance(array, SystolicArray):
        return _on_shape(sizes, sizes_of(array), array, given, element)
    found = [_on_shape(sizes, sizes_of(form), form, given, element) for form in array.forms]
    cycles, joules = np.stack([e.cycles for e in found]), np.stack([e.joules for e in found])
    if given.policy == "min_edp":
        best = (cycles.astype(float) * joules).argmin(0)
    else:  # the fewest cycles; among equals the least energy
        best = np.where(cycles == cycles.min(0), joules, np.inf).astype(float).argmin(0)
    at = np.arange(len(sizes))
    return _Each(cycles[best, at], joules[best, at])


def _on_shape(
    sizes: list[tuple[int, int, int]], shape: dict[str, Any], array: SystolicArray, given: Conditions, element: int
) -> _Each:
    rates = given.rates(array.clock_hz)
    M, K, N = (max(column) for column in zip(*sizes))
    exact = needs_exact(M, K, N, 1, rows=array.rows, cols=array.cols, copies=array.copies, element=element, rates=rates)
    columns = whole_numbers(list(zip(*sizes)), exact)
    buffers = (array.activation_buffer, array.weight_buffer)
    return on_shapes(columns, shape, given, element, rates, buffers)


def on_shapes(
    columns: tuple[Array, ...],
    shape: dict[str, Any],
    given: Conditions,
    element: int,
    rates: tuple[Fraction | None, Fraction | None],
    buffers: tuple[int, int],
) -> _Each:
    """Products on shapes, which broadcast: each at the fusion that the policy takes.

    Args:
        columns: M, K and N.
        shape: what `fold` asks of an array: rows and cols may be arrays, slabs is one number.
        given: policy and energy.
        element: bytes of an element.
        rates: bytes a cycle of DRAM and buffers.
        buffers: bytes for activations and for weights.
    """
    M = columns[0]
    k, rows = shape["slabs"], shape["rows"]
    options = divisors(k)
    if given.policy == "by_height":
        needed, height = smaller(M, rows), rows // k
        f = options[-1] + 0 * needed
        for option in reversed(options[:-1]):
            f = chosen(option * height >= needed, option, f)
        return _cost(columns, f, shape, given, element, rates, buffers)
    best: _Each | None = None
    for option in reversed(options):
        now = _cost(columns, option, shape, given, element, rates, buffers)
        if best is None:
            best = now
            continue
        if given.policy == "min_cycles":
            better = now.cycles < best.cycles
        else:
            better = now.joules * now.cycles.astype(float) < best.joules * best.cycles.astype(float)
        best = _Each(np.where(better, now.cycles, best.cycles), np.where(better, now.joules, best.joules))
    assert best is not None
    return best


def _cost(
    columns: tuple[Array, ...],
    f: Any,
    shape: dict[str, Any],
    given: Conditions,
    element: int,
    rates: tuple[Fraction | None, Fraction | None],
    buffers: tuple[int, int],
) -> _Each:
    M, K, N = columns
    rows, cols, dataflow = shape["rows"], shape["cols"], shape["dataflow"]
    cut = fold(M, K, N, f, **shape)
    memory = {"rows": rows, "cols": cols, "dataflow": dataflow, "element": element}
    moved = traffic(M, K, N, cut.height, **memory, activation_buffer=buffers[0], weight_buffer=buffers[1])
    compute, powered = cycles_of(cut, cut.tiles), powered_of(cut, cut.tiles)
    cycles = np.maximum(compute, memory_cycles(moved, *rates))
    gated = compute * (rows * cols * shape["copies"]) - powered
    amounts = (M * K * N, powered, gated, moved.buffer, moved.dram)
    joules = sum(given.energy.parts(*(np.asarray(a).astype(float) for a in amounts)))
    return _Each(*np.broadcast_arrays(cycles, joules))
