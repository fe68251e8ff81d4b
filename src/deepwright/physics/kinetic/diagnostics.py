"""What particles say: entropy from neighbours, distances between clouds, and how near they are to an equilibrium.

The equilibrium is pi = exp(-(|v|^2 / 2 + V) / T) / Z. For particles of density f, log w = -(|v|^2 / 2 + V) / T - log f
gives

    log Z ~ log mean w,   ESS = (sum w)^2 / sum w^2,   KL(f || pi) = F[f] / T + log Z >= 0,   F_inf = -T log Z.

Source of the entropy estimate: Kozachenko and Leonenko (1987).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.physics.kinetic.particles import PhaseSpaceParticles
from deepwright.physics.kinetic.systems import KineticFokkerPlanck


def knn_entropy(z: Float[Tensor, "n k"], neighbours: int = 3) -> float:
    """Differential entropy in nats from distances r_k to k-th neighbours: psi(N) - psi(k) + log V_d + d mean(log r_k).

    Args:
        z: particles, all different.
        neighbours: k.

    Raises:
        InputError: no more particles than neighbours; several at one place; values that aren't finite.
    """
    from scipy.spatial import cKDTree
    from scipy.special import digamma, gammaln

    n, d = z.shape
    if not 0 < neighbours < n:
        given = f"{neighbours} of {n} particles"
        raise InputError("neighbours", given=given, expected="1 or more, fewer than particles")
    points = z.detach().double().cpu().numpy()
    if not np.isfinite(points).all():
        raise InputError("particles", given="NaN or infinity", expected="finite ones")
    distance = cKDTree(points).query(points, neighbours + 1)[0][:, -1]
    if not (distance > 0).all():
        raise InputError("particles", given="several at one place", expected="different ones")
    ball = 0.5 * d * math.log(math.pi) - gammaln(0.5 * d + 1)
    return float(digamma(n) - digamma(neighbours) + ball + d * torch.from_numpy(distance).log().mean())


def sliced_w2(a: Float[Tensor, "n k"], b: Float[Tensor, "m k"], directions: int = 200, seed: int = 0) -> float:
    """Root mean squared 2-Wasserstein distance of one-dimensional projections of two equally large samples.

    Args:
        a: a sample.
        b: another one, as large.
        directions: random projections.
        seed: of the directions.

    Raises:
        InputError: samples of different sizes, or nothing in them.
    """
    if a.shape != b.shape or not a.numel():
        raise InputError("samples", given=f"{tuple(a.shape)} and {tuple(b.shape)}", expected="equal shapes, not empty")
    u = torch.randn(a.shape[1], directions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    u = (u / u.norm(dim=0)).to(a.device)
    first, second = (t.double() @ u for t in (a, b.to(a.device)))
    return float((first.sort(0).values - second.sort(0).values).square().mean().sqrt())


@dataclass(frozen=True)
class Equilibrium:
    """How near particles are to the equilibrium.

    Attributes:
        log_weights: (N,) of importance, mean of the weights 1.
        share: effective size / N.
        log_z: log Z of exp(-energy / T).
        free_energy: F_inf = -T log Z.
        divergence: KL(f || pi) in nats, from F and log Z.
        tail: largest weight / N.
    """

    log_weights: Tensor
    share: float
    log_z: float
    free_energy: float
    divergence: float
    tail: float

    def mean(self, values: Float[Tensor, " n"]) -> float:
        """Of a function under the equilibrium, from weighted particles.

        Args:
            values: of the function at the particles.
        """
        return float((self.log_weights.exp() * values.to(self.log_weights.device)).mean())


def equilibrium(system: KineticFokkerPlanck, p: PhaseSpaceParticles) -> Equilibrium:
    """Weights and certificates.

    Args:
        system: without interaction, of a temperature above 0 and a confining potential.
        p: particles with their density.

    Raises:
        InputError: an interaction, or no temperature.
    """
    if system.interaction is not None or system.temperature <= 0:
        given = f"interaction={type(system.interaction).__name__}, temperature={system.temperature}"
        raise InputError("system", given=given, expected="no interaction, a temperature above 0")
    energy = 0.5 * p.v.square().sum(1) + system.potential.value(p.x)
    logs = -energy / system.temperature - p.log_density
    log_z = float(torch.logsumexp(logs, 0) - math.log(len(p)))
    weights = logs - log_z
    share = 1 / float(weights.mul(2).exp().mean())
    divergence = float(system.free_energy(p.x, p.v, p.log_density)) / system.temperature + log_z
    tail = float(weights.max().exp()) / len(p)
    return Equilibrium(weights, share, log_z, -system.temperature * log_z, divergence, tail)
