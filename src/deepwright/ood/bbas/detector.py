"""Bounding-box anomaly scoring: how far an input's activations leave the boxes of its class, over all layers at once.

Monitored variables phi(x): per channel the activation fraction, maximum and minimum of the pre-activation map, and the
pre-activation of every neuron of a fully connected layer. Per class, complete-linkage clustering of binary patterns and
activation fractions gives at most K clusters; each has the box [L, U] of its members. With the exceedance
e = max(L - phi, 0) + max(phi - U, 0),

    EC = share of variables outside,     ED = mean of e / s (s: the training deviation),
    AS(x, k) = min over the boxes of class k,     AggAS(x) = sum_k f(x)_k AS(x, k).

Source: "Bounding Box Anomaly Scoring for simple and efficient Out-of-Distribution detection", arXiv 2603.22660; the
binary ancestor is "Outside the Box", arXiv 1911.09032.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.features import Activations
from deepwright.ood.bbas.boxes import ATOL, Exceedance, box_values, sides
from deepwright.ood.bbas.clustering import complete_linkage
from deepwright.ood.detector import Detector

_STATISTICS = ("activation fraction", "maximum", "minimum")


class BBAS(Detector):
    """Bounding-box anomaly scores.

    Args:
        layers: boxes are over these layers (all extracted ones by default).
        cluster_layers: clusters come from these (as `layers` by default).
        n_clusters: most boxes a class.
        kind: "distance" (ED) or "count" (EC).
        aggregate: AggAS over all classes, or the predicted class's score alone.
        scale: "std", "width" (U - L of the box, at least 1e-3 deviations) or "none".
        layer_reduce: "concat" weighs variables alike, "mean" weighs layers alike.
        use: which samples make a class's boxes: "label", "predicted", "correct", or "single" for one pseudo-class of
            all (regression networks, or fewer samples than classes).
        quantile: in [0, 0.5), the boxes' sides instead of minimum and maximum.
        margin: enlarge each side by this share of the width.
        max_linkage: cluster a random subset of a larger class; the others join the cluster whose farthest member is
            nearest.
        prob_floor: leave out classes with a probability up to this (error <= floor * C * largest AS).
        seed: of the subset.
        jobs: threads for clustering.

    Attributes:
        boxes_low_: (B, M) lower sides.
        boxes_high_: (B, M) upper sides.
        box_class_: (B,) the class of each box.
        scale_: (M,) training deviations.
        variable_names_: (layer, statistic, channel) of each variable.
    """

    incidental = frozenset({"jobs"})

    def __init__(
        self,
        layers: Sequence[str] | None = None,
        cluster_layers: Sequence[str] | None = None,
        n_clusters: int = 5,
        kind: str = "distance",
        aggregate: bool = True,
        scale: str = "std",
        layer_reduce: str = "concat",
        use: str = "label",
        quantile: float = 0.0,
        margin: float = 0.0,
        max_linkage: int = 4000,
        prob_floor: float = 0.0,
        seed: int = 0,
        jobs: int = 1,
    ) -> None:
        super().__init__()
        options = {
            "kind": (kind, ("distance", "count")),
            "scale": (scale, ("std", "width", "none")),
            "layer_reduce": (layer_reduce, ("concat", "mean")),
            "use": (use, ("label", "predicted", "correct", "single")),
        }
        for name, (value, allowed) in options.items():
            if value not in allowed:
                raise InputError(name, given=repr(value), expected=" or ".join(map(repr, allowed)))
        if n_clusters < 1 or not 0 <= quantile < 0.5 or margin < 0 or prob_floor < 0:
            raise InputError(
                "BBAS",
                given=f"n_clusters={n_clusters}, quantile={quantile}, margin={margin}, prob_floor={prob_floor}",
                expected="n_clusters >= 1, quantile in [0, 0.5), margin and prob_floor >= 0",
            )
        self.layers, self.cluster_layers = layers, cluster_layers
        self.n_clusters, self.kind, self.aggregate, self.scale = n_clusters, kind, aggregate, scale
        self.layer_reduce, self.use, self.quantile, self.margin = layer_reduce, use, quantile, margin
        self.max_linkage, self.prob_floor, self.seed, self.jobs = max_linkage, prob_floor, seed, jobs
        self.needs = frozenset({"layers", "labels"} if use in ("label", "correct") else {"layers"})
        self.shape_: list[tuple[str, str, int]] = []

    # -- variables ------------------------------------------------------------------------------------------------

    def _names(self, acts: Activations, wanted: Sequence[str] | None) -> list[str]:
        if wanted is None:
            return list(acts.layers)
        for name in wanted:
            if name not in acts.layers:
                raise unknown_name("layer", name, acts.layers)
        return list(wanted)

    def _variables(self, acts: Activations) -> Float[Tensor, "n m"]:
        names = self._names(acts, self.layers)
        phi = torch.cat([acts.layers[name] for name in names], 1).float()
        if not torch.isfinite(phi).all():
            bad = next(name for name in names if not torch.isfinite(acts.layers[name]).all())
            raise InputError(f"activations of {bad!r}", given="NaN or infinity")
        if self._has("scale_") and phi.shape[1] != len(self.get_buffer("scale_")):
            raise InputError(
                "activations",
                given=f"{phi.shape[1]} variables",
                expected=f"{len(self.get_buffer('scale_'))}, as at fit",
            )
        return phi

    def _patterns(self, acts: Activations) -> Tensor:
        """What clusters: activation fractions of maps, binary patterns of vectors, "plain" features as they are."""
        parts = []
        for name in self._names(acts, self.cluster_layers or self.layers):
            values = acts.layers[name]
            if acts.kinds[name] == "map":
                values = values[:, : values.shape[1] // 3]
            elif acts.kinds[name] == "vector":
                values = (values > 0).float()
            parts.append(values)
        return torch.cat(parts, 1)

    @property
    def variable_names_(self) -> list[tuple[str, str, int]]:
        """(layer, statistic, channel) of each variable."""
        names = []
        for layer, kind, width in self.shape_:
            if kind != "map":
                names += [(layer, "pre-activation", c) for c in range(width)]
            else:
                names += [(layer, statistic, c) for statistic in _STATISTICS for c in range(width // 3)]
        return names

    # -- fit ------------------------------------------------------------------------------------------------------

    def _fit(self, acts: Activations) -> None:
        from joblib import Parallel, delayed

        for stale in ("scale_", "boxes_low_"):
            self._buffers.pop(stale, None)
        phi, psi = self._variables(acts), self._patterns(acts)
        groups = self._groups(acts)
        assigned = Parallel(n_jobs=self.jobs, prefer="threads")(
            delayed(complete_linkage)(psi[rows], self.n_clusters, self.max_linkage, self.seed + k) for k, rows in groups
        )
        low, high, owner = [], [], []
        for (k, rows), clusters in zip(groups, assigned):
            for c in range(int(clusters.max()) + 1):
                members = phi[rows[clusters == c]]
                low_side, high_side = sides(members, self.quantile)
                width = high_side - low_side
                low.append(low_side - self.margin * width)
                high.append(high_side + self.margin * width)
                owner.append(k)
        deviation = phi.std(0, unbiased=False)
        floor = 1e-6 * deviation.median()
        self.remember(
            boxes_low_=torch.stack(low),
            boxes_high_=torch.stack(high),
            box_class_=torch.tensor(owner, device=phi.device),
            scale_=deviation.clamp_min(max(float(floor), 1e-12)),
        )
        names = self._names(acts, self.layers)
        self.shape_ = [(name, acts.kinds[name], acts.layers[name].shape[1]) for name in names]

    def _groups(self, acts: Activations) -> list[tuple[int, Tensor]]:
        classes = acts.logits.shape[1]
        predicted = acts.logits.argmax(1)
        if self.use == "single":
            return [(0, torch.arange(len(acts), device=predicted.device))]
        labels = predicted if self.use == "predicted" else acts.labels
        assert labels is not None
        keep = labels == predicted if self.use == "correct" else torch.ones_like(labels, dtype=torch.bool)
        groups = [(k, ((labels == k) & keep).nonzero().flatten()) for k in range(classes)]
        empty = [k for k, rows in groups if len(rows) == 0]
        if empty:
            raise InputError(
                f"BBAS: classes {empty[:5]}",
                given=f"no samples under use={self.use!r}",
                expected="at least one of every class",
                hint="fit on more data, or use='single'",
            )
        return groups

    def partial_fit(self, acts: Activations) -> Self:
        """Declare samples good: each stretches the nearest box of its class; their order doesn't matter."""
        if not self._has("fitted_"):
            return self.fit(acts)
        self._require(acts, fitting=True)
        phi = self._variables(acts)
        rows, owner = self._targets(acts)
        phi = phi[rows]
        values = self._box_values(
            phi, "distance", torch.ones(len(phi), self._classes(), dtype=torch.bool, device=phi.device)
        )
        values.masked_fill_(self.get_buffer("box_class_")[None] != owner[:, None], torch.inf)
        nearest = values.argmin(1)
        index = nearest[:, None].expand_as(phi)
        self.get_buffer("boxes_low_").scatter_reduce_(0, index, phi, "amin")
        self.get_buffer("boxes_high_").scatter_reduce_(0, index, phi, "amax")
        return self

    def _targets(self, acts: Activations) -> tuple[Tensor, Tensor]:
        predicted = acts.logits.argmax(1)
        everything = torch.arange(len(acts), device=predicted.device)
        if self.use == "single":
            return everything, torch.zeros_like(predicted)
        if self.use == "predicted":
            return everything, predicted
        assert acts.labels is not None
        rows = everything if self.use == "label" else (acts.labels == predicted).nonzero().flatten()
        return rows, acts.labels[rows]

    # -- score ----------------------------------------------------------------------------------------------------

    def _classes(self) -> int:
        return int(self.get_buffer("box_class_").max()) + 1

    def _score(self, acts: Activations) -> Tensor:
        phi = self._variables(acts)
        if self.use == "single":
            needed = torch.ones(len(phi), 1, dtype=torch.bool, device=phi.device)
            return self._class_values(phi, needed)[:, 0]
        p = acts.logits.softmax(1)
        if not self.aggregate:
            top = p.argmax(1, keepdim=True)
            needed = torch.zeros_like(p, dtype=torch.bool).scatter_(1, top, True)
            return self._class_values(phi, needed).gather(1, top)[:, 0]
        values = self._class_values(phi, p > self.prob_floor)
        return (p * values).sum(1)

    def class_scores(self, acts: Activations) -> Float[Tensor, "n classes"]:
        """AS(x, k) for every class."""
        phi = self._variables(acts)
        return self._class_values(phi, torch.ones(len(phi), self._classes(), dtype=torch.bool, device=phi.device))

    def _class_values(self, phi: Tensor, needed: Tensor) -> Tensor:
        """(N, C) smallest box value of each class; 0 where it isn't needed."""
        boxes = self._box_values(phi, self.kind, needed)
        index = self.get_buffer("box_class_")[None].expand_as(boxes)
        values = torch.full((len(phi), needed.shape[1]), torch.inf, device=phi.device)
        values.scatter_reduce_(1, index, boxes, "amin")
        return values.masked_fill_(~needed, 0.0)

    def _box_values(self, phi: Tensor, kind: str, needed: Tensor) -> Float[Tensor, "n boxes"]:
        """EC or ED against each box."""
        scale, low, high = (self.get_buffer(n) for n in ("scale_", "boxes_low_", "boxes_high_"))
        weight = self._weights(phi.device)
        low, high = low / scale, high / scale
        if kind == "distance" and self.scale == "width":
            factors = weight / (high - low).clamp_min(1e-3)
        elif kind == "distance" and self.scale == "none":
            factors = (weight * scale).expand_as(low)
        else:
            factors = weight.expand_as(low)
        owner = self.get_buffer("box_class_").tolist()
        return box_values(phi, low, high, scale, factors, owner, needed, count=kind == "count")

    def _weights(self, device: torch.device) -> Tensor:
        """(M,) weights that sum to 1."""
        if self.layer_reduce == "concat" or not self.shape_:
            m = len(self.get_buffer("scale_"))
            return torch.full((m,), 1 / m, device=device)
        parts = [torch.full((width,), 1 / width / len(self.shape_), device=device) for _, _, width in self.shape_]
        return torch.cat(parts)

    # -- explain --------------------------------------------------------------------------------------------------

    def explain(self, acts: Activations, top: int = 10) -> list[list[Exceedance]]:
        """Per sample, the variables farthest outside (in deviations) the nearest box of the predicted class.

        Args:
            acts: activations to explain.
            top: at most so many variables a sample.
        """
        phi = self._variables(acts)
        values = self._box_values(
            phi, "distance", torch.ones(len(phi), self._classes(), dtype=torch.bool, device=phi.device)
        )
        owner = self.get_buffer("box_class_")
        compared = (
            torch.zeros(len(phi), dtype=torch.long, device=phi.device)
            if self.use == "single"
            else acts.logits.argmax(1)
        )
        values.masked_fill_(owner[None] != compared[:, None].to(owner.device), torch.inf)
        box = values.argmin(1)
        scale = self.get_buffer("scale_")
        below = (self.get_buffer("boxes_low_")[box] - phi) / scale
        above = (phi - self.get_buffer("boxes_high_")[box]) / scale
        excess = torch.maximum(below, above).clamp_min(0)
        best = excess.topk(min(top, phi.shape[1]), dim=1)
        names = self.variable_names_
        found = []
        for i in range(len(phi)):
            rows = []
            for value, j in zip(best.values[i].tolist(), best.indices[i].tolist()):
                if value > ATOL:
                    side = "below" if below[i, j] > above[i, j] else "above"
                    layer, statistic, channel = names[j]
                    rows.append(Exceedance(layer, statistic, channel, value, side, int(compared[i]), int(box[i])))
            found.append(rows)
        return found

    def get_extra_state(self) -> dict[str, Any]:
        """With the layers' names and widths, which `explain` speaks of."""
        return super().get_extra_state() | {"shape": [list(row) for row in self.shape_]}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """The inverse of `get_extra_state`; another detector's is refused."""
        super().set_extra_state(state)
        self.shape_ = [(str(layer), str(kind), int(width)) for layer, kind, width in state["shape"]]
