"""What makes a surrogate's gradient carry over to other networks: inputs at other sizes and scales, smooth gradients.

Sources: arXiv 1803.06978 (diverse inputs), 1904.02884 (translation), 1908.06281 (scales).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from deepwright.adversarial.projections import column
from deepwright.core.errors import InputError
from deepwright.core.randomness import Streams
from deepwright.core.requirements import require_number, require_positive, require_whole, require_within


class Variation:
    """One change of how a gradient is taken; the base changes nothing.

    Attributes:
        copies: so many varied inputs, whose losses are averaged.
        draws: whether it draws random numbers.
    """

    copies: int = 1
    draws: bool = False

    def inputs(self, x: Float[Tensor, "n ..."], copy: int, streams: Streams) -> Float[Tensor, "n ..."]:
        """What the network is shown in place of x, differentiable.

        Args:
            x: a point of the attack.
            copy: 0..copies-1.
            streams: of the samples, for this step.
        """
        return x

    def gradient(self, gradient: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
        """What is followed in place of the gradient.

        Args:
            gradient: of the mean loss over the copies.
        """
        return gradient


class DiverseInputs(Variation):
    """DI: now and then an image is drawn at another size, on a larger black canvas, and brought back to its own size.

    The side is uniform in [H, R], the place uniform on the R x R canvas, R = floor(largest H), both per sample. The two
    resizings are one bilinear reading, since samples of one batch have different sizes.

    Args:
        probability: of a changed input.
        largest: side of the canvas over the image's.
    """

    draws = True

    def __init__(self, probability: float = 0.5, largest: float = 1.1) -> None:
        require_within(0, 1, probability=probability)
        require_number(1, largest=largest)
        self.probability, self.largest = float(probability), float(largest)

    def inputs(self, x: Float[Tensor, "n ..."], copy: int, streams: Streams) -> Float[Tensor, "n ..."]:
        """A sample's image at a drawn size and place, or as it is."""
        _require_images(x, "DiverseInputs")
        changed, size, top, left = streams.uniform(4).to(x.dtype).unbind(1)
        grids = [
            self._reads(x.shape[axis], size, place) for axis, place in ((-2, top), (-1, left))
        ]  # where each row and column of the result is read, in [-1, 1]
        rows, columns = grids[0][:, :, None], grids[1][:, None, :]
        grid = torch.stack(torch.broadcast_tensors(columns, rows), -1)
        varied = F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        return torch.where(column(changed < self.probability, x), varied, x)

    def _reads(self, side: int, size: Tensor, place: Tensor) -> Tensor:
        canvas = math.floor(self.largest * side)
        length = side + (size * (canvas - side + 1)).floor().clamp_max(canvas - side)
        offset = (place * (canvas - length + 1)).floor().minimum(canvas - length)
        at = (torch.arange(side, device=size.device, dtype=size.dtype) + 0.5) * (canvas / side)
        return 2 * (at - offset[:, None]) / length[:, None] - 1


class Scales(Variation):
    """SI: the mean loss over x / 2^i, i = 0..copies-1, differentiated with respect to x.

    Args:
        copies: so many.
    """

    def __init__(self, copies: int = 5) -> None:
        require_whole(1, copies=copies)
        self.copies = int(copies)

    def inputs(self, x: Float[Tensor, "n ..."], copy: int, streams: Streams) -> Float[Tensor, "n ..."]:
        """x / 2^copy."""
        return x / 2**copy


class SmoothGradients(Variation):
    """TI: gradients smoothed by a Gaussian kernel, which stands for the mean over shifted images.

    The authors' code spreads three deviations over half of the kernel: that is sigma = 7/3 for a size of 15.

    Args:
        size: side of the kernel, odd.
        sigma: its deviation, in pixels.
    """

    def __init__(self, size: int = 15, sigma: float = 3.0) -> None:
        require_whole(1, size=size)
        require_positive(sigma=sigma)
        if size % 2 == 0:
            raise InputError("size", given=size, expected="an odd number of pixels")
        self.size, self.sigma = int(size), float(sigma)

    def gradient(self, gradient: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
        """The gradient of each channel, smoothed; beyond the border it is 0."""
        _require_images(gradient, "SmoothGradients")
        half, channels = self.size // 2, gradient.shape[1]
        line = torch.arange(-half, half + 1, device=gradient.device, dtype=gradient.dtype)
        line = (-line.square() / (2 * self.sigma**2)).exp()
        line = (line / line.sum()).expand(channels, 1, 1, -1)
        along = F.conv2d(gradient, line, padding=(0, half), groups=channels)
        return F.conv2d(along, line.transpose(2, 3), padding=(half, 0), groups=channels)


def _require_images(x: Tensor, what: str) -> None:
    if x.ndim != 4:
        raise InputError(what, given=f"inputs of shape {tuple(x.shape)}", expected="images (N, C, H, W)")


def require_variations(variations: Any) -> tuple[Variation, ...]:
    """Variations as a tuple.

    Args:
        variations: what was given.

    Raises:
        InputError: anything but a sequence of objects like `DiverseInputs()`.
    """
    good = isinstance(variations, Sequence) and all(isinstance(v, Variation) for v in variations)
    if not good:
        raise InputError("variations", given=repr(variations), expected="a sequence like [DiverseInputs(), Scales()]")
    return tuple(variations)
