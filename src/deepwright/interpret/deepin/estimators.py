"""DeepIn as scikit-learn estimators: numbers, classes, and survival."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from scipy import special
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets

from deepwright.core.errors import InputError
from deepwright.interpret.deepin.base import DeepIn
from deepwright.interpret.deepin.concordance import concordance
from deepwright.interpret.deepin.losses import CoxPartial, CrossEntropy, RowLoss, Squared
from deepwright.interpret.deepin.tables import DeepInWarning, Scale, survival_target

_LEAST_EVENTS = 10  # some in each fold


class DeepInRegressor(RegressorMixin, DeepIn):
    """The smallest network that predicts numbers as well. Options and attributes are those of `DeepIn`.

    Example:
        >>> import torch
        >>> x = torch.randn(300, 6, generator=torch.Generator().manual_seed(0))
        >>> y = (x[:, 0] + x[:, 1]).sin()
        >>> found = DeepInRegressor(max_dim=3, hidden=(16,), epochs=20, lambdas=(0.2, 0.6)).fit(x, y)
        >>> found.selected_, found.dim_
        ([0, 1], 1)
    """

    _kind = "numbers"

    def _read_target(self, y: Any, first: bool) -> np.ndarray:
        target = np.asarray(y)
        if target.dtype.kind not in "biuf":
            raise InputError("y", given=f"{target.dtype} targets. Unknown label type", expected="numbers")
        target = target.astype(np.float64)
        flat = target.ndim == 1 or target.shape[1] == 1
        if first:
            self._flat, self._target_width = flat, 1 if flat else target.shape[1]
        return target.reshape(len(target), -1)

    def _scaled_target(self, target: np.ndarray, fit: np.ndarray) -> np.ndarray:
        scale = Scale.of(target[fit])
        self._offset, self._factor = scale.mean, scale.deviation
        return (target - self._offset) / self._factor

    def _loss(self, target: np.ndarray) -> RowLoss:
        return Squared(self._target_width)

    def predict(self, X: Any) -> np.ndarray:
        """(n,) numbers in the target's units, (n, C) of several targets.

        Args:
            X: (n, p).
        """
        out = self._outputs(X)
        return out[:, 0] if self._flat else out

    def __sklearn_tags__(self) -> Any:
        """Several targets are fine; small data, too, but a test on 200 rows asks for more than the rule gives."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class DeepInClassifier(ClassifierMixin, DeepIn):
    """The smallest network that tells classes apart as well. Options and attributes are those of `DeepIn`, and these.

    Args:
        class_weight: "balanced", or class -> weight; None counts each row alike.

    Attributes:
        classes_: the labels, in order.
    """

    _kind = "classes"
    _center = True

    def __init__(
        self,
        max_dim: int = 10,
        hidden: Sequence[int] = (64, 64),
        lambdas: str | Sequence[float] = "auto",
        groups: Any = None,
        gamma: float = 1.0,
        criterion: str = "auto",
        one_se: bool = True,
        epochs: int = 40,
        batch_size: int = 250,
        lr: float = 5e-3,
        weight_decay: float = 1e-4,
        device: torch.device | str | None = None,
        ebic_gamma: float = 0.5,
        random_state: int | None = 0,
        callbacks: Sequence[Callable[[str, int], None]] | None = None,
        class_weight: str | dict[Any, float] | None = None,
    ) -> None:
        super().__init__(
            max_dim,
            hidden,
            lambdas,
            groups,
            gamma,
            criterion,
            one_se,
            epochs,
            batch_size,
            lr,
            weight_decay,
            device,
            ebic_gamma,
            random_state,
            callbacks,
        )
        self.class_weight = class_weight

    def _read_target(self, y: Any, first: bool) -> np.ndarray:
        y = np.asarray(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = y[:, 0]
        if first:
            check_classification_targets(y)
            self.classes_ = np.unique(y)
            if len(self.classes_) < 2:
                raise InputError("y", given="1 class", expected="two classes or more")
        strange = np.setdiff1d(y, self.classes_)
        if len(strange):
            raise InputError("y", given=f"class {strange[0]!r}", expected=f"one of {self.classes_.tolist()}")
        return np.searchsorted(self.classes_, y)

    def _scaled_target(self, target: np.ndarray, fit: np.ndarray) -> np.ndarray:
        c = len(self.classes_)
        self._offset, self._factor = np.zeros(c), np.ones(c)
        return target

    def _loss(self, target: np.ndarray) -> RowLoss:
        c = len(self.classes_)
        if self.class_weight is None:
            return CrossEntropy(c)
        counts = np.bincount(target, minlength=c).clip(1)
        if self.class_weight == "balanced":
            weights = 1.0 / counts
        elif isinstance(self.class_weight, dict):
            known = self.classes_.tolist()
            strange = [k for k in self.class_weight if k not in known]
            if strange:
                raise InputError("class_weight", given=f"class {strange[0]!r}", expected=f"some of {known}")
            weights = np.array([self.class_weight.get(k, 1.0) for k in known], dtype=float)
            if not (np.isfinite(weights) & (weights >= 0)).all() or not weights.any():
                expected = "weights of at least 0, one of them above"
                raise InputError("class_weight", given=repr(self.class_weight), expected=expected)
        else:
            raise InputError("class_weight", given=repr(self.class_weight), expected="'balanced', a dict, or None")
        return CrossEntropy(c, torch.as_tensor(weights * len(target) / (weights * counts).sum()))

    def decision_function(self, X: Any) -> np.ndarray:
        """(n, C) logits; of two classes (n,), that of the second less that of the first.

        Args:
            X: (n, p).
        """
        out = self._outputs(X)
        return out[:, 1] - out[:, 0] if out.shape[1] == 2 else out

    def predict_proba(self, X: Any) -> np.ndarray:
        """(n, C) softmax of the logits.

        Args:
            X: (n, p).
        """
        return special.softmax(self._outputs(X), axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """(n,) labels.

        Args:
            X: (n, p).
        """
        best = self._outputs(X).argmax(1)
        return self.classes_[best]


class DeepInCox(DeepIn):
    """The smallest network for the risk of an event, by Cox's partial likelihood.

    `y` is a structured array with one bool field (whether there was an event) and one of numbers (when), or (n, 2) with
    time and event in this order, or (n,) times that all end in an event. Options and attributes are those of `DeepIn`.
    """

    _kind = "survival"

    def _require_options(self) -> None:
        super()._require_options()
        if self.batch_size < 2:
            hint = "a row alone is its own risk set, of which nothing is learned"
            raise InputError("batch_size", given=self.batch_size, expected="at least 2", hint=hint)

    def _read_target(self, y: Any, first: bool) -> np.ndarray:
        return survival_target(y)

    def _scaled_target(self, target: np.ndarray, fit: np.ndarray) -> np.ndarray:
        self._offset, self._factor = np.zeros(1), np.ones(1)
        ranked = target.copy()
        ranked[:, 0] = np.unique(target[:, 0], return_inverse=True)[1]  # only the order of times has a say
        return ranked

    def _loss(self, target: np.ndarray) -> RowLoss:
        events = int(target[:, 1].sum())
        if events < _LEAST_EVENTS:
            message = f"{events} events: below {_LEAST_EVENTS} what is selected is mostly luck"
            warnings.warn(message, DeepInWarning, 4)
        return CoxPartial()

    def predict(self, X: Any) -> np.ndarray:
        """(n,) logarithms of relative risks: larger ones have their event sooner.

        Args:
            X: (n, p).
        """
        return self._outputs(X)[:, 0]

    def score(self, X: Any, y: Any) -> float:
        """Harrell's concordance: of the pairs of which one surely had its event first, how many have the larger risk.

        Args:
            X: (n, p).
            y: as for `fit`.
        """
        target = survival_target(y)
        return concordance(self.predict(X), target[:, 0], target[:, 1])
