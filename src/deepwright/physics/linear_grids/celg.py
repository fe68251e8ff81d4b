"""Fields on one grid per axis: features of each coordinate from a spline, multiplied, and read by a small head.

    phi(x) = z_1(x_1) * ... * z_D(x_D),    u = head(phi)

Memory grows with D R M instead of R^D M, and second derivatives are continuous. Derivatives of the product need all
products that leave one factor out; they are made from running products on both sides, never by division.

Source: "Coordinate Encoding on Linear Grids for Physics-Informed Neural Networks", arXiv 2603.22700. Levels, periodic axes,
refinement and alternating least squares are ours.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.randomness import local_rng
from deepwright.physics.derivatives.jets import Jet, Rule, concatenate, propagate
from deepwright.physics.networks import activation_named
from deepwright.physics.solve.least_squares import LeastSquaresProblem
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
        kernel, degree, extrapolate: see `splines.AxisBasis`.
        knots: positions on each axis instead of even ones (one level only).
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
                "LinearGridEncoding", given=f"fusion={fusion!r}, init={init!r}, num_features={num_features}",
                expected=f"{', '.join(FUSIONS)}; 'auto', 'small' or 'ones'; 1 or more",
            )  # fmt: skip
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
        """Features."""
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
        """See `jets`."""
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
    return jet.S is None and jet.J.shape[1] == 1 and torch._C._functorch.maybe_get_level(jet.J) < 0 and torch.equal(
        jet.J[:, 0], torch.eye(*jet.J.shape[::2], dtype=jet.J.dtype, device=jet.J.device)
    )  # fmt: skip


def leave_one_out(z: Sequence[Tensor]) -> list[Tensor]:
    """Products of all but one, by running products from both sides."""
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


class CELG(nn.Module):
    """A field on linear grids with a small perceptron behind.

    Args:
        bounds: (low, high) of each axis.
        out_features: components.
        hidden: widths of the head; () is a linear head (the field is then a sum of products of splines).
        activation: of the head.
        seed: of the weights.
        options: see `LinearGridEncoding`.
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
        dtype: torch.dtype = torch.float64,
        seed: int = 0,
        **options: object,
    ) -> None:
        super().__init__()
        self.settings = {
            "bounds": [tuple(map(float, b)) for b in bounds], "out_features": out_features, "num_knots": num_knots,
            "num_features": num_features, "hidden": tuple(hidden), "activation": activation, "levels": levels, "dtype": dtype,
            "seed": seed, **options,
        }  # fmt: skip
        with local_rng(seed):
            self.encoding = LinearGridEncoding(bounds, num_knots, num_features, levels=levels, dtype=dtype, **options)  # type: ignore[arg-type]
            layers: list[nn.Module] = []
            width = self.encoding.out_features
            for size in hidden:
                layers += [nn.Linear(width, size, dtype=dtype), activation_named(activation)]
                width = size
            layers.append(nn.Linear(width, out_features, dtype=dtype))
            self.head = nn.Sequential(*layers)

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n c"]:
        """The field."""
        return self.head(self.encoding(x))

    def forward_jet(self, jet: Jet) -> Jet:
        """See `jets`."""
        return propagate(self.head, self.encoding.forward_jet(jet))

    def memory_bytes(self) -> int:
        """Of parameters and tables."""
        return sum(t.numel() * t.element_size() for t in (*self.parameters(), *self.buffers()))

    @staticmethod
    def estimate_memory(dim: int, num_knots: int, num_features: int = 16, element: int = 8, levels: int = 1) -> int:
        """Bytes of the grids' features before anything is allocated: D R M."""
        return dim * num_knots * num_features * element * levels

    def refine(self, num_knots: int | Sequence[int]) -> CELG:
        """The same function on more knots: exactly where the new knots hold the old ones, else by interpolation there.

        Args:
            num_knots: of each axis (of each level, in order, where there are several).
        """
        counts = list(num_knots) if not isinstance(num_knots, int) else None
        settings = dict(self.settings)
        if self.settings["levels"] is None:
            settings["num_knots"] = num_knots
        else:
            settings["levels"] = [num_knots] * len(self.encoding.levels) if counts is None else counts
        settings.pop("knots", None)
        finer = CELG(**settings)  # type: ignore[arg-type]
        finer.head = copy.deepcopy(self.head)
        with torch.no_grad():
            for old, new, values, target in zip(
                self.encoding.axes, finer.encoding.axes, self.encoding.values, finer.encoding.values
            ):
                where: Tensor = new.knots[: new.num_knots]  # type: ignore[index,assignment,misc]
                target.copy_(old.rows(where.to(values), 0)[0] @ values)  # type: ignore[operator]
        return finer

    def move_knots(self, density: Sequence[Float[Tensor, " bins"]]) -> CELG:
        """The same field with knots where they are needed: each axis's knots share a density (mean |residual| per bin) evenly.

        Half of the density is kept even, so that no stretch goes without knots.
        """
        if self.settings["levels"] is not None or any(a.periodic for a in self.encoding.axes):
            raise InputError("move_knots", given="levels or periodic axes", expected="one grid on open axes")
        places = []
        for axis, weight in zip(self.encoding.axes, density):
            assert isinstance(axis, AxisBasis)
            w = 0.5 * weight.double() / weight.double().mean() + 0.5
            filled = torch.cat([torch.zeros(1).double(), w.cumsum(0) / w.sum()])
            edges = torch.linspace(axis.lower, axis.upper, len(filled)).double()
            share = torch.linspace(0, 1, axis.num_knots).double()
            i = torch.searchsorted(filled, share).clamp(1, len(filled) - 1)
            inside = (share - filled[i - 1]) / (filled[i] - filled[i - 1])
            place = edges[i - 1] + inside * (edges[i] - edges[i - 1])
            place[0], place[-1] = axis.lower, axis.upper
            places.append(place)
        moved = CELG(**{**self.settings, "knots": places})  # type: ignore[arg-type]
        moved.head = copy.deepcopy(self.head)
        with torch.no_grad():
            for axis, place, values, target in zip(
                self.encoding.axes, places, self.encoding.values, moved.encoding.values
            ):
                target.copy_(axis.rows(place.to(values), 0)[0] @ values)  # type: ignore[operator]
        return moved


def als_polish(problem: LeastSquaresProblem, sweeps: int = 5, ridge: float = 1e-12) -> list[float]:
    """Alternating least squares for linear equations and a `CELG` with a linear head.

    The residual is affine in one axis's values while the others are held, so each turn is one linear solve, and the loss
    never rises.

    Args:
        problem: over a `CELG` with hidden=(); sweeps: over all axes and the head; ridge: of the solves, relative.

    Returns:
        The loss after each sweep.

    Raises:
        InputError: another model.
    """
    model = problem.model
    if not isinstance(model, CELG) or model.settings["hidden"] != ():
        raise InputError("als_polish", given=type(model).__name__, expected="a CELG with hidden=()")
    losses = []
    for _ in range(sweeps):
        for group in _groups(model, problem.names):
            theta = problem.vector()
            columns = torch.cat([torch.full((math.prod(s),), n in group) for n, s in problem.shapes.items()])
            with torch.no_grad():
                j, r = problem.jacobian(theta)[:, columns], problem.residual(problem.unpack(theta))
                a = j.T @ j
                a.diagonal().add_(ridge * a.diagonal().max())
                step = torch.zeros_like(theta)
                step[columns] = -torch.linalg.solve(a, j.T @ r)
                if problem.value(theta + step) < float(r.square().sum()):
                    problem.assign(theta + step)
        losses.append(problem.value(problem.vector()))
    return losses


def _groups(model: CELG, names: list[str]) -> list[set[str]]:
    dim = model.encoding.dim
    axes = [{f"encoding.values.{i}" for i in range(d, len(model.encoding.values), dim)} for d in range(dim)]
    return [g & set(names) for g in (*axes, {n for n in names if n.startswith("head.")}) if g & set(names)]
