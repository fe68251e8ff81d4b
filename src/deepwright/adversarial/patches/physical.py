"""A radar receiver: what is taken from the scene's resolution cells is seen through its point-spread function.

Not in the released code: the model is ours. The scene g has one complex number a pixel and look, the image is
|h * (T g)|, averaged over looks in intensity. Coherent cancellation of a cell with a phase error phi leaves
1 - (1 - T) exp(j phi) of it, whose size at T = 0 is 2 |sin(phi / 2)|.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Complex, Float, Int64, Shaped
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.randomness import Streams
from deepwright.core.requirements import require_number, require_positive, require_whole, require_within

_SIDE_LOBES, _NBAR = 35.0, 5  # of the Taylor window, in decibels


class PSF:
    """A separable point-spread function of unit energy, and what disturbs cancellation behind it.

    Args:
        azimuth: resolution down the image, in pixels.
        range_: resolution across it.
        window: "sinc", or "taylor" for side lobes at -35 decibels; it widens the main lobe by about a third.
        taps: the function itself, of an odd number of pixels and the same both ways, instead of resolutions.
        cell: height and width in pixels of the cells at which something is taken away; the resolutions, rounded, by
            default.
        phase: standard deviation of the phase error in radians, of each cell.
        misplaced: chance that an image's pattern lies a cell off, one way or the other, along each axis.
        least: smallest transmission T.

    Raises:
        InputError: resolutions of 0 or less, an unknown window, taps of an even number, shares outside [0, 1].
    """

    def __init__(
        self,
        azimuth: float = 1.5,
        range_: float = 1.5,
        *,
        window: str = "sinc",
        taps: Sequence[float] | None = None,
        cell: tuple[int, int] | None = None,
        phase: float = 0.0,
        misplaced: float = 0.0,
        least: float = 0.0,
    ) -> None:
        require_positive(azimuth=azimuth, range_=range_)
        require_number(0, phase=phase)
        require_within(0, 1, misplaced=misplaced)
        require_within(0, 1, ends="[)", least=least)
        if window not in ("sinc", "taylor"):
            raise InputError("window", given=repr(window), expected="'sinc' or 'taylor'")
        if taps is not None and (len(taps) % 2 == 0 or not all(map(math.isfinite, taps)) or not any(taps)):
            raise InputError("taps", given=repr(taps), expected="an odd number of finite numbers, not all 0")
        if cell is None:
            cell = (1, 1) if taps is not None else (max(1, round(azimuth)), max(1, round(range_)))
        require_whole(1, cell_height=cell[0], cell_width=cell[1])
        self.cell = (int(cell[0]), int(cell[1]))
        self.phase, self.misplaced, self.least = float(phase), float(misplaced), float(least)
        if taps is None:
            self.kernels = (_kernel(azimuth, window), _kernel(range_, window))
        else:
            one = _unit(torch.tensor(list(taps), dtype=torch.float64))
            self.kernels = (one, one)

    def received(self, field: Complex[Tensor, "*batch h w"]) -> Complex[Tensor, "*batch h w"]:
        """h * g, with mirrored edges, by fast Fourier transforms.

        Args:
            field: complex.
        """
        down, across = (k.to(field.device, field.real.dtype) for k in self.kernels)
        r, c = len(down) // 2, len(across) // 2
        height, width = field.shape[-2:]
        if height <= r or width <= c:
            given = f"a scene of {height} x {width}"
            raise InputError("field", given=given, expected=f"more than {r} x {c}, as the receiver needs")
        flat = torch.view_as_real(field.reshape(-1, height, width)).permute(0, 3, 1, 2)
        padded = torch.view_as_complex(F.pad(flat, (c, c, r, r), mode="reflect").permute(0, 2, 3, 1).contiguous())
        size = (height + 4 * r, width + 4 * c)
        kernel = torch.outer(down, across)
        out = torch.fft.ifft2(torch.fft.fft2(padded, s=size) * torch.fft.fft2(kernel, s=size))
        return out[:, 2 * r : 2 * r + height, 2 * c : 2 * c + width].reshape(field.shape)

    def amplitude(
        self, field: Complex[Tensor, "n looks h w"], transmission: Shaped[Tensor, "n 1 ch cw"] | None = None
    ) -> Float[Tensor, "n 1 h w"]:
        """What is seen of a scene, its looks averaged in intensity.

        Args:
            field: complex, one a look.
            transmission: T of each cell, or the complex factor that is left of it; None where nothing is taken away.
        """
        if transmission is not None:
            field = field * self._on_pixels(transmission)
        power = torch.view_as_real(self.received(field)).square().sum(-1).mean(1, keepdim=True)
        return (power + 1e-20).sqrt() - 1e-10

    def realised(
        self,
        field: Complex[Tensor, "n looks h w"],
        transmission: Float[Tensor, "n 1 ch cw"],
        seed: int = 0,
        ids: Int64[Tensor, " n"] | None = None,
    ) -> Float[Tensor, "n 1 h w"]:
        """What is seen when T is brought about by cancellation, with its phase errors and misplacements.

        What a misplaced pattern takes away beyond the scene's edge is lost; nothing comes in from the other side.

        Args:
            field: complex, one a look.
            transmission: T of each cell that is wanted.
            seed: of the errors.
            ids: (N,) identity of each scene.
        """
        ids = torch.arange(len(field)) if ids is None else ids
        streams = Streams(seed, ids, "cancellation", device=field.device)
        if self.misplaced:
            u = streams.uniform(4)
            missing = 1 - transmission
            for axis in (2, 3):
                off = u[:, axis] < self.misplaced
                way = torch.where(u[:, axis - 2] < 0.5, 1, -1)
                for step in (1, -1):
                    rows = (off & (way == step)).view(-1, 1, 1, 1)
                    missing = torch.where(rows, _moved(missing, step, axis), missing)
            transmission = 1 - missing
        return self.amplitude(field, self.residual(transmission, streams))

    def residual(self, transmission: Tensor, streams: Streams) -> Tensor:
        """1 - (1 - T) exp(j phi), of normal phase errors.

        Args:
            transmission: T.
            streams: one a scene.
        """
        phi = self.phase * streams.normal(*transmission.shape[1:]).to(transmission)
        return 1 - (1 - transmission) * torch.polar(torch.ones_like(phi), phi)

    def cell_amplitudes(self, field: Complex[Tensor, "n looks h w"]) -> Float[Tensor, "n 1 ch cw"]:
        """Root of the mean intensity in each cell.

        Args:
            field: complex, one a look.

        Raises:
            InputError: a scene that doesn't divide into cells.
        """
        height, width = field.shape[-2:]
        if height % self.cell[0] or width % self.cell[1]:
            given = f"{height} x {width} in cells of {self.cell[0]} x {self.cell[1]}"
            raise InputError("field", given=given, expected="whole cells", hint="cut the scene")
        power = torch.view_as_real(field).square().sum(-1).mean(1, keepdim=True)
        return F.avg_pool2d(power, self.cell).sqrt()

    def _on_pixels(self, cells: Tensor) -> Tensor:
        down, across = self.cell
        return cells if self.cell == (1, 1) else cells.repeat_interleave(down, 2).repeat_interleave(across, 3)


def _moved(cells: Tensor, step: int, axis: int) -> Tensor:
    """Cells a step further along an axis, with nothing where none were."""
    moved, n = torch.zeros_like(cells), cells.shape[axis]
    if step > 0:
        moved.narrow(axis, 1, n - 1).copy_(cells.narrow(axis, 0, n - 1))
    else:
        moved.narrow(axis, 0, n - 1).copy_(cells.narrow(axis, 1, n - 1))
    return moved


def _kernel(resolution: float, window: str) -> Float[Tensor, " m"]:
    """sin(pi t) / (pi t) at t = pixels over the resolution, out to four of them."""
    r = max(1, math.ceil(4 * resolution))
    t = torch.arange(-r, r + 1, dtype=torch.float64) / resolution
    if window == "sinc":
        return _unit(torch.sinc(t))
    terms = _taylor()
    value = torch.sinc(t)
    for m, f in enumerate(terms, 1):
        value = value + f * (torch.sinc(t - m) + torch.sinc(t + m))
    return _unit(value)


def _taylor() -> list[float]:
    """Coefficients of the Taylor window, whose first side lobes are level."""
    a = math.acosh(10 ** (_SIDE_LOBES / 20)) / math.pi
    stretch = _NBAR**2 / (a**2 + (_NBAR - 0.5) ** 2)
    found = []
    for m in range(1, _NBAR):
        up = math.prod(1 - m**2 / (stretch * (a**2 + (k - 0.5) ** 2)) for k in range(1, _NBAR))
        down = math.prod(1 - m**2 / k**2 for k in range(1, _NBAR) if k != m)
        found.append((-1) ** (m + 1) * up / (2 * down))
    return found


def _unit(kernel: Tensor) -> Tensor:
    return kernel / kernel.square().sum().sqrt()
