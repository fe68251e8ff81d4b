"""Expectation over transformations of whole images: what is found must work on turned, brighter, moved pictures too.

Boxes go along. Every draw is a function of (seed, image, step).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.randomness import Streams
from deepwright.core.requirements import require_number, require_whole


@dataclass(frozen=True)
class Draws:
    """What is done to each image.

    Attributes:
        turns: quarter turns, against the clock.
        gain: factor of its brightness.
        scale: its new size over the old, about its centre.
        shift: in pixels, right and down.
        speckle: factors of the amplitude, or None.
    """

    turns: Int64[Tensor, " n"]
    gain: Float[Tensor, " n"]
    scale: Float[Tensor, " n"]
    shift: Float[Tensor, "n 2"]
    speckle: Tensor | None


@dataclass(frozen=True)
class EOT:
    """Transformations that are drawn at each step, and how many of them are averaged.

    Args:
        samples: draws a step.
        turns: chances of 0, 1, 2 and 3 quarter turns; images that aren't square take half turns only.
        gain: ends of the brightness factor, which acts on what is left after attenuation, as a receiver's does.
        shift: largest in pixels, each way.
        scale: ends of the resizing.
        looks: of a multiplicative speckle that is drawn anew, root of Gamma(looks, 1 / looks); None for none.

    Raises:
        InputError: chances that don't add up to 1, ends that are turned round or not above 0.
    """

    samples: int = 4
    turns: tuple[float, float, float, float] = (0.4, 0.2, 0.2, 0.2)
    gain: tuple[float, float] = (0.7, 1.4)
    shift: float = 1.0
    scale: tuple[float, float] = (1.0, 1.0)
    looks: int | None = None

    def __post_init__(self) -> None:
        require_whole(1, samples=self.samples)
        require_number(0, shift=self.shift)
        if self.looks is not None:
            require_whole(1, looks=self.looks)
        chances = tuple(self.turns)
        if len(chances) != 4 or min(chances) < 0 or abs(sum(chances) - 1) > 1e-6:
            raise InputError("turns", given=repr(self.turns), expected="four chances that add up to 1")
        for name, ends in (("gain", self.gain), ("scale", self.scale)):
            if len(ends) != 2 or not 0 < ends[0] <= ends[1] < float("inf"):
                raise InputError(name, given=repr(ends), expected="(low, high) with 0 < low <= high")

    def draw(
        self, seed: int, ids: Int64[Tensor, " n"], step: int, size: tuple[int, int], device: torch.device
    ) -> Draws:
        """What is done to each image at a step.

        Args:
            seed: of the draws.
            ids: identity of each image.
            step: its number, times `samples` and the sample's.
            size: height and width.
            device: where the images are.
        """
        streams = Streams(seed, ids, "patch transformations", step, device)
        u = streams.uniform(5)
        ends = torch.tensor(self.turns, device=device).cumsum(0)[:3]
        turns = (u[:, :1] > ends).sum(1)
        if size[0] != size[1]:
            turns = turns // 2 * 2
        gain = self.gain[0] + (self.gain[1] - self.gain[0]) * u[:, 1]
        scale = self.scale[0] + (self.scale[1] - self.scale[0]) * u[:, 2]
        speckle = None
        if self.looks is not None:
            total = torch.zeros(len(ids), *size, device=device)
            for _ in range(self.looks):
                total -= streams.uniform(*size).log()
            speckle = (total / self.looks).sqrt()[:, None]
        return Draws(turns, gain, scale, self.shift * (2 * u[:, 3:] - 1), speckle)

    def images(self, x: Float[Tensor, "n c h w"], drawn: Draws, bounds: tuple[float, float]) -> Tensor:
        """Transformed images, differentiable.

        Args:
            x: images.
            drawn: what is done to each.
            bounds: of pixels; brightness counts from the lower one.
        """
        low, high = bounds
        out = turned(x, drawn.turns) - low
        if self.shift or self.scale != (1.0, 1.0):
            out = _moved(out, drawn)
        if drawn.speckle is not None:
            out = out * drawn.speckle.to(out)
        return (out * drawn.gain.to(out).view(-1, 1, 1, 1) + low).clamp(low, high)

    def boxes(
        self, boxes: Float[Tensor, "k 4"], image: Int64[Tensor, " k"], drawn: Draws, size: tuple[int, int]
    ) -> Float[Tensor, "k 4"]:
        """Where boxes lie afterwards.

        Args:
            boxes: corners in pixels.
            image: the image of each.
            drawn: what is done to each image.
            size: height and width.
        """
        height, width = size
        x1, y1, x2, y2 = boxes.unbind(1)
        by_turn = torch.stack(
            [
                boxes,
                torch.stack([y1, width - x2, y2, width - x1], 1),
                torch.stack([width - x2, height - y2, width - x1, height - y1], 1),
                torch.stack([height - y2, x1, height - y1, x2], 1),
            ]
        )
        out = by_turn[drawn.turns[image], torch.arange(len(boxes), device=boxes.device)]
        centre = out.new_tensor([width, height, width, height]) / 2
        scale, shift = drawn.scale[image].to(out)[:, None], drawn.shift[image].to(out).repeat(1, 2)
        if self.scale != (1.0, 1.0) or self.shift:
            out = (out - centre) * scale + centre + shift
        return out


def turned(x: Float[Tensor, "n c h w"], turns: Int64[Tensor, " n"]) -> Float[Tensor, "n c h w"]:
    """Images after quarter turns against the clock.

    Args:
        x: images; square where a turn is odd.
        turns: of each.
    """
    out = torch.zeros_like(x)
    for k in range(4):
        rows = turns == k
        out = torch.where(rows.view(-1, 1, 1, 1), torch.rot90(x, k, (2, 3)), out) if _fits(x, k) else out
    return out


def _fits(x: Tensor, k: int) -> bool:
    return k % 2 == 0 or x.shape[2] == x.shape[3]


def _moved(x: Tensor, drawn: Draws) -> Tensor:
    """Scaled about the centre and shifted, bilinear, with mirrored edges."""
    n, _, height, width = x.shape
    theta = x.new_zeros(n, 2, 3)
    scale, shift = drawn.scale.to(x), drawn.shift.to(x)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 / scale
    theta[:, 0, 2], theta[:, 1, 2] = -2 * shift[:, 0] / width / scale, -2 * shift[:, 1] / height / scale
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
