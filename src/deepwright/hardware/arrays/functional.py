"""An output-stationary array event by event: what each element holds in each cycle, for small arrays.

It knows nothing of the closed form: operands enter at the edges, one step later in each row and column, move on by one
element a cycle, and are multiplied where they meet. The cycles are counted.
"""

from __future__ import annotations

import torch
from jaxtyping import Num
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.hardware.arrays.array import SystolicArray

LARGEST = 32
_Tile = tuple[slice, slice]


def functional_gemm(
    A: Num[Tensor, "m k"], B: Num[Tensor, "k n"], array: SystolicArray, fused: int = 1
) -> tuple[Num[Tensor, "m n"], int]:
    """A B as the array computes it, and the cycles that this takes.

    Tiles go to the lanes in turn, column of tiles by column of tiles.

    Args:
        A: where the work is done, in its dtype.
        B: on the same device, of the same dtype.
        array: output-stationary, at most 32 x 32.
        fused: slabs in a logical array, a divisor of `array.slabs`.

    Returns:
        The product, and the cycles until the last lane is done.

    Raises:
        InputError: sizes, dtypes or devices that don't fit together, nothing to multiply, a larger array, another
            dataflow, a fusion that doesn't divide the slabs.
    """
    _require_fitting(A, B, array, fused)
    height, cols, lanes = fused * array.slab_rows, array.cols, array.slabs // fused * array.copies
    tiles = [
        (slice(i, min(i + height, len(A))), slice(j, min(j + cols, B.shape[1])))
        for j in range(0, B.shape[1], cols)
        for i in range(0, len(A), height)
    ]
    out = A.new_zeros(len(A), B.shape[1])
    cycles = [_lane(A, B, tiles[lane::lanes], height, cols, array.drain, out) for lane in range(lanes)]
    return out, max(cycles)


def _lane(A: Tensor, B: Tensor, tiles: list[_Tile], height: int, cols: int, drain: str, out: Tensor) -> int:
    """One lane works on its tiles; the cycles until its last multiply-accumulate, or until its results have left."""
    K, cycle, last = A.shape[1], 0, 0
    zero = A.new_zeros(())
    row_of, column_of = torch.arange(height, device=A.device)[:, None], torch.arange(cols, device=A.device)[None]
    if not tiles:
        return 0
    # what enters row i in cycle t is what was due in cycle t - i; so with columns
    pause = 0 if drain == "pipelined" else height + cols - 2 + (height if drain == "serial" else 0)
    due: list[tuple[int, int] | None] = []
    for number in range(len(tiles)):
        due += [(number, k) for k in range(K)] + [None] * (pause if number + 1 < len(tiles) else 0)
    a, b = A.new_zeros(height, cols), A.new_zeros(height, cols)
    sums, since = A.new_zeros(height, cols), torch.full((height, cols), -1, dtype=torch.long, device=A.device)
    tags = torch.full((height, cols), -1, dtype=torch.long, device=A.device)
    while cycle < len(due) + height + cols - 2:
        a, b = torch.roll(a, 1, 1), torch.roll(b, 1, 0)
        tags = torch.roll(tags, 1, 1)  # which tile an operand is of travels with it
        for i in range(height):
            found = due[cycle - i] if 0 <= cycle - i < len(due) else None
            tags[i, 0] = -1 if found is None else found[0]
            a[i, 0] = zero if found is None else _entry(A, tiles[found[0]][0], i, found[1], down=True)
        for j in range(cols):
            found = due[cycle - j] if 0 <= cycle - j < len(due) else None
            b[0, j] = zero if found is None else _entry(B, tiles[found[0]][1], j, found[1], down=False)
        busy = tags >= 0
        sums = torch.where(busy & (tags != since), torch.zeros_like(sums), sums)
        since = torch.where(busy, tags, since)
        sums = sums + torch.where(busy, a * b, torch.zeros_like(sums))
        cycle += 1
        if bool(busy.any()):
            last = cycle
        # the accumulator of (i, j) has all of its tile when K operands of it have passed
        done = cycle - 1 - row_of - column_of
        for number in range(len(tiles)):
            end = number * (K + pause) + K - 1
            if bool((done == end).any()):
                rows, columns = tiles[number]
                ready = (done == end)[: rows.stop - rows.start, : columns.stop - columns.start]
                out[rows, columns] = torch.where(ready, sums[: len(ready), : ready.shape[1]], out[rows, columns])
    return last + (height if drain == "serial" else 0)


def _entry(matrix: Tensor, part: slice, at: int, k: int, *, down: bool) -> Tensor:
    """What enters at an edge: nothing beyond the tile."""
    if part.start + at >= part.stop:
        return matrix.new_zeros(())
    return matrix[part.start + at, k] if down else matrix[k, part.start + at]


def _require_fitting(A: Tensor, B: Tensor, array: SystolicArray, fused: int) -> None:
    if not isinstance(A, Tensor) or not isinstance(B, Tensor):
        raise InputError("A and B", given=f"{type(A).__name__} and {type(B).__name__}", expected="tensors")
    if not isinstance(array, SystolicArray):
        raise InputError("array", given=f"{array!r:.60}", expected="a SystolicArray")
    require_whole(1, fused=fused)
    if A.ndim != 2 or B.ndim != 2 or A.shape[1] != B.shape[0] or not A.numel() or not B.numel():
        given = f"shapes {tuple(A.shape)} and {tuple(B.shape)}"
        raise InputError("A and B", given=given, expected="(m, k) and (k, n), none of them 0")
    if A.dtype != B.dtype or A.device != B.device or A.dtype == torch.bool:
        given = f"{A.dtype} on {A.device} and {B.dtype} on {B.device}"
        raise InputError("A and B", given=given, expected="one dtype of numbers and one device")
    if array.dataflow != "os" or array.rows > LARGEST or array.cols > LARGEST:
        given = f"{array.rows} x {array.cols}, {array.dataflow!r}"
        raise InputError("array", given=given, expected=f"an output-stationary one, at most {LARGEST} x {LARGEST}")
    if fused not in array.fusions:
        raise InputError("fused", given=fused, expected=f"a divisor of the {array.slabs} slabs")
