"""Whether radar returns are missing where there should be some: holes among bright pixels, targets too weak.

A counter-measure to attenuation. What is drawn from hulls and scatterers through a point-spread function is smooth over
a pixel or two, and a target with so many scatterers returns about so much energy; taking energy away where it hides a
target best breaks both. Nothing of the network is looked at.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.adversarial.semantic.detector import InputDetector
from deepwright.adversarial.semantic.watching import Seen, Watch
from deepwright.core.errors import InputError, NotCalibratedError
from deepwright.core.requirements import require_positive, require_whole

_FLOOR = 0.1  # of the sea's power: below it nothing is told apart
_MOST = 8  # scatterers of a window that are told apart
_LEAST_SPREAD = 0.05  # of the logarithm of the energy
_ENOUGH = 30  # windows with as many scatterers, of which a mean is taken without those around
_NONE = -100.0  # where an image has no scatterer


class ShadowConsistency(InputDetector):
    """Two scores of a radar amplitude image, which share the rate of false alarms.

    With I the power (the square of the amplitude, mean over channels), b its median over the image (the sea's), and c_0
    a tenth of b: "shadow" is the largest log((m + c_0) / (I + c_0)) of any pixel, with m the mean of its eight
    neighbours. "energy" looks at windows around scatterers, the local maxima of at least `contrast` b: how many
    deviations log sum (I / b) falls below its mean over clean windows with as many scatterers, at its largest.

    `score` is the larger of both, each from 0 in the middle of clean images to 1 where it alarms, after `calibrate`.
    It needs no network; `bind` one to watch it by `Monitored`, or to attack both. Where inputs aren't amplitudes of
    bright targets on a dark ground it says nothing.

    Args:
        window: side of the windows, odd; about the length of a target.
        contrast: of a scatterer to the sea, in power.

    Raises:
        InputError: an even window.
    """

    mean_: Tensor
    deviation_: Tensor

    def __init__(self, window: int = 11, contrast: float = 3.0) -> None:
        super().__init__()
        require_whole(3, window=window)
        require_positive(contrast=contrast)
        if window % 2 == 0:
            raise InputError("window", given=window, expected="odd")
        self.window, self.contrast = int(window), float(contrast)

    @property
    def parts(self) -> tuple[str, ...]:
        """Both scores."""
        return ("shadow", "energy")

    @property
    def watch(self) -> Watch:
        """How it looks at the network that it is bound to; without one it looks at inputs alone."""
        return super().watch if self._network else _Inputs()

    def begin_fit(self) -> None:
        """See `InputDetector.begin_fit`."""
        self._sums = torch.zeros(3, _MOST + 1, dtype=torch.float64)

    def learn(self, seen: Seen) -> None:
        """See `InputDetector.learn`.

        Args:
            seen: what a pass left behind.
        """
        energy, count, there = self._windows(_power(seen.x))
        energy, count = energy[there].double(), count[there].long()
        sums = energy.new_zeros(3, _MOST + 1)
        for row, values in zip(sums, (torch.ones_like(energy), energy, energy.square()), strict=True):
            row.index_add_(0, count, values)
        self._sums = self._sums.to(sums.device) + sums

    def end_fit(self) -> None:
        """See `InputDetector.end_fit`.

        Raises:
            InputError: no scatterer in any image.
        """
        n, total, squares = self._sums
        if not bool(n.any()):
            expected = f"a local maximum of {self.contrast:g} times the median power in some"
            raise InputError("inputs to fit on", given="images without scatterers", expected=expected)
        weight = _near(n)  # counts that hardly occur borrow from their neighbours
        mean = weight @ total / (weight @ n)
        spread = (weight @ squares / (weight @ n) - mean.square()).clamp_min(0).sqrt()
        self.remember(mean_=mean, deviation_=spread.clamp_min(_LEAST_SPREAD))

    def _parts(self, seen: Seen) -> Float[Tensor, "n two"]:
        power = _power(seen.x)
        return torch.stack([_shadow(power), self._weakest(power)], 1)

    def _single(self, parts: Tensor) -> Tensor:
        if not self._has("thresholds_"):
            raise NotCalibratedError(f"{self.name}, whose score joins two,")
        return self.nearness(parts)

    def _weakest(self, power: Tensor) -> Tensor:
        energy, count, there = self._windows(power)
        mean, deviation = (t.to(power)[count.long()] for t in (self.mean_, self.deviation_))
        missing = torch.where(there, (mean - energy) / deviation, torch.full_like(energy, _NONE))
        return missing.flatten(1).amax(1)

    def _windows(self, power: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of windows around each pixel: the logarithm of their energy, their scatterers; and which pixels are one."""
        peak = power.detach()
        there = (peak >= F.max_pool2d(peak, 3, 1, 1)) & (peak >= self.contrast)
        area, edge = self.window**2, self.window // 2
        count = F.avg_pool2d(there.to(power), self.window, 1, edge, divisor_override=1).round().clamp(1, _MOST)
        energy = F.avg_pool2d(power, self.window, 1, edge, divisor_override=area)
        return energy.clamp_min(1e-6).log(), count, there


class _Inputs(Watch):
    """Stands where there is no network: inputs pass as they are."""

    def __init__(self) -> None:
        super().__init__(nn.Identity())

    def __call__(self, x: Float[Tensor, "n ..."]) -> Seen:
        """The inputs.

        Args:
            x: inputs.
        """
        return Seen(x, x, None, {})


def _power(x: Tensor) -> Float[Tensor, "n 1 h w"]:
    """Power over the sea's, which is the median of each image."""
    if x.ndim != 4 or min(x.shape[2:]) < 3:
        raise InputError("inputs", given=f"shape {tuple(x.shape)}", expected="images (N, C, H, W) of 3 pixels or more")
    power = x.float().square().mean(1, keepdim=True)
    sea = power.detach().flatten(1).median(1).values
    smallest = power.detach().flatten(1).mean(1) * 1e-6 + 1e-12  # where half of an image is black
    return power / torch.maximum(sea, smallest).view(-1, 1, 1, 1)


def _shadow(power: Tensor) -> Float[Tensor, " n"]:
    """The deepest hole of each image: a pixel against the mean of its eight neighbours."""
    padded = F.pad(power, [1] * 4, mode="replicate")
    around = (F.avg_pool2d(padded, 3, 1, divisor_override=1) - power) / 8
    return ((around.clamp_min(0) + _FLOOR) / (power + _FLOOR)).log().flatten(1).amax(1)


def _near(n: Tensor) -> Float[Tensor, "counts counts"]:
    """Weights of each count in the estimate of each: its own, and less and less of those around where it is rare."""
    place = torch.arange(len(n), dtype=torch.float64, device=n.device)
    far = (place[:, None] - place).abs()
    width = torch.where(n >= _ENOUGH, 0.1, 1.0)[:, None]
    return torch.exp(-0.5 * (far / width).square()) + 1e-9
