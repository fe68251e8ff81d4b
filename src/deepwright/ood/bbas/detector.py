"""Bounding-box anomaly scoring: how far an input's activations leave the boxes of its class, over all layers at once.

Monitored variables phi(x): per channel the activation fraction, maximum and minimum of the pre-activation map, and the
pre-activation of every neuron of a fully connected layer. Per class, complete-linkage clustering of binary patterns and
activation fractions gives at most K clusters; each has the box [L, U] of its members. With the exceedance
e = max(L - phi, 0) + max(phi - U, 0),

    EC = share of variables outside,     ED = mean of e / s (s: the training deviation),
    AS(x, k) = min over the boxes of class k,     AggAS(x) = sum_k f(x)_k AS(x, k).

The means are over the variables of each layer, and then over the layers, each divided by what it is on in-distribution
samples (`layer_reduce="normalised"`): else the many variables of convolutions drown the few of the last layers.

Source: "Bounding Box Anomaly Scoring for simple and efficient Out-of-Distribution detection", arXiv 2603.22660; the
binary ancestor is "Outside the Box", arXiv 1911.09032.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.features import Activations
from deepwright.core.requirements import require_finite, require_whole
from deepwright.ood.bbas.boxes import ATOL, NARROWEST, Exceedance, box_values, every_box, left_out, sides
from deepwright.ood.bbas.clustering import complete_linkage
from deepwright.ood.detector import Detector, require

_STATISTICS = ("activation fraction", "maximum", "minimum")


class BBAS(Detector):
    """Bounding-box anomaly scores.

    Args:
        layers: boxes are over these layers (all extracted ones by default).
        cluster_layers: clusters come from these (as `layers` by default).
        n_clusters: most boxes a class.
        kind: "distance" (ED) or "count" (EC).
        aggregate: AggAS over all classes, or the predicted class's score alone.
        scale: "std", "width" (U - L of the box, at least 1e-3 deviations) or "none"; of distances.
        layer_reduce: "normalised" divides each layer's mean exceedance by what it is on in-distribution samples (each
            against the boxes of the others); "mean" weighs layers alike, "concat" weighs variables alike.
        use: which samples make a class's boxes: "label", "predicted", "correct", or "single" for one pseudo-class of
            all (regression networks, or fewer samples than classes).
        quantile: in [0, 0.5), the boxes' sides instead of minimum and maximum.
        margin: enlarge each side by this share of the width.
        max_linkage: cluster a random subset of a larger class; the others join the cluster whose farthest member is
            nearest.
        prob_floor: leave out classes with a probability up to this (error <= floor * C * largest AS); for scores over
            all classes.
        seed: of the subset.
        jobs: threads for clustering.

    Attributes:
        boxes_low_: (B, M) lower sides.
        boxes_high_: (B, M) upper sides.
        box_class_: (B,) the class of each box.
        scale_: (M,) training deviations.
        layer_weight_: (layers,) what each layer counts; they sum to 1.
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
        layer_reduce: str = "normalised",
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
            "layer_reduce": (layer_reduce, ("normalised", "mean", "concat")),
            "use": (use, ("label", "predicted", "correct", "single")),
        }
        for name, (value, allowed) in options.items():
            if value not in allowed:
                raise InputError(name, given=repr(value), expected=" or ".join(map(repr, allowed)))
        unused = {
            "aggregate": ("use='single'", use == "single" and not aggregate),
            "prob_floor": ("one class only", (use == "single" or not aggregate) and prob_floor > 0),
            "scale": ("kind='count'", kind == "count" and scale != "std"),
        }
        for name, (where, given) in unused.items():
            if given:
                raise InputError(name, given=f"with {where}", expected="none: it would change nothing there")
        require_whole(1, n_clusters=n_clusters, max_linkage=max_linkage)
        require("quantile", quantile, 0 <= quantile < 0.5, "in [0, 0.5)")
        require("margin", margin, 0 <= margin < float("inf"), "0 or more")
        require("prob_floor", prob_floor, 0 <= prob_floor < 1, "in [0, 1)")
        require("jobs", jobs, jobs != 0, "a number of threads, or -1 for all cores")
        for name, wanted in (("layers", layers), ("cluster_layers", cluster_layers)):
            if wanted is not None and (isinstance(wanted, str) or len(wanted) == 0):
                raise InputError(name, given=repr(wanted) if wanted else "none", expected="several names, or None")
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

    def _parts(self, acts: Activations) -> list[Float[Tensor, "n _"]]:
        """The layers' variables, finite and as many as at fit."""
        names = self._names(acts, self.layers)
        parts = [acts.layers[name] for name in names]
        for name, values in zip(names, parts):
            require_finite(values, f"activations of {name!r}")
        found = sum(values.shape[1] for values in parts)
        if self._has("scale_") and found != len(self.get_buffer("scale_")):
            expected = f"{len(self.get_buffer('scale_'))}, as at fit"
            raise InputError("activations", given=f"{found} variables", expected=expected)
        return parts

    def _variables(self, acts: Activations) -> Float[Tensor, "n m"]:
        return torch.cat(self._parts(acts), 1).float()

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
            delayed(self._clusters)(phi[rows], psi[rows], k) for k, rows in groups
        )
        members = [
            (k, phi[rows[clusters == c]])
            for (k, rows), clusters in zip(groups, assigned)
            for c in range(int(clusters.max()) + 1)
        ]
        low, high = (torch.stack(side) for side in zip(*(sides(own, self.quantile) for _, own in members)))
        spread = self.margin * (high - low)
        deviation = phi.std(0, unbiased=False)
        self.remember(
            boxes_low_=low - spread,
            boxes_high_=high + spread,
            box_class_=torch.tensor([k for k, _ in members], device=phi.device),
            scale_=deviation.clamp_min(max(1e-6 * _typical(deviation), 1e-12)),
        )
        names = self._names(acts, self.layers)
        self.shape_ = [(name, acts.kinds[name], acts.layers[name].shape[1]) for name in names]
        self.remember(layer_weight_=self._layer_weights([own for _, own in members]))

    def _clusters(self, phi: Tensor, psi: Tensor, k: int) -> Tensor:
        """Cluster ids of the samples of class k, of which the variables and the patterns are given."""
        return complete_linkage(psi, self.n_clusters, self.max_linkage, self.seed + k)

    def _layer_weights(self, members: list[Tensor]) -> Float[Tensor, " layers"]:
        """What each layer counts.

        Args:
            members: (n, M) variables of each box's samples.
        """
        scale, each = self.get_buffer("scale_"), [width for *_, width in self.shape_]
        if self.layer_reduce != "normalised":
            counts = torch.tensor(each if self.layer_reduce == "concat" else [1] * len(each), device=scale.device)
            return counts / counts.sum()
        in_widths = self.kind == "distance" and self.scale == "width"
        outside = torch.stack([left_out(own, self.margin, scale if in_widths else None) for own in members])
        if self.kind == "count":
            outside = (outside > ATOL * scale).float()
        elif self.scale == "std":
            outside = outside / scale
        typical = torch.stack([part.mean() for part in outside.sum(0).split(each)])
        inverse = 1 / typical.clamp_min(1e-3 * float(typical.max()) + 1e-30)  # a layer that never varies tells little
        return inverse / inverse.sum()

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
        values = self._box_values([phi], "distance", self._every(phi))
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
        parts = self._parts(acts)
        if self.use == "single":
            return self._class_values(parts, self._every(acts.logits))[:, 0]
        p = acts.logits.softmax(1)
        if not self.aggregate:
            top = p.argmax(1, keepdim=True)
            needed = torch.zeros_like(p, dtype=torch.bool).scatter_(1, top, True)
            return self._class_values(parts, needed).gather(1, top)[:, 0]
        values = self._class_values(parts, p > self.prob_floor)
        return (p * values).sum(1)

    def graph_score(self, acts: Activations) -> Tensor:
        """Every box at once; see `Detector.graph_score`."""
        phi = torch.cat([acts.layers[name] for name in self._names(acts, self.layers)], 1).float()
        boxes = every_box(phi, *self._in_deviations(self.kind), count=self.kind == "count")
        classes = 1 if self.use == "single" else acts.logits.shape[1]
        index = self.get_buffer("box_class_").expand(phi.shape[0], -1)
        values = torch.full((phi.shape[0], classes), torch.inf, device=phi.device)
        values = values.scatter_reduce(1, index, boxes, "amin")
        if self.use == "single":
            return values[:, 0]
        p = acts.logits.softmax(1)
        if not self.aggregate:
            return values.gather(1, p.argmax(1, keepdim=True))[:, 0]
        return (p * values.masked_fill(p <= self.prob_floor, 0.0)).sum(1)

    def class_scores(self, acts: Activations) -> Float[Tensor, "n classes"]:
        """AS(x, k) for every class."""
        return self._class_values(self._parts(acts), self._every(acts.logits))

    def _every(self, rows: Tensor) -> Bool[Tensor, "n classes"]:
        """Each row is compared with each class."""
        return torch.ones(len(rows), self._classes(), dtype=torch.bool, device=rows.device)

    def _class_values(self, parts: list[Tensor], needed: Tensor) -> Float[Tensor, "n classes"]:
        """Smallest box value of each class; 0 where it isn't needed."""
        boxes = self._box_values(parts, self.kind, needed)
        index = self.get_buffer("box_class_")[None].expand_as(boxes)
        values = torch.full(needed.shape, torch.inf, device=needed.device)
        values.scatter_reduce_(1, index, boxes, "amin")
        return values.masked_fill_(~needed, 0.0)

    def _box_values(self, parts: list[Tensor], kind: str, needed: Tensor) -> Float[Tensor, "n boxes"]:
        """EC or ED against each box."""
        owner = self.get_buffer("box_class_").tolist()
        scale, low, high, factors = self._in_deviations(kind)
        return box_values(parts, low, high, scale, factors, owner, needed, count=kind == "count")

    def _in_deviations(self, kind: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Deviations (M,), sides in them (B, M) and what a unit of exceedance counts (B, M)."""
        scale, low, high = (self.get_buffer(n) for n in ("scale_", "boxes_low_", "boxes_high_"))
        factors = self._weights().expand_as(low)
        if kind == "distance":
            factors = factors * self._units()
        return scale, low / scale, high / scale, factors

    def _units(self) -> Tensor:
        """What one deviation outside a box is: broadcasts with (B, M)."""
        scale = self.get_buffer("scale_")
        if self.scale == "width":
            return 1 / ((self.get_buffer("boxes_high_") - self.get_buffer("boxes_low_")) / scale).clamp_min(NARROWEST)
        return scale if self.scale == "none" else torch.ones_like(scale)

    def _weights(self) -> Float[Tensor, " m"]:
        """What each variable counts; they sum to 1."""
        weights = self.get_buffer("layer_weight_")
        return torch.cat([(weights[i] / width).expand(width) for i, (*_, width) in enumerate(self.shape_)])

    # -- explain --------------------------------------------------------------------------------------------------

    def explain(self, acts: Activations, top: int = 10) -> list[list[Exceedance]]:
        """Per sample, the variables farthest outside (in deviations) the nearest box of the predicted class.

        Args:
            acts: activations to explain.
            top: at most so many variables a sample.
        """
        phi = self._variables(acts)
        values = self._box_values([phi], "distance", self._every(phi))
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


def _typical(deviation: Float[Tensor, " m"]) -> float:
    """The median deviation; where most variables never vary, that of the others; 1e6 (a scale of 1) where none does."""
    median = float(deviation.median())
    if median > 0:
        return median
    moving = deviation[deviation > 0]
    return float(moving.median()) if len(moving) else 1e6
