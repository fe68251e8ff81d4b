"""Mahalanobis distances to class means, plain and relative; fitted by running sums, so nothing is kept but O(d^2)."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.features import Activations
from deepwright.ood.detector import Detector, require_classes

_ROUNDING = 1e-24  # of the squares: what float64's rounding makes of samples that are alike, and float32 can't tell


class MDS(Detector):
    """min_k (h - mu_k)' P (h - mu_k), P the pseudo-inverse of the tied within-class covariance.

    Args:
        layers: use these layers' summaries instead of the penultimate features.

    Source: arXiv 1807.03888.
    """

    count_: Tensor
    mean_: Tensor
    scatter_: Tensor
    between_: Tensor
    whole_: Tensor
    whiten_: Tensor
    background_: Tensor

    def __init__(self, layers: tuple[str, ...] | None = None) -> None:
        super().__init__()
        self.layers = layers
        self.needs = frozenset({"layers" if layers else "features", "labels"})

    def _vectors(self, acts: Activations) -> Tensor:
        if self.layers:
            for name in self.layers:
                if name not in acts.layers:
                    raise unknown_name("layer", name, acts.layers)
            return torch.cat([acts.layers[name] for name in self.layers], 1).double()
        assert acts.features is not None
        return acts.features.double()

    def fit(self, acts: Activations) -> Self:
        """See `Detector.fit`.

        Raises:
            InputError: as `Detector.fit`, and where all samples of a class are alike, in every class.
        """
        super().fit(acts)
        self._require_spread()
        return self

    def _fit(self, acts: Activations) -> None:
        assert acts.labels is not None
        classes = acts.logits.shape[1]
        require_classes(acts.labels, classes, self.name)
        d = self._vectors(acts[:1]).shape[1]
        device = acts.logits.device
        self.remember(
            count_=torch.zeros(classes, dtype=torch.float64, device=device),
            mean_=torch.zeros(classes, d, dtype=torch.float64, device=device),
            scatter_=torch.zeros(d, d, dtype=torch.float64, device=device),
            between_=torch.zeros(d, d, dtype=torch.float64, device=device),
        )
        self._add(acts)

    def partial_fit(self, acts: Activations) -> Self:
        """Add samples: the same as one fit on everything (Chan's update in float64)."""
        if not self._has("fitted_"):
            return super().fit(acts)  # a first batch may have one sample a class
        self._require(acts, fitting=True)
        self._add(acts)
        return self

    def _add(self, acts: Activations) -> None:
        h, y = self._vectors(acts), acts.labels
        assert y is not None
        count = torch.bincount(y, minlength=len(self.count_)).double()
        mean = torch.zeros_like(self.mean_).index_add_(0, y, h) / count.clamp_min(1)[:, None]
        inner = h - mean[y]
        shift = mean - self.mean_
        total = self.count_ + count
        weight = self.count_ * count / total.clamp_min(1)
        self.scatter_ += inner.T @ inner + (shift * weight[:, None]).T @ shift
        self.mean_ += shift * (count / total.clamp_min(1))[:, None]
        self.count_.copy_(total)
        whole = (self.mean_ * total[:, None]).sum(0) / total.sum()
        spread = self.mean_ - whole
        self.between_ = (spread * total[:, None]).T @ spread
        self.remember(whole_=whole, whiten_=_whitening(self.scatter_ / total.sum()), **self._extra(total.sum()))

    def _extra(self, n: Tensor) -> dict[str, Tensor]:
        return {}

    def _class_distances(self, acts: Activations) -> Tensor:
        """(N, K) squared distances."""
        self._require_spread()
        h = self._vectors(acts) @ self.whiten_
        return torch.cdist(h, self.mean_ @ self.whiten_, compute_mode="donot_use_mm_for_euclid_dist").square()

    def _require_spread(self) -> None:
        """Refuse classes whose samples differ by nothing, or by how their mean rounds."""
        size = (self.count_ * self.mean_.square().sum(1)).sum()
        if bool(self.scatter_.diagonal().sum() <= _ROUNDING * size):
            raise InputError(
                f"{self.name}: activations",
                given="samples of a class that are all alike",
                expected="some that differ",
                hint="fit on more samples, or use KNN",
            )

    def _score(self, acts: Activations) -> Tensor:
        return self._class_distances(acts).amin(1)

    def graph_score(self, acts: Activations) -> Tensor:
        """By |a|^2 + |b|^2 - 2 a'b in float64, for which ONNX has operations; see `Detector.graph_score`."""
        h, means = self._vectors(acts) @ self.whiten_, self.mean_ @ self.whiten_
        squares = h.square().sum(1, keepdim=True) + means.square().sum(1) - 2 * h @ means.T
        return squares.clamp_min(0).amin(1)


class RMDS(MDS):
    """min_k d_k(h) - d_0(h), d_0 the distance under one Gaussian for all classes. Source: arXiv 2106.09022."""

    def _extra(self, n: Tensor) -> dict[str, Tensor]:
        return {"background_": _whitening((self.scatter_ + self.between_) / n)}

    def _score(self, acts: Activations) -> Tensor:
        return self._class_distances(acts).amin(1) - self._background(acts)

    def graph_score(self, acts: Activations) -> Tensor:
        """See `MDS.graph_score`."""
        return super().graph_score(acts) - self._background(acts)

    def _background(self, acts: Activations) -> Tensor:
        return ((self._vectors(acts) - self.whole_) @ self.background_).square().sum(1)


def _whitening(covariance: Tensor) -> Tensor:
    """A matrix A with A A' = pinv(covariance)."""
    values, vectors = torch.linalg.eigh(covariance)
    keep = values > values[-1].clamp_min(0) * 1e-10 + 1e-300
    return vectors[:, keep] / values[keep].sqrt()
