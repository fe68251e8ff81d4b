"""Under which conditions products run: how slabs are fused, what memory gives, what energy costs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import isinf

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.requirements import require_positive, require_whole
from deepwright.hardware.arrays.array import ReshapingArray, SystolicArray
from deepwright.hardware.arrays.energy import SEVEN_NM, EnergyModel

POLICIES = ("by_height", "min_cycles", "min_edp")
_LEAST = 1e-15
HBM = 1.2e12
"""Bytes a second of TPUv4's memory, for `bandwidth=`."""


@dataclass(frozen=True)
class Conditions:
    """What a simulation is told beside products and array.

    Attributes:
        policy: how many slabs are fused, product by product: "by_height" (the fewest that are as high as M, the paper's
            three modes), "min_cycles", "min_edp" (of each product, which isn't the smallest for their sum). Ties go to
            more fused slabs, which stream weights fewer times.
        energy: joules, which become those of the elements' width (`EnergyModel.at`).
        bandwidth: bytes a second of DRAM (`HBM` is 1.2e12); None or infinity: it never binds.
        buffer_bandwidth: bytes a cycle of the on-chip buffers; None or infinity: they never bind.
        bytes_per_element: of A, B and the requantised C; None takes the weights' of a `Workload`, else 1.
        concurrent: products of one group share one list of tiles, and parallel copies with them.
        remainder: where there are slabs, M = q rows + r is split: q blocks in one piece, the rest with its own fusion.
            Beyond the paper.

    Raises:
        InputError: an unknown policy; bandwidths that aren't above 0; a remainder with another policy than "by_height".
    """

    policy: str = "by_height"
    energy: EnergyModel = SEVEN_NM
    bandwidth: float | None = None
    buffer_bandwidth: float | None = None
    bytes_per_element: int | None = None
    concurrent: bool = False
    remainder: bool = False

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise unknown_name("policy", str(self.policy), POLICIES)
        if not isinstance(self.energy, EnergyModel):
            raise InputError("energy", given=f"{self.energy!r:.60}", expected="an EnergyModel")
        for word in ("bandwidth", "buffer_bandwidth"):
            value = getattr(self, word)
            if value is not None:
                require_positive(infinite=True, **{word: value})
                if value < _LEAST:
                    raise InputError(word, given=value, expected=f"at least {_LEAST:g}")
                object.__setattr__(self, word, float(value))
        if self.bytes_per_element is not None:
            require_whole(1, bytes_per_element=self.bytes_per_element)
            object.__setattr__(self, "bytes_per_element", int(self.bytes_per_element))
        for word in ("concurrent", "remainder"):
            if not isinstance(getattr(self, word), bool):
                raise InputError(word, given=f"{getattr(self, word)!r:.60}", expected="True or False")
        if self.remainder and self.policy != "by_height":
            raise InputError("remainder", given=f"policy {self.policy!r}", expected='policy "by_height"')

    def rates(self, clock_hz: float) -> tuple[Fraction | None, Fraction | None]:
        """Bytes a cycle of DRAM and of the buffers, exactly; None where it never binds.

        Args:
            clock_hz: cycles a second.
        """
        dram = (
            None if self.bandwidth is None or isinf(self.bandwidth) else Fraction(self.bandwidth) / Fraction(clock_hz)
        )
        inner = self.buffer_bandwidth
        return dram, None if inner is None or isinf(inner) else Fraction(inner)

    def element(self, gemms: object) -> int:
        """Bytes of an element.

        Args:
            gemms: products, which may know what their weights take.
        """
        return self.bytes_per_element or int(getattr(gemms, "bytes_per_element", 1))

    def of_width(self, element: int) -> Conditions:
        """The same with joules of operands of that width.

        Args:
            element: bytes of an operand.
        """
        energy = self.energy.at(element)
        return self if energy is self.energy else replace(self, energy=energy)


def require_conditions(conditions: object) -> Conditions:
    """The conditions, refused where they are none.

    Args:
        conditions: what was given.

    Raises:
        InputError: something else.
    """
    if not isinstance(conditions, Conditions):
        raise InputError("conditions", given=f"{conditions!r:.60}", expected="Conditions")
    return conditions


def require_array(array: object) -> SystolicArray | ReshapingArray:
    """The array, refused where it is none.

    Args:
        array: what was given.

    Raises:
        InputError: something else.
    """
    if not isinstance(array, SystolicArray | ReshapingArray):
        raise InputError("array", given=f"{array!r:.60}", expected="a SystolicArray or a ReshapingArray")
    return array
