"""A systolic array: its shape, how it is cut into slabs, what it does with results, and what it takes in area."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import isqrt
from typing import Any

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.requirements import require_number, require_whole, require_within

DATAFLOWS = ("os", "ws", "is")
DRAINS = ("overlap", "serial", "pipelined")
MEBIBYTE = 2**20


@dataclass(frozen=True)
class SystolicArray:
    """An array of rows x cols processing elements (PEs), in one piece, in slabs that can be fused, or several of them.

    Attributes:
        rows: PEs down, over all slabs.
        cols: PEs across.
        dataflow: what stays in a PE: "os" its element of the result, "ws" the weights, "is" the inputs.
        slabs: horizontal ones of rows / slabs rows each, with buffers of their own: 1 is an array in one piece.
        clock_hz: cycles a second.
        drain: of an output-stationary array: "overlap" (results leave while the next tile fills), "serial" (they leave
            first, `rows` cycles more), "pipelined" (the next tile's wavefront enters right behind). A pipelined
            weight- or input-stationary array loads what stays behind the tile before.
        copies: identical arrays that can't be fused (pods); the PEs are rows x cols x copies.
        activation_buffer: bytes of A that stay on the chip; a larger one is read anew for each column of tiles.
        weight_buffer: bytes of a block of columns of B that stay on the chip.

    Raises:
        InputError: sizes that aren't whole numbers from 1 on, slabs that don't divide the rows, slabs with copies or
            with another dataflow than "os", a clock beyond 1 to 1e15, unknown words.
    """

    rows: int = 128
    cols: int = 128
    dataflow: str = "os"
    slabs: int = 1
    clock_hz: float = 1.05e9
    drain: str = "overlap"
    copies: int = 1
    activation_buffer: int = 16 * MEBIBYTE
    weight_buffer: int = 16 * MEBIBYTE

    def __post_init__(self) -> None:
        for word in ("rows", "cols", "slabs", "copies"):
            require_whole(1, **{word: getattr(self, word)})
            object.__setattr__(self, word, int(getattr(self, word)))
        for word in ("activation_buffer", "weight_buffer"):
            require_whole(0, **{word: getattr(self, word)})
            object.__setattr__(self, word, int(getattr(self, word)))
        require_within(1.0, 1e15, clock_hz=self.clock_hz)
        object.__setattr__(self, "clock_hz", float(self.clock_hz))
        if self.dataflow not in DATAFLOWS:
            raise unknown_name("dataflow", str(self.dataflow), DATAFLOWS)
        if self.drain not in DRAINS:
            raise unknown_name("drain", str(self.drain), DRAINS)
        if self.rows % self.slabs:
            raise InputError("slabs", given=self.slabs, expected=f"a divisor of the {self.rows} rows")
        if self.slabs > 1 and self.copies > 1:
            raise InputError("copies", given=self.copies, expected="1 where slabs > 1", hint="pods have no slabs")
        if self.slabs > 1 and self.dataflow != "os":
            why = "slabs are fused along rows of outputs: not defined where weights or inputs stay"
            raise InputError("dataflow", given=self.dataflow, expected='"os" where slabs > 1', hint=why)
        if self.drain == "serial" and self.dataflow != "os":
            why = "results leave a weight- or input-stationary array at its edge, as they are made"
            raise InputError("drain", given=self.drain, expected='"overlap" or "pipelined"', hint=why)

    @property
    def slab_rows(self) -> int:
        """Rows of one slab."""
        return self.rows // self.slabs

    @property
    def pes(self) -> int:
        """Processing elements of all copies."""
        return self.rows * self.cols * self.copies

    @property
    def fusions(self) -> tuple[int, ...]:
        """How many slabs can be fused into one: the divisors of their number."""
        return divisors(self.slabs)


@dataclass(frozen=True)
class ReshapingArray:
    """An array that takes, product by product, the best of several forms with the same PEs, one tile at a time.

    Attributes:
        forms: arrays of the same number of PEs and the same clock.

    Raises:
        InputError: none; others in number of PEs or clock; one with slabs.
    """

    forms: tuple[SystolicArray, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.forms, tuple) or not self.forms:
            raise InputError("forms", given=f"{self.forms!r:.60}", expected="a tuple of arrays, at least one")
        if not all(isinstance(a, SystolicArray) and a.slabs == 1 for a in self.forms):
            raise InputError("forms", given=f"{self.forms!r:.80}", expected="arrays without slabs")
        if len({(a.pes, a.clock_hz) for a in self.forms}) > 1:
            raise InputError("forms", given="different PEs or clocks", expected="one number of PEs and one clock")

    @property
    def pes(self) -> int:
        """Processing elements."""
        return self.forms[0].pes

    @property
    def clock_hz(self) -> float:
        """Cycles a second."""
        return self.forms[0].clock_hz


@dataclass(frozen=True)
class AreaModel:
    """Area in units of one PE: a calibration to the paper's "below 5.5 %", not a measurement.

    area = rows cols (pe + sram) copies + (slabs - 1) cols mux + slabs copies control.

    Attributes:
        pe: of a processing element.
        sram: of the buffers, for each PE; slabs share the same capacity out.
        mux: of the multiplexer that fuses two slabs, for each column.
        control: of a slab.

    Raises:
        InputError: a negative or no number.
    """

    pe: float = 1.0
    sram: float = 0.5
    mux: float = 1.0
    control: float = 48.0

    def __post_init__(self) -> None:
        require_number(0, pe=self.pe, sram=self.sram, mux=self.mux, control=self.control)

    def area(self, array: SystolicArray) -> float:
        """In PEs.

        Args:
            array: of any shape.
        """
        if not isinstance(array, SystolicArray):
            raise InputError("array", given=f"{array!r:.60}", expected="a SystolicArray")
        return float(self.of(array.rows, array.cols, array.slabs, array.copies))

    def of(self, rows: Any, cols: Any, slabs: int, copies: int = 1) -> Any:
        """The same from sizes, which may be NumPy arrays.

        Args:
            rows: of the whole array.
            cols: of it.
            slabs: of it.
            copies: of it.
        """
        cells = rows * cols * copies
        return cells * (self.pe + self.sram) + (slabs - 1) * cols * self.mux + slabs * copies * self.control

    def overhead(self, array: SystolicArray) -> float:
        """What the slabs cost, as a share of the array in one piece.

        Args:
            array: with slabs.
        """
        size = self.area(array)
        whole = self.of(array.rows, array.cols, 1, array.copies)
        if not whole > 0:
            raise InputError("an area model", given="an array that takes no area", expected="some, to have a share of")
        return size / whole - 1


@lru_cache(maxsize=256)
def divisors(n: int) -> tuple[int, ...]:
    """All divisors, the smallest first.

    Args:
        n: from 1 on.
    """
    small = [d for d in range(1, isqrt(n) + 1) if n % d == 0]
    return tuple(sorted({*small, *(n // d for d in small)}))


TPU_V4 = SystolicArray()
SISA = SystolicArray(slabs=8)
