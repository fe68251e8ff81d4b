"""The ball in which a training looks for its worst inputs: starts, steps and the way back, waiting for no value."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.adversarial.options import box
from deepwright.adversarial.projections import ascend, column, norms
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_positive

_NORMS = ("linf", "l2")


@dataclass(frozen=True)
class Ball:
    """All x' with ||x' - x|| <= eps, within bounds.

    Attributes:
        eps: the radius.
        norm: "linf" or "l2".
        bounds: of every number; (-inf, inf) for standardised features.
    """

    eps: float
    norm: str = "linf"
    bounds: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        require_positive(eps=self.eps)
        if self.norm not in _NORMS:
            raise InputError("norm", given=repr(self.norm), expected="'linf' or 'l2'")
        object.__setattr__(self, "bounds", box(self.bounds))

    def uniform(self, x: Float[Tensor, "n ..."], rng: torch.Generator) -> Float[Tensor, "n ..."]:
        """A point of each sample's ball, uniform before it is clipped to the bounds.

        Args:
            x: the centres.
            rng: draws where it lives.
        """
        shape, where = tuple(x.shape), rng.device
        if self.norm == "linf":
            return self.clipped(x + self.eps * (2 * torch.rand(shape, generator=rng, device=where) - 1).to(x), x)
        way = torch.randn(shape, generator=rng, device=where)
        far = torch.rand(len(x), generator=rng, device=where) ** (1 / x[0].numel())
        way = way * column(self.eps * far / norms(way, "l2").clamp_min(1e-30), way)
        return self.clipped(x + way.to(x), x)

    def near(self, x: Float[Tensor, "n ..."], rng: torch.Generator, deviation: float) -> Float[Tensor, "n ..."]:
        """A point beside each centre, by Gaussian noise.

        Args:
            x: the centres.
            rng: draws where it lives.
            deviation: of the noise.
        """
        return self.clipped(x + deviation * torch.randn(tuple(x.shape), generator=rng, device=rng.device).to(x), x)

    def stepped(
        self, point: Float[Tensor, "n ..."], gradient: Float[Tensor, "n ..."], x: Float[Tensor, "n ..."], alpha: float
    ) -> Float[Tensor, "n ..."]:
        """The point after a step of length alpha up the steepest ascent, back in the ball.

        Args:
            point: in the ball.
            gradient: of what rises.
            x: the centres.
            alpha: length of the step.
        """
        length = torch.full((len(x),), alpha, dtype=x.dtype, device=x.device)
        return self.clipped(point + ascend(gradient, length, self.norm, point, self.bounds), x)

    def clipped(self, point: Float[Tensor, "n ..."], x: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
        """A point of the ball: in L-inf the nearest one; in L2 drawn back along the ray, then to the bounds.

        Args:
            point: anywhere.
            x: the centres, within the bounds.
        """
        if self.norm == "linf":
            return point.clamp(x - self.eps, x + self.eps).clamp(*self.bounds)
        away = point - x
        share = (self.eps / norms(away, "l2").clamp_min(1e-30)).clamp_max(1.0)
        return (x + away * column(share, away)).clamp(*self.bounds)
