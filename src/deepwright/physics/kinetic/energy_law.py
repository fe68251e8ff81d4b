"""What is said of a step: the energy law that it must keep, and whether log-densities still agree with the particles.

    gamma F[f^{k+1}] + cost <= gamma F[f^k]

holds for the exact minimiser, since a = 0 is allowed and keeps F. The slack is the sides' difference, over gamma.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from deepwright.physics.kinetic.diagnostics import knn_entropy
from deepwright.physics.kinetic.particles import PhaseSpaceParticles

LAW_TOLERANCE = 1e-3  # of the slack: the integrator's error


@dataclass(frozen=True)
class StepInfo:
    """A step.

    Attributes:
        before: F before it.
        after: F after it.
        cost: of the control / gamma.
        slack: before - after - cost, 0 or more up to the integrator's error.
        iterations: of the optimiser.
        converged: whether the energy law holds to 1e-3.
        tau: its length.
        entropy_gap: how far -mean(log f) has drifted from the nearest-neighbour estimate of the entropy from positions
            alone; None where not looked at.
    """

    before: float
    after: float
    cost: float
    slack: float
    iterations: int
    converged: bool
    tau: float
    entropy_gap: float | None = None

    @classmethod
    def of(cls, before: float, after: float, cost: float, iterations: int, tau: float) -> StepInfo:
        """With the slack and whether the law holds.

        Args:
            before: F before the step.
            after: F after it.
            cost: of the control / gamma.
            iterations: of the optimiser.
            tau: its length.
        """
        slack = before - after - cost
        return cls(before, after, cost, slack, iterations, slack >= -LAW_TOLERANCE, tau)

    @property
    def mismatch(self) -> float:
        """|slack - cost|: the dissipation over the step against tau times its rate there, of second order in tau."""
        return abs(self.slack - self.cost)


class EntropyCheck:
    """Every tenth step, in at most four dimensions: whether log-densities still agree with where the particles are.

    Args:
        fresh: () -> particles of the start, as many as the run has. Their density is exact, so what the estimator says
            there is its own error (even samples look more spread out than they are).
    """

    EVERY, MOST_DIMENSIONS, FEWEST = 10, 4, 100

    def __init__(self, fresh: Callable[[], PhaseSpaceParticles]) -> None:
        self._fresh = fresh

    def __call__(self, step: int, info: StepInfo, now: PhaseSpaceParticles) -> StepInfo:
        """What is said of a step, with the gap where it is looked at; a large one is warned of.

        Args:
            step: number of the step, from 0.
            info: without the gap.
            now: particles after the step.
        """
        d = now.x.shape[1]
        if (step + 1) % self.EVERY or d > self.MOST_DIMENSIONS or len(now) < self.FEWEST:
            return info
        gap = _entropy_gap(now) - self._bias
        if abs(gap) > 0.1 * 2 * d + 3 / math.sqrt(len(now)):
            warnings.warn(
                f"step {step}: log-densities say an entropy that is {gap:+.2g} from the particles' own; "
                "more iterations or particles",
                stacklevel=4,
            )
        return replace(info, entropy_gap=gap)

    @functools.cached_property
    def _bias(self) -> float:
        return _entropy_gap(self._fresh())


def _entropy_gap(p: PhaseSpaceParticles) -> float:
    return float(-p.log_density.mean()) - knn_entropy(torch.cat([p.x, p.v], 1))
