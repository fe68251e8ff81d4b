"""WiSARD: a table says 1 where the class has been seen at that address.

Source: I. Aleksander, W. Thomas, P. Bowden, "WISARD, a radical step forward in image recognition", Sensor
Review 4 (1984).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from deepwright.core.errors import InputError, NotFittedError
from deepwright.weightless.encoders import Booleanizer
from deepwright.weightless.estimator import WeightlessClassifier
from deepwright.weightless.inputs import as_bits, as_classes, as_labels, known_labels, warn_constant
from deepwright.weightless.kernels import chosen_engine, packed, packed_votes
from deepwright.weightless.mapping import addresses, blocks
from deepwright.weightless.tables import BinaryWNN


class WiSARD(WeightlessClassifier):
    """Counts[j, a, c] of how often table j saw address a in class c; the vote is [count > bleach_], bleach_ = 0.

    Args:
        n_inputs: bits that a table reads, n, 1..16.
        n_luts: tables of each class, L.
        temperature: of `predict_proba`.
        random_state: seed of the mapping; None for another one each time.
        max_memory: bytes of counts (four each) that are allowed.
        engine: of predictions: `auto`, `numba` or `numpy`, with the same numbers.

    Attributes:
        counts_: (n_luts, 2^n, classes) uint32.
        mapping_: (n_luts, n), which bits a table reads.
        bleach_: the count that a vote must be above.
    """

    counts_: np.ndarray
    bleach_: int
    _words: np.ndarray | None

    def __init__(
        self,
        n_inputs: int = 6,
        n_luts: int = 300,
        temperature: float = 1.0,
        random_state: Any = None,
        max_memory: int = 2 << 30,
        engine: str = "auto",
    ) -> None:
        self.n_inputs, self.n_luts, self.temperature = n_inputs, n_luts, temperature
        self.random_state, self.max_memory, self.engine = random_state, max_memory, engine

    def fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """Count, in one pass.

        Args:
            X: Boolean features (samples, features).
            y: a class of each.
            classes: all there will be; those of y where None.
        """
        bits = as_bits(X)
        warn_constant(bits)
        labels = as_labels(y, len(bits))
        self._begin(bits.shape[1], as_classes(labels, classes))
        self._count(bits, known_labels(labels, self.classes_))
        return self

    def untrain(self, X: Any, y: Any) -> Self:
        """Take samples out again, exactly: the counts are as if they had never come. `bleach_` stays.

        Args:
            X: Boolean features (samples, features).
            y: a class of each.

        Raises:
            InputError: a count would go below 0, so that some sample was never seen; nothing is changed then.
        """
        bits = self.bits(X)
        truth, before = known_labels(as_labels(y, len(bits)), self.classes_), self.counts_.astype(np.int64)
        for at, label in self._touched(bits, truth):
            np.subtract.at(before.reshape(-1, len(self.classes_)), (at, label), 1)
        if before.min() < 0:
            raise InputError("X and y", given="samples that were never counted", expected="samples of `fit`")
        self.counts_, self._words = before.astype(np.uint32), None
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Votes, (samples, classes) int64, for two classes too.

        Args:
            X: Boolean features (samples, features).
        """
        bits = self.bits(X)
        if self._words is None:
            self._words = packed((self.counts_ > self.bleach_).astype(np.uint8))
        return packed_votes(bits, self.mapping_, self._words, self.engine)[:, : len(self.classes_)]

    def to_binary(self, booleanizer: Booleanizer | None = None) -> BinaryWNN:
        """The tables as they vote now, to predict and store.

        Args:
            booleanizer: what made the bits, to keep with it.
        """
        if not hasattr(self, "counts_"):
            raise NotFittedError(type(self).__name__)
        on = self.counts_ > self.bleach_
        return BinaryWNN(on, self.mapping_, self.n_features_in_, self.classes_, booleanizer, self.engine)

    def seen(self, bits: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Counts at the addresses of samples, a part of them after the other: (part, (samples, luts, classes)).

        Args:
            bits: (samples, features) of 0 and 1.
        """
        own = np.arange(len(self.mapping_))
        for part in blocks(len(bits), len(self.mapping_) * len(self.classes_)):
            yield part, self.counts_[own, addresses(bits[part], self.mapping_)]

    def _begin(self, features: int, classes: np.ndarray) -> None:
        chosen_engine(self.engine)
        self.start(features, classes)
        shape = (self.n_luts, 1 << self.n_inputs, len(classes))
        self.refuse_large(4 * shape[0] * shape[1] * shape[2])
        self.counts_, self.bleach_ = np.zeros(shape, dtype=np.uint32), 0
        self._words = None

    def _count(self, bits: np.ndarray, truth: np.ndarray) -> None:
        for at, label in self._touched(bits, truth):
            np.add.at(self.counts_.reshape(-1, len(self.classes_)), (at, label), 1)
        self._words = None

    def _touched(self, bits: np.ndarray, truth: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows of the flat counts and classes, for each part of the samples."""
        starts = np.arange(len(self.mapping_), dtype=np.int64) << self.n_inputs
        for part in blocks(len(bits), len(self.mapping_)):
            yield starts + addresses(bits[part], self.mapping_), truth[part, None]
