"""The cycle model in closed form: of one product on one array with one fusion; exact integers throughout.

Everything here takes Python's whole numbers, or NumPy arrays of whole numbers that broadcast; the same lines do both.
One tile (fold) of C on an R x cols output-stationary array with skewed edges takes

    K + R + cols - 2

cycles, from the first multiply-accumulate of PE (0, 0) to the last of PE (R - 1, cols - 1).
Sources: "SISA: A Scale-In Systolic Array for GEMM Acceleration" (arXiv 2603.29913); SCALE-Sim (arXiv 1811.02883), which
counts one less as it prints the last cycle's index.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from deepwright.hardware.arrays.array import SystolicArray

Whole = Any  # int, or an array of int64 or of Python's integers


class Fold(NamedTuple):
    """How one product is cut into tiles.

    Attributes:
        tiles: of one copy.
        height: rows of a logical array, the fused slabs together.
        lanes: logical arrays that work side by side.
        each: cycles that a tile holds its lane.
        ends: cycles that a lane takes beside, once.
        alive: element-cycles under power for each tile.
        alive_once: and once a lane.
    """

    tiles: Whole
    height: Whole
    lanes: Whole
    each: Whole
    ends: Whole
    alive: Whole
    alive_once: Whole


class Traffic(NamedTuple):
    """Bytes that one copy of a product moves.

    Attributes:
        buffer: read and written on the chip.
        dram: off the chip.
    """

    buffer: Whole
    dram: Whole


def ceil_div(a: Whole, b: Whole) -> Whole:
    """a / b, rounded up, in exact integers.

    Args:
        a: from 0 on.
        b: from 1 on.
    """
    return -(-a // b)


def larger(a: Whole, b: Whole) -> Whole:
    """The larger of two, each a number or an array.

    Args:
        a: one.
        b: the other.
    """
    return np.maximum(a, b) if isinstance(a, np.ndarray) or isinstance(b, np.ndarray) else max(a, b)


def smaller(a: Whole, b: Whole) -> Whole:
    """The smaller of two, each a number or an array.

    Args:
        a: one.
        b: the other.
    """
    return np.minimum(a, b) if isinstance(a, np.ndarray) or isinstance(b, np.ndarray) else min(a, b)


def chosen(condition: Any, a: Whole, b: Whole) -> Whole:
    """a where the condition holds, else b.

    Args:
        condition: one truth value or an array of them.
        a: where it holds.
        b: where it doesn't.
    """
    return np.where(condition, a, b) if isinstance(condition, np.ndarray) else (a if condition else b)


def fold(
    M: Whole,
    K: Whole,
    N: Whole,
    f: Whole,
    *,
    rows: Whole,
    cols: Whole,
    slabs: Whole,
    copies: Whole,
    dataflow: str,
    drain: str,
) -> Fold:
    """Cut a product into tiles.

    Args:
        M: rows of the result.
        K: what is summed over.
        N: columns of the result.
        f: slabs fused into one, a divisor of `slabs`.
        rows: of the whole array.
        cols: of it.
        slabs: of it.
        copies: arrays that can't be fused.
        dataflow: "os", "ws" or "is".
        drain: "overlap", "serial" or "pipelined".
    """
    if dataflow != "os":
        across, stream = (N, M) if dataflow == "ws" else (M, N)
        tiles = ceil_div(K, rows) * ceil_div(across, cols)
        area, skew = rows * cols, rows + cols - 2
        if drain == "pipelined":  # what stays is loaded behind the tile before, in `rows` cycles
            each = larger(stream, rows)
            return Fold(tiles, rows, copies, each, rows + skew, each * area, (rows + skew) * area)
        each = stream + rows + skew
        return Fold(tiles, rows, copies, each, 0, each * area, 0)
    height = f * (rows // slabs)
    lanes = slabs // f * copies
    tiles = ceil_div(M, height) * ceil_div(N, cols)
    area, skew = height * cols, height + cols - 2
    if drain == "pipelined":
        return Fold(tiles, height, lanes, K, skew, K * area, skew * area)
    each = K + skew + height if drain == "serial" else K + skew
    return Fold(tiles, height, lanes, each, 0, each * area, 0)


def cycles_of(cut: Fold, tiles: Whole) -> Whole:
    """Cycles of the fullest lane.

    Args:
        cut: the product's.
        tiles: of all that share the lanes.
    """
    return ceil_div(tiles, cut.lanes) * cut.each + cut.ends


def powered_of(cut: Fold, tiles: Whole) -> Whole:
    """Element-cycles under power: lanes without a tile are gated.

    Args:
        cut: the product's.
        tiles: of all that share the lanes.
    """
    return tiles * cut.alive + smaller(tiles, cut.lanes) * cut.alive_once


def traffic(
    M: Whole,
    K: Whole,
    N: Whole,
    height: Whole,
    *,
    rows: Whole,
    cols: Whole,
    dataflow: str,
    element: int,
    activation_buffer: int,
    weight_buffer: int,
) -> Traffic:
    """Bytes that a product moves: operands of `element` bytes, sums of four on the chip.

    A is read once from DRAM where it fits its buffer, else for each column of tiles; B once where a block of columns
    fits, else for each row of tiles; C is written once, as narrow as the operands.

    Args:
        M: rows of the result.
        K: what is summed over.
        N: columns of the result.
        height: rows of a logical array.
        rows: of the whole array.
        cols: of it.
        dataflow: "os", "ws" or "is".
        element: bytes of an element.
        activation_buffer: bytes.
        weight_buffer: bytes.
    """
    A, B, C = M * K, K * N, M * N
    if dataflow == "os":
        buffer = (ceil_div(N, cols) * A + ceil_div(M, height) * B) * element + 4 * C
    else:  # partial sums are written for each block of K, and read again for each but the first
        sums = 4 * C * (2 * ceil_div(K, rows) - 1)
        if dataflow == "ws":
            buffer = (ceil_div(N, cols) * A + B) * element + sums
        else:
            buffer = (A + ceil_div(M, cols) * B) * element + sums
    reads_a = chosen(A * element <= activation_buffer, 1, ceil_div(N, cols))
    reads_b = chosen(K * cols * element <= weight_buffer, 1, ceil_div(M, height))
    return Traffic(buffer, (A * reads_a + B * reads_b + C) * element)


def memory_cycles(moved: Traffic, bandwidth: Fraction | None, buffer_bandwidth: Fraction | None) -> Whole:
    """Cycles that moving takes, rounded up, in exact arithmetic; 0 where no bandwidth binds.

    Args:
        moved: bytes.
        bandwidth: of DRAM, bytes a cycle.
        buffer_bandwidth: of the buffers, bytes a cycle.
    """
    needed: Whole = 0
    for amount, rate in ((moved.dram, bandwidth), (moved.buffer, buffer_bandwidth)):
        if rate is not None:
            needed = larger(needed, ceil_div(amount * rate.denominator, rate.numerator))
    return needed


def sizes_of(array: SystolicArray) -> dict[str, Any]:
    """What `fold` asks of an array, by name.

    Args:
        array: any.
    """
    return {
        "rows": array.rows,
        "cols": array.cols,
        "slabs": array.slabs,
        "copies": array.copies,
        "dataflow": array.dataflow,
        "drain": array.drain,
    }
