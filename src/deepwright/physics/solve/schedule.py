"""Which optimizer does how many steps."""

from __future__ import annotations

import math
from dataclasses import dataclass

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.physics.solve.quasi_newton import KINDS

OPTIMIZERS = ("adam", "lbfgs", "lm", *KINDS)


@dataclass(frozen=True)
class Phase:
    """So many steps of an optimizer.

    Attributes:
        optimizer: "adam", "lbfgs" (20 iterations a step), "lm" (Levenberg-Marquardt), "bfgs", "bfgs-unscaled",
            "ssbfgs" or "ssbroyden".
        steps: 0 or more.
        lr: Adam's learning rate (1e-3 where not given), or Levenberg-Marquardt's first damping (1e-3).
        decay: let Adam's rate go down to a hundredth along a half cosine.

    Raises:
        InputError: an unknown optimizer, negative steps, a rate that isn't above 0 or that the optimizer doesn't have.
    """

    optimizer: str
    steps: int
    lr: float | None = None
    decay: bool = False

    def __post_init__(self) -> None:
        require_whole(0, steps=self.steps)
        if self.optimizer not in OPTIMIZERS or (self.lr is not None and not 0 < self.lr < math.inf):
            raise InputError(
                "phase",
                given=f"({self.optimizer!r}, {self.steps}, {self.lr})",
                expected=f"one of {', '.join(OPTIMIZERS)}, steps >= 0, a learning rate above 0",
            )
        if self.lr is not None and self.optimizer not in ("adam", "lm"):
            raise InputError("lr", given=f"{self.lr} for {self.optimizer!r}", expected="none: it has a line search")
        if self.decay and self.optimizer != "adam":
            raise InputError(
                "decay", given=f"True for {self.optimizer!r}", expected="False: only Adam has a rate that decays"
            )


def schedule_for(size: int, steps: int = 300) -> list[Phase]:
    """What suits a number of parameters: least squares, quasi-Newton, or first order and L-BFGS.

    Args:
        size: parameters.
        steps: of Levenberg-Marquardt; others have theirs in proportion.
    """
    require_whole(1, steps=steps)
    if size <= 3000:
        return [Phase("lm", steps)]
    if size <= 10_000:
        return [Phase("adam", steps, 1e-3), Phase("ssbroyden", 4 * steps)]
    return [Phase("adam", 5 * steps, 1e-3), Phase("lbfgs", steps // 4)]
