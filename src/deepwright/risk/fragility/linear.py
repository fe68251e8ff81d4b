"""Linear classifiers of least fragility, solved exactly, and the Wasserstein index of a linear classifier.

KL: minimise k subject to k log mean exp(l_i(W) / k) <= tau. The problem is jointly convex in (W, k); for each k the
smallest left side v(k) = min_W phi_k(l(W)) is non-increasing in k, so its root v(k) = tau is found on log k with warm
starts inside. Wasserstein (cost ||x - x'||, labels fixed): the score's recession slope is the Lipschitz bound
max_{j != l} ||w_j - w_l||_*, so minimise that norm subject to mean loss <= tau: a regularised fit whose strength is
found so that the constraint is tight. Many classes, or labels that may flip, go to `wasserstein_linear`.

Source: arXiv 2502.13024; "Regularization via Mass Transportation" (JMLR 2019).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy import optimize, special
from sklearn.base import BaseEstimator, ClassifierMixin

from deepwright.core.errors import InputError, NotFittedError

Array = np.ndarray
_DUAL = {1: np.inf, 2: 2, np.inf: 1}


class FragileLinearClassifier(ClassifierMixin, BaseEstimator):
    """A linear classifier with the scikit-learn interface that minimises its Fragility Index.

    Args:
        loss: "cross_entropy" or "hinge" (multiclass: Crammer and Singer's margin).
        divergence: "kl" or "wasserstein".
        norm: of the input space for "wasserstein": 1, 2 or numpy.inf.
        kappa: cost of flipping a label for "wasserstein"; infinite where labels are certain.
        target: absolute tau, or None for (1 + epsilon) * the smallest mean loss.
        epsilon: slack over that smallest loss.
        fit_intercept: add a bias (never counted in the norm).

    Attributes:
        coef_ (K, d) or (1, d), intercept_, fragility_ (the smallest k), target_ (tau), dual_value_ (the constraint's
        value at the solution, equal to target_ up to the tolerance), classes_.
    """

    def __init__(
        self,
        loss: str = "cross_entropy",
        divergence: str = "kl",
        norm: float = 2,
        target: float | None = None,
        epsilon: float = 0.1,
        fit_intercept: bool = True,
        kappa: float = np.inf,
    ) -> None:
        self.loss, self.divergence, self.norm, self.kappa = loss, divergence, norm, kappa
        self.target, self.epsilon, self.fit_intercept = target, epsilon, fit_intercept

    def fit(self, X: Any, y: Any) -> FragileLinearClassifier:
        """Solve on (n, d) inputs and (n,) labels.

        Raises:
            InputError: arguments, NaN, one class only, a target below the smallest mean loss.
        """
        x, labels = self._checked(X, y)
        problem = _Problem(x, labels, len(self.classes_), self.loss, self.fit_intercept)
        start = problem.minimise(problem.mean_loss, np.zeros(problem.size))
        floor = float(problem.losses(start).mean())
        tau = (1 + self.epsilon) * floor if self.target is None else float(self.target)
        if tau < floor - 1e-9:
            raise InputError("target", given=tau, expected=f"at least {floor:.6g}, the smallest mean {self.loss}")
        self.target_ = tau
        if self.divergence == "kl":
            w, self.fragility_ = _solve_kl(problem, start, tau)
            self.dual_value_ = problem.tilted_value(w, self.fragility_)
        elif len(self.classes_) == 2 and np.isinf(self.kappa):
            w, self.fragility_ = _solve_wasserstein(problem, tau, self.norm)
            self.dual_value_ = float(problem.losses(w).mean())
        else:
            w, self.fragility_, self.dual_value_ = _solve_general(problem, start, tau, self.norm, self.kappa)
        weight, bias = problem.unpack(w)
        self.coef_, self.intercept_ = weight, bias
        return self

    def target_path(
        self, X: Any, y: Any, slacks: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 1.0)
    ) -> list[tuple[float, float]]:
        """(tau, k) pairs for several slacks over the smallest loss; k is convex and decreasing in tau."""
        path = []
        for epsilon in slacks:
            model = type(self)(**{**self.get_params(), "target": None, "epsilon": epsilon}).fit(X, y)
            path.append((model.target_, model.fragility_))
        return path

    def decision_function(self, X: Any) -> Array:
        """(n,) margins for two classes, (n, K) scores otherwise."""
        if not hasattr(self, "coef_"):
            raise NotFittedError("FragileLinearClassifier")
        scores = np.asarray(X, dtype=float) @ self.coef_.T + self.intercept_
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict(self, X: Any) -> Array:
        """Class labels."""
        scores = self.decision_function(X)
        return self.classes_[(scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(1)]

    def predict_proba(self, X: Any) -> Array:
        """(n, K) softmax of the scores."""
        scores = self.decision_function(X)
        return special.softmax(np.stack([np.zeros_like(scores), scores], 1) if scores.ndim == 1 else scores, axis=1)

    def _checked(self, X: Any, y: Any) -> tuple[Array, Array]:
        x = np.asarray(X, dtype=float)
        if x.ndim != 2 or len(x) == 0 or not np.isfinite(x).all():
            raise InputError(
                "X", given=f"shape {x.shape}, finite: {bool(np.isfinite(x).all())}", expected="(n, d) finite numbers"
            )
        if (
            self.loss not in ("cross_entropy", "hinge")
            or self.divergence not in ("kl", "wasserstein")
            or self.norm not in _DUAL
            or not self.kappa > 0
        ):
            raise InputError(
                "FragileLinearClassifier",
                given=f"loss={self.loss!r}, divergence={self.divergence!r}, norm={self.norm!r}, kappa={self.kappa!r}",
                expected="cross_entropy|hinge, kl|wasserstein, 1|2|inf, above 0",
            )
        self.classes_, labels = np.unique(np.asarray(y), return_inverse=True)
        if len(self.classes_) < 2 or len(labels) != len(x):
            raise InputError(
                "y",
                given=f"{len(self.classes_)} classes, {len(labels)} labels for {len(x)} rows",
                expected="two classes or more",
            )
        return x, labels


class _Problem:
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
        z = self.losses(w) / k
        if not np.isfinite(z).all():  # far below the root k underflows: phi_k tends to the largest loss
            return float(self.losses(w).max())
        return float(k * (special.logsumexp(z) - np.log(len(z))))

    def minimise(self, function: Callable[[Array], tuple[float, Array]], start: Array) -> Array:
        options = {"maxiter": 5000, "maxfun": 20000, "ftol": 1e-15, "gtol": 1e-10, "maxcor": 30}
        return optimize.minimize(function, start, jac=True, method="L-BFGS-B", options=options).x

    def unpack(self, w: Array) -> tuple[Array, Array]:
        matrix = w.reshape(self.rows, -1)
        return (matrix[:, :-1], matrix[:, -1]) if self.intercept else (matrix, np.zeros(self.rows))


def _hinge(z: Array, width: float) -> tuple[Array, Array]:
    """max(0, z), rounded to a parabola on |z| < width, and its slope."""
    if width == 0:
        return np.maximum(z, 0), (z > 0).astype(float)
    slope = np.clip((z + width) / (2 * width), 0, 1)
    return np.where(np.abs(z) < width, (z + width) ** 2 / (4 * width), np.maximum(z, 0)), slope


def _solve_kl(problem: _Problem, start: Array, tau: float) -> tuple[Array, float]:
    """Root of v(k) = tau on log k, warm-started."""
    state = {"w": start}

    def gap(log_k: float) -> float:
        k = float(np.exp(log_k))
        state["w"] = problem.minimise(problem.tilted(k), state["w"])
        return problem.tilted_value(state["w"], k) - tau

    high = np.log(max(tau, 1e-3))
    while gap(high) > 0:
        high += 1.0
        if high > 30:
            raise InputError(
                "target", given=tau, expected="a target above the smallest mean loss by a little", hint="raise epsilon"
            )
    low = high - 1.0
    while gap(low) <= 0:
        low -= 1.0
        if low < -30:
            return state["w"], 0.0
    root = optimize.brentq(gap, low, high, xtol=1e-10, rtol=1e-12)
    gap(root)
    return state["w"], float(np.exp(root))


def _solve_wasserstein(problem: _Problem, tau: float, norm: float) -> tuple[Array, float]:
    """Least dual norm of the weights subject to mean loss <= tau (two classes)."""
    fits: dict[tuple[str, float], Callable[..., Array]] = {
        ("cross_entropy", 2): _ridge,
        ("cross_entropy", np.inf): _lasso,
        ("cross_entropy", 1): _bounded,
        ("hinge", 2): _support_vectors,
        ("hinge", np.inf): _linear_program,
        ("hinge", 1): _linear_program,
    }
    fit = fits[problem.loss, norm]
    if fit is _linear_program:
        w = _linear_program(problem, tau, norm)
    else:
        w = _at_target(problem, tau, fit)
    weight = problem.unpack(w)[0][0]
    return w, float(np.linalg.norm(weight, _DUAL[norm]))


def _solve_general(
    problem: _Problem, start: Array, tau: float, norm: float, kappa: float
) -> tuple[Array, float, float]:
    """Weights, index and robust mean loss for many classes or a finite cost of label flips."""
    from deepwright.risk.fragility.wasserstein_linear import robust_losses, solve

    w, k = solve(
        problem.x, problem.y, loss=problem.loss, norm=norm, kappa=kappa, tau=tau,
        start=start.reshape(problem.rows, -1), d=problem.d,
    )  # fmt: skip
    scores = problem.x @ w.T
    both = scores if problem.rows > 1 else np.hstack([np.zeros_like(scores), scores])
    robust = robust_losses(torch.from_numpy(both), torch.from_numpy(problem.y), problem.loss, k, kappa)
    return w.ravel(), k, float(robust.mean())


def _at_target(problem: _Problem, tau: float, fit: Callable[[_Problem, float], Array]) -> Array:
    """Vary the strength (larger = weaker regularisation) until the mean loss is tau."""

    def gap(log_strength: float) -> float:
        return float(problem.losses(fit(problem, float(np.exp(log_strength)))).mean()) - tau

    low, high = -5.0, 0.0
    while gap(low) < 0 and low > -40:
        low -= 5
    if low <= -40:
        return np.zeros(problem.size)
    while gap(high) > 0:
        high += 2
        if high > 25:
            raise InputError(
                "target", given=tau, expected="a target above the smallest mean loss by a little", hint="raise epsilon"
            )
    return fit(problem, float(np.exp(optimize.brentq(gap, low, high, xtol=1e-11, rtol=1e-12))))


def _ridge(problem: _Problem, strength: float) -> Array:
    penal = np.ones(problem.size)
    if problem.intercept:
        penal[-1] = 0

    def value(w: Array) -> tuple[float, Array]:
        loss, gradient = problem.mean_loss(w)
        return strength * loss + 0.5 * float(penal @ w**2), strength * gradient + penal * w

    return problem.minimise(value, np.zeros(problem.size))


def _lasso(problem: _Problem, strength: float) -> Array:
    """Sum of absolute weights, split into positive and negative parts so that the problem is smooth."""
    d, size = problem.d, problem.size

    def join(v: Array) -> Array:
        return np.concatenate([v[:d] - v[d : 2 * d], v[2 * d :]])

    def value(v: Array) -> tuple[float, Array]:
        loss, g = problem.mean_loss(join(v))
        gradient = np.concatenate([strength * g[:d] + 1, -strength * g[:d] + 1, strength * g[d:]])
        return strength * loss + float(v[: 2 * d].sum()), gradient

    bounds = [(0, None)] * (2 * d) + [(None, None)] * (size - d)
    options = {"maxiter": 5000, "maxfun": 20000, "ftol": 1e-15, "gtol": 1e-10, "maxcor": 30}
    return join(
        optimize.minimize(value, np.zeros(d + size), jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    )


def _bounded(problem: _Problem, radius: float) -> Array:
    """Least loss with every |weight| <= radius."""
    bounds = [(-radius, radius)] * problem.d + [(None, None)] * (problem.size - problem.d)
    options = {"maxiter": 5000, "maxfun": 20000, "ftol": 1e-15, "gtol": 1e-10}
    return optimize.minimize(
        problem.mean_loss, np.zeros(problem.size), jac=True, method="L-BFGS-B", bounds=bounds, options=options
    ).x


def _support_vectors(problem: _Problem, strength: float) -> Array:
    """The L2 hinge path is that of a linear support vector machine."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import SVC, LinearSVC

    x, y = problem.x[:, : problem.d], problem.y
    c = strength / len(y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        if problem.intercept:
            machine = SVC(kernel="linear", C=c, tol=1e-8, cache_size=500).fit(x, y)
        else:
            machine = LinearSVC(loss="hinge", C=c, tol=1e-9, max_iter=1_000_000, fit_intercept=False).fit(x, y)
    return np.concatenate([machine.coef_[0], machine.intercept_]) if problem.intercept else machine.coef_[0]


def _linear_program(problem: _Problem, tau: float, norm: float) -> Array:
    """min ||w||_* subject to mean slack <= tau, slack_i >= 1 - y_i (w x_i + b), slack >= 0, for dual norms 1 and inf."""
    n, size, d = len(problem.y), problem.size, problem.d
    dual = _DUAL[norm]
    bounds_t = d if dual == 1 else 1
    columns = size + bounds_t + n
    assert problem.sign is not None
    margin = np.zeros((n, columns))
    margin[:, :size] = -problem.sign[:, None] * problem.x
    margin[:, size + bounds_t :] = -np.eye(n)
    caps = np.zeros((2 * d, columns))
    for row, sign in ((0, 1.0), (d, -1.0)):
        caps[row : row + d, :d] = sign * np.eye(d)
        caps[row : row + d, size : size + bounds_t] = -np.eye(d) if dual == 1 else -1.0
    total = np.zeros((1, columns))
    total[0, size + bounds_t :] = 1 / n
    cost = np.zeros(columns)
    cost[size : size + bounds_t] = 1
    solved = optimize.linprog(
        cost,
        A_ub=np.vstack([margin, caps, total]),
        b_ub=np.concatenate([-np.ones(n), np.zeros(2 * d), [tau]]),
        bounds=[(None, None)] * size + [(0, None)] * (bounds_t + n),
        method="highs",
    )
    if solved.status != 0:
        raise InputError("target", given=tau, expected="a feasible target", hint=str(solved.message))
    return solved.x[:size]


def linear_wasserstein_index(
    weight: Array, losses_mean: float, tau: float, norm: float = 2, classes_present: Array | None = None
) -> float:
    """FI_W of a linear classifier on unbounded inputs with fixed labels: its margin's Lipschitz bound, or infinity.

    Args:
        weight: (K, d), or (d,) for two classes.
        losses_mean: mean score (score margin, hinge or cross-entropy: they share the recession slope).
        tau: target.
        norm: of the input space.
        classes_present: labels that occur (all by default).
    """
    if norm not in _DUAL:
        raise InputError("norm", given=norm, expected="1, 2 or inf")
    if losses_mean > tau:
        return float("inf")
    w = np.asarray(weight, dtype=float)
    if w.ndim == 1 or len(w) == 1:
        return float(np.linalg.norm(w.ravel(), _DUAL[norm]))
    present = np.arange(len(w)) if classes_present is None else np.unique(classes_present)
    gaps = w[:, None, :] - w[None, present, :]
    return float(np.linalg.norm(gaps.reshape(-1, w.shape[1]), _DUAL[norm], axis=1).max())


def flip_wasserstein_index(
    weight: Array, margins: Array, tau: float, kappa: float, norm: float = 2, loss: str = "cross_entropy"
) -> float:
    """FI_W of a binary linear classifier when a label may flip at cost `kappa`.

    The least k >= ||w||_* with mean_i max(L(m_i), L(-m_i) - kappa k) <= tau, where m_i = y_i (w x_i + b).
    """
    if not kappa > 0:
        raise InputError("kappa", given=kappa, expected="above 0")
    m = np.asarray(margins, dtype=float)
    stay, flip = (
        (np.logaddexp(0, -m), np.logaddexp(0, m))
        if loss == "cross_entropy"
        else (np.maximum(1 - m, 0), np.maximum(1 + m, 0))
    )
    if stay.mean() > tau:
        return float("inf")

    def gap(k: float) -> float:
        return float(np.maximum(stay, flip - kappa * k).mean()) - tau

    least = float(np.linalg.norm(np.asarray(weight).ravel(), _DUAL[norm]))
    if gap(least) <= 0:
        return least
    high = max(2 * least, 1.0)
    while gap(high) > 0:
        high *= 2
    return float(optimize.brentq(gap, least, high, xtol=1e-12))
