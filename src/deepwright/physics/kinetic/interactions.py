"""Energies of pairs of particles, felt through a cloud of particles that stands for the density."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError

BLOCK = 64 * 2**20  # bytes of pairs at once


@runtime_checkable
class Interaction(Protocol):
    """An energy of pairs."""

    def energy(self, x: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """1/2 int int W f f of the cloud itself.

        Args:
            x: positions.
        """
        ...

    def grad(self, x: Float[Tensor, "n d"], cloud: Float[Tensor, "m d"]) -> Float[Tensor, "n d"]:
        """Slope of W * rho.

        Args:
            x: where it is felt.
            cloud: positions that stand for the density.
        """
        ...


class QuadraticInteraction:
    """W = kappa |x - y|^2 / 2: every particle is pulled to the mean.

    Args:
        kappa: stiffness of the springs.
    """

    def __init__(self, kappa: float = 1.0) -> None:
        self.kappa = kappa

    def energy(self, x: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """kappa / 2 times the variance."""
        return 0.5 * self.kappa * (x - x.mean(0)).square().sum(1).mean()

    def grad(self, x: Float[Tensor, "n d"], cloud: Float[Tensor, "m d"]) -> Float[Tensor, "n d"]:
        """kappa (x - mean)."""
        return self.kappa * (x - cloud.mean(0))


class PairInteraction:
    """Any W of the difference, even in it. Pairs are summed in blocks of at most 64 MB.

    Args:
        w: the energy, (M, d) -> (M,).
        batch: so many random partners for each particle instead of all (0: all). Forces are then drawn anew at each
            call, so that maps which feel them can't be gone back through.
        seed: of the partners.
    """

    def __init__(self, w: Callable[[Tensor], Tensor], batch: int = 0, seed: int = 0) -> None:
        if batch < 0:
            raise InputError("batch", given=batch, expected="0 (all pairs) or more")
        self.w, self.batch, self.seed = w, batch, seed
        self.generator = torch.Generator().manual_seed(seed)

    @property
    def draws(self) -> bool:
        """Whether forces are random."""
        return self.batch > 0

    def __resume_identity__(self) -> tuple[Any, ...]:
        return type(self), self.w, self.batch, self.seed  # without the partners drawn so far

    def _rows(self, cloud: Tensor) -> int:
        return max(1, BLOCK // max(1, 8 * cloud.numel()))

    def energy(self, x: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """1/2 of the mean over all pairs of different particles.

        Raises:
            InputError: fewer than two particles.
        """
        if len(x) < 2:
            raise InputError("particles", given=len(x), expected="2 or more, for an interaction")
        total = x.new_zeros(())
        for part in x.split(self._rows(x)):
            gap = part[:, None] - x[None]
            total = total + self.w(gap.reshape(-1, x.shape[1])).sum()
        own = self.w(x.new_zeros(1, x.shape[1]))[0] * len(x)
        return 0.5 * (total - own) / (len(x) * (len(x) - 1))

    def grad(self, x: Float[Tensor, "n d"], cloud: Float[Tensor, "m d"]) -> Float[Tensor, "n d"]:
        """Mean slope over the cloud; a particle's own term is zero since W is even."""
        slope = torch.func.vmap(torch.func.grad(lambda r: self.w(r[None])[0]))
        if self.batch and self.batch < len(cloud):
            drawn = torch.randint(len(cloud), (len(x), self.batch), generator=self.generator)
            partners = cloud[drawn.to(cloud.device)]
            return slope((x[:, None] - partners).reshape(-1, x.shape[1])).reshape(len(x), self.batch, -1).mean(1)
        out = []
        count = len(cloud) - 1 if x is cloud else len(cloud)
        for part in x.split(self._rows(cloud)):
            gap = part[:, None] - cloud[None]
            out.append(slope(gap.reshape(-1, x.shape[1])).reshape(len(part), len(cloud), -1).sum(1) / count)
        return torch.cat(out)
