"""Levenberg and Marquardt's method with Nielsen's damping, for residuals of a network.

    (J^T J + mu I) d = -J^T r,      rho = (f - f_new) / (d . (mu d - g)),   f = |r|^2, g = J^T r

A step that lowers f is taken, and mu shrinks by max(1/3, 1 - (2 rho - 1)^3); otherwise mu grows by nu, and nu doubles.
With more parameters than residuals the dual system (J J^T + mu I) is solved; beyond a few thousand parameters conjugate
gradients with a randomised Nystrom preconditioner need no Jacobian at all.

Sources: Nielsen, IMM-REP-1999-05; Frangella, Tropp, Udell, arXiv 2110.02820 (preconditioner).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.physics.solve.block import Diverged
from deepwright.physics.solve.least_squares import LeastSquaresProblem

DENSE_LIMIT = 5000
MAX_DAMPING = 1e12


@dataclass
class StepInfo:
    """What a step did.

    Attributes:
        before: the loss before it.
        after: the loss that it would have led to.
        accepted: whether it was taken.
        gradient: largest entry of half the loss's gradient, before it.
        damping: Levenberg-Marquardt's, after it.
        stop: why the optimizer should stop, or "".
    """

    before: float
    after: float
    accepted: bool
    gradient: float
    damping: float
    stop: str = ""


class LevenbergMarquardt:
    """One call of `step` is one trial step.

    Args:
        problem: its weights and points stay fixed between steps (call `restart` when they change).
        damping: mu_0 as a share of the largest diagonal entry of J^T J.
        dense_limit: more parameters are solved without a Jacobian.
        group: a process group over which the points are spread.

    Raises:
        InputError: damping that isn't above 0; a matrix-free problem over a process group.
    """

    def __init__(
        self,
        problem: LeastSquaresProblem,
        damping: float = 1e-3,
        *,
        dense_limit: int = DENSE_LIMIT,
        group: Any = None,
    ) -> None:
        if not damping > 0:
            raise InputError("damping", given=damping, expected="above 0")
        self.problem, self.damping, self.group = problem, damping, group
        self.matrix_free = problem.size > dense_limit
        self.dual = not self.matrix_free and group is None and problem.rows < problem.size
        if self.matrix_free and group is not None:
            raise InputError("group", given=f"{problem.size} parameters", expected=f"at most {dense_limit}")
        self.mu: float | None = None
        self.nu = 2.0
        self.count = 0
        self._linear: tuple[Callable[[float], Tensor], Tensor, float] | None = None

    def restart(self) -> None:
        """Forget the linearisation: weights or points have changed."""
        self._linear = None

    def step(self) -> StepInfo:
        """Try one step; the model holds the better of the two points afterwards.

        Raises:
            Diverged: the residuals at the present parameters aren't finite.
        """
        theta = self.problem.vector()
        if self._linear is None:
            self._linear = self._linearise(theta)
        solve, g, f = self._linear
        largest = float(g.abs().max())
        if largest < 1e-12 or f < 1e-28:
            return StepInfo(f, f, False, largest, self.mu or 0.0, "converged")
        assert self.mu is not None
        try:
            d = solve(self.mu)
        except torch.linalg.LinAlgError:
            self._reject()
            return self._info(f, f, False, largest)
        new = self.problem.value(theta + d)
        if self.group is not None:
            total = torch.tensor(new, dtype=torch.float64, device=theta.device)
            torch.distributed.all_reduce(total, group=self.group)
            new = float(total)
        predicted = float(d @ (self.mu * d - g))
        ratio = (f - new) / predicted if predicted > 0 else -1.0
        self.count += 1
        if not (new < f and ratio > 0):
            self._reject()
            return self._info(f, new, False, largest)
        self.problem.assign(theta + d)
        self.mu *= max(1 / 3, 1 - (2 * ratio - 1) ** 3)
        self.nu = 2.0
        self._linear = None
        return self._info(f, new, True, largest)

    def _reject(self) -> None:
        assert self.mu is not None
        self.mu *= self.nu
        self.nu *= 2

    def _info(self, f: float, new: float, accepted: bool, largest: float) -> StepInfo:
        assert self.mu is not None
        stuck = "no step lowers the loss" if self.mu > MAX_DAMPING else ""
        return StepInfo(f, new, accepted, largest, self.mu, stuck)

    def _linearise(self, theta: Tensor) -> tuple[Callable[[float], Tensor], Tensor, float]:
        """(mu -> step, J^T r, |r|^2)."""
        problem = self.problem
        if self.matrix_free:
            product, g, f = problem.products(theta)
            self._check(f, theta)
            preconditioner = Nystrom(product, problem.size, theta, seed=self.count)
            self._start(preconditioner.largest)
            return lambda mu: _conjugate_gradients(product, -g, mu, preconditioner), g, f
        if self.dual:
            with torch.no_grad():
                pieces = list(problem.jacobian_pieces(theta))
            j, r = torch.cat([p[0] for p in pieces]), torch.cat([p[1] for p in pieces])
            f = float(r.square().sum())
            self._check(f, theta)
            small = j @ j.T
            self._start(float(j.square().sum(0).max()))
            return lambda mu: -(j.T @ _solve(small, mu, r)), j.T @ r, f
        a, g, f = problem.normal_equations(theta, self.group)
        self._check(f, theta)
        self._start(float(a.diagonal().max()))
        return lambda mu: -_solve(a, mu, g), g, f

    def _start(self, scale: float) -> None:
        if self.mu is None:
            self.mu = self.damping * max(scale, 1e-30)

    def _check(self, f: float, theta: Tensor) -> None:
        if not f < float("inf"):
            raise Diverged(self.count, self.problem.first_bad(theta))

    def state_dict(self) -> dict[str, Any]:
        """What decides how it goes on."""
        return {"mu": self.mu, "nu": self.nu, "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there.

        Args:
            state: see `state_dict`.
        """
        self.mu, self.nu, self.count = state["mu"], state["nu"], state["count"]
        self._linear = None


def _solve(a: Float[Tensor, "n n"], mu: float, b: Float[Tensor, " n"]) -> Tensor:
    """(a + mu I)^-1 b by Cholesky; raises `LinAlgError` where that isn't positive definite in this precision."""
    shifted = a.clone()
    shifted.diagonal().add_(mu)
    factor, info = torch.linalg.cholesky_ex(shifted)
    if int(info) != 0:
        raise torch.linalg.LinAlgError
    return torch.cholesky_solve(b[:, None], factor)[:, 0]


_AT_ONCE = 16  # vectors of a sketch that go through the map together


class Nystrom:
    """A low-rank picture of a positive semi-definite map: U diag(l) U^T from a random sketch.

    Args:
        product: the map.
        size: of its vectors.
        like: a vector, for dtype and device.
        rank: of the picture.
        seed: of the sketch.
    """

    def __init__(
        self, product: Callable[[Tensor], Tensor], size: int, like: Tensor, rank: int = 60, seed: int = 0
    ) -> None:
        rank = min(rank, size)
        draw = torch.randn(size, rank, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(like)
        sketch = torch.linalg.qr(draw).Q
        image = torch.func.vmap(product, chunk_size=_AT_ONCE)(sketch.T.contiguous()).T
        shift = torch.finfo(like.dtype).eps * float(image.norm())
        image = image + shift * sketch
        core = sketch.T @ image
        factor = torch.linalg.cholesky(0.5 * (core + core.T) + shift * torch.eye(rank).to(core))
        b = torch.linalg.solve_triangular(factor, image.T, upper=False).T
        u, s, _ = torch.linalg.svd(b, full_matrices=False)
        self.vectors, self.values = u, (s.square() - shift).clamp_min(0)
        self.largest = float(self.values.max())

    def __call__(self, v: Tensor, mu: float) -> Tensor:
        """(U (l + mu)^-1 (l_r + mu) U^T + I - U U^T) v."""
        inside = self.vectors.T @ v
        return v + self.vectors @ (((self.values[-1] + mu) / (self.values + mu) - 1) * inside)


def _conjugate_gradients(
    product: Callable[[Tensor], Tensor],
    b: Tensor,
    mu: float,
    precondition: Nystrom,
    most: int = 100,
    tolerance: float = 1e-6,
) -> Tensor:
    x, r = torch.zeros_like(b), b.clone()
    z = precondition(r, mu)
    p, rz, size = z, r @ z, float(b.norm())
    for _ in range(most):
        ap = product(p) + mu * p
        alpha = rz / (p @ ap)
        x, r = x + alpha * p, r - alpha * ap
        if float(r.norm()) <= tolerance * size:
            break
        z = precondition(r, mu)
        rz, old = r @ z, rz
        p = z + rz / old * p
    return x
