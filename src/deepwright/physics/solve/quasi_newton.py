"""BFGS and its self-scaled kin on the dense inverse Hessian: what Adam can't reach and a Jacobian is too large for.

With s = theta_new - theta, y = g_new - g, h = y^T H y / y^T s, b = -alpha s^T g / y^T s and a = h b - 1 the family is

    H+ = (H - H y y^T H / y^T H y + phi (y^T H y) w w^T) / tau + s s^T / y^T s,    w = s / y^T s - H y / y^T H y,
    phi = (1 - theta) / (1 + a theta).

BFGS has theta = 0 and tau = 1, but in the first update from the identity tau = h, which gives H the problem's size
("bfgs-unscaled": never, as in SciPy). Self-scaled Broyden chooses theta and tau from a, b and h.

Sources: Urban, Stefanou, Pons, arXiv 2405.04230; Kiyani et al., arXiv 2501.16371; for BFGS's first scaling Nocedal,
Wright, Numerical Optimization (2006), eq. 6.20.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.physics.solve.block import Diverged
from deepwright.physics.solve.least_squares import LeastSquaresProblem
from deepwright.physics.solve.levenberg_marquardt import StepInfo

KINDS = ("bfgs", "bfgs-unscaled", "ssbfgs", "ssbroyden")
MOST = 20_000


def update(h: Tensor, s: Tensor, y: Tensor, alpha: float, gradient: Tensor, kind: str, first: bool) -> Tensor:
    """H+ of the family.

    Args:
        h: (P, P) the inverse Hessian so far.
        s: (P,) difference of parameters.
        y: (P,) difference of gradients.
        alpha: the step length.
        gradient: (P,) at the step's start.
        kind: of `KINDS`.
        first: whether it is the first update, which scales H.
    """
    ys = float(y @ s)
    hy = h @ y
    yhy = float(y @ hy)
    if ys <= 1e-300 or yhy <= 0:
        return h
    theta, tau = _scaling(yhy / ys, -alpha * float(s @ gradient) / ys, len(s), kind, first)
    a = yhy / ys * (-alpha * float(s @ gradient) / ys) - 1
    phi = (1 - theta) / (1 + a * theta)
    w = s / ys - hy / yhy
    return (h - torch.outer(hy, hy) / yhy + phi * yhy * torch.outer(w, w)) / tau + torch.outer(s, s) / ys


def _scaling(h: float, b: float, n: int, kind: str, first: bool) -> tuple[float, float]:
    """(theta, tau)."""
    if kind in ("bfgs", "bfgs-unscaled"):
        return 0.0, h if first and kind == "bfgs" else 1.0
    a = max(h * b - 1, 0.0)
    theta = 0.0
    if kind == "ssbroyden" and a > 1e-12 and b > 0:
        c = math.sqrt(a / (a + 1))
        low = min(1.0, h * (1 - c))
        theta_minus = (low - 1) / a
        theta = max(theta_minus, min(1 / low, (1 - b) / b)) if low > 0 else 0.0
    if first:
        tau = h / (1 + a * theta)
    else:
        sigma = 1 + a * theta
        spread = abs(sigma) ** (1 / (1 - n)) if n > 1 and sigma != 0 else 1.0
        rho = min(1.0, 1 / b) if b > 0 else 1.0
        tau = min(rho * spread, sigma) if theta <= 0 else rho * min(spread, 1 / theta)
    return theta, tau if tau > 0 and math.isfinite(tau) else 1.0


class QuasiNewton:
    """One call of `step` is one line search and one update.

    Args:
        problem: its loss is lowered.
        kind: "ssbroyden", "ssbfgs", "bfgs" or "bfgs-unscaled".

    Raises:
        InputError: an unknown kind; more than 20,000 parameters (the bytes needed are told).
    """

    def __init__(self, problem: LeastSquaresProblem, kind: str = "ssbroyden") -> None:
        if kind not in KINDS:
            raise InputError("kind", given=repr(kind), expected=", ".join(KINDS))
        if problem.size > MOST:
            need = problem.size**2 * problem.vector().element_size()
            raise InputError(
                "parameters",
                given=f"{problem.size}: a dense inverse Hessian of {need / 2**30:.1f} GiB",
                expected=f"at most {MOST}",
                hint="use L-BFGS ('lbfgs')",
            )
        self.problem, self.kind = problem, kind
        self.count = 0
        self._fresh = True  # H is the identity
        self.h: Tensor | None = None
        self._now: tuple[float, Tensor] | None = None

    def restart(self) -> None:
        """Forget the loss and its gradient: weights or points have changed."""
        self._now = None

    def step(self) -> StepInfo:
        """One step.

        Raises:
            Diverged: the loss isn't finite.
        """
        theta = self.problem.vector()
        f, g = self._now or self.problem.value_and_gradient(theta)
        if not math.isfinite(f):
            raise Diverged(self.count, self.problem.first_bad(theta))
        largest = float(g.abs().max())
        if largest < 1e-12 or f < 1e-28:
            return StepInfo(f, f, False, largest, 0.0, "converged")
        if self.h is None:
            self.h, self._fresh = torch.eye(len(theta)).to(theta), True
        p = -(self.h @ g)
        if float(p @ g) >= 0:
            self.h, self._fresh, p = torch.eye(len(theta)).to(theta), True, -g
        found = self._search(theta, p, f, g)
        if found is None:
            fresh = torch.equal(self.h, torch.eye(len(theta)).to(theta))
            self.h = None  # steepest descent next, unless this was it already
            return StepInfo(f, f, False, largest, 0.0, "no step lowers the loss" if fresh else "")
        alpha, new, gradient = found
        s, y = alpha * p, gradient - g
        first = self._fresh if self.kind == "bfgs" else self.count == 0
        before, self.h = self.h, update(self.h, s, y, alpha, g, self.kind, first)
        self._fresh = self._fresh and self.h is before
        self.problem.assign(theta + s)
        self._now = (new, gradient)
        self.count += 1
        return StepInfo(f, new, True, largest, 0.0)

    def _search(self, theta: Tensor, p: Tensor, f: float, g: Tensor) -> tuple[float, float, Tensor] | None:
        """Strong Wolfe conditions (1e-4, 0.9) by SciPy's search; the lowest point that it saw where it finds none."""
        from scipy.optimize import line_search

        seen: dict[bytes, tuple[float, Tensor]] = {}

        def at(x: np.ndarray) -> tuple[float, Tensor]:
            key = x.tobytes()
            if key not in seen:
                value, gradient = self.problem.value_and_gradient(torch.from_numpy(x).to(theta))
                seen[key] = (value if math.isfinite(value) else 1e300, gradient.nan_to_num())
            return seen[key]

        start, way = theta.cpu().double().numpy(), p.cpu().double().numpy()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SciPy says by a warning what it says by None
            alpha = line_search(
                lambda x: at(x)[0],
                lambda x: at(x)[1].cpu().double().numpy(),
                start,
                way,
                g.cpu().double().numpy(),
                f,
                c1=1e-4,
                c2=0.9,
                maxiter=20,
            )[0]
        if alpha is None:
            alpha = next((0.5**k for k in range(30) if at(start + 0.5**k * way)[0] < f), None)
            if alpha is None:
                return None
        value, gradient = at(start + alpha * way)
        return float(alpha), value, gradient

    def state_dict(self) -> dict[str, Any]:
        """What decides how it goes on."""
        return {"h": self.h, "count": self.count, "fresh": self._fresh}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there.

        Args:
            state: see `state_dict`.
        """
        self.h, self.count, self._fresh, self._now = state["h"], state["count"], state["fresh"], None
