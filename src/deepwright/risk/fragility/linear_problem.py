"""The losses of a linear map, with gradients, in the form that SciPy's solvers take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import optimize, special
from torch import Tensor

Array = np.ndarray


DUAL = {1: np.inf, 2: 2, np.inf: 1}


def to_array(x: Any, dtype: type | None = float) -> Array:
    """A tensor of any device, or whatever NumPy takes, as an array.

    Args:
        x: what was given.
        dtype: of the array; None keeps it.
    """
    return np.asarray(x.detach().cpu().numpy() if isinstance(x, Tensor) else x, dtype=dtype)


class LinearProblem:
    """Losses of a linear map with gradients; a flat vector holds (weights, bias)."""

    def __init__(self, x: Array, y: Array, classes: int, loss: str, intercept: bool) -> None:
        self.x = np.hstack([x, np.ones((len(x), 1))]) if intercept else x
        self.y, self.loss, self.intercept, self.d = y, loss, intercept, x.shape[1]
        self.rows = 1 if classes == 2 else classes
        self.size = self.rows * self.x.shape[1]
        self.sign = 2.0 * y - 1 if classes == 2 else None
        # A hinge is smoothed over a width far below the tolerance, so that quasi-Newton steps converge.
        self.width = 1e-4

    def losses(self, w: Array, smooth: bool = False) -> Array:
        """(n,) losses."""
        return self._losses(w, smooth)[0]

    def _losses(self, w: Array, smooth: bool) -> tuple[Array, Array]:
        """Losses (n,) and their derivative with respect to the scores (n, rows)."""
        scores = self.x @ w.reshape(self.rows, -1).T
        if self.sign is not None:
            margin = self.sign * scores[:, 0]
            if self.loss == "cross_entropy":
                return np.logaddexp(0, -margin), (-self.sign * special.expit(-margin))[:, None]
            value, slope = _hinge(1 - margin, self.width if smooth else 0.0)
            return value, (-self.sign * slope)[:, None]
        index = np.arange(len(self.y))
        if self.loss == "cross_entropy":
            value = special.logsumexp(scores, axis=1) - scores[index, self.y]
            slope = special.softmax(scores, axis=1)
            slope[index, self.y] -= 1
            return value, slope
        others = scores.copy()
        others[index, self.y] = -np.inf
        best = others.argmax(1)
        value, slope = _hinge(1 + others[index, best] - scores[index, self.y], self.width if smooth else 0.0)
        full = np.zeros_like(scores)
        full[index, best] += slope
        full[index, self.y] -= slope
        return value, full

    def gradient(self, weights: Array, slopes: Array) -> Array:
        """Gradient of sum_i weights_i l_i."""
        return ((weights[:, None] * slopes).T @ self.x).ravel()

    def mean_loss(self, w: Array) -> tuple[float, Array]:
        """The mean loss and its gradient."""
        value, slopes = self._losses(w, True)
        return float(value.mean()), self.gradient(np.full(len(value), 1 / len(value)), slopes)

    def tilted(self, k: float) -> Callable[[Array], tuple[float, Array]]:
        """phi_k(l(W)) and its gradient."""

        def value(w: Array) -> tuple[float, Array]:
            losses, slopes = self._losses(w, True)
            z = losses / k
            return float(k * (special.logsumexp(z) - np.log(len(z)))), self.gradient(special.softmax(z), slopes)

        return value

    def tilted_value(self, w: Array, k: float) -> float:
        """phi_k(l(W)), not smoothed."""
        with np.errstate(divide="ignore", invalid="ignore"):
            z = self.losses(w) / k
        if not np.isfinite(z).all():  # far below the root k underflows: phi_k tends to the largest loss
            return float(self.losses(w).max())
        return float(k * (special.logsumexp(z) - np.log(len(z))))

    def minimise(self, function: Callable[[Array], tuple[float, Array]], start: Array) -> Array:
        """The argument of the minimum, by L-BFGS."""
        options = {"maxiter": 5000, "maxfun": 20000, "ftol": 1e-15, "gtol": 1e-10, "maxcor": 30}
        return optimize.minimize(function, start, jac=True, method="L-BFGS-B", options=options).x

    def unpack(self, w: Array) -> tuple[Array, Array]:
        """Weights and biases of a flat vector."""
        matrix = w.reshape(self.rows, -1)
        return (matrix[:, :-1], matrix[:, -1]) if self.intercept else (matrix, np.zeros(self.rows))


def _hinge(z: Array, width: float) -> tuple[Array, Array]:
    """max(0, z), rounded to a parabola on |z| < width, and its slope."""
    if width == 0:
        return np.maximum(z, 0), (z > 0).astype(float)
    slope = np.clip((z + width) / (2 * width), 0, 1)
    return np.where(np.abs(z) < width, (z + width) ** 2 / (4 * width), np.maximum(z, 0)), slope
