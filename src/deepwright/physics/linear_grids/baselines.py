"""What linear grids are held against: cells of features in D dimensions (PIXEL's kind), and separable networks
(SPINN's).

Sources: PIXEL, arXiv 2207.13800; SPINN, arXiv 2306.15969 (here on scattered points, as every method in the comparison).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.randomness import local_rng
from deepwright.physics.derivatives import Jet, propagate
from deepwright.physics.networks import Rescale, activation_named, field
from deepwright.physics.splines import AxisBasis

LIMIT = 2 * 2**30
CORNER_KERNELS = ("cosine", "linear")


class CellGrid(nn.Module):
    """Several grids with R^D cells' corners each, shifted against each other, read by a small perceptron.

    Args:
        bounds: (low, high) of each axis.
        out_features: components.
        cells: a side.
        channels: features of a corner.
        grids: how many.
        kernel: "cosine" or "linear" between corners.
        hidden: widths of the head.
        dtype: of corners and head.
        seed: of the weights.

    Raises:
        InputError: another kernel; more than 2 GiB of corners (told before anything is allocated).
    """

    def __init__(
        self,
        bounds: Sequence[tuple[float, float]],
        out_features: int = 1,
        cells: int = 16,
        channels: int = 4,
        grids: int = 16,
        *,
        kernel: str = "cosine",
        hidden: Sequence[int] = (16,),
        dtype: torch.dtype = torch.float64,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if kernel not in CORNER_KERNELS:
            raise unknown_name("kernel", kernel, CORNER_KERNELS)
        self.dim = len(bounds)
        size = self.memory(self.dim, cells, channels, grids, torch.finfo(dtype).bits // 8)
        if size > LIMIT:
            raise InputError(
                "CellGrid", given=f"{size:.3g} bytes in {self.dim} dimensions", expected=f"at most {LIMIT}"
            )
        self.cells, self.grids, self.channels = cells, grids, channels
        side = cells + 2  # one more on each side, for the shifts
        self.side = side
        self.axes = nn.ModuleList()
        for low, high in bounds:
            h = (high - low) / cells
            self.axes.append(AxisBasis(side, low - h, high, kernel=kernel))
        self.register_buffer("shifts", torch.arange(grids, dtype=torch.float64) / grids)
        with local_rng(seed):
            self.corners = nn.Parameter(0.1 * torch.randn(grids, side**self.dim, channels, dtype=dtype))
            layers: list[nn.Module] = []
            width = channels
            for n in hidden:
                layers += [nn.Linear(width, n, dtype=dtype), activation_named("tanh")]
                width = n
            self.head = nn.Sequential(*layers, nn.Linear(width, out_features, dtype=dtype))

    @staticmethod
    def memory(dim: int, cells: int, channels: int, grids: int, element: int = 8) -> float:
        """Bytes of the corners.

        Args:
            dim: D.
            cells: a side.
            channels: features of a corner.
            grids: how many.
            element: bytes of a number.
        """
        return float(grids * channels * element) * float(cells + 2) ** dim

    def _weights(self, x: Tensor, orders: int) -> tuple[Tensor, list[list[list[Tensor]]]]:
        """(first corner (G, N), [order][axis][side] weights (G, N))."""
        n, grids = len(x), self.grids
        index = torch.zeros(grids, n, dtype=torch.long, device=x.device)
        found: list[list[list[Tensor]]] = [[] for _ in range(orders + 1)]
        for d in range(self.dim):
            axis = self.axes[d]
            assert isinstance(axis, AxisBasis)
            assert axis.even is not None
            moved = (x[:, d] - axis.even * self.shifts.to(x)[:, None]).reshape(-1)  # type: ignore[operator,union-attr,index]
            axis.check(moved, d)
            cell, b, width = axis.cells(moved)
            index = index * self.side + cell.reshape(grids, n)
            for order, pair in enumerate(_pair(axis.kernel, b, width, orders)):
                found[order].append([w.reshape(grids, n) for w in pair])
        return index, found

    def _gather(self, index: Tensor) -> Tensor:
        """(2^D, G, N, channels)."""
        steps = [
            sum(s * self.side ** (self.dim - 1 - d) for d, s in enumerate(c))
            for c in itertools.product((0, 1), repeat=self.dim)
        ]
        where = index[None] + torch.tensor(steps, device=index.device)[:, None, None]
        grid = torch.arange(self.grids, device=index.device)[None, :, None]
        return self.corners[grid, where]

    def _mix(self, corners: Tensor, w: list[list[list[Tensor]]], orders: Sequence[int]) -> Tensor:
        """Sum over corners and grids with the derivative of order orders[d] along axis d."""
        weights = []
        for c in itertools.product((0, 1), repeat=self.dim):
            part = w[orders[0]][0][c[0]]
            for d in range(1, self.dim):
                part = part * w[orders[d]][d][c[d]]
            weights.append(part)
        return torch.einsum("kgn,kgnc->nc", torch.stack(weights), corners)

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n c"]:
        """The field.

        Args:
            x: points.
        """
        index, w = self._weights(x, 0)
        return self.head(self._mix(self._gather(index), w, [0] * self.dim))

    def forward_jet(self, jet: Jet) -> Jet:
        """See `jets`; along the coordinate axes, with diagonal operators.

        Args:
            jet: of the coordinates.

        Raises:
            InputError: mixed derivatives.
        """
        index, w = self._weights(jet.v, 2)
        corners = self._gather(index)
        k = len(jet.J)
        unit = torch.eye(self.dim, dtype=torch.long).tolist()
        J = torch.stack([self._mix(corners, w, unit[d]) for d in range(k)])
        S = None
        if jet.operators is not None:
            if jet.operators.diagonal is None:
                raise InputError("operators", given="mixed derivatives of a cell grid", expected="diagonal ones")
            second = torch.stack([self._mix(corners, w, [2 * v for v in unit[d]]) for d in range(k)])
            S = torch.tensordot(jet.operators.diagonal.to(second), second, 1)
        return propagate(self.head, Jet(self._mix(corners, w, [0] * self.dim), J, S, jet.operators, None, jet.order))


def _pair(kernel: str, b: Tensor, width: Tensor, orders: int) -> list[tuple[Tensor, Tensor]]:
    """(left, right) weights of a cell's two corners, and their derivatives."""
    if kernel == "cosine":
        turn = torch.pi * b
        right = [
            (1 - torch.cos(turn)) / 2,
            torch.pi / 2 * torch.sin(turn) / width,
            torch.pi**2 / 2 * torch.cos(turn) / width**2,
        ]
    else:
        right = [b, 1 / width, torch.zeros_like(b)]
    return [(1 - r if k == 0 else -r, r) for k, r in enumerate(right[: orders + 1])]


class Separable(nn.Module):
    """u_c = sum_r prod_d f_{d, r, c}(x_d), each axis with a perceptron of its own.

    Args:
        bounds: (low, high) of each axis.
        out_features: components.
        rank: r.
        hidden: widths of each perceptron.
        activation: of each perceptron; see `networks.field`.
        dtype: of the weights.
        seed: of the weights.
    """

    def __init__(
        self,
        bounds: Sequence[tuple[float, float]],
        out_features: int = 1,
        rank: int = 32,
        hidden: Sequence[int] = (64, 64, 64),
        *,
        activation: str = "tanh",
        dtype: torch.dtype = torch.float64,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.rank, self.out_features = rank, out_features
        self.scale = Rescale(bounds)
        self.axes = nn.ModuleList(
            field(1, rank * out_features, hidden, activation=activation, dtype=dtype, seed=seed * 100 + d)
            for d in range(len(bounds))
        )

    def _sum(self, t: Tensor) -> Tensor:
        return t.reshape(*t.shape[:-1], self.rank, self.out_features).sum(-2)

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n c"]:
        """The field.

        Args:
            x: points.
        """
        x = self.scale(x)
        total = self.axes[0](x[:, :1])
        for d in range(1, len(self.axes)):
            total = total * self.axes[d](x[:, d : d + 1])
        return self._sum(total)

    def forward_jet(self, jet: Jet) -> Jet:
        """See `jets`.

        Args:
            jet: that comes in.
        """
        scaled = self.scale.forward_jet(jet)
        total = propagate(self.axes[0], scaled.channels(0))
        for d in range(1, len(self.axes)):
            total = total.times(propagate(self.axes[d], scaled.channels(d)))
        return total.map(self._sum)
