"""Products on an array, one by one, in Python's whole numbers: cycles, energy, bytes, and what bounds them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from deepwright.core.errors import InputError
from deepwright.hardware.arrays.array import ReshapingArray, SystolicArray
from deepwright.hardware.arrays.conditions import Conditions, require_array, require_conditions
from deepwright.hardware.arrays.energy import SEVEN_NM, EnergyModel
from deepwright.hardware.arrays.gemm import GEMM, require_gemms
from deepwright.hardware.arrays.report import Report, Row
from deepwright.hardware.arrays.timing import Traffic, cycles_of, fold, memory_cycles, powered_of, sizes_of, traffic

_Rates = tuple[Fraction | None, Fraction | None]


class _Cost(NamedTuple):
    """What one repetition of a unit (a product, or a group of them) costs on one array with one fusion.

    Attributes:
        compute: cycles in which the array works.
        memory: cycles that moving bytes takes.
        tiles: of all copies.
        powered: element-cycles.
        buffer: bytes on the chip.
        dram: bytes off it.
        fused: slabs in a logical array.
        lanes: logical arrays side by side.
        height: rows of one.
        array: that it was run on.
    """

    compute: int
    memory: int
    tiles: int
    powered: int
    buffer: int
    dram: int
    fused: int
    lanes: int
    height: int
    array: SystolicArray

    @property
    def cycles(self) -> int:
        """Cycles in all: the slower of the two."""
        return max(self.compute, self.memory)


def simulate(
    gemms: Sequence[GEMM] | GEMM,
    array: SystolicArray | ReshapingArray,
    policy: str = "by_height",
    energy: EnergyModel | None = None,
    bandwidth: float | None = None,
    buffer_bandwidth: float | None = None,
    bytes_per_element: int | None = None,
    concurrent: bool = False,
    remainder: bool = False,
) -> Report:
    """What products cost on an array: cycles, energy, bytes, utilisation, one by one and in all.

    A reshaping array takes the form of the fewest cycles for each product, under "min_edp" that of the least energy
    times cycles.

    Args:
        gemms: in order; those of one group don't depend on each other.
        array: one array, pods of them, slabs, or one that reshapes.
        policy: how slabs are fused; see `Conditions`, which has this and what follows.
        energy: joules; the defaults of `EnergyModel` where None. They become those of the elements' width.
        bandwidth: bytes a second of DRAM; None: it never binds.
        buffer_bandwidth: bytes a cycle of the buffers; None: they never bind.
        bytes_per_element: None takes the weights' of a `Workload`, else 1.
        concurrent: groups and parallel copies share the lanes.
        remainder: rows beyond full blocks have a fusion of their own.

    Raises:
        InputError: no product, unknown words, bandwidths that aren't above 0; with `concurrent`, a group whose products
            differ in M or count; elements of another width than 1, 2 or 4 bytes without joules of that width.
    """
    given = Conditions(
        policy,
        SEVEN_NM if energy is None else energy,
        bandwidth,
        buffer_bandwidth,
        bytes_per_element,
        concurrent,
        remainder,
    )
    return simulate_under(gemms, array, given)


def simulate_under(
    gemms: Sequence[GEMM] | GEMM, array: SystolicArray | ReshapingArray, conditions: Conditions
) -> Report:
    """`simulate`, with its conditions in one piece.

    Args:
        gemms: in order.
        array: any.
        conditions: of memory, energy and fusion.
    """
    require_array(array)
    require_conditions(conditions)
    found, element, rates = require_gemms(gemms), conditions.element(gemms), conditions.rates(array.clock_hz)
    conditions = conditions.of_width(element)
    units = _units(found) if conditions.concurrent else [[g] for g in found]
    known: dict[tuple[object, ...], _Cost] = {}
    rows = []
    for unit in units:
        key = tuple((g.M, g.K, g.N, g.parallel) for g in unit)
        if key not in known:
            known[key] = _best(unit, array, conditions, element, rates)
        rows.append(_row(unit, known[key], conditions))
    batch, unmapped = getattr(gemms, "batch", None), tuple(getattr(gemms, "unmapped", ()))
    return Report(rows, array.clock_hz, array.pes, element, batch, unmapped, getattr(gemms, "unmapped_macs", 0))


def _units(gemms: list[GEMM]) -> list[list[GEMM]]:
    """Products of one group together, where the first of them stands."""
    units: list[list[GEMM]] = []
    groups: dict[str, list[GEMM]] = {}
    for g in gemms:
        if g.group is None:
            units.append([g])
        elif g.group in groups:
            first = groups[g.group][0]
            if (g.M, g.count) != (first.M, first.count):
                given = f"M = {first.M}, count = {first.count} and M = {g.M}, count = {g.count}"
                raise InputError(f"group {g.group!r}", given=given, expected="one M and one count", hint="name two")
            groups[g.group].append(g)
        else:
            units.append([g])
            groups[g.group] = units[-1]
    return units


def _best(
    unit: list[GEMM], array: SystolicArray | ReshapingArray, given: Conditions, element: int, rates: _Rates
) -> _Cost:
    """The unit at the fusion, or the form, that the policy takes."""
    if isinstance(array, SystolicArray):
        return _on_array(unit, array, given, element, rates)
    least: tuple[float, float] | None = None
    for form in array.forms:
        cost = _on_array(unit, form, given, element, rates)
        joules = _joules(unit, cost, given)
        rank = (joules * cost.cycles, 0.0) if given.policy == "min_edp" else (cost.cycles, joules)
        if least is None or rank < least:
            least, best = rank, cost
    return best


def _on_array(unit: list[GEMM], array: SystolicArray, given: Conditions, element: int, rates: _Rates) -> _Cost:
    M, k = unit[0].M, array.slabs
    if _splits(M, array, given):
        return _split(unit, array, given, element, rates)
    if k == 1:
        return _cost(unit, array, 1, given, element, rates)
    if given.policy == "by_height":
        return _cost(unit, array, by_height(M, array), given, element, rates)
    costs = [_cost(unit, array, f, given, element, rates) for f in reversed(array.fusions)]
    if given.policy == "min_cycles":
        return min(costs, key=lambda c: c.cycles)
    return min(costs, key=lambda c: _joules(unit, c, given) * c.cycles)


def _splits(M: int, array: SystolicArray, given: Conditions) -> bool:
    full, rest = divmod(M, array.rows)
    return given.remainder and array.slabs > 1 and full > 0 and rest > 0


def by_height(M: int, array: SystolicArray) -> int:
    """The fewest slabs that are as high as M rows together, or all.

    Args:
        M: rows of the result.
        array: with slabs.
    """
    needed, height = min(M, array.rows), array.slab_rows
    return next(f for f in array.fusions if f * height >= needed)


def _split(unit: list[GEMM], array: SystolicArray, given: Conditions, element: int, rates: _Rates) -> _Cost:
    """Full blocks in one piece, the rest with its own fusion; DRAM is read as for the whole."""
    full = unit[0].M // array.rows * array.rows
    rest = unit[0].M - full

    def part(M: int, f: int) -> _Cost:
        some = [GEMM(M, g.K, g.N, g.count, g.parallel) for g in unit]
        return _cost(some, array, f, given, element, (None, None))

    a, b = part(full, array.slabs), part(rest, by_height(rest, array))
    whole = _cost(unit, array, array.slabs, given, element, (None, None))
    buffer = a.buffer + b.buffer
    moved = _moving(buffer, whole.dram, rates)
    return _Cost(
        a.compute + b.compute,
        moved,
        a.tiles + b.tiles,
        a.powered + b.powered,
        buffer,
        whole.dram,
        b.fused,
        b.lanes,
        b.height,
        array,
    )


def _moving(buffer: int, dram: int, rates: _Rates) -> int:
    return int(memory_cycles(Traffic(buffer, dram), *rates))


def _cost(unit: list[GEMM], array: SystolicArray, f: int, given: Conditions, element: int, rates: _Rates) -> _Cost:
    sizes, joined = sizes_of(array), given.concurrent
    memory: dict[str, Any] = {
        "rows": array.rows,
        "cols": array.cols,
        "dataflow": array.dataflow,
        "element": element,
        "activation_buffer": array.activation_buffer,
        "weight_buffer": array.weight_buffer,
    }
    if not joined:
        g = unit[0]
        cut = fold(g.M, g.K, g.N, f, **sizes)
        moved = traffic(g.M, g.K, g.N, cut.height, **memory)
        return _Cost(
            cycles_of(cut, cut.tiles),
            memory_cycles(moved, *rates),
            cut.tiles,
            powered_of(cut, cut.tiles),
            moved.buffer,
            moved.dram,
            f,
            cut.lanes,
            cut.height,
            array,
        )
    cuts = [fold(g.M, g.K, g.N, f, **sizes) for g in unit]
    runs = [(g.parallel * cut.tiles, cut.each) for g, cut in zip(unit, cuts)]
    tiles, last = sum(n for n, _ in runs), cuts[-1]
    moves = [traffic(g.M, g.K, g.N, last.height, **memory) for g in unit]
    buffer = sum(g.parallel * m.buffer for g, m in zip(unit, moves))
    dram = sum(g.parallel * m.dram for g, m in zip(unit, moves))
    powered = sum(n * cut.alive for (n, _), cut in zip(runs, cuts)) + min(tiles, last.lanes) * last.alive_once
    compute = fullest_lane(runs, last.lanes) + last.ends
    return _Cost(compute, _moving(buffer, dram, rates), tiles, powered, buffer, dram, f, last.lanes, last.height, array)


def fullest_lane(runs: list[tuple[int, int]], lanes: int) -> int:
    """Cycles until all tiles are done, where each lane takes the next tile of one list as soon as it is free.

    Args:
        runs: (tiles, cycles of each) in order.
        lanes: side by side.
    """
    loads = [0] * lanes
    for tiles, each in runs:
        start = _last_start(loads, tiles, each)
        taken = [-(-max(0, start - load) // each) for load in loads]  # tiles that begin before
        rest = tiles - sum(taken)  # begin at `start`, on lanes of their own
        loads = sorted(load + n * each for load, n in zip(loads, taken))
        loads = [load + (i < rest) * each for i, load in enumerate(loads)]
    return max(loads)


def _last_start(loads: list[int], tiles: int, each: int) -> int:
    """The latest cycle before which no more than so many tiles begin, where lanes take tiles without a pause."""
    low = min(loads)
    high = low + tiles * each + 1
    while high - low > 1:
        middle = (low + high) // 2
        if sum(-(-(middle - load) // each) for load in loads if load < middle) <= tiles:
            low = middle
        else:
            high = middle
    return low


def _joules(unit: list[GEMM], cost: _Cost, given: Conditions) -> float:
    return sum(_parts(unit, cost, given, 1))


def _parts(unit: list[GEMM], cost: _Cost, given: Conditions, times: int) -> tuple[float, ...]:
    copies = [g.parallel if given.concurrent else 1 for g in unit]
    macs = sum(g.M * g.K * g.N * n for g, n in zip(unit, copies))
    gated = cost.compute * cost.array.pes - cost.powered
    amounts = (macs, cost.powered, gated, cost.buffer, cost.dram)
    return given.energy.parts(*(times * amount for amount in amounts))


def _row(unit: list[GEMM], cost: _Cost, given: Conditions) -> Row:
    g = unit[0]
    times = g.count if given.concurrent else g.copies
    array = cost.array
    if array.slabs == 1:
        mode = "monolithic" if array.copies == 1 else f"{array.copies} pods"
    elif _splits(g.M, array, given):
        mode = f"monolithic, then {_mode(cost.fused, array.slabs)}"
    else:
        mode = _mode(cost.fused, array.slabs)
    return Row(
        name=" + ".join(m.name or f"{m.M} x {m.K} x {m.N}" for m in unit),
        gemms=tuple(unit),
        count=times,
        cycles=times * cost.cycles,
        compute_cycles=times * cost.compute,
        memory_cycles=times * cost.memory,
        macs=sum(m.macs for m in unit),
        mode=mode,
        fused=cost.fused,
        lanes=cost.lanes,
        folds=times * cost.tiles,
        powered=times * cost.powered,
        buffer_bytes=times * cost.buffer,
        dram_bytes=times * cost.dram,
        energy=_parts(unit, cost, given, times),
        array=array,
        height=cost.height,
    )


def _mode(fused: int, slabs: int) -> str:
    return "monolithic" if fused == slabs else "independent" if fused == 1 else f"fused x{fused}"
