"""Coordinates encoded by splines along each axis, and their features joined: the grids under a `CELG`.

    phi(x) = z_1(x_1) * ... * z_D(x_D)

Memory grows with D R M instead of R^D M, and second derivatives are continuous. Derivatives of the product need all
products that leave one factor out; they are made from running products on both sides, never by division.

Source: "Coordinate Encoding on Linear Grids for Physics-Informed Neural Networks", arXiv 2603.22700. Levels and
periodic axes are ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.physics.derivatives import Jet, concatenate
from deepwright.physics.derivatives.jets import Rule
from deepwright.physics.splines import AxisBasis, require_order

FUSIONS = ("product", "sum", "concat")


class LinearGridEncoding(nn.Module):
    """(N, D) -> (N, M), or (N, M D) for "concat", for each level side by side.

    Args:
        bounds: (low, high) of each axis.
        num_knots: R, one for all axes or one each.
        num_features: M.
        fusion: "product", "sum" or "concat" of the axes' features.
        levels: numbers of knots of several grids instead of one (coarse ones carry what is smooth).
        periodic: which axes close on themselves.
        init: "small" (0.1 N(0, 1)), "ones" (1 + 0.1 N(0, 1)) or "auto": small up to four axes, since a product of many
            small numbers is dead.
        kernel: see `splines.AxisBasis`.
        degree: see `splines.AxisBasis`.
        extrapolate: see `splines.AxisBasis`.
        knots: positions on each axis instead of even ones (one level only).
        dtype: of the features.

    Raises:
        InputError: unknown words, numbers that don't fit the axes.
    """

    def __init__(
        self,
        bounds: Sequence[tuple[float, float]],
        num_knots: int | Sequence[int] = 32,
        num_features: int = 16,
        *,
        fusion: str = "product",
        levels: Sequence[int] | None = None,
        periodic: Sequence[bool] | None = None,
        init: str = "auto",
        kernel: str = "natural_cubic",
        degree: int = 3,
        extrapolate: bool = False,
        knots: Sequence[Tensor | None] | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        dim = len(bounds)
        if fusion not in FUSIONS or init not in ("auto", "small", "ones") or num_features < 1:
            raise InputError(
                "LinearGridEncoding",
                given=f"fusion={fusion!r}, init={init!r}, num_features={num_features}",
                expected=f"{', '.join(FUSIONS)}; 'auto', 'small' or 'ones'; 1 or more",
            )
        if not dim:
            raise InputError("bounds", given="no axes", expected="(low, high) of at least one")
        counts = [num_knots] * dim if isinstance(num_knots, int) else list(num_knots)
        closed = [False] * dim if periodic is None else list(periodic)
        if len(counts) != dim or len(closed) != dim or (levels is not None and knots is not None):
            raise InputError(
                "axes", given=f"{dim} bounds, {len(counts)} knots, {len(closed)} periodic", expected="one each"
            )
        self.dim, self.fusion, self.num_features = dim, fusion, num_features
        self.axes, self.values = nn.ModuleList(), nn.ParameterList()
        self.levels = [counts] if levels is None else [[n] * dim for n in levels]
        ones = init == "ones" or (init == "auto" and dim > 4 and fusion == "product")
        for level in self.levels:
            for d, (n, (low, high)) in enumerate(zip(level, bounds)):
                own = None if knots is None else knots[d]
                self.axes.append(
                    AxisBasis(
                        n,
                        low,
                        high,
                        knots=own,
                        kernel=kernel,
                        degree=degree,
                        periodic=closed[d],
                        extrapolate=extrapolate,
                    )
                )
                start = 0.1 * torch.randn(n, num_features, dtype=dtype)
                self.values.append(nn.Parameter(start + 1 if ones else start))

    @property
    def out_features(self) -> int:
        """Features in all."""
        return self.num_features * len(self.levels) * (self.dim if self.fusion == "concat" else 1)

    def _check(self, x: Tensor) -> None:
        if x.ndim != 2 or x.shape[1] != self.dim:
            raise InputError("points", given=tuple(x.shape), expected=f"(N, {self.dim})")
        for d in range(self.dim):
            self.axes[d].check(x[:, d], d)  # type: ignore[operator]

    def _features(self, x: Tensor, level: int, orders: int) -> list[list[Tensor]]:
        """[axis][order] (N, M)."""
        found = []
        for d in range(self.dim):
            i = level * self.dim + d
            found.append(self.axes[i].evaluate(x[:, d], self.values[i], orders))  # type: ignore[operator]
        return found

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n f"]:
        """Features.

        Args:
            x: points.
        """
        self._check(x)
        out = []
        for level in range(len(self.levels)):
            z = [f[0] for f in self._features(x, level, 0)]
            if self.fusion == "concat":
                out += z
            else:
                total = z[0]
                for other in z[1:]:
                    total = total * other if self.fusion == "product" else total + other
                out.append(total)
        return torch.cat(out, 1)

    def forward_jet(self, jet: Jet) -> Jet:
        """See `jets`.

        Args:
            jet: of the coordinates, or of functions of them.
        """
        self._check(jet.v)
        require_order(self.axes[0], jet.order)  # type: ignore[arg-type]
        parts = []
        for level in range(len(self.levels)):
            z = self._features(jet.v, level, jet.order)
            fast = self.fusion == "product" and _plain_axes(jet) and jet.order < 3
            if fast and (jet.operators is None or jet.operators.diagonal is not None):
                parts.append(_product_along_axes(jet, z))
                continue
            each = [jet.channels(d).apply(_already(z[d])) for d in range(self.dim)]
            if self.fusion == "concat":
                parts += each
                continue
            total = each[0]
            for other in each[1:]:
                total = total.times(other) if self.fusion == "product" else total.plus(other)
            parts.append(total)
        return parts[0] if len(parts) == 1 else concatenate(parts)


def _already(derivatives: list[Tensor]) -> Rule:
    """A rule whose derivatives are known."""
    return lambda v, order: tuple(derivatives)


def _plain_axes(jet: Jet) -> bool:
    """Whether the jet is that of the coordinates themselves."""
    if jet.S is not None or jet.J.shape[1] != 1 or torch._C._functorch.maybe_get_level(jet.J) >= 0:
        return False
    return torch.equal(jet.J[:, 0], torch.eye(*jet.J.shape[::2], dtype=jet.J.dtype, device=jet.J.device))


def leave_one_out(z: Sequence[Tensor]) -> list[Tensor]:
    """Products of all but one, by running products from both sides.

    Args:
        z: factors.
    """
    if not z:
        return []
    before = [torch.ones_like(z[0])]
    for t in z[:-1]:
        before.append(before[-1] * t)
    after, out = torch.ones_like(z[0]), []
    for t, b in zip(reversed(z), reversed(before)):
        out.append(b * after)
        after = after * t
    return out[::-1]


def _product_along_axes(jet: Jet, z: list[list[Tensor]]) -> Jet:
    """d_d phi = z_d' L_d and d_d^2 phi = z_d'' L_d with L_d the product of the others."""
    values = [f[0] for f in z]
    rest = leave_one_out(values)
    k = len(jet.J)
    J = torch.stack([z[d][1] * rest[d] for d in range(k)])
    S = None
    if jet.operators is not None:
        assert jet.operators.diagonal is not None
        if jet.operators.laplacian:
            S = sum((z[d][2] * rest[d] for d in range(1, k)), start=z[0][2] * rest[0])[None]
        else:
            second = torch.stack([z[d][2] * rest[d] for d in range(k)])
            S = second if jet.operators.own else torch.tensordot(jet.operators.diagonal.to(second), second, 1)
    return Jet(values[0] * rest[0], J, S, jet.operators, None, jet.order)
