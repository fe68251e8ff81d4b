"""Mixtures of Gaussians in phase space: starts with samples and log-density, exact under linear dynamics."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.physics.kinetic.gaussian import gaussian_flow, require_symmetric


class GaussianMixture:
    """A density of phase space with samples and log-density, in float64, where its tensors are.

    Args:
        weights: (K,) of the components, with a sum of 1.
        means: (K, 2 d).
        covariances: (K, 2 d, 2 d).

    Raises:
        InputError: shapes that don't fit; weights that aren't shares of 1; a covariance that isn't positive definite.
    """

    def __init__(self, weights: Tensor, means: Tensor, covariances: Tensor) -> None:
        k, size = (*means.shape, 0)[:2]
        if means.ndim != 2 or size % 2 or weights.shape != (k,) or covariances.shape != (k, size, size) or not k * size:
            given = f"{tuple(weights.shape)}, {tuple(means.shape)}, {tuple(covariances.shape)}"
            raise InputError("GaussianMixture", given=given, expected="(K,), (K, 2 d), (K, 2 d, 2 d)")
        if not (bool((weights >= 0).all()) and abs(float(weights.sum()) - 1) < 1e-5):
            raise InputError("weights", given=weights.tolist(), expected="0 or more, with a sum of 1")
        self.weights, self.means, self.covariances = (
            t.double().to(means.device) for t in (weights, means, covariances)
        )
        if not all(bool(torch.isfinite(t).all()) for t in (self.means, self.covariances)):
            raise InputError("GaussianMixture", given="NaN or infinity", expected="finite means and covariances")
        require_symmetric(self.covariances, "covariances")
        self.roots, failed = torch.linalg.cholesky_ex(self.covariances)
        if bool(failed.any()):
            raise InputError("covariances", given="one that isn't positive definite", expected="positive definite ones")
        self.dim = size // 2

    @classmethod
    def gaussian(cls, mean: Float[Tensor, " k"], covariance: Float[Tensor, "k k"]) -> GaussianMixture:
        """One component.

        Args:
            mean: (2 d,).
            covariance: (2 d, 2 d).
        """
        return cls(torch.ones(1, device=mean.device), mean[None], covariance[None])

    def sample(self, n: int, generator: torch.Generator) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]]:
        """Positions and velocities.

        Args:
            n: how many.
            generator: of the draw; its numbers are moved to where the mixture is.
        """
        place = self.means.device
        which = torch.multinomial(self.weights.to(generator.device), n, True, generator=generator).to(place)
        noise = torch.randn(n, 2 * self.dim, dtype=torch.float64, generator=generator, device=generator.device).to(
            place
        )
        z = self.means[which] + torch.einsum("nij,nj->ni", self.roots[which], noise)
        return z[:, : self.dim], z[:, self.dim :]

    def log_prob(self, x: Float[Tensor, "n d"], v: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Log-density.

        Args:
            x: positions.
            v: velocities.
        """
        z = torch.cat([x, v], 1).to(self.means)
        gap = z[:, None] - self.means
        solved = torch.linalg.solve_triangular(self.roots, gap.permute(1, 2, 0), upper=False)
        size = solved.square().sum(1).T
        norm = self.roots.diagonal(dim1=1, dim2=2).log().sum(1) + self.dim * math.log(2 * math.pi)
        return torch.logsumexp(self.weights.log() - 0.5 * size - norm, 1).to(x.device)

    def evolved(self, a: Float[Tensor, "k k"], q: Float[Tensor, "k k"], t: float) -> GaussianMixture:
        """After a time of linear dynamics: each component moves as a Gaussian.

        Args:
            a: A of dz = A z dt + noise.
            q: covariance of the noise per unit of time.
            t: the time.
        """
        moved = [gaussian_flow(m, s, a, q, t) for m, s in zip(self.means, self.covariances)]
        return GaussianMixture(self.weights, torch.stack([m for m, _ in moved]), torch.stack([s for _, s in moved]))
