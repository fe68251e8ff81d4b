"""What the detector is shown when so much is taken away at each place: on pixels, or behind a receiver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int64
from torch import Tensor

from deepwright.adversarial.patches.physical import PSF
from deepwright.adversarial.patches.regions import Regions, regions_of


@runtime_checkable
class Shown(Protocol):
    """Images in which an amount is missing at each place that an object owns."""

    @property
    def regions(self) -> Regions:
        """The objects' places."""
        ...

    @property
    def cap(self) -> Float[Tensor, "k longest"]:
        """The most that can be taken away at each."""
        ...

    def render(self, taken: Float[Tensor, "k longest"]) -> Float[Tensor, "n c h w"]:
        """The images.

        Args:
            taken: at each place, 0 to `cap`.
        """
        ...

    def of(self, rows: Int64[Tensor, " m"]) -> tuple[Shown, Bool[Tensor, " k"]]:
        """That of some images, and which objects are theirs.

        Args:
            rows: the images.
        """
        ...


@dataclass(frozen=True)
class Pixels:
    """x' = x - P on pixels; channels that are all alike stay alike.

    Attributes:
        x: images, in the working precision.
        low: the lower end of their range, from which amplitudes count.
        grey: whether channels are alike.
        regions: the objects' pixels.
        cap: amplitudes there.
    """

    x: Tensor
    low: float
    grey: bool
    regions: Regions
    cap: Tensor

    @classmethod
    def at(cls, x: Float[Tensor, "n c h w"], boxes: Sequence[Tensor], low: float) -> Pixels:
        """On images with objects.

        Args:
            x: images.
            boxes: as `box_rows` gives them.
            low: the lower end of their range.
        """
        grey = x.shape[1] > 1 and bool((x == x[:, :1]).all())
        seen = x[:, :1] if grey else x
        regions = regions_of(boxes, seen.shape[1], x.shape[2], x.shape[3], x.device)
        return cls(x, low, grey, regions, regions.values(seen - low).clamp_min(0))

    def render(self, taken: Float[Tensor, "k longest"]) -> Float[Tensor, "n c h w"]:
        """The images, differentiable; untouched pixels keep their bits.

        Args:
            taken: at each place, 0 to `cap`.
        """
        return self.x - self.regions.spread(taken, self.x[:, :1] if self.grey else self.x)

    def of(self, rows: Int64[Tensor, " m"]) -> tuple[Pixels, Bool[Tensor, " k"]]:
        """That of some images, and which objects are theirs.

        Args:
            rows: the images.
        """
        regions, kept = self.regions.of(rows, len(self.x))
        return replace(self, x=self.x[rows], regions=regions, cap=self.cap[kept]), kept


@dataclass(frozen=True)
class Cells:
    """Resolution cells of a complex scene behind a receiver: T = 1 - taken / amplitude of the cell.

    Attributes:
        field: the scene, one field a look.
        psf: the receiver.
        channels: of the images.
        low: lower end of their range.
        span: its width.
        regions: the objects' cells.
        cap: their amplitudes, as far as they can be taken away.
        full: their amplitudes.
    """

    field: Tensor
    psf: PSF
    channels: int
    low: float
    span: float
    regions: Regions
    cap: Tensor
    full: Tensor

    @classmethod
    def at(cls, field: Tensor, boxes: Sequence[Tensor], psf: PSF, channels: int, bounds: tuple[float, float]) -> Cells:
        """Of scenes with objects.

        Args:
            field: complex (N, looks, H, W).
            boxes: as `box_rows` gives them, in pixels.
            psf: the receiver.
            channels: of the images.
            bounds: of their range.
        """
        amplitude = psf.cell_amplitudes(field)
        ca, cg = psf.cell
        scaled = []
        for rows in boxes:
            factor = rows.new_tensor([cg, ca, cg, ca, 1.0][: rows.shape[1]])
            scaled.append(rows / factor)
        regions = regions_of(scaled, 1, amplitude.shape[2], amplitude.shape[3], field.device)
        full = regions.values(amplitude)
        span = bounds[1] - bounds[0]
        return cls(field, psf, channels, bounds[0], span, regions, full * (1 - psf.least), full)

    def transmission(self, taken: Float[Tensor, "k longest"]) -> Float[Tensor, "n 1 h w"]:
        """T of each cell.

        Args:
            taken: of its amplitude.
        """
        share = taken / self.full.clamp_min(1e-12)
        shape = (len(self.field), 1, self.field.shape[2] // self.psf.cell[0], self.field.shape[3] // self.psf.cell[1])
        return 1 - self.regions.spread(share, self.full.new_zeros(shape))

    def render(self, taken: Float[Tensor, "k longest"]) -> Float[Tensor, "n c h w"]:
        """The images, differentiable, with perfect phases.

        Args:
            taken: at each cell, 0 to `cap`.
        """
        seen = self.psf.amplitude(self.field, self.transmission(taken))
        return (seen * self.span + self.low).clamp(self.low, self.low + self.span).expand(-1, self.channels, -1, -1)

    def of(self, rows: Int64[Tensor, " m"]) -> tuple[Cells, Bool[Tensor, " k"]]:
        """That of some scenes, and which objects are theirs.

        Args:
            rows: the scenes.
        """
        regions, kept = self.regions.of(rows, len(self.field))
        part = replace(self, field=self.field[rows], regions=regions, cap=self.cap[kept], full=self.full[kept])
        return part, kept
