"""Counts at the addresses that were seen, and no others: tables of up to 32 inputs in the memory of their samples.

All tables share one sorted array of keys, table * 2^32 + address, so that each table's addresses lie sorted in a row.
"""

from __future__ import annotations

import numpy as np

from deepwright.weightless.kernels import packed
from deepwright.weightless.mapping import addresses


def table_keys(bits: np.ndarray, mapping: np.ndarray) -> np.ndarray:
    """table * 2^32 + address of each sample and table, (samples, luts) uint64.

    Args:
        bits: (samples, features) of 0 and 1.
        mapping: (luts, inputs), up to 32 inputs.
    """
    starts = np.arange(len(mapping), dtype=np.uint64) << np.uint64(32)
    return starts | addresses(bits, mapping).astype(np.uint64)


class HashedCounts:
    """How often each class was seen at each key that was seen at all.

    Args:
        classes: how many there are.
    """

    def __init__(self, classes: int) -> None:
        self.keys = np.zeros(0, dtype=np.uint64)
        self.counts = np.zeros((0, classes), dtype=np.uint32)

    @property
    def nbytes(self) -> int:
        """Bytes of keys and counts."""
        return self.keys.nbytes + self.counts.nbytes

    def add(self, keys: np.ndarray, labels: np.ndarray) -> None:
        """Count.

        Args:
            keys: flat.
            labels: a class of each, its place.
        """
        merged = np.union1d(self.keys, keys)
        counts = np.zeros((len(merged), self.counts.shape[1]), dtype=np.uint32)
        counts[np.searchsorted(merged, self.keys)] = self.counts
        self.keys, self.counts = merged, counts + self._tally(merged, keys, labels)

    def subtract(self, keys: np.ndarray, labels: np.ndarray) -> bool:
        """Take away what was counted; keys that nobody has seen any more go.

        Args:
            keys: flat.
            labels: a class of each, its place.

        Returns:
            Whether all of it had been counted; nothing is changed where it hadn't.
        """
        if (self.find(keys) == len(self.keys)).any():
            return False
        taken = self._tally(self.keys, keys, labels)
        if (taken > self.counts).any():
            return False
        left = self.counts - taken
        kept = left.any(axis=1)
        self.keys, self.counts = self.keys[kept], left[kept]
        return True

    def find(self, keys: np.ndarray) -> np.ndarray:
        """The row of each key; the number of rows where it was never seen.

        Args:
            keys: of any shape.
        """
        at = np.searchsorted(self.keys, keys)
        if not len(self.keys):
            return at
        return np.where(self.keys[np.minimum(at, len(self.keys) - 1)] == keys, at, len(self.keys))

    def at(self, keys: np.ndarray) -> np.ndarray:
        """Counts of each class, 0 where a key was never seen; (..., classes).

        Args:
            keys: of any shape.
        """
        return np.vstack([self.counts, np.zeros_like(self.counts, shape=(1, self.counts.shape[1]))])[self.find(keys)]

    def words(self, bleach: int) -> np.ndarray:
        """[count > bleach], four classes in a word, and a last row of zeros for keys that were never seen.

        Args:
            bleach: what a count must be above.
        """
        on = np.zeros((1, len(self.keys) + 1, self.counts.shape[1]), dtype=np.uint8)
        on[0, :-1] = self.counts > bleach
        return packed(on)[0]

    def votes(self, keys: np.ndarray, words: np.ndarray) -> np.ndarray:
        """Votes, (samples, classes) int64.

        Args:
            keys: (samples, luts).
            words: of `words`.
        """
        sums = words[self.find(keys)].sum(axis=1)
        return sums.astype("<u8").view("<u2").astype(np.int64)[:, : self.counts.shape[1]]

    def _tally(self, rows: np.ndarray, keys: np.ndarray, labels: np.ndarray) -> np.ndarray:
        classes = self.counts.shape[1]
        flat = np.searchsorted(rows, keys) * classes + labels
        return np.bincount(flat, minlength=len(rows) * classes).reshape(-1, classes).astype(np.uint32)

    def image(self, label: int, mapping: np.ndarray, features: int) -> np.ndarray:
        """`images.class_image` of these counts.

        Args:
            label: place among the classes.
            mapping: (luts, inputs).
            features: bits of a sample.
        """
        inputs = mapping.shape[1]
        table = (self.keys >> np.uint64(32)).astype(np.int64)
        lit = (self.keys[:, None] >> np.arange(inputs - 1, -1, -1, dtype=np.uint64) & np.uint64(1)).astype(np.int64)
        image = np.zeros(max(features, int(mapping.max()) + 1), dtype=np.int64)
        np.add.at(image, mapping[table], lit * self.counts[:, label, None])
        return image[:features]
