"""Regions given as where a function is below 0."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.physics.domains import Box
from deepwright.physics.points import collect, newton_to_zero, sample_where, seeded, slack


class LevelSet:
    """Where phi < 0, inside a box.

    Args:
        phi: (N, d) -> (N,) or (N, 1), smooth near its zeros.
        box: that holds the region.
    """

    def __init__(self, phi: Callable[[Tensor], Tensor], box: Box) -> None:
        if not callable(phi) or not isinstance(box, Box):
            given = f"{type(phi).__name__} and {type(box).__name__}"
            raise InputError("phi and box", given=given, expected="a function of points, and a Box")
        self._phi, self.box = phi, box
        self.dim, self.bounds = box.dim, box.bounds

    def phi(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Its values.

        Args:
            x: points.
        """
        value = self._phi(x)
        if value.numel() != len(x):
            given = f"{tuple(value.shape)} for {len(x)} points"
            raise InputError("phi", given=given, expected="(N,) or (N, 1)")
        return value.reshape(len(x))

    def contains(self, x: Float[Tensor, "n d"]) -> Tensor:
        """See `Domain`.

        Args:
            x: points, on any device.
        """
        off = slack(x, 0.0, self.bounds)
        if off < 1e-9:
            return (self.phi(x) <= 1e-9) & self.box.contains(x)
        value, slope = self.slope(x)  # how far off the boundary, to first order
        return (value <= 1e-9 + off * slope.norm(dim=1).nan_to_num(0.0)) & self.box.contains(x)

    def sample(
        self, n: int, method: str = "sobol", *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "n d"]:
        """Points of the box that are inside.

        Args:
            n: how many.
            method: see `points.unit_points`.
            generator: of the draw, on the CPU; seed 0 where not given.
        """
        expected = "a region with phi < 0 in the box, not much smaller than it"
        return sample_where(lambda x: self.phi(x) < 0, self.bounds, n, method, generator, "LevelSet", expected)

    def sample_boundary(self, n: int, *, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Points of the box pulled to phi = 0 by Newton's steps along the gradient.

        Args:
            n: how many.
            generator: of the draw, on the CPU; seed 0 where not given.
        """
        rng = seeded(generator)

        def draw() -> tuple[Tensor, Tensor]:
            x, value, slope = newton_to_zero(self.slope, self.box.sample(4 * n, generator=rng), 20)
            good = (value.abs() < 1e-10) & self.box.contains(x) & (slope.norm(dim=1) > 1e-8)
            return x[good], slope[good] / slope[good].norm(dim=1, keepdim=True)

        x, normal = collect(draw, n, "LevelSet", "zeros of phi, with a slope, in the box", draws=50)
        return x, normal

    def slope(self, x: Float[Tensor, "n d"]) -> tuple[Float[Tensor, " n"], Float[Tensor, "n d"]]:
        """phi and its gradient.

        Args:
            x: points.
        """
        with torch.enable_grad():
            own = x.detach().clone().requires_grad_(True)
            value = self.phi(own)
            (slope,) = torch.autograd.grad(value.sum(), own)
        return value.detach(), slope
