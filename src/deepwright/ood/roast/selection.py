"""Whom to train a detector on: entities split by their risk profiles, with guards against splits that say nothing.

Source: arXiv 2603.26093; there the profiles are clustered by dynamic time warping and complete linkage.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Hashable, Mapping
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.randomness import derive_seed
from deepwright.core.requirements import require_whole, require_within
from deepwright.ood.roast.severity import RiskProfile
from deepwright.ood.roast.warping import dtw

METHODS = ("quantile", "dtw_hierarchical", "dtw_kmeans")
SCALINGS = ("min-max", "z-score")
_FEWEST = 4


class EntitySelector:
    """Less and more vulnerable entities.

    "quantile" keeps the share with the lowest risk. "dtw_hierarchical" cuts the complete linkage of the risk series
    into two clusters (or at a distance), "dtw_kmeans" splits them around two of them (medoids: a mean of warped series
    isn't one). The cluster of lower mean risk is the less vulnerable, whatever its number. A cluster of less than
    `min_fraction` of the entities says nothing about them: the quantile is taken then, with a warning.

    Args:
        method: of `METHODS`.
        fraction: of the entities that "quantile" keeps.
        min_fraction: of them in a cluster.
        band: of the warping, in windows.
        scaling: of each series before it is warped: "min-max" over all, as for OhioT1DM, or its own "z-score".
        distance: at which the linkage is cut; two clusters by default.
        seed: of the medoids' starts.

    Attributes:
        less_vulnerable_: names, by rising risk.
        more_vulnerable_: names, by rising risk.
        distances_: (E, E) of the series, in the order of the profiles; None for "quantile".
        linkage_: as scipy has it; None but for "dtw_hierarchical".
        warnings_: what was found wrong, in words.
    """

    def __init__(
        self,
        method: str = "quantile",
        fraction: float = 0.5,
        min_fraction: float = 0.2,
        band: int | None = 12,
        scaling: str = "min-max",
        distance: float | None = None,
        seed: int = 0,
    ) -> None:
        if method not in METHODS:
            raise InputError("method", given=repr(method), expected=" or ".join(map(repr, METHODS)))
        if scaling not in SCALINGS:
            raise InputError("scaling", given=repr(scaling), expected=" or ".join(map(repr, SCALINGS)))
        require_within(0, 1, ends="()", fraction=fraction)
        require_within(0, 0.5, min_fraction=min_fraction)
        require_whole(0, seed=seed)
        self.method, self.fraction, self.min_fraction = method, fraction, min_fraction
        self.band, self.scaling, self.distance, self.seed = band, scaling, distance, seed
        self.less_vulnerable_: list[Any] = []
        self.more_vulnerable_: list[Any] = []
        self.distances_: Tensor | None = None
        self.linkage_: np.ndarray | None = None
        self.warnings_: list[str] = []

    def fit(self, profiles: Mapping[Any, RiskProfile]) -> Self:
        """Split entities.

        Args:
            profiles: entity -> its risk under the same attack.

        Raises:
            InputError: fewer than four entities, no window.
        """
        if len(profiles) < _FEWEST:
            raise InputError("entities", given=len(profiles), expected=f"{_FEWEST} or more to choose among")
        self.distances_, self.linkage_, self.warnings_ = None, None, []
        risk = {name: profile.mean_log for name, profile in profiles.items()}
        unknown = [name for name, value in risk.items() if math.isnan(value)]
        if unknown:  # nothing can be reached from where they are: that is no robustness
            self._warn(f"{len(unknown)} entities can't come to harm ({unknown[0]!r}, ...): counted as vulnerable")
        ranked = sorted(profiles, key=lambda name: math.inf if math.isnan(risk[name]) else risk[name])
        known = [value for value in risk.values() if not math.isnan(value)]
        if not known or max(known) == min(known):
            self._warn("all risks are equal: all entities are kept")
            self.less_vulnerable_, self.more_vulnerable_ = ranked, []
            return self
        kept = self._lowest(ranked) if self.method == "quantile" else self._cluster(profiles, ranked, risk)
        self.less_vulnerable_ = [name for name in ranked if name in kept and name not in unknown]
        self.more_vulnerable_ = [name for name in ranked if name not in self.less_vulnerable_]
        return self

    def _warn(self, words: str) -> None:
        self.warnings_.append(words)
        warnings.warn(words, stacklevel=4)

    def _lowest(self, ranked: list[Any]) -> set[Hashable]:
        return set(ranked[: max(1, round(self.fraction * len(ranked)))])

    def _cluster(
        self, profiles: Mapping[Any, RiskProfile], ranked: list[Any], risk: Mapping[Any, float]
    ) -> set[Hashable]:
        names = list(profiles)
        self.distances_ = dtw(_scaled([profiles[name].series for name in names], self.scaling), self.band)
        labels = self._hierarchical() if self.method == "dtw_hierarchical" else self._medoids()
        groups = [[names[i] for i in np.flatnonzero(labels == k)] for k in np.unique(labels)]
        smallest = min(len(group) for group in groups)
        if len(groups) < 2 or smallest < self.min_fraction * len(names):
            sizes = ", ".join(str(len(group)) for group in groups)
            self._warn(f"clusters of {sizes} entities say nothing: the lowest {self.fraction:.0%} by risk are kept")
            return self._lowest(ranked)
        mean = [np.mean([math.inf if math.isnan(risk[name]) else risk[name] for name in group]) for group in groups]
        if math.isinf(min(mean)):
            self._warn(f"each cluster has an entity of unknown risk: the lowest {self.fraction:.0%} by risk are kept")
            return self._lowest(ranked)
        return set(groups[int(np.argmin(mean))])

    def _hierarchical(self) -> np.ndarray:
        from scipy.cluster.hierarchy import fcluster, linkage
        from scipy.spatial.distance import squareform

        assert self.distances_ is not None
        self.linkage_ = linkage(squareform(self.distances_.cpu().numpy(), checks=False), "complete")
        if self.distance is None:
            return np.asarray(fcluster(self.linkage_, 2, "maxclust"))
        return np.asarray(fcluster(self.linkage_, self.distance, "distance"))

    def _medoids(self) -> np.ndarray:
        """Two medoids from ten drawn starts, the best of them."""
        assert self.distances_ is not None
        far = self.distances_.cpu().numpy()
        draws = np.random.default_rng(derive_seed("medoids", seed=self.seed))
        best, labels = math.inf, np.zeros(len(far), dtype=int)
        for _ in range(10):
            centres = draws.choice(len(far), 2, replace=False)
            for _ in range(100):
                mine = far[:, centres].argmin(1)
                mine[centres] = [0, 1]
                moved = np.array([self._centre(far, np.flatnonzero(mine == k)) for k in (0, 1)])
                if (moved == centres).all():
                    break
                centres = moved
            cost = float(far[np.arange(len(far)), centres[mine]].sum())
            if cost < best:
                best, labels = cost, mine
        return labels

    @staticmethod
    def _centre(far: np.ndarray, members: np.ndarray) -> int:
        return int(members[far[np.ix_(members, members)].sum(1).argmin()])


def _scaled(series: list[Tensor], scaling: str) -> list[Tensor]:
    if scaling == "z-score":
        spread = [s.std(unbiased=False) for s in series]
        return [(s - s.mean()) / (d if float(d) > 0 else 1.0) for s, d in zip(series, spread)]
    low = torch.stack([s.min() for s in series]).min()
    high = torch.stack([s.max() for s in series]).max()
    return [(s - low) / (high - low if float(high) > float(low) else 1.0) for s in series]
