"""Kinetic Fokker-Planck and Vlasov equations in phase space: potentials, interactions, and the energy that must fall.

    f_t + v . grad_x f - grad_x Phi[f] . grad_v f = gamma div_v (v f + T grad_v f),    Phi = V (+ W * rho, or Poisson's),
    F[f] = T int f log f + int |v|^2 f / 2 + int V f + 1/2 int int W f f.

The left side conserves F; friction and diffusion make it fall by gamma int f |v + T grad_v log f|^2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError


class Potential(Protocol):
    """An energy of positions."""

    def value(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """V."""
        ...

    def grad(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """Its slope."""
        ...


class Harmonic:
    """V = sum_i k_i x_i^2 / 2; k a number or (d,)."""

    def __init__(self, k: float | Tensor = 1.0) -> None:
        self.k = torch.as_tensor(k, dtype=torch.float64)

    def value(self, x: Tensor) -> Tensor:
        """V."""
        return 0.5 * (self.k.to(x) * x * x).sum(1)

    def grad(self, x: Tensor) -> Tensor:
        """k x."""
        return self.k.to(x) * x


class DoubleWell:
    """V = sum_i (x_i^2 - 1)^2."""

    def value(self, x: Tensor) -> Tensor:
        """V."""
        return (x * x - 1).square().sum(1)

    def grad(self, x: Tensor) -> Tensor:
        """4 x (x^2 - 1)."""
        return 4 * x * (x * x - 1)


class Free:
    """V = 0."""

    def value(self, x: Tensor) -> Tensor:
        """0."""
        return x.new_zeros(len(x))

    def grad(self, x: Tensor) -> Tensor:
        """0."""
        return torch.zeros_like(x)


class CallablePotential:
    """Any function (N, d) -> (N,); its slope by automatic differentiation."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function

    def value(self, x: Tensor) -> Tensor:
        """V."""
        return self.function(x)

    def grad(self, x: Tensor) -> Tensor:
        """Its slope; gradients go on through it where they are asked for."""
        return torch.func.vmap(torch.func.grad(lambda p: self.function(p[None])[0]))(x)


class Interaction(Protocol):
    """An energy of pairs, felt through a cloud of particles that stands for the density."""

    def energy(self, x: Float[Tensor, "n d"]) -> Tensor:
        """1/2 int int W f f of the cloud itself."""
        ...

    def grad(self, x: Float[Tensor, "n d"], cloud: Float[Tensor, "m d"]) -> Float[Tensor, "n d"]:
        """Slope of W * rho at x."""
        ...


class QuadraticInteraction:
    """W = kappa |x - y|^2 / 2: every particle is pulled to the mean."""

    def __init__(self, kappa: float = 1.0) -> None:
        self.kappa = kappa

    def energy(self, x: Tensor) -> Tensor:
        """kappa / 2 times the variance."""
        return 0.5 * self.kappa * (x - x.mean(0)).square().sum(1).mean()

    def grad(self, x: Tensor, cloud: Tensor) -> Tensor:
        """kappa (x - mean)."""
        return self.kappa * (x - cloud.mean(0))


class PairInteraction:
    """Any W of the difference, even in it: (M, d) -> (M,). Pairs are summed in blocks of at most 64 MB.

    Args:
        w: the energy; batch: so many random partners for each particle instead of all (0: all).
        seed: of the partners.
    """

    def __init__(self, w: Callable[[Tensor], Tensor], batch: int = 0, seed: int = 0) -> None:
        self.w, self.batch = w, batch
        self.generator = torch.Generator().manual_seed(seed)

    def _rows(self, x: Tensor, cloud: Tensor) -> int:
        return max(1, 64 * 2**20 // max(1, 8 * cloud.numel()))

    def energy(self, x: Tensor) -> Tensor:
        """1/2 of the mean over all pairs of different particles."""
        if len(x) < 2:
            raise InputError("particles", given=len(x), expected="2 or more, for an interaction")
        total = x.new_zeros(())
        for part in x.split(self._rows(x, x)):
            gap = part[:, None] - x[None]
            total = total + self.w(gap.reshape(-1, x.shape[1])).sum()
        own = self.w(x.new_zeros(1, x.shape[1]))[0] * len(x)
        return 0.5 * (total - own) / (len(x) * (len(x) - 1))

    def grad(self, x: Tensor, cloud: Tensor) -> Tensor:
        """Mean slope over the cloud; a particle's own term is zero since W is even."""
        slope = torch.func.vmap(torch.func.grad(lambda r: self.w(r[None])[0]))
        if self.batch and self.batch < len(cloud):
            partners = cloud[torch.randint(len(cloud), (len(x), self.batch), generator=self.generator)]
            return slope((x[:, None] - partners).reshape(-1, x.shape[1])).reshape(len(x), self.batch, -1).mean(1)
        out = []
        count = len(cloud) - 1 if x is cloud else len(cloud)
        for part in x.split(self._rows(x, cloud)):
            gap = part[:, None] - cloud[None]
            out.append(slope(gap.reshape(-1, x.shape[1])).reshape(len(part), len(cloud), -1).sum(1) / count)
        return torch.cat(out)


@dataclass(frozen=True)
class KineticFokkerPlanck:
    """The equation.

    Attributes:
        potential: V; friction: gamma; temperature: T (0: no diffusion); dim: d; interaction: W or Poisson's field.
    """

    potential: Potential
    friction: float = 1.0
    temperature: float = 1.0
    dim: int = 1
    interaction: Interaction | None = None

    def __post_init__(self) -> None:
        if self.friction < 0 or self.temperature < 0 or self.dim < 1:
            raise InputError(
                "KineticFokkerPlanck", given=f"friction={self.friction}, temperature={self.temperature}, dim={self.dim}",
                expected="0 or more, 0 or more, 1 or more",
            )  # fmt: skip

    def force(self, x: Float[Tensor, "n d"], cloud: Float[Tensor, "m d"]) -> Float[Tensor, "n d"]:
        """-grad Phi."""
        slope = self.potential.grad(x)
        return -slope if self.interaction is None else -(slope + self.interaction.grad(x, cloud))

    def free_energy(self, x: Float[Tensor, "n d"], v: Float[Tensor, "n d"], log_density: Float[Tensor, " n"]) -> Tensor:
        """F from particles with their log-density: no density is estimated."""
        total = (0.5 * v.square().sum(1) + self.potential.value(x)).mean()
        if self.temperature:
            total = total + self.temperature * log_density.mean()
        return total if self.interaction is None else total + self.interaction.energy(x)


def gaussian_flow(
    m0: Float[Tensor, " k"], s0: Float[Tensor, "k k"], a: Float[Tensor, "k k"], q: Float[Tensor, "k k"], t: float
) -> tuple[Tensor, Tensor]:
    """Mean and covariance at t of dz = A z dt + noise of covariance Q dt, by Van Loan's block exponential."""
    k = len(m0)
    block = torch.zeros(2 * k, 2 * k, dtype=torch.float64)
    block[:k, :k], block[:k, k:], block[k:, k:] = -a, q, a.T
    e = torch.linalg.matrix_exp(block * t)
    f = e[k:, k:].T
    return f @ m0, f @ s0 @ f.T + f @ e[:k, k:]


def harmonic_matrices(k: float | Tensor, friction: float, temperature: float, dim: int = 1) -> tuple[Tensor, Tensor]:
    """(A, Q) of dz = A z dt + dW for z = (x, v) in a harmonic potential."""
    stiff = torch.diag(torch.as_tensor(k, dtype=torch.float64).expand(dim))
    zero, eye = torch.zeros(dim, dim, dtype=torch.float64), torch.eye(dim, dtype=torch.float64)
    a = torch.cat([torch.cat([zero, eye], 1), torch.cat([-stiff, -friction * eye], 1)])
    q = torch.zeros(2 * dim, 2 * dim, dtype=torch.float64)
    q[dim:, dim:] = 2 * friction * temperature * eye
    return a, q


def gaussian_free_energy(m: Tensor, s: Tensor, k: float | Tensor, temperature: float) -> float:
    """F of a Gaussian in a harmonic potential."""
    d = len(m) // 2
    stiff = torch.as_tensor(k, dtype=torch.float64).expand(d)
    second = s.diagonal() + m.square()
    energy = 0.5 * (stiff * second[:d]).sum() + 0.5 * second[d:].sum()
    return float(energy - temperature * 0.5 * (torch.logdet(s) + 2 * d * (1 + math.log(2 * math.pi))))


class GaussianMixture:
    """A density of phase space with samples and log-density.

    Args:
        weights: (K,); means: (K, 2 d); covariances: (K, 2 d, 2 d).
    """

    def __init__(self, weights: Tensor, means: Tensor, covariances: Tensor) -> None:
        self.weights, self.means, self.covariances = (t.double() for t in (weights, means, covariances))
        self.roots = torch.linalg.cholesky(self.covariances)
        self.dim = self.means.shape[1] // 2

    @classmethod
    def gaussian(cls, mean: Tensor, covariance: Tensor) -> GaussianMixture:
        """One component."""
        return cls(torch.ones(1), mean[None], covariance[None])

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """(x, v), (n, d) each."""
        which = torch.multinomial(self.weights, n, True, generator=generator)
        noise = torch.randn(n, 2 * self.dim, dtype=torch.float64, generator=generator)
        z = self.means[which] + torch.einsum("nij,nj->ni", self.roots[which], noise)
        return z[:, : self.dim], z[:, self.dim :]

    def log_prob(self, x: Float[Tensor, "n d"], v: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Log-density."""
        z = torch.cat([x, v], 1).double()
        gap = z[:, None] - self.means
        solved = torch.linalg.solve_triangular(self.roots, gap.permute(1, 2, 0), upper=False)
        size = solved.square().sum(1).T
        norm = self.roots.diagonal(dim1=1, dim2=2).log().sum(1) + self.dim * math.log(2 * math.pi)
        return torch.logsumexp(self.weights.log() - 0.5 * size - norm, 1)

    def evolved(self, a: Tensor, q: Tensor, t: float) -> GaussianMixture:
        """After a time of linear dynamics: each component moves as a Gaussian."""
        moved = [gaussian_flow(m, s, a, q, t) for m, s in zip(self.means, self.covariances)]
        return GaussianMixture(self.weights, torch.stack([m for m, _ in moved]), torch.stack([s for _, s in moved]))


def sliced_w2(a: Float[Tensor, "n k"], b: Float[Tensor, "n k"], directions: int = 200, seed: int = 0) -> float:
    """Root mean squared 2-Wasserstein distance of one-dimensional projections of two equally large samples."""
    if a.shape != b.shape:
        raise InputError("samples", given=f"{tuple(a.shape)} and {tuple(b.shape)}", expected="equal shapes")
    u = torch.randn(a.shape[1], directions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    u = u / u.norm(dim=0)
    return float(((a.double() @ u).sort(0).values - (b.double() @ u).sort(0).values).square().mean().sqrt())


def langevin(
    system: KineticFokkerPlanck, x: Tensor, v: Tensor, t: float, step: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Particles of the stochastic equation by BAOAB splitting: a sampler to compare with, without density."""
    steps = max(1, round(t / step))
    h = t / steps
    keep = math.exp(-system.friction * h)
    spread = math.sqrt(system.temperature * (1 - keep * keep))
    for _ in range(steps):
        v = v + h / 2 * system.force(x, x)
        x = x + h / 2 * v
        v = keep * v + spread * torch.randn(v.shape, dtype=v.dtype, generator=generator)
        x = x + h / 2 * v
        v = v + h / 2 * system.force(x, x)
    return x, v
