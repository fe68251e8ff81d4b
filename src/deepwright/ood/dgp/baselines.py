"""Detectors without prompts: the encoder's own distances, five statistics, Weisfeiler-Lehman colours."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_positive, require_whole, require_within
from deepwright.graphs import GraphBatch, refine, statistics
from deepwright.ood.dgp.distances import classwise, distance, whitening
from deepwright.ood.dgp.guards import GraphDetector


class SSD(GraphDetector):
    """Mahalanobis distance of the encoder's embedding to the training set's: the control that prompts must beat.

    Ready embeddings (graphs, d) are taken in place of graphs, by `fit`, `score` and `predict`; then no encoder is
    needed.

    Args:
        encoder: see `GraphDetector`.
        ridge: see `distances.whitening`.
        per_class: the smallest of the distances to each class's own mean and covariance; needs labels.

    Source: V. Sehwag et al., "SSD: a unified framework for self-supervised outlier detection", 2021.
    """

    def __init__(self, encoder: nn.Module | None = None, ridge: float = 1e-2, per_class: bool = False) -> None:
        super().__init__(encoder)
        require_positive(ridge=ridge)
        self.ridge, self.per_class = ridge, per_class
        self._labels: Tensor | None = None

    @property
    def name(self) -> str:
        """How tables call it."""
        return "SSD by class" if self.per_class else "SSD"

    def _given(self, graphs: Any, y: Any) -> Any:
        if not isinstance(graphs, Tensor):
            return super()._given(graphs, y)
        if graphs.ndim != 2 or not graphs.is_floating_point():
            given = f"{graphs.dtype} of shape {tuple(graphs.shape)}"
            raise InputError("embeddings", given=given, expected="floating, (graphs, d)")
        if self._has("means_") and graphs.shape[1] != self.get_buffer("means_").shape[1]:
            expected = f"{self.get_buffer('means_').shape[1]}, as at fit"
            raise InputError("embeddings", given=f"width {graphs.shape[1]}", expected=expected)
        if y is not None:
            self._labels = torch.as_tensor(y).long()
        return graphs

    def fit(self, graphs: Any, y: Any = None, val: Any = None) -> SSD:
        """See `GraphDetector.fit`; graphs may be ready embeddings."""
        self._buffers.pop("means_", None)
        self._labels = None  # validation, which has none, comes after what is fitted
        return super().fit(graphs, y, val)

    def _fit_graphs(self, graphs: Any, val: Any) -> None:
        h = self._embedded(graphs)
        if self.per_class:
            y = self._labels if isinstance(graphs, Tensor) else graphs.y
            if y is None or len(y) != len(h):
                raise InputError(
                    f"{self.name} needs labels", given="none", expected="one a graph", hint="fit(graphs, y)"
                )
            means, white = classwise(h, y.to(h.device), int(y.max()) + 1, self.ridge)
        else:
            means, white = (part[None] for part in whitening(h, self.ridge))
        self.remember(means_=means, white_=white)

    def _embedded(self, given: Any) -> Tensor:
        return given if isinstance(given, Tensor) else super()._embedded(given)

    def _each(self, graphs: Any) -> Tensor:
        h = self._embedded(graphs).to(self.get_buffer("means_").device)
        fits = zip(self.get_buffer("means_"), self.get_buffer("white_"))
        return torch.stack([distance(h, mean, white) for mean, white in fits], dim=1)

    def _score_graphs(self, graphs: Any) -> Tensor:
        return self._each(graphs).amin(1)

    def classes_of(self, graphs: Any) -> Int64[Tensor, " n"]:
        """The class whose distance is the smallest.

        Args:
            graphs: to judge.
        """
        return self._each(self._given(graphs, None)).argmin(1)


class FiveStatistics(GraphDetector):
    """Mahalanobis distance in nodes, edges, mean and largest degree, and triangles: what a benchmark must not yield to.

    Args:
        ridge: see `distances.whitening`.
        log: of log(1 + s) in place of the statistics s: counts are skewed, and this often finds more.
    """

    def __init__(self, ridge: float = 1e-2, log: bool = False) -> None:
        super().__init__()
        require_positive(ridge=ridge)
        self.ridge, self.log = ridge, log

    def _statistics(self, graphs: GraphBatch) -> Tensor:
        found = statistics(graphs)
        return found.log1p() if self.log else found

    def _fit_graphs(self, graphs: GraphBatch, val: Any) -> None:
        mean, white = whitening(self._statistics(graphs), self.ridge)
        self.remember(mean_=mean, white_=white)

    def _score_graphs(self, graphs: GraphBatch) -> Tensor:
        mean, white = self.get_buffer("mean_"), self.get_buffer("white_")
        return distance(self._statistics(graphs).to(mean.device), mean, white)


class WeisfeilerLehman(GraphDetector):
    """Histograms of Weisfeiler-Lehman colours, of all rounds, and a one-class machine or Mahalanobis distances on them.

    Args:
        rounds: of refinement.
        on: "ocsvm" (radial kernel on histograms of unit length) or "mahalanobis" (on the leading components).
        nu: share of the training graphs that the machine may leave outside.
        components: of the histograms' principal components.
        ridge: see `distances.whitening`.
        features: whether nodes start with a colour for each different row of features, or all alike.
    """

    def __init__(
        self,
        rounds: int = 3,
        on: str = "ocsvm",
        nu: float = 0.1,
        components: int = 64,
        ridge: float = 1e-2,
        features: bool = False,
    ) -> None:
        super().__init__()
        require_whole(0, rounds=rounds)
        require_whole(1, components=components)
        require_within(0.0, 1.0, ends="(]", nu=nu)
        require_positive(ridge=ridge)
        if on not in ("ocsvm", "mahalanobis"):
            raise InputError("on", given=repr(on), expected="'ocsvm' or 'mahalanobis'")
        self.rounds, self.on, self.nu = rounds, on, nu
        self.components, self.ridge, self.features = components, ridge, features

    @property
    def name(self) -> str:
        """How tables call it."""
        return "WL + OCSVM" if self.on == "ocsvm" else "WL + Mahalanobis"

    def _fit_graphs(self, graphs: GraphBatch, val: Any) -> None:
        colours = self._colours(graphs)
        self.remember(known_=colours.unique())
        histograms = self._histograms(graphs)
        if self.on == "ocsvm":
            self._fit_machine(_unit(histograms))
            return
        mean = histograms.mean(0)
        _, _, axes = torch.linalg.svd(histograms - mean, full_matrices=False)
        axes = axes[: self.components].T.contiguous()
        centre, white = whitening((histograms - mean) @ axes, self.ridge)
        self.remember(middle_=mean, axes_=axes, mean_=centre, white_=white)

    def _fit_machine(self, histograms: Tensor) -> None:
        from sklearn.svm import OneClassSVM

        machine = OneClassSVM(nu=self.nu, gamma="scale").fit(histograms.cpu().numpy())
        self.remember(
            supports_=torch.from_numpy(machine.support_vectors_).to(histograms),
            weights_=torch.from_numpy(machine.dual_coef_[0]).to(histograms),
            gamma_=torch.tensor(machine._gamma, dtype=torch.float64, device=histograms.device),
        )

    def _score_graphs(self, graphs: GraphBatch) -> Tensor:
        histograms = self._histograms(graphs)
        if self.on == "mahalanobis":
            low = (histograms - self.get_buffer("middle_")) @ self.get_buffer("axes_")
            return distance(low, self.get_buffer("mean_"), self.get_buffer("white_"))
        supports = self.get_buffer("supports_")
        apart = torch.cdist(_unit(histograms), supports).square()
        return -torch.exp(-self.get_buffer("gamma_") * apart) @ self.get_buffer("weights_")

    def _colours(self, graphs: GraphBatch) -> Tensor:
        """Colours by round; each round's are its own, by the round's number."""
        first = None
        if self.features:
            weights = torch.arange(1, graphs.x.shape[1] + 1, device=graphs.device, dtype=torch.float64)
            first = (graphs.x.double() @ weights.sin()).view(torch.int64)
        found = refine(graphs, self.rounds, first)
        return found ^ torch.arange(self.rounds + 1, device=found.device)[:, None]

    def _histograms(self, graphs: GraphBatch) -> Tensor:
        """Counts of the known colours in each graph, and of all others."""
        known = self.get_buffer("known_").to(graphs.device)
        colours = self._colours(graphs)
        place = torch.searchsorted(known, colours).clamp_max(len(known) - 1)
        place = torch.where(known[place] == colours, place, len(known))
        cell = graphs.batch * (len(known) + 1) + place
        counts = torch.bincount(cell.reshape(-1), minlength=len(graphs) * (len(known) + 1))
        return counts.view(len(graphs), -1).to(self.get_buffer("known_").device, torch.float64)


def _unit(histograms: Tensor) -> Tensor:
    return histograms / histograms.norm(dim=1, keepdim=True).clamp_min(1e-12)
