"""Controls a(s, x, v) for kinetic steps, with their exact derivative in v: affine, or the slope of a potential network.

The potential is psi = w . N(y) + y . A^T D A y / 2 + b . y of y = (x, v, s), with N an opening layer and residual
layers u + h sigma(K u + k), sigma = ln(2 cosh) whose slope is tanh; D is a diagonal of any signs, so that the quadratic
part may bend either way. Slopes and second derivatives come from one forward and one backward recursion, without
automatic differentiation:

    z_top = w,  z_i = z_{i+1} + h K_i^T (sigma'(.) z_{i+1}),
    d^2 psi = sum_layers (K_i J_i)^T diag(sigma''(.) z h) (K_i J_i) + A^T D A,

with J_i the derivative of layer i's input. Source of the network: OT-Flow, arXiv 2006.00104.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.randomness import local_rng


class AffineVelocity(nn.Module):
    """a = alpha + B_x x + B_v v: exact for Gaussians in harmonic potentials.

    Args:
        dim: d.
        dtype: of the parameters.
    """

    def __init__(self, dim: int, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.dim = dim
        self.alpha = nn.Parameter(torch.zeros(dim, dtype=dtype))
        self.bx = nn.Parameter(torch.zeros(dim, dim, dtype=dtype))
        self.bv = nn.Parameter(torch.zeros(dim, dim, dtype=dtype))

    def forward(
        self, s: float, x: Float[Tensor, "n d"], v: Float[Tensor, "n d"]
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d d"]]:
        """The control and its derivative.

        Args:
            s: time inside the step.
            x: positions.
            v: velocities.

        Returns:
            a (N, d) and da / dv (N, d, d).
        """
        return self.alpha + x @ self.bx.T + v @ self.bv.T, self.bv.expand(len(x), -1, -1)


class PotentialVelocity(nn.Module):
    """a = -d psi / dv.

    Args:
        dim: d.
        width: of the layers.
        layers: in all, the opening one among them.
        rank: rows of A (at most 10 by default).
        affine: add alpha + B_x x + B_v v with parameters of their own, B_v symmetric: a Gaussian's part of the control,
            which a network of limited rank has to learn the hard way in many dimensions.
        ring: length of a periodic x, which enters as its sine and cosine; None where x is a line.
        dtype: of the parameters.
        seed: of the weights; w, b and D start at 0, so that the control does.

    Raises:
        InputError: fewer than two layers or one unit.
    """

    def __init__(
        self,
        dim: int,
        width: int = 32,
        layers: int = 3,
        rank: int | None = None,
        *,
        affine: bool = False,
        ring: float | None = None,
        dtype: torch.dtype = torch.float64,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if layers < 2 or width < 1 or dim < 1:
            given = f"layers={layers}, width={width}, dim={dim}"
            raise InputError("PotentialVelocity", given=given, expected="2 or more, 1 or more of the others")
        self.dim, self.step, self.ring = dim, 1.0 / (layers - 1), ring
        places = dim if ring is None else 2 * dim
        self.part = slice(places, places + dim)  # where the velocity stands among the inputs
        inputs = places + dim + 1
        with local_rng(seed):
            self.opening = nn.Linear(inputs, width, dtype=dtype)
            self.layers = nn.ModuleList(nn.Linear(width, width, dtype=dtype) for _ in range(layers - 1))
            for layer in (self.opening, *self.layers):
                nn.init.xavier_uniform_(layer.weight)  # type: ignore[arg-type,union-attr]
            r = min(10, inputs) if rank is None else rank
            self.a = nn.Parameter(nn.init.xavier_uniform_(torch.empty(r, inputs, dtype=dtype)))
        self.sign = nn.Parameter(torch.zeros(r, dtype=dtype))  # D
        self.w = nn.Parameter(torch.zeros(width, dtype=dtype))
        self.b = nn.Parameter(torch.zeros(inputs, dtype=dtype))
        self.line = _Quadratic(places, dim, dtype) if affine else None

    def potential(self, s: float, x: Float[Tensor, "n d"], v: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """psi.

        Args:
            s: time inside the step.
            x: positions.
            v: velocities.
        """
        y = self._inputs(s, x, v)
        u = _sigma(self.opening(y))
        for layer in self.layers:
            u = u + self.step * _sigma(layer(u))
        psi = u @ self.w + 0.5 * ((y @ self.a.T).square() * self.sign).sum(1) + y @ self.b
        return psi if self.line is None else psi + self.line.potential(y[:, : self.part.start], v)

    def _inputs(self, s: float, x: Tensor, v: Tensor) -> Tensor:
        if self.ring is not None:
            turn = 2 * math.pi / self.ring * x
            x = torch.cat([turn.sin(), turn.cos()], 1)
        return torch.cat([x, v, torch.full((len(x), 1), s, dtype=x.dtype, device=x.device)], 1)

    def forward(
        self, s: float, x: Float[Tensor, "n d"], v: Float[Tensor, "n d"]
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d d"]]:
        """The control and its derivative.

        Args:
            s: time inside the step.
            x: positions.
            v: velocities.

        Returns:
            a (N, d) and da / dv (N, d, d).
        """
        d, h = self.dim, self.step
        y = self._inputs(s, x, v)
        part = self.part
        before = self.opening(y)
        first, u = torch.tanh(before), _sigma(before)
        opening = self.opening.weight[:, part]  # (m, d)
        J = first[:, :, None] * opening  # (N, m, d): du / dv
        slopes, inner = [], []
        for layer in self.layers:
            assert isinstance(layer, nn.Linear)
            pre = layer(u)
            slope = torch.tanh(pre)
            moved = torch.matmul(layer.weight, J)  # K J, one matrix product over the batch
            slopes.append(slope)
            inner.append(moved)
            J = J + h * slope[:, :, None] * moved
            u = u + h * _sigma(pre)
        z = self.w.expand(len(y), -1)
        hessian = torch.zeros(len(y), d, d, dtype=y.dtype, device=y.device)
        for layer, slope, moved in zip(reversed(self.layers), reversed(slopes), reversed(inner)):
            assert isinstance(layer, nn.Linear)
            weight = h * (1 - slope * slope) * z
            hessian = (
                hessian + torch.einsum("nmi,nm,nmj->nij", moved, weight, moved)
                if d > 1
                else hessian + (weight[:, :, None] * moved * moved).sum(1, keepdim=True)
            )
            z = z + h * (slope * z) @ layer.weight
        weight = (1 - first * first) * z
        hessian = hessian + torch.einsum("mi,nm,mj->nij", opening, weight, opening)
        quadratic = self.a[:, part].T * self.sign
        slope_v = (first * z) @ opening + (y @ self.a.T) @ quadratic.T + self.b[part]
        hessian = hessian + quadratic @ self.a[:, part]
        if self.line is not None:
            slope_v = slope_v + self.line.slope(y[:, : part.start], v)
            hessian = hessian + self.line.curvature
        return -slope_v, -hessian


class _Quadratic(nn.Module):
    """alpha . v + v . B_x x + v . (B_v + B_v^T) v / 4, with its slope and curvature in v."""

    def __init__(self, places: int, dim: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(dim, dtype=dtype))
        self.bx = nn.Parameter(torch.zeros(dim, places, dtype=dtype))
        self.bv = nn.Parameter(torch.zeros(dim, dim, dtype=dtype))

    @property
    def curvature(self) -> Tensor:
        return 0.5 * (self.bv + self.bv.T)

    def slope(self, places: Tensor, v: Tensor) -> Tensor:
        return self.alpha + places @ self.bx.T + v @ self.curvature

    def potential(self, places: Tensor, v: Tensor) -> Tensor:
        return (v * (self.alpha + places @ self.bx.T + 0.5 * v @ self.curvature)).sum(1)


def _sigma(x: Tensor) -> Tensor:
    """ln(2 cosh x), without overflow."""
    size = x.abs()
    return size + torch.log1p(torch.exp(-2 * size))


class AutogradVelocity(nn.Module):
    """Any module (s, x, v) -> (N, d); its derivative in v by d backward passes.

    Args:
        module: called with s (N, 1), x (N, d) and v (N, d).
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(
        self, s: float, x: Float[Tensor, "n d"], v: Float[Tensor, "n d"]
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d d"]]:
        """The control and its derivative.

        Args:
            s: time inside the step.
            x: positions.
            v: velocities.

        Returns:
            a (N, d) and da / dv (N, d, d).
        """
        time = torch.full((len(x), 1), s, dtype=x.dtype, device=x.device)
        with torch.enable_grad():
            own = v if v.requires_grad else v.detach().clone().requires_grad_(True)
            a = self.module(time, x, own)
            rows = [
                torch.autograd.grad(a[:, i].sum(), own, create_graph=True, allow_unused=True)[0]
                for i in range(a.shape[1])
            ]
        zero = torch.zeros_like(v)
        return a, torch.stack([zero if r is None else r for r in rows], 1)
