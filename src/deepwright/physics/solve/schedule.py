"""Which optimiser does how many steps."""

from __future__ import annotations

from dataclasses import dataclass

from deepwright.core.errors import InputError
from deepwright.physics.solve.quasi_newton import KINDS

OPTIMISERS = ("adam", "lbfgs", "lm", *KINDS)


@dataclass(frozen=True)
class Phase:
    """So many steps of an optimiser.

    Attributes:
        optimiser: "adam", "lbfgs" (20 iterations a step), "lm" (Levenberg-Marquardt), "bfgs", "ssbfgs" or "ssbroyden".
        steps: 0 or more.
        rate: Adam's learning rate (1e-3 where not given), or Levenberg-Marquardt's first damping (1e-3).
        decay: let Adam's rate go down to a hundredth along a half cosine.

    Raises:
        InputError: an unknown optimiser, negative steps, a rate that isn't above 0 or that the optimiser doesn't have.
    """

    optimiser: str
    steps: int
    rate: float | None = None
    decay: bool = False

    def __post_init__(self) -> None:
        if self.optimiser not in OPTIMISERS or self.steps < 0 or (self.rate is not None and not self.rate > 0):
            raise InputError(
                "phase",
                given=f"({self.optimiser!r}, {self.steps}, {self.rate})",
                expected=f"one of {', '.join(OPTIMISERS)}, steps >= 0, a rate above 0",
            )
        if self.rate is not None and self.optimiser not in ("adam", "lm"):
            raise InputError("rate", given=f"{self.rate} for {self.optimiser!r}", expected="none: it has a line search")
        if self.decay and self.optimiser != "adam":
            raise InputError(
                "decay", given=f"True for {self.optimiser!r}", expected="False: only Adam has a rate that decays"
            )


def schedule_for(size: int, steps: int = 300) -> list[Phase]:
    """What suits a number of parameters: least squares, quasi-Newton, or first order and L-BFGS.

    Args:
        size: parameters.
        steps: of Levenberg-Marquardt; others have theirs in proportion.
    """
    if size <= 3000:
        return [Phase("lm", steps)]
    if size <= 10_000:
        return [Phase("adam", steps, 1e-3), Phase("ssbroyden", 4 * steps)]
    return [Phase("adam", 5 * steps, 1e-3), Phase("lbfgs", steps // 4)]
