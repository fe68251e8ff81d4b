"""Disentangled graph prompting: a frozen encoder's distances, seen through two learnt edge weightings."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from deepwright.core.devices import Compute, device_of, dtype_of
from deepwright.core.errors import InputError, NotFittedError
from deepwright.core.fit import Selection, adamw, fit
from deepwright.core.inference import evaluating
from deepwright.core.randomness import derive_seed, local_rng
from deepwright.core.requirements import require_number, require_positive, require_whole
from deepwright.graphs import GraphBatch, pack, rewire
from deepwright.ood.dgp.distances import distance, whitening
from deepwright.ood.dgp.encoders import FrozenEncoder, beside, in_parts
from deepwright.ood.dgp.groups import grouped
from deepwright.ood.dgp.guards import GraphDetector, require_graph_labels
from deepwright.ood.dgp.prompting import Passes, Prompting, cosine, disentangling, embedded_parts
from deepwright.ood.dgp.prompts import EdgePrompt, Predictor
from deepwright.ood.dgp.stores import indices, whole_batches
from deepwright.ood.metrics import auroc

_FITS = ("original", "specific", "agnostic")


class DGP(GraphDetector):
    """Foreign graphs by two prompts on a frozen encoder.

    A prompt weighs the edges of a graph. p_s learns to keep what tells the classes apart, p_a what they share, and both
    to give embeddings h_s, h_a that aren't those of the plain graph, h_o. With D_S the Mahalanobis distance to the
    training set's embeddings of the same view, score = D(h_o) + D(h_s) + gamma D(h_a).

    Args:
        encoder: see `GraphDetector`; never changed.
        num_classes: of the labels; 1 for graphs without any, whose two groups are found by k-means, with a warning.
        lambda_: weight of the loss that makes h_a say nothing of the class.
        alpha: weights of the losses that keep h_s and h_a from h_o; (0, 0) leaves them out.
        gamma: weight of D(h_a) in the score.
        include_original: whether D(h_o) is part of the score; the paper's score is without.
        ridge: of all three distances and of the loss; see `distances.whitening`.
        stats: "train" fits the loss's distance to h_o once, "batch" on each batch, as the published code does.
        lr: of AdamW, on a cosine of 20 epochs.
        epochs: 0 leaves the prompts as they were drawn.
        batch_size: graphs a step.
        patience: epochs without a better value on `fit(val=...)` before training stops; None never does.
        val_ood: None stops by the loss on `val`; "synthetic" by how well the score tells `val` from itself with 30 % of
            its edges rewired. No foreign graphs enter.
        symmetric: whether (u, v) and (v, u) get one weight.
        seed: of prompts, order and dropout.

    Source: arXiv 2603.29644.
    """

    incidental = frozenset({"encoder", "gamma", "include_original"})  # `_score_graphs` reads them anew each time

    def __init__(
        self,
        encoder: nn.Module,
        num_classes: int,
        lambda_: float = 0.1,
        alpha: tuple[float, float] = (1e4, 1e4),
        gamma: float = 0.1,
        include_original: bool = True,
        ridge: float = 1e-2,
        stats: str = "train",
        lr: float = 1e-3,
        epochs: int = 100,
        batch_size: int = 128,
        patience: int | None = None,
        val_ood: str | None = None,
        symmetric: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder)
        require_whole(1, num_classes=num_classes, batch_size=batch_size)
        require_whole(0, epochs=epochs)
        require_number(0, lambda_=lambda_, gamma=gamma, alpha_1=alpha[0], alpha_2=alpha[1])
        require_positive(ridge=ridge, lr=lr)
        if stats not in ("train", "batch"):
            raise InputError("stats", given=repr(stats), expected="'train' or 'batch'")
        if val_ood not in (None, "synthetic"):
            raise InputError("val_ood", given=repr(val_ood), expected="None or 'synthetic'")
        self.num_classes, self.lambda_, self.alpha, self.gamma = num_classes, lambda_, tuple(alpha), gamma
        self.include_original, self.ridge, self.stats, self.lr = include_original, ridge, stats, lr
        self.epochs, self.batch_size, self.patience, self.val_ood = epochs, batch_size, patience, val_ood
        self.symmetric, self.seed = symmetric, seed
        self.history_: list[dict[str, float]] = []
        self._checkpoint: Path | str | None = None
        self._compute = Compute()

    def fit(
        self,
        graphs: Any,
        y: Any = None,
        val: Any = None,
        *,
        checkpoint: Path | str | None = None,
        compute: Compute = Compute(),  # noqa: B008 - frozen
    ) -> Self:
        """See `GraphDetector.fit`.

        Args:
            graphs: in-distribution, labelled.
            y: labels 0..C-1; those of the graphs by default.
            val: held-out in-distribution graphs, labelled, to stop by.
            checkpoint: a file to resume from and to save to after every epoch.
            compute: device and precision of the training; where the encoder lives by default.
        """
        self._checkpoint, self._compute = checkpoint, compute
        if y is not None and self.num_classes == 1:
            raise InputError("y", given="labels with num_classes=1", expected="num_classes of them, or no labels")
        return super().fit(graphs, y, val)

    def _fit_graphs(self, graphs: GraphBatch, val: GraphBatch | None) -> None:
        frozen = self._frozen()
        packed = self._labelled(beside(graphs, frozen), frozen)
        assert packed.y is not None
        classes = max(self.num_classes, 2)
        with local_rng(derive_seed("prompts", seed=self.seed)):
            self._build(_width_of_nodes(frozen, packed), frozen(packed[:2])[0].shape[1], classes)
        self.to(device_of(frozen), dtype_of(frozen))
        model = Prompting(frozen, packed, self.specific, self.agnostic, self.predictor, self.ridge)
        if self.epochs:
            self._train(model.to(device_of(frozen)), packed, val, frozen)
        self.eval().requires_grad_(False)
        self._remember_fits(frozen, packed)

    def _build(self, nodes: int, width: int, classes: int) -> None:
        self.specific = EdgePrompt(nodes, symmetric=self.symmetric)
        self.agnostic = EdgePrompt(nodes, symmetric=self.symmetric)
        self.predictor = Predictor(width, classes)

    def _labelled(self, graphs: GraphBatch, frozen: FrozenEncoder) -> GraphBatch:
        if self.num_classes > 1:
            require_graph_labels(graphs, self.num_classes, self.name)
            return graphs
        warnings.warn("num_classes=1: labels are two groups that k-means finds in the embeddings", stacklevel=4)
        return graphs.labelled(grouped(embedded_parts(frozen, graphs)[0], 2, self.seed)[0])

    def _train(self, model: Prompting, graphs: GraphBatch, val: GraphBatch | None, frozen: FrozenEncoder) -> None:
        size = whole_batches(len(graphs), self.batch_size)
        steps = -(-len(graphs) // size)
        near, far = self.alpha
        passes = Passes(self.lambda_, (near, far), steps, self.stats == "batch")
        selection = Selection() if val is None else self._selection(graphs, val, frozen, passes.passes)
        found = fit(
            model,
            indices(graphs, graphs.y),
            epochs=self.epochs * passes.passes,
            batch_size=size,
            step=passes,
            optimizer=adamw(self.lr, weight_decay=1e-4),
            scheduler=cosine(steps * passes.passes, self.lr),
            selection=selection,
            checkpoint=self._checkpoint,
            every=steps * passes.passes,
            seed=derive_seed("fit", seed=self.seed),
            clip_norm=1.0,
            compute=self._compute,
            description=self.name,
        )
        self.history_ = [
            {**row, "epoch": float(i // passes.passes), "by_distance": float(i % passes.passes)}
            for i, row in enumerate(found.history)
        ]

    def _selection(self, graphs: GraphBatch, val: GraphBatch, frozen: FrozenEncoder, passes: int) -> Selection:
        patience = None if self.patience is None else self.patience * passes
        held = beside(val, frozen)
        if self.val_ood == "synthetic":
            chosen: Any = _Rewired(self, frozen, graphs, held, rewire(held, 0.3, self.seed))
            return Selection(chosen, "val_auroc", "max", patience)
        return Selection(_Loss(self, frozen, self._labelled(held, frozen)), "val_loss", "min", patience)

    def _remember_fits(self, frozen: FrozenEncoder, graphs: GraphBatch) -> None:
        for name, h in zip(_FITS, self._views(frozen, graphs)):
            mean, white = whitening(h, self.ridge)
            self.remember(**{f"{name}_mean_": mean, f"{name}_white_": white})

    def _views(self, frozen: FrozenEncoder, graphs: GraphBatch) -> list[Tensor]:
        """h_o, h_s and h_a, without gradients, prompts in eval mode."""
        parts = []
        mode = self.training
        self.eval()
        with torch.no_grad():
            for part in in_parts(graphs):
                h_o, nodes = frozen(part)
                weights = [prompt(nodes, part.edge_index) for prompt in (self.specific, self.agnostic)]
                parts.append([h_o, *frozen.views(part, weights)])
        self.train(mode)
        return [torch.cat(view) for view in zip(*parts)]

    def _distances(self, views: list[Tensor]) -> list[Tensor]:
        return [
            distance(h, self.get_buffer(f"{name}_mean_").to(h.device), self.get_buffer(f"{name}_white_").to(h.device))
            for name, h in zip(_FITS, views)
        ]

    def _combined(self, distances: list[Tensor]) -> Tensor:
        original, specific, agnostic = distances
        prompted = specific + self.gamma * agnostic
        return original + prompted if self.include_original else prompted

    def _score_graphs(self, graphs: GraphBatch) -> Tensor:
        frozen = self._frozen()
        return self._combined(self._distances(self._views(frozen, beside(graphs, frozen))))

    def _frozen(self) -> FrozenEncoder:
        frozen = FrozenEncoder(self.encoder)
        if hasattr(self, "specific"):
            self.to(device_of(frozen))
        return frozen

    def views(self, graphs: Any) -> dict[str, Float[Tensor, "graphs width"]]:
        """The embeddings of the three views: "original", "specific", "agnostic".

        Args:
            graphs: anything that `graphs.pack` takes.
        """
        packed, frozen = self._ready(graphs)
        return {name: h.to(packed.device) for name, h in zip(_FITS, self._views(frozen, beside(packed, frozen)))}

    def components(self, graphs: Any) -> dict[str, Float[Tensor, " graphs"]]:
        """The three distances that the score is made of, before gamma: which view finds a graph foreign.

        Args:
            graphs: anything that `graphs.pack` takes.
        """
        packed, frozen = self._ready(graphs)
        views = self._views(frozen, beside(packed, frozen))
        return {name: d.to(packed.device) for name, d in zip(_FITS, self._distances(views))}

    def edge_weights(self, graph: Any) -> tuple[Float[Tensor, " edges"], Float[Tensor, " edges"]]:
        """The weights that p_s and p_a give to the edges, in the order in which these were given.

        Args:
            graph: one, or several.
        """
        packed, frozen = self._ready(graph)
        here = beside(packed, frozen)
        self.eval()
        with torch.no_grad():
            nodes = frozen(here)[1]
            s, a = (here.as_given(p(nodes, here.edge_index)).to(packed.device) for p in (self.specific, self.agnostic))
        return s, a

    def classes_of(self, graphs: Any) -> Int64[Tensor, " n"]:
        """The class that the predictor reads from h_s.

        Args:
            graphs: anything that `graphs.pack` takes.
        """
        packed, frozen = self._ready(graphs)
        self.eval()
        with torch.no_grad():
            h_s = self._views(frozen, beside(packed, frozen))[1]
            return self.predictor(h_s).argmax(1).to(packed.device)

    def _ready(self, graphs: Any) -> tuple[GraphBatch, FrozenEncoder]:
        if not self._has("original_mean_"):
            raise NotFittedError(self.name)
        return pack(graphs), self._frozen()

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        first = state_dict.get(f"{prefix}specific.first.weight")
        if isinstance(first, Tensor):
            width = state_dict[f"{prefix}predictor.0.weight"].shape[1]
            self._build(first.shape[1] // 2, width, max(self.num_classes, 2))
            self.to(first.dtype).eval().requires_grad_(False)
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _width_of_nodes(frozen: FrozenEncoder, graphs: GraphBatch) -> int:
    with torch.no_grad():
        return frozen(graphs[:2])[1].shape[1]


class _Loss:
    """L_dis on held-out graphs."""

    def __init__(self, detector: DGP, frozen: FrozenEncoder, val: GraphBatch) -> None:
        self.detector, self.frozen, self.val = detector, frozen, val

    def __call__(self, model: nn.Module) -> dict[str, float]:
        _, h_s, h_a = self.detector._views(self.frozen, self.val)
        q = self.detector.predictor
        assert self.val.y is not None
        with torch.no_grad(), evaluating(q):  # nothing is dropped, and nothing learned from these graphs
            loss = disentangling(q(h_s), q(h_a), self.val.y, self.detector.lambda_)
        return {"val_loss": float(loss)}


class _Rewired:
    """How well the score tells held-out graphs from themselves with rewired edges."""

    def __init__(
        self, detector: DGP, frozen: FrozenEncoder, train: GraphBatch, val: GraphBatch, rewired: GraphBatch
    ) -> None:
        self.detector, self.frozen, self.train, self.val, self.rewired = detector, frozen, train, val, rewired

    def __call__(self, model: nn.Module) -> dict[str, float]:
        d = self.detector
        d._remember_fits(self.frozen, self.train)
        inside, outside = (d._combined(d._distances(d._views(self.frozen, g))) for g in (self.val, self.rewired))
        return {"val_auroc": auroc(inside, outside)}
