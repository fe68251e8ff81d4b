"""What happens to the rows of a table: measuring noise, missing values, drifting units, coarse instruments.

All act on standardised features (mean 0, deviation 1 on the training rows), so levels are in deviations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.randomness import Streams
from deepwright.corruptions.levels import described, identities, severities_of


@dataclass(frozen=True)
class TablePerturbation:
    """A perturbation of (N, features) rows with the same call as one of images.

    Attributes:
        name: as listed.
        function: (rows, level, streams) -> rows.
        levels: the parameter of each severity 1..5.
    """

    name: str
    function: Callable[[Tensor, float, Streams], Tensor]
    levels: tuple[float, ...]

    def __call__(
        self,
        rows: Float[Tensor, "n features"],
        severity: float,
        seed: int = 0,
        t: int | None = None,
        *,
        ids: Tensor | None = None,
    ) -> Float[Tensor, "n features"]:
        """Perturbed rows; severity 0 is the identity.

        Args:
            rows: standardised features.
            severity: 0..5.
            seed: of the streams.
            t: time step, part of the streams.
            ids: (N,) identity of each row (0..N-1 by default).

        Raises:
            InputError: rows of another shape or type, or that aren't finite; a severity outside 0..5.
        """
        if (
            not isinstance(rows, Tensor)
            or rows.ndim != 2
            or not rows.is_floating_point()
            or not torch.isfinite(rows).all()
        ):
            raise InputError("rows", given=described(rows), expected="finite floats (N, features)")
        level = int(severities_of(severity, 1))
        if level == 0:
            return rows.clone()
        streams = Streams(seed, identities(ids, len(rows)), self.name, t, rows.device)
        return self.function(rows, self.levels[level - 1], streams)


def _noise(x: Tensor, deviation: float, streams: Streams) -> Tensor:
    return x + deviation * streams.normal(x.shape[1])


def _missing(x: Tensor, share: float, streams: Streams) -> Tensor:
    return torch.where(streams.uniform(x.shape[1]) < share, 0.0, x)  # 0 is the training mean


def _swapped(x: Tensor, share: float, streams: Streams) -> Tensor:
    return torch.where(streams.uniform(x.shape[1]) < share, x.roll(1, 0), x)


def _scaled(x: Tensor, factor: float, streams: Streams) -> Tensor:
    return x * factor


def _shifted(x: Tensor, shift: float, streams: Streams) -> Tensor:
    return x + shift


def _rounded(x: Tensor, step: float, streams: Streams) -> Tensor:
    return (x / step).round() * step


TABLES = (
    TablePerturbation("measurement noise", _noise, (0.1, 0.2, 0.4, 0.7, 1.0)),
    TablePerturbation("missing values", _missing, (0.05, 0.1, 0.2, 0.35, 0.5)),
    TablePerturbation("mixed-up rows", _swapped, (0.05, 0.1, 0.2, 0.35, 0.5)),
    TablePerturbation("drifting units", _scaled, (1.1, 1.25, 1.5, 2.0, 3.0)),
    TablePerturbation("drifting zero", _shifted, (0.1, 0.2, 0.4, 0.7, 1.0)),
    TablePerturbation("coarse instruments", _rounded, (0.25, 0.5, 1.0, 1.5, 2.0)),
)
