"""What happens to series: noise, drift, spikes, lost values and channels, clocks that run unevenly, coarse instruments.

All act in deviations of each channel, which a perturbation knows: `series_in_units` gives it those of training series.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.randomness import Streams
from deepwright.corruptions.levels import described, identities, severities_of


@dataclass(frozen=True)
class SeriesPerturbation:
    """A perturbation of series (N, time, channels) with the same call as one of images.

    Attributes:
        name: as listed.
        function: (series in deviations, level, streams) -> such series.
        levels: the parameter of each severity 1..5.
        center: mean of each channel; 0 for one or all by default.
        scale: deviation of each channel; 1 for one or all by default.
        channels: at least so many channels are needed.
    """

    name: str
    function: Callable[[Tensor, float, Streams], Tensor]
    levels: tuple[float, ...]
    center: tuple[float, ...] = (0.0,)
    scale: tuple[float, ...] = (1.0,)
    channels: int = 1

    def __call__(
        self,
        series: Float[Tensor, "n time *channels"],
        severity: float,
        seed: int = 0,
        t: int | None = None,
        *,
        ids: Tensor | None = None,
    ) -> Float[Tensor, "n time *channels"]:
        """Perturbed series; severity 0 is the identity.

        Args:
            series: (N, time, channels), or (N, time) of one channel.
            severity: 0..5.
            seed: of the streams.
            t: time step, part of the streams.
            ids: (N,) identity of each series (0..N-1 by default).

        Raises:
            InputError: series of another shape or type, that aren't finite, or of too few channels; a severity outside
                0..5.
        """
        fine = isinstance(series, Tensor) and series.ndim in (2, 3) and series.is_floating_point()
        if not fine or not bool(torch.isfinite(series).all()):
            raise InputError("series", given=described(series), expected="finite floats (N, time, channels)")
        x = series if series.ndim == 3 else series[..., None]
        if x.shape[2] < self.channels or len(self.center) not in (1, x.shape[2]):
            needed = max(self.channels, len(self.center))
            raise InputError(
                f"{self.name}: channels",
                given=x.shape[2],
                expected=f"{needed} or more" if len(self.center) == 1 else needed,
            )
        level = int(severities_of(severity, 1))
        if level == 0:
            return series.clone()
        center, scale = (torch.tensor(v, device=x.device, dtype=x.dtype) for v in (self.center, self.scale))
        streams = Streams(seed, identities(ids, len(x)), self.name, t, x.device)
        moved = self.function((x - center) / scale, self.levels[level - 1], streams)
        return (moved * scale + center).to(series.dtype).reshape(series.shape)


def series_in_units(
    center: Float[Tensor, " channels"], scale: Float[Tensor, " channels"]
) -> tuple[SeriesPerturbation, ...]:
    """All perturbations in the units of some series; without those that need more channels than there are.

    Args:
        center: mean of each channel.
        scale: deviation of each channel, above 0.

    Raises:
        InputError: deviations that aren't above 0; unlike lengths.
    """
    if center.shape != scale.shape or center.ndim != 1 or not bool((scale > 0).all() & torch.isfinite(scale).all()):
        given = f"shapes {tuple(center.shape)} and {tuple(scale.shape)}"
        raise InputError("scale", given=given, expected="a mean and a deviation above 0 for each channel")
    middle, unit = tuple(center.tolist()), tuple(scale.tolist())
    return tuple(replace(p, center=middle, scale=unit) for p in SERIES if p.channels <= len(center))


def _noise(x: Tensor, deviation: float, streams: Streams) -> Tensor:
    return x + deviation * streams.normal(*x.shape[1:]).to(x.dtype)


def _drift(x: Tensor, most: float, streams: Streams) -> Tensor:
    """A line from 0 to the level, up or down, in each channel."""
    up = torch.where(streams.uniform(x.shape[2]) < 0.5, -1.0, 1.0).to(x.dtype)
    return x + most * up[:, None] * torch.linspace(0, 1, x.shape[1], device=x.device, dtype=x.dtype)[:, None]


def _spikes(x: Tensor, share: float, streams: Streams) -> Tensor:
    """Five deviations, up or down."""
    hit = streams.uniform(*x.shape[1:]) < share
    up = torch.where(streams.uniform(*x.shape[1:]) < 0.5, -5.0, 5.0).to(x.dtype)
    return torch.where(hit, x + up, x)


def _lost_values(x: Tensor, share: float, streams: Streams) -> Tensor:
    """Times at which nothing was measured: all channels show their mean."""
    return torch.where(streams.uniform(x.shape[1])[..., None] < share, 0.0, x)


def _lost_channels(x: Tensor, share: float, streams: Streams) -> Tensor:
    """Channels that show their mean; the one that was least likely to go stays."""
    drawn = streams.uniform(x.shape[2])
    lost = (drawn < share) & (drawn < drawn.amax(1, keepdim=True))
    return torch.where(lost[:, None], 0.0, x)


def _warped(x: Tensor, strength: float, streams: Streams) -> Tensor:
    """Read at t + a (sin(2 pi t + phase) - sin(phase)) / (2 pi) for t in [0, 1]: a clock that is uneven, never back."""
    n, steps, _ = x.shape
    t = torch.linspace(0, 1, steps, device=x.device)
    turn = 2 * math.pi
    phase = turn * streams.uniform(1)
    moved = t + strength * (torch.sin(turn * t + phase) - torch.sin(phase)) / turn
    place = (moved.clamp(0, 1) * (steps - 1)).to(x.dtype)
    low = place.floor().long().clamp_(max=max(0, steps - 2))
    share = (place - low)[..., None]
    rows = torch.arange(n, device=x.device)[:, None]
    return x[rows, low] * (1 - share) + x[rows, (low + 1).clamp(max=steps - 1)] * share


def _rounded(x: Tensor, step: float, streams: Streams) -> Tensor:
    return (x / step).round() * step


def _gap(x: Tensor, share: float, streams: Streams) -> Tensor:
    """A stretch in which the last value before it stands still (the first one, where it begins there)."""
    steps = x.shape[1]
    length = max(1, round(share * steps))
    first = (streams.uniform(1) * (steps - length + 1)).long().clamp_(max=steps - length)
    t = torch.arange(steps, device=x.device)[None]
    inside = (t >= first) & (t < first + length)
    held = torch.where(inside, (first - 1).clamp_min(0), t)
    return x.gather(1, held[..., None].expand_as(x))


SERIES = (
    SeriesPerturbation("gaussian noise", _noise, (0.1, 0.2, 0.4, 0.7, 1.0)),
    SeriesPerturbation("drift", _drift, (0.25, 0.5, 1.0, 1.5, 2.0)),
    SeriesPerturbation("spikes", _spikes, (0.01, 0.02, 0.05, 0.1, 0.2)),
    SeriesPerturbation("lost values", _lost_values, (0.05, 0.1, 0.2, 0.35, 0.5)),
    SeriesPerturbation("lost channels", _lost_channels, (0.1, 0.2, 0.35, 0.5, 0.75), channels=2),
    SeriesPerturbation("uneven clock", _warped, (0.1, 0.25, 0.5, 0.75, 0.95)),
    SeriesPerturbation("coarse instruments", _rounded, (0.25, 0.5, 1.0, 1.5, 2.0)),
    SeriesPerturbation("missing stretch", _gap, (0.05, 0.1, 0.2, 0.35, 0.5)),
)
