"""Splines along one axis with trainable knot values: value, slope and curvature by formula.

In cell i, with B = (x - x_i) / h_i, every kernel but one is a polynomial in B whose coefficients are linear in the knot
values g: all cells' polynomials are one matrix product, and a point evaluates its own. The same coefficients give
basis rows E with z = E g, which is what refinement and tests use.

Natural cubic: knot curvatures m = S g solve, row by row, (h_{i-1}/6) m_{i-1} + ((h_{i-1} + h_i)/3) m_i + (h_i/6)
m_{i+1} = (g_{i+1} - g_i)/h_i - (g_i - g_{i-1})/h_{i-1} with m = 0 at both ends, and in a cell, with A = 1 - B,

    z = A g_i + B g_{i+1} + h^2/6 [(A^3 - A) m_i + (B^3 - B) m_{i+1}].
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError, unknown_name
from deepwright.physics.derivatives.jets import Jet, transforming

KERNELS = ("natural_cubic", "linear", "cosine", "hermite", "bspline3")


class AxisBasis(nn.Module):
    """How knot values enter at a point of an axis.

    Args:
        num_knots: R, at least 3.
        lower: low end of the axis.
        upper: high end of the axis.
        knots: (R,) rising positions from lower to upper, instead of even ones.
        kernel: of `KERNELS`.
        degree: 3, or 5 for the natural quintic spline (four continuous derivatives).
        periodic: the axis closes on itself (natural_cubic only; the last knot isn't repeated).
        extrapolate: outside, go on in a straight line; else points outside are refused.

    Raises:
        InputError: too few knots, ends the wrong way round, knots that don't rise, kernels that don't exist.
    """

    def __init__(
        self,
        num_knots: int,
        lower: float,
        upper: float,
        *,
        knots: Sequence[float] | np.ndarray | Tensor | None = None,
        kernel: str = "natural_cubic",
        degree: int = 3,
        periodic: bool = False,
        extrapolate: bool = False,
    ) -> None:
        super().__init__()
        if kernel not in KERNELS:
            raise unknown_name("kernel", kernel, KERNELS)
        if num_knots < 3 or not lower < upper:
            raise InputError(
                "axis", given=f"{num_knots} knots on [{lower}, {upper}]", expected="3 or more, lower < upper"
            )
        if degree not in (3, 5) or (degree == 5 and (kernel != "natural_cubic" or periodic or num_knots < 6)):
            raise InputError(
                "degree", given=degree, expected="3, or 5 with the natural kernel, 6 knots or more, not periodic"
            )
        if periodic and (kernel != "natural_cubic" or knots is not None):
            raise InputError("periodic", given=f"kernel {kernel!r}", expected="'natural_cubic' with even knots")
        self.kernel, self.degree, self.periodic, self.extrapolate = kernel, degree, periodic, extrapolate
        self.lower, self.upper, self.num_knots = float(lower), float(upper), num_knots
        if knots is None:
            cells = num_knots if periodic else num_knots - 1
            x = lower + (upper - lower) / cells * np.arange(num_knots + int(periodic))
            self.even: float | None = (upper - lower) / cells
        else:
            x = torch.as_tensor(knots, dtype=torch.float64).detach().cpu().numpy().copy()
            self.even = None
            if x.shape != (num_knots,) or not (np.diff(x) > 0).all() or not np.allclose([x[0], x[-1]], [lower, upper]):
                raise InputError(
                    "knots", given=x.tolist()[:5], expected=f"{num_knots} rising positions from {lower} to {upper}"
                )
        self.register_buffer("knots", torch.from_numpy(x))
        table = None if kernel == "cosine" else torch.from_numpy(_coefficients(x, kernel, degree, periodic))
        self.register_buffer("table", table)  # (degree + 1, cells, R): powers of B

    @property
    def smooth(self) -> int:
        """How many derivatives exist everywhere."""
        return {"natural_cubic": self.degree - 1, "linear": 0, "cosine": 1, "hermite": 1, "bspline3": 2}[self.kernel]

    def cells(self, x: Float[Tensor, " n"]) -> tuple[Tensor, Tensor, Tensor]:
        """(cell, B, width of the cell) of each point.

        Args:
            x: positions; see `check` for those outside.
        """
        knots: Tensor = self.knots.to(x)  # type: ignore[operator,union-attr,assignment]
        if self.periodic:
            x = self.lower + torch.remainder(x - self.lower, self.upper - self.lower)
        if self.even is None:
            cell = torch.searchsorted(knots, x.detach().contiguous(), right=True) - 1
        else:
            cell = torch.floor((x.detach() - self.lower) / self.even).long()
        cell = cell.clamp(0, len(knots) - 2)
        left = knots[cell]
        width = knots[cell + 1] - left
        return cell, (x - left) / width, width

    def check(self, x: Float[Tensor, " n"], axis: int = 0) -> None:
        """Refuse what lies outside or isn't finite.

        Args:
            x: positions.
            axis: its number, for the error.

        Raises:
            InputError: points outside (how many), where extrapolation isn't on; NaN or infinity.
        """
        if transforming():  # the whole batch was looked at before
            return
        if self.periodic or self.extrapolate:
            bad = ~torch.isfinite(x)
        else:
            slack = 1e-9 * (self.upper - self.lower)
            bad = ~((x >= self.lower - slack) & (x <= self.upper + slack))
        if bool(bad.any()):
            raise InputError(
                f"axis {axis}",
                given=f"{int(bad.sum())} points outside [{self.lower:g}, {self.upper:g}] or not finite",
                expected="points inside",
                hint="extrapolate=True goes on in a straight line",
            )

    def rows(self, x: Float[Tensor, " n"], orders: int = 2) -> list[Float[Tensor, "n r"]]:
        """Basis rows of the value and of the first so many derivatives.

        Args:
            x: positions.
            orders: of the last derivative.
        """
        if not self.extrapolate or self.periodic:
            return self._inside(x, orders)
        held = x.clamp(self.lower, self.upper)
        found = self._inside(held, orders)
        past = (x - held)[:, None]
        outside = past != 0
        found[0] = found[0] + past * (found[1] if orders else self._inside(held, 1)[1])
        return [found[0], *found[1:2], *(torch.where(outside, 0.0, e) for e in found[2:])]

    def evaluate(
        self, x: Float[Tensor, " n"], values: Float[Tensor, "r m"], orders: int = 2
    ) -> list[Float[Tensor, "n m"]]:
        """The spline through `values` and its first so many derivatives.

        Every cell's polynomial is made once, and a point looks up its own: the time doesn't depend on the number of
        knots.

        Args:
            x: positions.
            values: at the knots, one column a feature.
            orders: of the last derivative.
        """
        if self.kernel == "cosine" or (self.extrapolate and not self.periodic):
            return [e.to(x) @ values for e in self.rows(x, orders)]
        table: Tensor = self.table.to(x)  # type: ignore[operator,union-attr,assignment]
        powers, cells, _ = table.shape
        m = values.shape[1]
        pieces = (table.transpose(0, 1).reshape(cells * powers, -1) @ values).reshape(cells, powers * m)
        cell, b, width = self.cells(x)
        own = pieces.index_select(0, cell).reshape(len(x), powers, m)
        b, width = b[:, None], width[:, None]
        found = []
        for order in range(orders + 1):
            row = math.perm(powers - 1, order) * own[:, powers - 1] if powers > order else torch.zeros_like(own[:, 0])
            for p in range(powers - 2, order - 1, -1):  # Horner
                row = torch.addcmul(math.perm(p, order) * own[:, p] if order else own[:, p], row, b)
            found.append(row / width**order if order else row)
        return found

    def _inside(self, x: Tensor, orders: int) -> list[Tensor]:
        cell, b, width = self.cells(x)
        if self.kernel == "cosine":
            return self._cosine(cell, b, width, orders)
        table: Tensor = self.table.to(x)  # type: ignore[operator,union-attr,assignment]
        powers = table[:, cell]  # (degree + 1, N, R)
        b, width = b[:, None], width[:, None]
        found = []
        factors = [1.0] * len(powers)
        for order in range(orders + 1):
            row = torch.zeros_like(powers[0])
            for p in range(len(powers) - 1, order - 1, -1):  # Horner
                row = row * b + factors[p] * powers[p]
            found.append(row / width**order if order else row)
            factors = [f * (p - order) for p, f in enumerate(factors)]
        return found

    def _cosine(self, cell: Tensor, b: Tensor, width: Tensor, orders: int) -> list[Tensor]:
        knot = torch.arange(self.num_knots, device=cell.device)
        left, right = ((cell[..., None] + k == knot).to(b) for k in (0, 1))  # one_hot doesn't go under vmap
        move = right - left
        turn = math.pi * b
        waves = [
            (1 - torch.cos(turn)) / 2,
            torch.sin(turn) * math.pi / 2,
            torch.cos(turn) * math.pi**2 / 2,
            -torch.sin(turn) * math.pi**3 / 2,
        ]
        found = [left + waves[0][:, None] * move]
        return found + [(waves[k] / width**k)[:, None] * move for k in range(1, orders + 1)]


def _coefficients(x: np.ndarray, kernel: str, degree: int, periodic: bool) -> np.ndarray:
    """(degree + 1, cells, R) of the powers of B."""
    n = len(x) - int(periodic)
    cells, h = len(x) - 1, np.diff(x)
    left, right = np.eye(n)[:cells], np.eye(n)[np.arange(1, cells + 1) % n]
    if kernel == "linear":
        return np.stack([left, right - left])
    if kernel == "natural_cubic" and degree == 3:
        s = _curvatures(h, n, periodic)
        ml, mr = s[:cells], s[np.arange(1, cells + 1) % n]
        k = (h**2 / 6)[:, None]
        return np.stack([left, right - left - k * (2 * ml + mr), 3 * k * ml, k * (mr - ml)])
    if kernel == "natural_cubic":
        return _quintic(x)
    padded = np.concatenate([2 * np.eye(n)[:1] - np.eye(n)[1:2], np.eye(n), 2 * np.eye(n)[-1:] - np.eye(n)[-2:-1]])
    before, after = padded[:cells], padded[3 : cells + 3]
    if kernel == "hermite":
        a, b = (right - before) / 2, (after - left) / 2  # Catmull-Rom slopes, one cell long
        return np.stack([left, a, 3 * (right - left) - 2 * a - b, 2 * (left - right) + a + b])
    return np.stack(
        [
            (before + 4 * left + right) / 6,
            (right - before) / 2,
            (before - 2 * left + right) / 2,
            (after - 3 * right + 3 * left - before) / 6,
        ]
    )


def _curvatures(h: np.ndarray, n: int, periodic: bool) -> np.ndarray:
    """S with m = S g."""
    a, b = np.zeros((n, n)), np.zeros((n, n))
    for i in range(n):
        if not periodic and i in (0, n - 1):
            a[i, i] = 1.0
            continue
        before, here = h[(i - 1) % len(h)], h[i % len(h)]
        for j, u, v in (
            (i - 1, before / 6, 1 / before),
            (i, (before + here) / 3, -1 / before - 1 / here),
            (i + 1, here / 6, 1 / here),
        ):
            a[i, j % n] += u
            b[i, j % n] += v
    return np.linalg.solve(a, b)


def _quintic(x: np.ndarray) -> np.ndarray:
    """The natural quintic: third and fourth derivatives vanish at both ends."""
    from scipy.interpolate import make_interp_spline

    ends = [(3, np.zeros(len(x))), (4, np.zeros(len(x)))]
    spline = make_interp_spline(x, np.eye(len(x)), 5, bc_type=(ends, ends))
    middle = 0.5 * (x[1:] + x[:-1])  # no doubt there about which piece is meant
    h = np.diff(x)[:, None]
    around = [spline(middle, p) * h**p / math.factorial(p) for p in range(6)]  # powers of B - 1/2
    return np.stack([sum(math.comb(p, q) * (-0.5) ** (p - q) * around[p] for p in range(q, 6)) for q in range(6)])


class NaturalCubicSpline1d(nn.Module):
    """M features along one axis.

    Args:
        num_knots: R.
        num_features: M.
        lower: low end of the axis.
        upper: high end of the axis.
        knots: see `AxisBasis`.
        degree: see `AxisBasis`.
        kernel: see `AxisBasis`.
        periodic: see `AxisBasis`.
        extrapolate: see `AxisBasis`.
        dtype: of the features.
    """

    def __init__(
        self,
        num_knots: int,
        num_features: int,
        lower: float = 0.0,
        upper: float = 1.0,
        *,
        knots: Sequence[float] | np.ndarray | Tensor | None = None,
        degree: int = 3,
        kernel: str = "natural_cubic",
        periodic: bool = False,
        extrapolate: bool = False,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        self.basis = AxisBasis(
            num_knots,
            lower,
            upper,
            knots=knots,
            kernel=kernel,
            degree=degree,
            periodic=periodic,
            extrapolate=extrapolate,
        )
        self.values = nn.Parameter(0.1 * torch.randn(num_knots, num_features, dtype=dtype))

    def _flat(self, x: Tensor) -> Float[Tensor, " n"]:
        if x.numel() != len(x):
            raise InputError("positions", given=f"shape {tuple(x.shape)}", expected="(N,) or (N, 1)")
        flat = x.reshape(len(x))
        self.basis.check(flat)
        return flat

    def forward(self, x: Tensor) -> Float[Tensor, "n m"]:
        """Features.

        Args:
            x: (N,) or (N, 1) positions.
        """
        flat = self._flat(x)
        return self.basis.evaluate(flat, self.values, 0)[0]

    def derivatives(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(z, z', z'').

        Args:
            x: (N,) or (N, 1) positions.
        """
        flat = self._flat(x)
        z, dz, ddz = self.basis.evaluate(flat, self.values, 2)
        return z, dz, ddz

    def forward_jet(self, jet: Jet) -> Jet:
        """See `jets`.

        Args:
            jet: of a value with one channel.
        """
        require_order(self.basis, jet.order)
        flat = jet.v[:, 0]
        self.basis.check(flat)
        d = self.basis.evaluate(flat, self.values, jet.order)
        return jet.apply(lambda v, order: tuple(d))


def require_order(basis: AxisBasis, order: int) -> None:
    """Refuse derivatives that jump at knots by the kernel's nature (a cubic's third).

    Args:
        basis: of the axis.
        order: of the derivative.
    """
    if order >= 3 and basis.degree < 5:
        raise InputError(
            "derivative",
            given=f"order {order} of a {basis.kernel} spline of degree {basis.degree}",
            expected="order 2 at most",
            hint="degree=5",
        )
