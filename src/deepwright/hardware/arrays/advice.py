"""What would waste less: widths at which an array needs fewer rounds, and how many rows fill it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.hardware.arrays.array import ReshapingArray, SystolicArray
from deepwright.hardware.arrays.conditions import Conditions, require_array
from deepwright.hardware.arrays.gemm import GEMM
from deepwright.hardware.arrays.simulating import simulate_under

DEFAULT = Conditions()


@dataclass(frozen=True)
class Step:
    """A width at which a product costs fewer cycles.

    Attributes:
        N: columns.
        cycles: of all repetitions.
        saved: share of the cycles that go.
    """

    N: int
    cycles: int
    saved: float


def narrower(
    gemm: GEMM, array: SystolicArray | ReshapingArray, count: int = 3, conditions: Conditions = DEFAULT
) -> list[Step]:
    """The widest that a layer may be to cost fewer cycles, step by step: what pruning its outputs buys.

    Rounds of tiles decide, not tiles: on eight lanes 37 and 38 tiles are both five rounds, and save nothing.

    Args:
        gemm: a layer, whose columns are its outputs.
        array: that it runs on.
        count: of steps, at most.
        conditions: of memory, energy and fusion.
    """
    require_whole(1, count=count)
    _require_one(gemm)
    require_array(array)
    now = before = simulate_under([gemm], array, conditions).cycles
    widths = {form.cols for form in (array.forms if isinstance(array, ReshapingArray) else (array,))}
    edges = sorted({n for cols in widths for n in range(cols, gemm.N, cols)}, reverse=True)
    found: list[Step] = []
    for N in edges:
        cycles = simulate_under([replace(gemm, N=N)], array, conditions).cycles
        if cycles < now:
            found.append(Step(N, cycles, 1 - cycles / before))
            now = cycles
        if len(found) == count:
            break
    return found


def _require_one(gemm: object) -> None:
    if not isinstance(gemm, GEMM):
        raise InputError("gemm", given=f"{gemm!r:.60}", expected="one GEMM")


def filling(
    gemm: GEMM, array: SystolicArray | ReshapingArray, most: int = 4096, conditions: Conditions = DEFAULT
) -> tuple[int, float]:
    """Times its rows, in powers of two, at which a product uses the array best, and the utilisation there.

    The smallest with 99 % of the best counts: more rows than it takes are latency for nothing.

    Args:
        gemm: as it is for one batch.
        array: that it runs on.
        most: times its rows.
        conditions: of memory, energy and fusion.
    """
    require_whole(1, most=most)
    _require_one(gemm)
    times = [2**i for i in range(most.bit_length()) if 2**i <= most]
    used = [simulate_under([replace(gemm, M=gemm.M * t)], array, conditions).utilisation for t in times]
    return next((t, u) for t, u in zip(times, used) if u >= 0.99 * max(used))
