"""Particles with densities as samples of an equilibrium: entropy from neighbours, weights, effective size, and what they certify.

The equilibrium is pi = exp(-(|v|^2 / 2 + V) / T) / Z. For particles of density f, log w = -(|v|^2 / 2 + V) / T - log f gives

    log Z ~ log mean w,   ESS = (sum w)^2 / sum w^2,   KL(f || pi) = F[f] / T + log Z >= 0,   F_inf = -T log Z.

Source of the entropy estimate: Kozachenko and Leonenko (1987).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError

if TYPE_CHECKING:
    from deepwright.physics.kinetic.scheme import PhaseSpaceParticles
    from deepwright.physics.kinetic.systems import KineticFokkerPlanck


def knn_entropy(z: Float[Tensor, "n k"], neighbours: int = 3) -> float:
    """Differential entropy in nats from distances to the nearest neighbours: psi(N) - psi(k) + log V_d + d mean(log r_k).

    Args:
        z: particles, all different; neighbours: k.
    """
    from scipy.spatial import cKDTree
    from scipy.special import digamma, gammaln

    n, d = z.shape
    if not 0 < neighbours < n:
        raise InputError(
            "neighbours", given=f"{neighbours} of {n} particles", expected="1 or more, fewer than particles"
        )
    points = z.double().numpy()
    distance = cKDTree(points).query(points, neighbours + 1)[0][:, -1]
    if not (distance > 0).all():
        raise InputError("particles", given="several at one place", expected="different ones")
    ball = 0.5 * d * math.log(math.pi) - gammaln(0.5 * d + 1)
    return float(digamma(n) - digamma(neighbours) + ball + d * torch.from_numpy(distance).log().mean())


@dataclass(frozen=True)
class Equilibrium:
    """How near particles are to the equilibrium.

    Attributes:
        log_weights: (N,) of importance, mean of the weights 1; share: effective size / N.
        log_z: of exp(-energy / T); free_energy: F_inf = -T log Z.
        divergence: KL(f || pi) in nats, from F and log Z; tail: largest weight / N.
    """

    log_weights: Tensor
    share: float
    log_z: float
    free_energy: float
    divergence: float
    tail: float

    def mean(self, values: Float[Tensor, " n"]) -> float:
        """Of a function under the equilibrium, from weighted particles."""
        return float((self.log_weights.exp() * values).mean())


def equilibrium(system: KineticFokkerPlanck, p: PhaseSpaceParticles) -> Equilibrium:
    """Weights and certificates.

    Args:
        system: without interaction, of a temperature above 0 and a confining potential; p: particles with their density.

    Raises:
        InputError: an interaction, or no temperature.
    """
    if system.interaction is not None or system.temperature <= 0:
        raise InputError(
            "system", given=f"interaction={type(system.interaction).__name__}, temperature={system.temperature}",
            expected="no interaction, a temperature above 0",
        )  # fmt: skip
    energy = 0.5 * p.v.square().sum(1) + system.potential.value(p.x)
    logs = -energy / system.temperature - p.log_density
    log_z = float(torch.logsumexp(logs, 0) - math.log(len(p)))
    weights = logs - log_z
    share = 1 / float(weights.mul(2).exp().mean())
    divergence = float(system.free_energy(p.x, p.v, p.log_density)) / system.temperature + log_z
    return Equilibrium(
        weights, share, log_z, -system.temperature * log_z, divergence, float(weights.max().exp()) / len(p)
    )
