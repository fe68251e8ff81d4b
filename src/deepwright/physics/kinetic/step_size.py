"""The length of the next step: fixed, or adapted so that the energy's mismatch in a step stays below a tolerance."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field

from deepwright.core.errors import InputError
from deepwright.physics.kinetic.energy_law import StepInfo

REJECTED = 4.0  # times the tolerance: a step of a larger mismatch is taken again, half as long


@dataclass
class StepSize:
    """tau, and how it changes.

    The mismatch is of second order in tau (see `StepInfo.mismatch`), so the next step is 0.9 sqrt(tolerance / mismatch)
    times as long, between a half and twice.

    Attributes:
        first: of the first step.
        tolerance: of the mismatch; None keeps tau as it is.
        largest: that tau grows to.
        tau: of the next step.
    """

    first: float
    tolerance: float | None = None
    largest: float = math.inf
    tau: float = field(init=False)

    def __post_init__(self) -> None:
        if not self.first > 0:
            raise InputError("step_size", given=self.first, expected="above 0")
        if self.tolerance is not None and not self.tolerance > 0:
            raise InputError("tolerance", given=self.tolerance, expected="above 0, or None")
        if not self.largest > 0:
            raise InputError("largest", given=self.largest, expected="above 0")
        self.tau = self.first

    def least(self) -> float:
        """Of the attempts at the next step."""
        return max(self.tau / 32, 1e-3 * self.first)

    def rejects(self, info: StepInfo, step: int, least: float) -> bool:
        """Whether a step is to be taken again, shorter; warns where it can't become any shorter.

        Args:
            info: what is said of it.
            step: its number.
            least: see `least`.
        """
        if self.tolerance is None or info.mismatch <= REJECTED * self.tolerance:
            return False
        if info.tau > least:
            return True
        warnings.warn(
            f"step {step}: the energy's mismatch stays at {info.mismatch:.2g} however short the step; a tolerance of "
            f"{self.tolerance:g} is below the sampling noise",
            stacklevel=3,
        )
        return False

    def after(self, info: StepInfo, wanted: float) -> None:
        """Set tau for the step after one that was taken.

        Args:
            info: what is said of it.
            wanted: the length that it would have had, had it not been cut to land on a time.
        """
        self.tau = wanted
        if self.tolerance is None:
            return
        factor = 0.9 * math.sqrt(self.tolerance / max(info.mismatch, 1e-300))
        if info.tau == wanted or factor < 1:  # a step that was cut short says nothing for longer ones
            self.tau = min(self.largest, max(info.tau * min(2.0, max(0.5, factor)), 1e-3 * self.first))
