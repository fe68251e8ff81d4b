"""What a product costs in joules: multiply-accumulates, powered elements, buffers, memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_number, require_whole, require_within

_MULTIPLY = {1: 0.07e-12, 2: 0.21e-12, 4: 1.31e-12}
"""Joules of a multiplication at 7 nm by bytes of an operand: int8, bfloat16, float32 (Jouppi et al., see below)."""

_ADD = {1: 0.03e-12, 2: 0.38e-12, 4: 0.38e-12}
"""Of the addition of its product to a sum of 32 bits: int32 beside int8, float32 beside bfloat16 and float32 (there
too). A bfloat16 sum would be 0.11 pJ, an int8 one 0.007: no array sums products in so few bits."""

_MACS = {width: _MULTIPLY[width] + _ADD[width] for width in _MULTIPLY}


@dataclass(frozen=True)
class EnergyModel:
    """E = e_mac MACs + e_pe (powered + gate_leak gated PE-cycles) + e_buf buffer bytes + e_dram DRAM bytes.

    The numbers are of a 7 nm process with 8-bit operands, and `pe` is calibrated so that the paper's headline (8.52
    times as fast, 93 % less energy times delay) can be met: what follows from it is no evidence for that. Products of
    wider elements are counted with `at`: as bfloat16 where they take two bytes, as float32 where they take four.
    Two bytes of float16 would be 0.34 + 0.38 pJ.

    What is published: `mac`, of int8 0.07 + 0.03 = 0.10 pJ, of bfloat16 0.21 + 0.38 = 0.59, of float32 1.31 + 0.38 =
    1.69; and `buffer`. The same operations at 45 nm are 0.2 + 0.1 pJ of int8 and 3.7 + 0.9 of float32 (M. Horowitz,
    "Computing's energy problem", ISSCC 2014). What is ours: `pe`, `dram` and `gate_leak`.

    Attributes:
        mac: joules of a multiply-accumulate: an int8 multiplication and an int32 addition.
        pe: of a powered element and cycle (clock and leakage).
        buffer: of a byte of on-chip memory: an eighth of a 64-bit word of 32 KB.
        dram: of a byte of off-chip memory.
        gate_leak: share of `pe` that a gated element still takes.
        include_dram: whether off-chip memory is counted: arrays of one size move the same bytes.
        element: bytes of the operands that `mac` and `pe` are of.

    Raises:
        InputError: a negative or no number; a share above 1; `include_dram` that isn't True or False.

    Source: N. Jouppi et al., "Ten lessons from three generations shaped Google's TPUv4i", ISCA 2021: energies of
    operations at 45 and 7 nm.
    """

    mac: float = 0.10e-12
    pe: float = 0.015e-12
    buffer: float = 1.06e-12  # 8.5 pJ a word, rounded as the calibration of `pe` has it
    dram: float = 31e-12
    gate_leak: float = 0.0
    include_dram: bool = False
    element: int = 1

    def __post_init__(self) -> None:
        numbers = {word: getattr(self, word) for word in ("mac", "pe", "buffer", "dram", "gate_leak")}
        require_number(0, **numbers)
        require_within(0.0, 1.0, gate_leak=self.gate_leak)
        require_whole(1, element=self.element)
        if not isinstance(self.include_dram, bool):
            raise InputError("include_dram", given=f"{self.include_dram!r:.60}", expected="True or False")

    def at(self, element: int) -> EnergyModel:
        """The same process with operands of another width: `mac` by published figures, and `pe` in proportion to it.

        Args:
            element: bytes of an operand.

        Raises:
            InputError: a width of which no figure is known, where the energy depends on it.
        """
        if element == self.element or self.mac == self.pe == 0:
            return self
        if element not in _MACS or self.element not in _MACS:
            given = f"elements of {element} bytes, and joules of operands of {self.element}"
            hint = f"give energy=EnergyModel(mac=..., pe=..., element={element}), or bytes_per_element="
            raise InputError("energy", given=given, expected="1, 2 or 4 bytes, or joules of that width", hint=hint)
        ratio = _MACS[element] / _MACS[self.element]
        return replace(self, mac=self.mac * ratio, pe=self.pe * ratio, element=element)

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
