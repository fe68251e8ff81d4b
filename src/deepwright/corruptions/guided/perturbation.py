"""A perturbation where a network looks, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.randomness import Streams
from deepwright.core.requirements import require_callable, require_within
from deepwright.corruptions.engine import Perturbation
from deepwright.corruptions.guided.regions import REGIONS, region_of
from deepwright.corruptions.levels import identities


@dataclass(frozen=True)
class Guided:
    """x' = the perturbed picture inside a region of the saliency map, x outside, to the bit.

    Called as the perturbation itself is, and evaluated in a `Suite` beside others. A map that is flat or not finite
    points nowhere: the picture stays as it is, and a suite leaves it out of that row's means.

    Example:
        >>> import torch
        >>> from deepwright.corruptions import Guided, InputGradient, get
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, 5))
        >>> worse = Guided(get("gaussian_noise"), InputGradient(model), region="top_n", share=0.3)
        >>> worse(torch.rand(2, 3, 16, 16), severity=3).shape
        torch.Size([2, 3, 16, 16])

    Args:
        perturbation: what happens inside.
        saliency: (images (N, C, H, W) in [0, 1]) -> maps (N, H, W) in [0, 1]; `InputGradient`, `GradCAM`,
            `ActivationEnergy`, or a function of yours.
        region: "high", "top_n", "bottom_n" or "random_n"; see `region_of`.
        share: of the pixels, for the last three.
        threshold: of "high".

    Raises:
        InputError: what is no perturbation of pictures or no function; an unknown region; a share or threshold outside
            [0, 1].
    """

    perturbation: Perturbation
    saliency: Callable[[Tensor], Tensor]
    region: str = "top_n"
    share: float = 0.3
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if not isinstance(self.perturbation, Perturbation):
            given, hint = repr(self.perturbation), 'get("gaussian_noise")'
            raise InputError("perturbation", given=given, expected="a perturbation of pictures", hint=hint)
        require_callable("saliency", self.saliency, "a function (images) -> (N, H, W)", "InputGradient(model)")
        if self.region not in REGIONS:
            raise unknown_name("region", self.region, REGIONS)
        require_within(0, 1, share=self.share, threshold=self.threshold)

    @property
    def name(self) -> str:
        """Of the perturbation, and where."""
        amount = self.threshold if self.region == "high" else self.share
        return f"{self.perturbation.name} in {self.region} {amount:g}"

    def __call__(
        self,
        images: Tensor,
        severity: float | Tensor,
        seed: int = 0,
        t: float | None = None,
        *,
        ids: Tensor | None = None,
        **options: Any,
    ) -> Tensor:
        """Perturb a batch inside the region.

        Args:
            images: (N, C, H, W) or (C, H, W), floats in [0, 1] or uint8.
            severity: 0..5, or (N,) of them.
            seed: of the streams.
            t: time step, part of the streams.
            ids: (N,) identity of each image (0..N-1 by default).
            **options: see `Perturbation.__call__`.

        Raises:
            InputError: what the perturbation refuses; maps that are none.
        """
        perturbed = self.perturbation(images, severity, seed, t, ids=ids, **options)
        batch = images[None] if images.ndim == 3 else images
        inside = self.mask(batch, seed, ids=ids)[:, None]
        return torch.where(inside if images.ndim == 4 else inside[0], perturbed, images)

    def mask(self, images: Tensor, seed: int = 0, *, ids: Tensor | None = None) -> Bool[Tensor, "n h w"]:
        """The region of each picture; empty where a map points nowhere.

        Args:
            images: (N, C, H, W), floats in [0, 1] or uint8.
            seed: of the streams.
            ids: (N,) identity of each image (0..N-1 by default).

        Raises:
            InputError: maps of another shape than the pictures, or outside [0, 1].
        """
        maps = self._maps(images)
        streams = Streams(seed, identities(ids, len(images)), self.name, None, images.device)
        return region_of(maps.nan_to_num(0.0, 0.0, 0.0), self.region, self.share, streams, self.threshold) & _points(
            maps
        )

    def attended(self, images: Tensor) -> Bool[Tensor, " n"]:
        """Whether a picture's map points anywhere.

        Args:
            images: (N, C, H, W), floats in [0, 1] or uint8.
        """
        return _points(self._maps(images))[:, 0, 0]

    def _maps(self, images: Tensor) -> Float[Tensor, "n h w"]:
        x = images.float() / 255 if images.dtype == torch.uint8 else images.float()
        maps = self.saliency(x)
        n, _, h, w = x.shape
        if not isinstance(maps, Tensor) or maps.shape != (n, h, w) or not maps.is_floating_point():
            given = f"{maps.dtype} of shape {tuple(maps.shape)}" if isinstance(maps, Tensor) else type(maps).__name__
            raise InputError("saliency(images)", given=given, expected=f"floats ({n}, {h}, {w})")
        known = maps[torch.isfinite(maps)]
        if known.numel() and not bool(((known >= 0) & (known <= 1)).all()):
            given = f"values {float(known.min()):.4g}..{float(known.max()):.4g}"
            hint = "unit_range(maps) brings each map there"
            raise InputError("saliency(images)", given=given, expected="[0, 1]", hint=hint)
        return maps.detach().to(images.device, torch.float32)

    @property
    def category(self) -> str:
        """Of the perturbation."""
        return self.perturbation.category

    @property
    def color(self) -> bool:
        """Of the perturbation."""
        return self.perturbation.color

    @property
    def label_preserving(self) -> bool:
        """Of the perturbation."""
        return self.perturbation.label_preserving

    @property
    def moves_pixels(self) -> bool:
        """Of the perturbation; inside the region only."""
        return self.perturbation.moves_pixels

    @property
    def least(self) -> float | None:
        """Of the perturbation."""
        return self.perturbation.least

    @property
    def sticks(self) -> bool:
        """Of the perturbation."""
        return self.perturbation.sticks


def _points(maps: Tensor) -> Bool[Tensor, "n 1 1"]:
    """Whether a map is finite and not flat."""
    finite = torch.isfinite(maps).flatten(1).all(1)
    filled = maps.nan_to_num(0.0, 0.0, 0.0).flatten(1)
    return (finite & (filled.amax(1) > filled.amin(1)))[:, None, None]
