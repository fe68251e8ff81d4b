"""What all classifiers of the room share: options of the tables, their mapping, what comes in and what goes out."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state

from deepwright.core.errors import InputError
from deepwright.weightless.inputs import UnfittedError, as_bits, integer
from deepwright.weightless.mapping import random_mapping


class WeightlessClassifier(ClassifierMixin, BaseEstimator):
    """A subclass has `n_inputs`, `n_luts`, `random_state`, `temperature`, and gives `decision_function`."""

    n_inputs: int
    n_luts: int
    random_state: Any
    max_memory: int = 2 << 30
    temperature: float

    def start(self, features: int, classes: np.ndarray, most_inputs: int = 16) -> None:
        """Set what doesn't depend on the rule: classes, features, seed, mapping.

        Args:
            features: bits of a sample.
            classes: sorted labels.
            most_inputs: largest n.
        """
        inputs = integer(self.n_inputs, "n_inputs", 1, most_inputs)
        luts = integer(self.n_luts, "n_luts", 1, 65_535)
        if isinstance(self.random_state, int | np.integer) and not isinstance(self.random_state, bool):
            self.seed_ = integer(self.random_state, "random_state", 0, 2**63 - 1)
        else:
            self.seed_ = int(check_random_state(self.random_state).randint(2**31))
        self.classes_, self.n_features_in_ = classes, features
        self.mapping_ = random_mapping(features, inputs, luts, self.seed_)

    def refuse_large(self, size: int) -> None:
        """Raise where tables would take more than `max_memory` bytes.

        Args:
            size: their bytes.
        """
        if size > self.max_memory:
            given = f"{size} bytes: n_luts x 2^n_inputs x classes"
            raise InputError("tables", given=given, expected=f"at most {self.max_memory}", hint="fewer n_inputs")

    def bits(self, X: Any) -> np.ndarray:
        """X as this fitted network reads it.

        Args:
            X: Boolean features (samples, features).
        """
        if not hasattr(self, "mapping_"):
            raise UnfittedError(type(self).__name__)
        return as_bits(X, self.n_features_in_)

    def decision_function(self, X: Any) -> np.ndarray:
        """Votes, (samples, classes), for two classes too.

        Args:
            X: Boolean features (samples, features).
        """
        raise NotImplementedError

    def predict(self, X: Any) -> np.ndarray:
        """The class with the most votes, the first on a tie.

        Args:
            X: Boolean features (samples, features).
        """
        best = self.decision_function(X).argmax(axis=1)
        return self.classes_[best]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Softmax of votes / temperature: an order of trust, not calibrated.

        Args:
            X: Boolean features (samples, features).
        """
        heat = self.temperature
        if isinstance(heat, bool) or not isinstance(heat, int | float | np.number) or not 0 < heat < np.inf:
            raise InputError("temperature", given=repr(heat), expected="a positive finite number")
        scaled = self.decision_function(X) / float(heat)
        exps = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return exps / exps.sum(axis=1, keepdims=True)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "mapping_")


def held_out(labels: np.ndarray, share: float, rng: np.random.Generator, least: int = 0) -> np.ndarray:
    """Which samples to keep for validation: this share of each class, rounded down, none of a class with one sample.

    Args:
        labels: places among the classes.
        share: of each class.
        rng: draws them.
        least: of each class with two samples or more, at least so many (0 or 1).

    Returns:
        A mask, (samples,).
    """
    mask = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        count = max(int(share * len(own)), least if len(own) > 1 else 0)
        mask[rng.permutation(own)[:count]] = True
    return mask
