"""WiSARD: a table says 1 where the class has been seen at that address.

Source: I. Aleksander, W. Thomas, P. Bowden, "WISARD, a radical step forward in image recognition", Sensor
Review 4 (1984).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from deepwright.core.errors import InputError, NotFittedError, unknown_name
from deepwright.weightless.encoders import Booleanizer
from deepwright.weightless.estimator import WeightlessClassifier
from deepwright.weightless.images import class_image
from deepwright.weightless.inputs import as_bits, as_classes, as_labels, known_labels, warn_constant
from deepwright.weightless.kernels import chosen_engine, packed, packed_votes
from deepwright.weightless.mapping import addresses, blocks
from deepwright.weightless.tables import BinaryWNN
from deepwright.weightless.wisard.hashed import HashedCounts, table_keys

TABLES = ("dense", "hashed")


class WiSARD(WeightlessClassifier):
    """Counts[j, a, c] of how often table j saw address a in class c; the vote is [count > bleach_], bleach_ = 0.

    Args:
        n_inputs: bits that a table reads, n, 1..16; up to 32 with `tables="hashed"`.
        n_luts: tables of each class, L.
        temperature: of `predict_proba`.
        random_state: seed of the mapping; None for another one each time.
        max_memory: bytes of counts (four each; and eight for each hashed address) that are allowed.
        engine: of predictions: `auto`, `numba` or `numpy`, with the same numbers; hashed tables have NumPy only.
        tables: `dense`: an entry for each address. `hashed`: sorted addresses of those that were seen, the same votes.
        ignore_zero: address 0 is not counted and never votes, for samples that are mostly background.

    Attributes:
        counts_: (n_luts, 2^n, classes) uint32; (addresses seen, classes) where hashed.
        keys_: table * 2^32 + address of each row of `counts_`, sorted; where hashed only.
        mapping_: (n_luts, n), which bits a table reads.
        bleach_: the count that a vote must be above.
    """

    counts_: np.ndarray
    bleach_: int
    _kind: str
    _words: np.ndarray | None

    def __init__(
        self,
        n_inputs: int = 6,
        n_luts: int = 300,
        temperature: float = 1.0,
        random_state: Any = None,
        max_memory: int = 2 << 30,
        engine: str = "auto",
        tables: str = "dense",
        ignore_zero: bool = False,
    ) -> None:
        self.n_inputs, self.n_luts, self.temperature = n_inputs, n_luts, temperature
        self.random_state, self.max_memory, self.engine = random_state, max_memory, engine
        self.tables, self.ignore_zero = tables, ignore_zero

    @property
    def nbytes(self) -> int:
        """Bytes of the tables as they vote: one bit an entry and class, and n bits for each address that is stored."""
        if not hasattr(self, "counts_"):
            raise NotFittedError(type(self).__name__)
        if self._kind == "dense":
            return -(-self.counts_.size // 8)
        stored = int((self.counts_ > self.bleach_).any(axis=1).sum())
        return -(-stored * (self.mapping_.shape[1] + len(self.classes_)) // 8)

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
        truth = known_labels(as_labels(y, len(bits)), self.classes_)
        if not (self._subtract_hashed(bits, truth) if self._kind == "hashed" else self._subtract(bits, truth)):
            raise InputError("X and y", given="samples that were never counted", expected="samples of `fit`")
        self._words = None
        return self

    def class_image(self, label: Any) -> np.ndarray:
        """What the class looks like to its tables: for each bit, the counts of all addresses in which it is 1.

        Args:
            label: one of `classes_`.

        Returns:
            (features,) int64.
        """
        if not hasattr(self, "counts_"):
            raise NotFittedError(type(self).__name__)
        place = int(known_labels(as_labels([label], 1), self.classes_)[0])
        if self._kind == "hashed":
            return self._hashed.image(place, self.mapping_, self.n_features_in_)
        return class_image(self.counts_[:, :, place], self.mapping_, self.n_features_in_)

    def decision_function(self, X: Any) -> np.ndarray:
        """Votes, (samples, classes) int64, for two classes too.

        Args:
            X: Boolean features (samples, features).
        """
        bits = self.bits(X)
        if self._kind == "hashed":
            return self._hashed_votes(bits)
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
        on = self._dense() > self.bleach_
        return BinaryWNN(on, self.mapping_, self.n_features_in_, self.classes_, booleanizer, self.engine)

    def seen(self, bits: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Counts at the addresses of samples, a part of them after the other: (part, (samples, luts, classes)).

        Args:
            bits: (samples, features) of 0 and 1.
        """
        own = np.arange(len(self.mapping_))
        for part in blocks(len(bits), len(self.mapping_) * len(self.classes_)):
            if self._kind == "hashed":
                yield part, self._hashed.at(table_keys(bits[part], self.mapping_))
            else:
                yield part, self.counts_[own, addresses(bits[part], self.mapping_)]

    def _begin(self, features: int, classes: np.ndarray) -> None:
        chosen_engine(self.engine)
        if self.tables not in TABLES:
            raise unknown_name("tables", str(self.tables), TABLES)
        self._kind = self.tables
        self.start(features, classes, 32 if self.tables == "hashed" else 16)
        if self.tables == "hashed":
            self._hashed, self.bleach_, self._words = HashedCounts(len(classes)), 0, None
            self.counts_, self.keys_ = self._hashed.counts, self._hashed.keys
            return
        shape = (self.n_luts, 1 << self.n_inputs, len(classes))
        self.refuse_large(4 * shape[0] * shape[1] * shape[2])
        self.counts_, self.bleach_ = np.zeros(shape, dtype=np.uint32), 0
        self._words = None

    def _count(self, bits: np.ndarray, truth: np.ndarray) -> None:
        self._words = None
        if self._kind == "hashed":
            for keys, labels in self._hashed_parts(bits, truth):
                self._hashed.add(keys, labels)
                self.refuse_large(self._hashed.nbytes)
            self.counts_, self.keys_ = self._hashed.counts, self._hashed.keys
            return
        for at, label, one in self._touched(bits, truth):
            np.add.at(self.counts_.reshape(-1, len(self.classes_)), (at, label), one)

    def _subtract(self, bits: np.ndarray, truth: np.ndarray) -> bool:
        left = self.counts_.astype(np.int64)
        for at, label, one in self._touched(bits, truth):
            np.subtract.at(left.reshape(-1, len(self.classes_)), (at, label), one)
        if left.min() < 0:
            return False
        self.counts_ = left.astype(np.uint32)
        return True

    def _touched(self, bits: np.ndarray, truth: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Rows of the flat counts, classes and 1 (0 where the address isn't counted), for each part of the samples."""
        starts = np.arange(len(self.mapping_), dtype=np.int64) << self.mapping_.shape[1]
        for part in blocks(len(bits), len(self.mapping_)):
            found = addresses(bits[part], self.mapping_)
            yield starts + found, truth[part, None], (found != 0) | (not self.ignore_zero)

    def _subtract_hashed(self, bits: np.ndarray, truth: np.ndarray) -> bool:
        before = (self._hashed.keys, self._hashed.counts)
        for keys, labels in self._hashed_parts(bits, truth):
            if not self._hashed.subtract(keys, labels):
                self._hashed.keys, self._hashed.counts = before
                return False
        self.counts_, self.keys_ = self._hashed.counts, self._hashed.keys
        return True

    def _hashed_parts(self, bits: np.ndarray, truth: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Keys and classes to count, flat, for each part of the samples."""
        for part in blocks(len(bits), len(self.mapping_)):
            keys = table_keys(bits[part], self.mapping_)
            counted = (keys & np.uint64(0xFFFFFFFF) != 0) | (not self.ignore_zero)
            yield keys[counted], np.broadcast_to(truth[part, None], keys.shape)[counted]

    def _hashed_votes(self, bits: np.ndarray) -> np.ndarray:
        if self._words is None:
            self._words = self._hashed.words(self.bleach_)
        result = np.zeros((len(bits), len(self.classes_)), dtype=np.int64)
        for part in blocks(len(bits), len(self.mapping_) * self._words.shape[1]):
            result[part] = self._hashed.votes(table_keys(bits[part], self.mapping_), self._words)
        return result

    def _dense(self) -> np.ndarray:
        """Counts of all addresses, where they can be held."""
        if self._kind == "dense":
            return self.counts_
        inputs = self.mapping_.shape[1]
        if inputs > 16:
            raise InputError("to_binary", given=f"n_inputs={inputs}", expected="up to 16 of hashed tables")
        shape = (len(self.mapping_), 1 << inputs, len(self.classes_))
        self.refuse_large(4 * shape[0] * shape[1] * shape[2])
        counts = np.zeros(shape, dtype=np.uint32)
        counts[(self.keys_ >> np.uint64(32)).astype(np.int64), (self.keys_ & np.uint64(0xFFFF)).astype(np.int64)] = (
            self.counts_
        )
        return counts
