"""Linear classifiers of least fragility, with the scikit-learn interface.

The problems are stated in `linear_problem` and solved in `linear_solvers`.

Source: arXiv 2502.13024; "Regularization via Mass Transportation" (JMLR 2019).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special
from sklearn.base import BaseEstimator, ClassifierMixin

from deepwright.core.errors import InputError, NotFittedError
from deepwright.risk.fragility.linear_problem import DUAL, Array, LinearProblem, to_array
from deepwright.risk.fragility.linear_solvers import solve_general, solve_kl, solve_wasserstein


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
        coef_: (K, d), or (1, d) for two classes.
        intercept_: (K,) or (1,).
        fragility_: the smallest k.
        target_: tau.
        dual_value_: the constraint's value at the solution, equal to target_ up to the tolerance.
        classes_: (K,) the labels that occur.
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
        """Solve on arrays, or on tensors of any device; the solvers are SciPy's, and what comes back are arrays.

        Args:
            X: (n, d) inputs.
            y: (n,) labels.

        Raises:
            InputError: arguments, NaN, one class only, a target below the smallest mean loss.
        """
        x, labels = self._checked(X, y)
        problem = LinearProblem(x, labels, len(self.classes_), self.loss, self.fit_intercept)
        start = problem.minimise(problem.mean_loss, np.zeros(problem.size))
        floor = float(problem.losses(start).mean())
        tau = (1 + self.epsilon) * floor if self.target is None else float(self.target)
        if tau < floor - 1e-9:
            raise InputError("target", given=tau, expected=f"at least {floor:.6g}, the smallest mean {self.loss}")
        self.target_ = tau
        if self.divergence == "kl":
            w, self.fragility_ = solve_kl(problem, start, tau)
            self.dual_value_ = problem.tilted_value(w, self.fragility_)
        elif len(self.classes_) == 2 and np.isinf(self.kappa):
            w, self.fragility_ = solve_wasserstein(problem, tau, self.norm)
            self.dual_value_ = float(problem.losses(w).mean())
        else:
            w, self.fragility_, self.dual_value_ = solve_general(problem, start, tau, self.norm, self.kappa)
        weight, bias = problem.unpack(w)
        self.coef_, self.intercept_ = weight, bias
        return self

    def target_path(
        self, X: Any, y: Any, slacks: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 1.0)
    ) -> list[tuple[float, float]]:
        """(tau, k) pairs for several slacks over the smallest loss; k is convex and decreasing in tau.

        Args:
            X: (n, d) inputs.
            y: (n,) labels.
            slacks: epsilon of each.
        """
        path = []
        for epsilon in slacks:
            model = type(self)(**{**self.get_params(), "target": None, "epsilon": epsilon}).fit(X, y)
            path.append((model.target_, model.fragility_))
        return path

    def decision_function(self, X: Any) -> Array:
        """(n,) margins for two classes, (n, K) scores otherwise."""
        if not hasattr(self, "coef_"):
            raise NotFittedError("FragileLinearClassifier")
        scores = to_array(X) @ self.coef_.T + self.intercept_
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
        x = to_array(X)
        if x.ndim != 2 or len(x) == 0 or not np.isfinite(x).all():
            raise InputError(
                "X", given=f"shape {x.shape}, finite: {bool(np.isfinite(x).all())}", expected="(n, d) finite numbers"
            )
        if (
            self.loss not in ("cross_entropy", "hinge")
            or self.divergence not in ("kl", "wasserstein")
            or self.norm not in DUAL
            or not self.kappa > 0
        ):
            raise InputError(
                "FragileLinearClassifier",
                given=f"loss={self.loss!r}, divergence={self.divergence!r}, norm={self.norm!r}, kappa={self.kappa!r}",
                expected="cross_entropy|hinge, kl|wasserstein, 1|2|inf, above 0",
            )
        self.classes_, labels = np.unique(to_array(y, None), return_inverse=True)
        if len(self.classes_) < 2 or len(labels) != len(x):
            raise InputError(
                "y",
                given=f"{len(self.classes_)} classes, {len(labels)} labels for {len(x)} rows",
                expected="two classes or more",
            )
        return x, labels
