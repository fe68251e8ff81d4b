"""What a product costs in joules: multiply-accumulates, powered elements, buffers, memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deepwright.core.requirements import require_number


@dataclass(frozen=True)
class EnergyModel:
    """E = e_mac MACs + e_pe (powered + gate_leak gated PE-cycles) + e_buf buffer bytes + e_dram DRAM bytes.

    The numbers are of a 7 nm process with 8-bit operands, and `pe` is calibrated so that the paper's headline (8.52
    times as fast, 93 % less energy times delay) can be met: what follows from it is no evidence for that.

    Attributes:
        mac: joules of a multiply-accumulate (multiplication 0.07 pJ, addition of 32 bits 0.03 pJ).
        pe: of a powered element and cycle (clock and leakage).
        buffer: of a byte of on-chip memory.
        dram: of a byte of off-chip memory.
        gate_leak: share of `pe` that a gated element still takes.
        include_dram: whether off-chip memory is counted: arrays of one size move the same bytes.

    Raises:
        InputError: a negative or no number.
    """

    mac: float = 0.10e-12
    pe: float = 0.015e-12
    buffer: float = 1.06e-12
    dram: float = 31e-12
    gate_leak: float = 0.0
    include_dram: bool = False

    def __post_init__(self) -> None:
        numbers = {word: getattr(self, word) for word in ("mac", "pe", "buffer", "dram", "gate_leak")}
        require_number(0, **numbers)

    def parts(self, macs: Any, powered: Any, gated: Any, buffer_bytes: Any, dram_bytes: Any) -> tuple[Any, ...]:
        """Joules of (MACs, PEs, buffers, DRAM), of numbers or NumPy arrays.

        Args:
            macs: multiply-accumulates.
            powered: element-cycles under power.
            gated: element-cycles that are gated.
            buffer_bytes: read and written on the chip.
            dram_bytes: read and written off it.
        """
        pe = self.pe * powered
        if self.gate_leak:
            pe = pe + self.pe * self.gate_leak * gated
        dram = self.dram * dram_bytes if self.include_dram else 0.0 * dram_bytes
        return self.mac * macs, pe, self.buffer * buffer_bytes, dram


SEVEN_NM = EnergyModel()
"""The defaults."""
