"""B-bleaching: a count must be above b to vote, and b is searched.

Sources: M. De Gregorio, M. Giordano, "Cloning of WiSARD", and D. S. Carvalho et al., "B-bleaching: agile overtraining
avoidance in the WiSARD weightless neural classifier" (ESANN 2013); the search `authors` is that of arXiv 2603.24186.
"""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.randomness import derive_seed
from deepwright.weightless.encoders import Booleanizer
from deepwright.weightless.estimator import held_out
from deepwright.weightless.inputs import as_bits, as_classes, as_labels, known_labels, warn_constant
from deepwright.weightless.tables import BinaryWNN
from deepwright.weightless.wisard.counts import WiSARD

SEARCHES = ("validation", "authors", "per_sample")


class BleachingWiSARD(WiSARD):
    """WiSARD whose votes are [count > b].

    Args:
        n_inputs: bits that a table reads, n, 1..16; up to 32 with `tables="hashed"`.
        n_luts: tables of each class, L.
        search: `validation`: the smallest of the best b for a tenth of each class (one sample at least) that was held
            out, among the counts there are (512, spaced by their ratio, where there are more); then all are counted.
            `authors`: of the first 1000 training samples, each offers the largest b at which the largest class sum is
            still what it is at b = 0; the smallest of those best on these very samples. `per_sample`: at prediction, b
            is raised until one class is ahead.
        temperature: of `predict_proba`.
        random_state: seed of mapping and held-out samples; None for another one each time.
        max_memory: bytes of counts (four each) that are allowed.
        engine: of predictions: `auto`, `numba` or `numpy`, with the same numbers; hashed tables have NumPy only.
        tables: `dense` or `hashed`, as in `WiSARD`.
        ignore_zero: address 0 is not counted and never votes.

    Attributes:
        bleach_: b; 0 with `per_sample`.
    """

    def __init__(
        self,
        n_inputs: int = 6,
        n_luts: int = 300,
        search: str = "validation",
        temperature: float = 1.0,
        random_state: Any = None,
        max_memory: int = 2 << 30,
        engine: str = "auto",
        tables: str = "dense",
        ignore_zero: bool = False,
    ) -> None:
        super().__init__(n_inputs, n_luts, temperature, random_state, max_memory, engine, tables, ignore_zero)
        self.search = search

    def fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """Count, and search b.

        Args:
            X: Boolean features (samples, features).
            y: a class of each.
            classes: all there will be; those of y where None.
        """
        if self.search not in SEARCHES:
            raise unknown_name("search", str(self.search), SEARCHES)
        bits = as_bits(X)
        warn_constant(bits)
        labels = as_labels(y, len(bits))
        self._begin(bits.shape[1], as_classes(labels, classes))
        truth = known_labels(labels, self.classes_)
        if self.search != "validation":
            self._count(bits, truth)
            self.bleach_ = self._by_authors(bits[:1000], truth[:1000]) if self.search == "authors" else 0
            return self
        kept = held_out(truth, 0.1, np.random.default_rng(derive_seed("weightless held out", seed=self.seed_)), 1)
        if not kept.any():
            raise InputError("search='validation'", given=f"{len(bits)} samples", expected="2 of some class, at least")
        if kept.sum() < 10:
            warnings.warn(f"b is chosen on {kept.sum()} samples only", UserWarning, stacklevel=2)
        if len(np.unique(truth[kept])) < len(np.unique(truth)):
            warnings.warn("a class is absent from the samples by which b is chosen", UserWarning, stacklevel=2)
        self._count(bits[~kept], truth[~kept])
        self.bleach_ = self._best(bits[kept], truth[kept], self._levels())
        self._count(bits[kept], truth[kept])
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Votes, (samples, classes) int64; with `per_sample` those at the sample's own b.

        Args:
            X: Boolean features (samples, features).
        """
        if self.search != "per_sample":
            return super().decision_function(X)
        bits = self.bits(X)
        result = np.zeros((len(bits), len(self.classes_)), dtype=np.int64)
        for part, counts in self.seen(bits):
            result[part] = (counts > 0).sum(axis=1)
            undecided, b = np.arange(part.start, part.stop), 0
            while len(undecided):
                votes = (counts[undecided - part.start] > b).sum(axis=1)
                most = votes.max(axis=1)
                alive = most > 0  # where no class has votes left, those of the last b that had some stand
                result[undecided[alive]] = votes[alive]
                tied = (votes == most[:, None]).sum(axis=1) > 1
                undecided, b = undecided[alive & tied], b + 1
        return result

    def to_binary(self, booleanizer: Booleanizer | None = None) -> BinaryWNN:
        """The tables as they vote, to predict and store.

        Args:
            booleanizer: what made the bits, to keep with it.

        Raises:
            InputError: with `per_sample`, whose votes no single table has.
        """
        if self.search == "per_sample":
            raise InputError("to_binary", given="search='per_sample'", expected="one b for all samples")
        return super().to_binary(booleanizer)

    def _levels(self) -> np.ndarray:
        """0 and the counts below the largest: any other b votes as one of them does."""
        found = np.unique(self.counts_)[:-1].astype(np.int64)
        if len(found) > 512:
            found = found[np.unique(np.rint(np.geomspace(1, len(found), 512)).astype(np.int64) - 1)]
        return np.union1d([0], found)

    def _by_authors(self, bits: np.ndarray, truth: np.ndarray) -> int:
        """The authors' candidates: each sample's largest b that leaves its largest class sum as it is at 0."""
        offered: set[int] = {0}
        for _, counts in self.seen(bits):
            ordered = -np.sort(-counts.astype(np.int64), axis=1)  # down the tables, largest first
            most = (counts > 0).sum(axis=1).max(axis=1)
            # v_c(b) >= m exactly where the m-th largest count of class c is above b
            kth = np.take_along_axis(ordered, np.maximum(most - 1, 0)[:, None, None], axis=1)[:, 0].max(axis=1)
            offered |= set((kth[most > 0] - 1).tolist())
        return self._best(bits, truth, np.array(sorted(offered)))

    def _best(self, bits: np.ndarray, truth: np.ndarray, candidates: np.ndarray) -> int:
        """The smallest of the candidates that most samples are right at."""
        right = np.zeros(len(candidates), dtype=np.int64)
        for part, counts in self.seen(bits):
            for i, b in enumerate(candidates.tolist()):
                right[i] += ((counts > b).sum(axis=1).argmax(axis=1) == truth[part]).sum()
        return int(candidates[right.argmax()])
