"""A network and the house's detectors as scikit-learn estimators; both pass its `check_estimator`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import torch
from scipy import special
from sklearn.base import BaseEstimator, ClassifierMixin, OutlierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.features import Activations
from deepwright.core.fit import adamw, fit
from deepwright.core.inference import logits_of
from deepwright.core.randomness import local_rng
from deepwright.core.requirements import require_within
from deepwright.nets import mlp
from deepwright.ood import MDS, Detector

_CHUNK = 1024


class NetworkClassifier(ClassifierMixin, BaseEstimator):
    """A PyTorch network that is made, trained by `core.fit` and asked as scikit-learn does.

    Columns are standardised by the training rows before the network sees them, and it works in float64: else a row's
    last bits depend on the rows beside it.

    Args:
        factory: (columns, classes) -> network that gives logits; an MLP of two hidden layers by default.
        epochs: of training.
        batch_size: samples per step.
        lr: AdamW's learning rate.
        seed: of the first weights and of the order of samples.

    Attributes:
        network_: trained.
        classes_: (K,) the labels.
        center_: (d,) means of the training rows.
        scale_: (d,) their deviations, 1 for constant columns.
    """

    def __init__(
        self,
        factory: Callable[[int, int], nn.Module] | None = None,
        epochs: int = 30,
        batch_size: int = 32,
        lr: float = 1e-2,
        seed: int = 0,
    ) -> None:
        self.factory, self.epochs, self.batch_size, self.lr, self.seed = factory, epochs, batch_size, lr, seed

    def fit(self, X: Any, y: Any) -> Self:
        """Make a network and train it.

        Args:
            X: (n, d) finite numbers.
            y: (n,) labels of two classes or more.
        """
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError("y", given="1 class", expected="two classes or more")
        self.center_, self.scale_ = _deviations(X)
        with local_rng(self.seed):
            self.network_ = (self.factory or mlp)(X.shape[1], len(self.classes_)).double()
        fit(
            self.network_,
            (self._standardised(X), torch.from_numpy(labels.astype(np.int64))),
            epochs=self.epochs,
            batch_size=self.batch_size,
            optimizer=adamw(self.lr),
            seed=self.seed,
        )
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """(n, K) logits; for two classes (n,), that of the second less that of the first.

        Args:
            X: (n, d).
        """
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict_proba(self, X: Any) -> np.ndarray:
        """(n, K) softmax of the logits.

        Args:
            X: (n, d).
        """
        return special.softmax(self._logits(X), axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """(n,) labels.

        Args:
            X: (n, d).
        """
        best = self._logits(X).argmax(1)
        return self.classes_[best]

    def _logits(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return logits_of(self.network_, self._standardised(X).split(_CHUNK)).double().cpu().numpy()

    def _standardised(self, X: np.ndarray) -> Tensor:
        return torch.from_numpy((X - self.center_) / self.scale_)


class OutlierDetector(OutlierMixin, BaseEstimator):
    """A detector of `deepwright.ood` on the columns of a table, or on features of any network, which make one class.

    Args:
        detector: one that looks at features or layers alone: `MDS()`, `KNN()`, `BBAS(use="single", quantile=0.1)`
            (with sides at the extremes no training row is outside). It is fitted anew; `MDS()` by default.
        contamination: share of the training rows that are outliers, in (0, 0.5].

    Attributes:
        detector_: fitted on the columns, standardised.
        offset_: scores below it are outliers.
        center_: (d,) means of the training rows.
        scale_: (d,) their deviations, 1 for constant columns.
    """

    def __init__(self, detector: Detector | None = None, contamination: float = 0.1) -> None:
        self.detector, self.contamination = detector, contamination

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn what rows look like.

        Args:
            X: (n, d) finite numbers, two rows or more.
            y: not looked at.
        """
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        require_within(0, 0.5, ends="(]", contamination=self.contamination)
        self.center_, self.scale_ = _deviations(X)
        self.detector_ = _fresh(self.detector).fit(self._activations(X))
        scores = self.score_samples(X)
        self.offset_ = float(np.percentile(scores, 100 * self.contamination))
        if scores.min() == scores.max():
            raise InputError("X", given=f"rows that are all alike to {self.detector_.name}", hint="another detector")
        return self

    def score_samples(self, X: Any) -> np.ndarray:
        """(n,) minus the detector's scores: small ones are outliers.

        Args:
            X: (n, d).
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return -self.detector_.score(self._activations(X)).double().numpy()

    def decision_function(self, X: Any) -> np.ndarray:
        """(n,) scores above the offset; outliers are negative.

        Args:
            X: (n, d).
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """(n,) -1 for outliers, else 1.

        Args:
            X: (n, d).
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def _activations(self, X: np.ndarray) -> Activations:
        x = torch.from_numpy((X - self.center_) / self.scale_).float()
        labels = torch.zeros(len(x), dtype=torch.long)
        return Activations(torch.zeros(len(x), 1), labels, x, {"columns": x}, {"columns": "plain"})


def _deviations(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    center, deviation = X.mean(0), X.std(0)
    return center, np.where(deviation > 1e-12 * (1 + np.abs(center)), deviation, 1.0)


def _fresh(detector: Detector | None) -> Detector:
    """One of the same class and options, if it looks at nothing but features, layers and the one class."""
    if detector is None:
        return MDS()
    if not isinstance(detector, Detector) or not detector.needs <= {"features", "layers", "labels"}:
        given = getattr(detector, "name", repr(detector))
        expected = "a detector of features or layers: MDS(), KNN() or BBAS(use='single', quantile=0.1)"
        raise InputError("detector", given=given, expected=expected)
    return type(detector)(**detector.options)
