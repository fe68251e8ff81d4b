"""BTHOWeN: tables of many inputs in counting Bloom filters, bleached once and binarised.

Source: Z. Susskind et al., "Weightless Neural Networks for Efficient Edge Inference" (PACT 2022), arXiv 2203.01479.
"""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np

from deepwright.core.errors import InputError, NotFittedError
from deepwright.core.randomness import derive_seed
from deepwright.weightless.estimator import WeightlessClassifier, held_out
from deepwright.weightless.inputs import as_bits, as_classes, as_labels, integer, known_labels, warn_constant
from deepwright.weightless.kernels import chosen_engine, packed
from deepwright.weightless.mapping import addresses, blocks


class BTHOWeN(WeightlessClassifier):
    """Each table and class has a filter of `n_entries` counters, at `n_hashes` of which an address lies.

    A hash is of the H3 family: the exclusive or of one random word for each input bit that is 1; all filters share it.
    A sample raises the smallest of its counters (all that are equal). A table votes where its smallest counter is above
    b; b is chosen on a tenth of each class (one sample at least), held out and counted afterwards. Then only the bits
    [count > b] are needed. Give it bits of `Booleanizer("gaussian_thermometer")`.

    Args:
        n_inputs: bits that a table reads, n, 1..32.
        n_luts: tables of each class, L.
        n_entries: counters of a filter, a power of two, 2..65536.
        n_hashes: counters that an address has, k.
        temperature: of `predict_proba`.
        random_state: seed of mapping, hashes and held-out samples; None for another one each time.
        max_memory: bytes of counters (four each) that are allowed.
        engine: `auto`, `numba` or `numpy`, with the same numbers.

    Attributes:
        counts_: (n_luts, n_entries, classes) uint32.
        words_: (n_hashes, n_inputs), the random words.
        mapping_: (n_luts, n), which bits a table reads.
        bleach_: b, what a counter must be above.
    """

    def __init__(
        self,
        n_inputs: int = 28,
        n_luts: int = 100,
        n_entries: int = 1024,
        n_hashes: int = 2,
        temperature: float = 1.0,
        random_state: Any = None,
        max_memory: int = 2 << 30,
        engine: str = "auto",
    ) -> None:
        self.n_inputs, self.n_luts, self.n_entries, self.n_hashes = n_inputs, n_luts, n_entries, n_hashes
        self.temperature, self.random_state, self.max_memory, self.engine = (
            temperature,
            random_state,
            max_memory,
            engine,
        )

    @property
    def nbytes(self) -> int:
        """Bytes of the binarised filters, one bit an entry and class; mapping and random words aren't counted."""
        if not hasattr(self, "counts_"):
            raise NotFittedError("BTHOWeN")
        return -(-self.counts_.size // 8)

    def fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """Count, and search b.

        Args:
            X: Boolean features (samples, features).
            y: a class of each.
            classes: all there will be; those of y where None.
        """
        entries = integer(self.n_entries, "n_entries", 2, 65_536)
        if entries & (entries - 1):
            raise InputError("n_entries", given=entries, expected="a power of two")
        hashes = integer(self.n_hashes, "n_hashes", 1, 16)
        chosen_engine(self.engine)
        bits = as_bits(X)
        warn_constant(bits)
        labels = as_labels(y, len(bits))
        self.start(bits.shape[1], as_classes(labels, classes), 32)
        shape = (self.n_luts, entries, len(self.classes_))
        self.refuse_large(4 * shape[0] * shape[1] * shape[2])
        rng = np.random.default_rng(derive_seed("weightless H3", seed=self.seed_))
        self.words_ = rng.integers(0, entries, (hashes, self.n_inputs)).astype(np.uint16)
        self.counts_, self.bleach_ = np.zeros(shape, dtype=np.uint32), 0
        truth = known_labels(labels, self.classes_)
        self._count_and_bleach(bits, truth)
        self._filters = packed((self.counts_ > self.bleach_).astype(np.uint8))
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Votes, (samples, classes) int64, for two classes too.

        Args:
            X: Boolean features (samples, features).
        """
        bits = self.bits(X)
        result = np.zeros((len(bits), len(self.classes_)), dtype=np.int64)
        own, (hashes, _), width = np.arange(len(self.mapping_)), self.words_.shape, self._filters.shape[2]
        for part in blocks(len(bits), len(own) * width * hashes):
            found = np.bitwise_and.reduce(self._filters[own[:, None], self.places(bits[part])], axis=2)
            sums = found.sum(axis=1).astype("<u8").view("<u2")
            result[part] = sums[:, : len(self.classes_)]
        return result

    def places(self, bits: np.ndarray) -> np.ndarray:
        """Where each sample lies in each filter, (samples, luts, hashes) int64.

        Args:
            bits: (samples, features) of 0 and 1.
        """
        rows = addresses(bits, self.mapping_).astype(np.uint32)
        result = np.zeros((*rows.shape, len(self.words_)), dtype=np.int64)
        for low in range(
            0, self.words_.shape[1], 8
        ):  # eight inputs at once: the exclusive or of their words by a table
            part = self.words_[:, ::-1][:, low : low + 8]  # the last input is the lowest bit
            lit = (np.arange(256)[:, None] >> np.arange(part.shape[1]) & 1).astype(np.uint16)
            table = np.bitwise_xor.reduce(lit[:, None] * part, axis=2)
            result ^= table[rows >> np.uint32(low) & np.uint32(255)]
        return result

    def _count_and_bleach(self, bits: np.ndarray, truth: np.ndarray) -> None:
        rng = np.random.default_rng(derive_seed("weightless held out", seed=self.seed_))
        kept = held_out(truth, 0.1, rng, least=1)
        if not kept.any():
            raise InputError("BTHOWeN", given=f"{len(bits)} samples", expected="2 of some class, at least")
        if kept.sum() < 10:
            warnings.warn(f"b is chosen on {kept.sum()} samples only", UserWarning, stacklevel=3)
        if len(np.unique(truth[kept])) < len(np.unique(truth)):
            warnings.warn("a class is absent from the samples by which b is chosen", UserWarning, stacklevel=3)
        self._count(bits[~kept], truth[~kept])
        self.bleach_ = self._best(bits[kept], truth[kept])
        self._count(bits[kept], truth[kept])

    def _count(self, bits: np.ndarray, truth: np.ndarray) -> None:
        compiled = chosen_engine(self.engine)
        for part in blocks(len(bits), len(self.mapping_) * len(self.words_)):
            count = _count_bloom if compiled is None else compiled.count_bloom
            count(self.places(bits[part]), truth[part], self.counts_)

    def _best(self, bits: np.ndarray, truth: np.ndarray) -> int:
        """The smallest of the best b: any other votes as one of the counts below the largest does."""
        levels = np.union1d([0], np.unique(self.counts_)[:-1].astype(np.int64))
        if len(levels) > 512:
            levels = levels[np.unique(np.rint(np.geomspace(1, len(levels), 512)).astype(np.int64) - 1)]
        right, own = np.zeros(len(levels), dtype=np.int64), np.arange(len(self.mapping_))
        for part in blocks(len(bits), len(own) * len(self.classes_) * len(self.words_)):
            least = self.counts_[own[:, None], self.places(bits[part])].min(axis=2)
            for i, b in enumerate(levels.tolist()):
                right[i] += ((least > b).sum(axis=1).argmax(axis=1) == truth[part]).sum()
        return int(levels[right.argmax()])


def _count_bloom(places: np.ndarray, labels: np.ndarray, counts: np.ndarray) -> None:
    """Raise the smallest counters of each sample, one after the other: what a sample raises hangs on those before."""
    own = np.arange(places.shape[1])[:, None]
    for at, label in zip(places, labels.tolist()):
        found = counts[own, at, label]
        counts[own, at, label] = np.maximum(found, found.min(axis=1, keepdims=True) + 1)
