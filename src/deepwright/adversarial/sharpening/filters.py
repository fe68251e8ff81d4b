"""Laplacian sharpening and its relatives: unsharp mask, edge-aware sharpening, contrast.

Source: "Efficient Preemptive Robustification with Image Sharpening", arXiv 2603.25244. The paper's kernel and strength
could not be read: those here were chosen by measurement.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.adversarial.sharpening.blurring import blurred, guided
from deepwright.adversarial.sharpening.enhancement import Enhancement
from deepwright.adversarial.sharpening.frequencies import undone
from deepwright.adversarial.sharpening.stencil import laplacian, require_neighbours, sharpened
from deepwright.core.requirements import require_positive, require_whole

_ROUNDS = 60  # of a fixed point whose error shrinks by a / (1 + a)


class LaplacianSharpen(Enhancement):
    """x - strength * L x, with the replicated border: no network, no labels, one 3 x 3 stencil.

    In frequencies the gain before clipping is 1 + strength * lam (see `gain`), so that it hides nothing from an
    attacker who knows the network; it raises the signal against a fixed budget.

    Args:
        strength: see `Enhancement`; 0.5 for natural photographs of 224 pixels, 0.25 for small or noisy ones.
        neighbours: 4, or 8 (half their Laplacian).
        sigma: blur by a Gaussian before the Laplacian (of a Gaussian, then); None for none.
        options: of `Enhancement`: space, max_change, clip, quantize, alpha, linear.
    """

    def __init__(
        self, strength: float | str = 0.5, neighbours: int = 4, sigma: float | None = None, **options: Any
    ) -> None:
        super().__init__(strength, **options)
        if sigma is not None:
            require_positive(sigma=sigma)
        self.neighbours, self.sigma = require_neighbours(neighbours), sigma

    def detail(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """-L x."""
        return -laplacian(x if self.sigma is None else blurred(x, self.sigma), self.neighbours)

    def _moved_by(self, work: Tensor, strength: float) -> Tensor:
        if self.sigma is None and self.space == "rgb":
            return sharpened(work, strength, self.neighbours)
        return super()._moved_by(work, strength)

    def undone(self, x: Float[Tensor, "n c h w"], strength: Float[Tensor, " n"]) -> Tensor | None:
        """By division in the DCT-II; pixels at the ends of the range, which were clipped perhaps, stay."""
        if self.sigma is not None or self.space != "rgb" or self.linear or self.alpha:
            return None
        return _kept_at_ends(undone(x, strength, self.neighbours), x)


class Unsharp(Enhancement):
    """x + strength * (x - G x), with a Gaussian blur G; a high-boost filter where the strength is above 1.

    Args:
        sigma: of the Gaussian, in pixels.
        strength: see `Enhancement`.
        options: of `Enhancement`: space, max_change, clip, quantize, alpha, linear.
    """

    def __init__(self, sigma: float = 1.5, strength: float | str = 0.5, **options: Any) -> None:
        super().__init__(strength, **options)
        require_positive(sigma=sigma)
        self.sigma = float(sigma)

    def detail(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """x - G x."""
        return x - self._low(x)

    def _low(self, x: Tensor) -> Tensor:
        return blurred(x, self.sigma)

    def undone(self, x: Float[Tensor, "n c h w"], strength: Float[Tensor, " n"]) -> Tensor | None:
        """By the fixed point of u = (x + strength * G u) / (1 + strength)."""
        if self.space != "rgb" or self.linear or self.alpha:
            return None
        a, found = strength.to(x).view(-1, 1, 1, 1), x
        for _ in range(_ROUNDS):
            found = (x + a * self._low(found)) / (1 + a)
        return _kept_at_ends(found, x)


class GuidedSharpen(Unsharp):
    """x + strength * (x - guided filter of x): details of flat regions aren't raised, so that noise isn't either.

    Args:
        radius: of the windows, in pixels.
        regularisation: the variance above which a window has an edge.
        strength: see `Enhancement`.
        options: of `Enhancement`: space, max_change, clip, quantize, alpha, linear.
    """

    def __init__(
        self, radius: int = 2, regularisation: float = 1e-3, strength: float | str = 0.5, **options: Any
    ) -> None:
        super().__init__(strength=strength, **options)
        require_whole(1, radius=radius)
        require_positive(regularisation=regularisation)
        self.radius, self.regularisation = int(radius), float(regularisation)

    def _low(self, x: Tensor) -> Tensor:
        return guided(x, self.radius, self.regularisation)


class ContrastStretch(Enhancement):
    """x + strength * (x - mean of the picture): the control that raises amplitude and sharpens nothing.

    Args:
        strength: see `Enhancement`.
        options: of `Enhancement`: space, max_change, clip, quantize, alpha, linear.
    """

    def detail(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """x less its mean over channels and places."""
        return x - x.mean((1, 2, 3), keepdim=True)

    def undone(self, x: Float[Tensor, "n c h w"], strength: Float[Tensor, " n"]) -> Tensor | None:
        """About the mean, which nothing moved unless it was clipped."""
        if self.space != "rgb" or self.linear or self.alpha:
            return None
        mean = x.mean((1, 2, 3), keepdim=True)
        return _kept_at_ends(mean + (x - mean) / (1 + strength.to(x).view(-1, 1, 1, 1)), x)


def _kept_at_ends(found: Tensor, x: Tensor) -> Tensor:
    return torch.where((x <= 0) | (x >= 1), x, found.clamp(0, 1))
