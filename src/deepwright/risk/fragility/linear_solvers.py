"""The exact solutions of the linear problems of least fragility.

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

import numpy as np
import torch
from scipy import optimize

from deepwright.core.errors import InputError
from deepwright.risk.fragility.linear_problem import DUAL, Array, LinearProblem


def solve_kl(problem: LinearProblem, start: Array, tau: float) -> tuple[Array, float]:
    """Root of v(k) = tau on log k, warm-started.

    Args:
        problem: the losses.
        start: weights of least mean loss.
        tau: target.
    """
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


def solve_wasserstein(problem: LinearProblem, tau: float, norm: float) -> tuple[Array, float]:
    """Least dual norm of the weights subject to mean loss <= tau (two classes).

    Args:
        problem: the losses.
        tau: target.
        norm: of the input space.
    """
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
    return w, float(np.linalg.norm(weight, DUAL[norm]))


def solve_general(
    problem: LinearProblem, start: Array, tau: float, norm: float, kappa: float
) -> tuple[Array, float, float]:
    """Weights, index and robust mean loss for many classes or a finite cost of label flips.

    Args:
        problem: the losses.
        start: weights of least mean loss.
        tau: target.
        norm: of the input space.
        kappa: cost of a flip.
    """
    from deepwright.risk.fragility.wasserstein_linear import robust_losses, solve

    rows = start.reshape(problem.rows, -1)
    w, k = solve(problem.x, problem.y, loss=problem.loss, norm=norm, kappa=kappa, tau=tau, start=rows, d=problem.d)
    scores = problem.x @ w.T
    both = scores if problem.rows > 1 else np.hstack([np.zeros_like(scores), scores])
    robust = robust_losses(torch.from_numpy(both), torch.from_numpy(problem.y), problem.loss, k, kappa)
    return w.ravel(), k, float(robust.mean())


def _at_target(problem: LinearProblem, tau: float, fit: Callable[[LinearProblem, float], Array]) -> Array:
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


def _ridge(problem: LinearProblem, strength: float) -> Array:
    penal = np.ones(problem.size)
    if problem.intercept:
        penal[-1] = 0

    def value(w: Array) -> tuple[float, Array]:
        loss, gradient = problem.mean_loss(w)
        return strength * loss + 0.5 * float(penal @ w**2), strength * gradient + penal * w

    return problem.minimise(value, np.zeros(problem.size))


def _lasso(problem: LinearProblem, strength: float) -> Array:
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


def _bounded(problem: LinearProblem, radius: float) -> Array:
    """Least loss with every |weight| <= radius."""
    bounds = [(-radius, radius)] * problem.d + [(None, None)] * (problem.size - problem.d)
    options = {"maxiter": 5000, "maxfun": 20000, "ftol": 1e-15, "gtol": 1e-10}
    return optimize.minimize(
        problem.mean_loss, np.zeros(problem.size), jac=True, method="L-BFGS-B", bounds=bounds, options=options
    ).x


def _support_vectors(problem: LinearProblem, strength: float) -> Array:
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


def _linear_program(problem: LinearProblem, tau: float, norm: float) -> Array:
    """min ||w||_* s. t. mean slack <= tau, slack_i >= 1 - y_i (w x_i + b), slack >= 0, for dual norms 1 and inf."""
    n, size, d = len(problem.y), problem.size, problem.d
    dual = DUAL[norm]
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
