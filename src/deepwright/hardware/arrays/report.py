"""What a simulation found: one row a product, and their totals, which are sums and quotients of sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deepwright.core.results import Cell, Table
from deepwright.hardware.arrays.array import SystolicArray
from deepwright.hardware.arrays.gemm import GEMM
from deepwright.hardware.arrays.timing import ceil_div

PARTS = ("mac", "pe", "buffer", "dram")


@dataclass(frozen=True, slots=True)
class Row:
    """One product (or a group that shares the lanes), all its repetitions together.

    Attributes:
        name: the product's, or its sizes; those of a group, joined.
        gemms: the product, or the group.
        count: repetitions.
        cycles: in all: for each repetition, the larger of the next two.
        compute_cycles: in which the array works.
        memory_cycles: that moving bytes takes; 0 where no bandwidth was given.
        macs: multiply-accumulates.
        mode: "independent", "fused x2", "monolithic", ...
        fused: slabs in a logical array.
        lanes: logical arrays side by side.
        folds: tiles.
        powered: element-cycles under power.
        buffer_bytes: on the chip.
        dram_bytes: off it.
        energy: joules of MACs, PEs, buffers and DRAM.
        array: that it ran on.
        height: rows of a logical array.
    """

    name: str
    gemms: tuple[GEMM, ...]
    count: int
    cycles: int
    compute_cycles: int
    memory_cycles: int
    macs: int
    mode: str
    fused: int
    lanes: int
    folds: int
    powered: int
    buffer_bytes: int
    dram_bytes: int
    energy: tuple[float, ...]
    array: SystolicArray
    height: int

    @property
    def joules(self) -> float:
        """Of all parts."""
        return sum(self.energy)

    @property
    def edp(self) -> float:
        """Energy times delay, joule seconds."""
        return self.joules * self.cycles / self.array.clock_hz

    @property
    def utilisation(self) -> float:
        """Share of all PEs' cycles that multiply."""
        return self.macs / (self.cycles * self.array.pes)

    @property
    def bound(self) -> str:
        """ "memory" where moving bytes takes longer, else "compute"."""
        return "memory" if self.memory_cycles > self.compute_cycles else "compute"

    @property
    def mapping_efficiency(self) -> float:
        """Share of the tiles' elements that hold something, as SCALE-Sim counts it."""
        held = room = 0
        for g in self.gemms:
            down, across = {"os": (g.M, g.N), "ws": (g.K, g.N), "is": (g.K, g.M)}[self.array.dataflow]
            held += g.copies * down * across
            padded = ceil_div(down, self.height) * self.height * ceil_div(across, self.array.cols) * self.array.cols
            room += g.copies * padded
        return held / room


@dataclass(frozen=True)
class Report:
    """What products cost on an array.

    Attributes:
        rows: one a product, in order.
        clock_hz: cycles a second.
        pes: processing elements of the array.
        bytes_per_element: that bytes were counted with.
        batch: samples of the input that the products were read from; None where it isn't known.
        unmapped: operations that aren't among the products.
        unmapped_macs: of these, where their number is known.
    """

    rows: list[Row]
    clock_hz: float
    pes: int
    bytes_per_element: int
    batch: int | None = None
    unmapped: tuple[str, ...] = ()
    unmapped_macs: int = 0

    @property
    def cycles(self) -> int:
        """Of all products, one after the other."""
        return sum(r.cycles for r in self.rows)

    @property
    def seconds(self) -> float:
        """The same at the array's clock."""
        return self.cycles / self.clock_hz

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return sum(r.macs for r in self.rows)

    @property
    def powered(self) -> int:
        """Element-cycles under power."""
        return sum(r.powered for r in self.rows)

    @property
    def buffer_bytes(self) -> int:
        """Read and written on the chip."""
        return sum(r.buffer_bytes for r in self.rows)

    @property
    def dram_bytes(self) -> int:
        """Read and written off the chip."""
        return sum(r.dram_bytes for r in self.rows)

    @property
    def energy(self) -> dict[str, float]:
        """Joules by part: "mac", "pe", "buffer", "dram" (0 where it isn't included)."""
        return {part: sum(r.energy[i] for r in self.rows) for i, part in enumerate(PARTS)}

    @property
    def joules(self) -> float:
        """Of all parts."""
        return sum(r.joules for r in self.rows)

    @property
    def edp(self) -> float:
        """Total energy times total delay, joule seconds: no sum of the products' own."""
        return self.joules * self.seconds

    @property
    def utilisation(self) -> float:
        """Share of all PEs' cycles that multiply."""
        return self.macs / (self.cycles * self.pes)

    @property
    def bound(self) -> str:
        """ "compute", "memory", or "mixed" where products differ in it."""
        found = {r.bound for r in self.rows}
        return found.pop() if len(found) == 1 else "mixed"

    def wasted(self, count: int = 5) -> list[Row]:
        """The products whose idle PE-cycles are most, the most first.

        Args:
            count: of them.
        """
        return sorted(self.rows, key=lambda r: r.macs - r.cycles * self.pes)[:count]

    def table(self) -> Table:
        """One row a product and one for all."""
        columns = ["product", "M", "K", "N", "times", "mode", "cycles", "utilisation", "mapping", "joules", "bound"]
        rows: list[list[Cell]] = []
        for r in self.rows:
            sizes = [", ".join(dict.fromkeys(str(getattr(g, word)) for g in r.gemms)) for word in ("M", "K", "N")]
            rest: list[Cell] = [r.cycles, r.utilisation, r.mapping_efficiency, r.joules, r.bound]
            rows.append([r.name, *sizes, r.count, r.mode, *rest])
        all_of_it: list[Cell] = ["all", "", "", "", None, "", self.cycles, self.utilisation, None, self.joules]
        batch = "" if self.batch is None else f"a batch of {self.batch}: "
        missing = f"; not mapped: {', '.join(self.unmapped)}" if self.unmapped else ""
        width = f"{self.bytes_per_element} byte(s) an element, and joules of that width"
        words = f"{batch}products on {self.pes:,} PEs, {width}{missing}"
        return Table(columns, [*rows, [*all_of_it, self.bound]], words)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: totals and rows."""
        words = ("cycles", "seconds", "macs", "utilisation", "powered", "buffer_bytes", "dram_bytes", "joules", "edp")
        totals = {word: getattr(self, word) for word in words} | {"energy": self.energy, "bound": self.bound}
        kept = ("name", "count", "cycles", "macs", "mode", "fused", "lanes", "folds", "powered", "buffer_bytes")
        more = ("dram_bytes", "joules", "edp", "utilisation", "mapping_efficiency", "bound")
        rows = [{word: getattr(r, word) for word in (*kept, *more)} for r in self.rows]
        told = {"batch": self.batch, "unmapped": list(self.unmapped), "unmapped_macs": self.unmapped_macs}
        return {**totals, **told, "bytes_per_element": self.bytes_per_element, "rows": rows}
