"""Fields on one grid per axis: features of each coordinate from a spline, multiplied, and read by a small head.

    phi(x) = z_1(x_1) * ... * z_D(x_D),    u = head(phi)

Source: "Coordinate Encoding on Linear Grids for Physics-Informed Neural Networks", arXiv 2603.22700. Levels, periodic
axes and refinement are ours.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.randomness import local_rng
from deepwright.physics.derivatives import Jet, propagate
from deepwright.physics.linear_grids.encoding import LinearGridEncoding
from deepwright.physics.networks import activation_named
from deepwright.physics.splines import AxisBasis


class CELG(nn.Module):
    """A field on linear grids with a small perceptron behind.

    Args:
        bounds: (low, high) of each axis.
        out_features: components.
        num_knots: R of each axis; see `LinearGridEncoding`.
        num_features: M; see `LinearGridEncoding`.
        hidden: widths of the head; () is a linear head (the field is then a sum of products of splines).
        activation: of the head.
        levels: see `LinearGridEncoding`.
        fusion: see `LinearGridEncoding`.
        periodic: see `LinearGridEncoding`.
        init: see `LinearGridEncoding`.
        kernel: see `splines.AxisBasis`.
        degree: see `splines.AxisBasis`.
        extrapolate: see `splines.AxisBasis`.
        knots: see `LinearGridEncoding`.
        dtype: of features and head.
        seed: of the weights.
    """

    def __init__(
        self,
        bounds: Sequence[tuple[float, float]],
        out_features: int = 1,
        num_knots: int | Sequence[int] = 32,
        num_features: int = 16,
        hidden: Sequence[int] = (32,),
        activation: str = "tanh",
        levels: Sequence[int] | None = None,
        *,
        fusion: str = "product",
        periodic: Sequence[bool] | None = None,
        init: str = "auto",
        kernel: str = "natural_cubic",
        degree: int = 3,
        extrapolate: bool = False,
        knots: Sequence[Tensor | None] | None = None,
        dtype: torch.dtype = torch.float64,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {
            "num_knots": num_knots,
            "num_features": num_features,
            "levels": levels,
            "fusion": fusion,
            "periodic": periodic,
            "init": init,
            "kernel": kernel,
            "degree": degree,
            "extrapolate": extrapolate,
            "knots": knots,
            "bounds": [(float(low), float(high)) for low, high in bounds],
        }
        self.hidden = tuple(hidden)
        with local_rng(seed):
            self.encoding = LinearGridEncoding(**self.settings, dtype=dtype)
            layers: list[nn.Module] = []
            width = self.encoding.out_features
            for size in hidden:
                layers += [nn.Linear(width, size, dtype=dtype), activation_named(activation)]
                width = size
            layers.append(nn.Linear(width, out_features, dtype=dtype))
            self.head = nn.Sequential(*layers)

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n c"]:
        """The field.

        Args:
            x: points.
        """
        return self.head(self.encoding(x))

    def forward_jet(self, jet: Jet) -> Jet:
        """See `jets`.

        Args:
            jet: of the coordinates.
        """
        return propagate(self.head, self.encoding.forward_jet(jet))

    def memory_bytes(self) -> int:
        """Of parameters and tables."""
        return sum(t.numel() * t.element_size() for t in (*self.parameters(), *self.buffers()))

    @staticmethod
    def estimate_memory(dim: int, num_knots: int, num_features: int = 16, element: int = 8, levels: int = 1) -> int:
        """Bytes of the grids' features before anything is allocated: D R M.

        Args:
            dim: D.
            num_knots: R.
            num_features: M.
            element: bytes of a number.
            levels: how many grids.
        """
        return dim * num_knots * num_features * element * levels

    def refine(self, num_knots: int | Sequence[int]) -> CELG:
        """The same function on more knots: exactly where the new knots hold the old ones, else by interpolation there.

        Args:
            num_knots: of each axis (of each level, in order, where there are several).
        """
        counts = None if isinstance(num_knots, int) else list(num_knots)
        settings = {**self.settings, "knots": None}
        if self.settings["levels"] is None:
            settings["num_knots"] = num_knots
        else:
            levels = len(self.encoding.levels)
            if counts is not None and len(counts) != levels:
                raise InputError("num_knots", given=counts, expected=f"{levels}, one a level")
            settings["levels"] = [num_knots] * levels if counts is None else counts
        return self._interpolated(settings)

    def move_knots(self, density: Sequence[Float[Tensor, " bins"]]) -> CELG:
        """The same field with knots where they are needed: each axis's knots share a density evenly.

        Half of the density is kept even, so that no stretch goes without knots.

        Args:
            density: of each axis, mean |residual| per bin.

        Raises:
            InputError: several levels, periodic axes, another number of densities, densities that can't be shared.
        """
        if self.settings["levels"] is not None or any(a.periodic for a in self.encoding.axes):
            raise InputError("move_knots", given="levels or periodic axes", expected="one grid on open axes")
        if len(density) != self.encoding.dim:
            raise InputError("density", given=f"{len(density)}", expected=f"{self.encoding.dim}, one an axis")
        places = [_shared_places(axis, weight) for axis, weight in zip(self.encoding.axes, density)]  # type: ignore[arg-type]
        return self._interpolated({**self.settings, "knots": places})

    def _interpolated(self, settings: dict[str, Any]) -> CELG:
        """The same field on other grids, by interpolation at their knots; where this one lives and in its dtype."""
        found = copy.deepcopy(self)
        found.settings = settings
        like = self.encoding.values[0]
        with local_rng(0):  # what is drawn is overwritten
            found.encoding = LinearGridEncoding(**settings, dtype=like.dtype).to(like.device)
        for old, new in zip(self.encoding.axes, found.encoding.axes):  # where `.to(dtype)` has moved the old knots
            new.to(dtype=old.knots.dtype)  # type: ignore[union-attr,arg-type]
        with torch.no_grad():
            for old, new, values, target in zip(
                self.encoding.axes, found.encoding.axes, self.encoding.values, found.encoding.values
            ):
                where: Tensor = new.knots[: new.num_knots]  # type: ignore[index,assignment,misc]
                target.copy_(old.rows(where.to(values), 0)[0] @ values)  # type: ignore[operator]
        return found


def _shared_places(axis: AxisBasis, density: Float[Tensor, " bins"]) -> Float[Tensor, " r"]:
    """Knots that share half of the density, and half of the axis, evenly."""
    weight = density.detach().double().cpu()
    if not (
        len(weight) and bool(torch.isfinite(weight).all()) and bool((weight >= 0).all()) and float(weight.sum()) > 0
    ):
        raise InputError("density", given=weight.tolist()[:5], expected="finite numbers, 0 or more, not all 0")
    w = 0.5 * weight / weight.mean() + 0.5
    filled = torch.cat([torch.zeros(1).double(), w.cumsum(0) / w.sum()])
    edges = torch.linspace(axis.lower, axis.upper, len(filled)).double()
    share = torch.linspace(0, 1, axis.num_knots).double()
    i = torch.searchsorted(filled, share).clamp(1, len(filled) - 1)
    inside = (share - filled[i - 1]) / (filled[i] - filled[i - 1])
    place = edges[i - 1] + inside * (edges[i] - edges[i - 1])
    place[0], place[-1] = axis.lower, axis.upper
    return place
