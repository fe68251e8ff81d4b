"""What every detector of foreign graphs shares: graphs in, scores out, thresholds and p-values from held-out graphs."""

from __future__ import annotations

from typing import Any, Self

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from deepwright.core.devices import home
from deepwright.core.errors import InputError, NotCalibratedError, NotFittedError
from deepwright.core.files import hash_model
from deepwright.core.requirements import numbers, require_whole
from deepwright.core.statistics import conformal_pvalues
from deepwright.graphs import GraphBatch, pack
from deepwright.ood.detector import Detector
from deepwright.ood.dgp.encoders import embed


class GraphDetector(Detector):
    """Base of the detectors of foreign graphs: `fit`, `score` and `predict` take whatever `graphs.pack` takes.

    A subclass learns in `_fit_graphs` and scores in `_score_graphs`. What is learnt is the state; the encoder isn't
    part of it, and a state is refused by a detector with another encoder.

    Args:
        encoder: (x, edge_index, batch, edge_weight, num_graphs) -> (graphs, nodes); never changed. None where none is
            needed.
    """

    needs = frozenset()
    exports = False
    incidental = frozenset({"encoder"})
    uses_labels = False

    def __init__(self, encoder: nn.Module | None = None) -> None:
        super().__init__()
        if encoder is not None and not isinstance(encoder, nn.Module):
            raise InputError("encoder", given=type(encoder).__name__, expected="an nn.Module, or None")
        self._held = [encoder]  # in a list, so that it is no sub-module

    @property
    def encoder(self) -> nn.Module:
        """The user's encoder.

        Raises:
            InputError: there is none.
        """
        if self._held[0] is None:
            raise InputError(f"{self.name}: encoder", given="none", expected="an nn.Module", hint="or give embeddings")
        return self._held[0]

    @property
    def options(self) -> dict[str, Any]:
        """See `Detector.options`; the encoder counts by its weights."""
        held = self._held[0]
        return super().options | {"encoder": None if held is None else hash_model(held)}

    def fit(self, graphs: Any, y: Any = None, val: Any = None) -> Self:
        """Learn from in-distribution graphs.

        Args:
            graphs: labelled where the detector needs labels.
            y: labels 0..C-1; those of the graphs by default.
            val: held-out in-distribution graphs, for detectors that stop by them.

        Raises:
            InputError: graphs that can't be read, labels that are missing or too many, too few graphs.
        """
        for name in ("fit_scores_", "threshold_", "held_out_", "held_out_classes_"):
            self._buffers.pop(name, None)
        given = self._given(graphs, y)
        self._fit_graphs(given, None if val is None else self._given(val, None))
        here = given if isinstance(given, Tensor) else given.x
        self.remember(fitted_=torch.ones((), dtype=torch.bool, device=here.device))
        self.remember(fit_scores_=self._score_graphs(given).sort().values)
        return self

    def score(self, graphs: Any) -> Float[Tensor, " n"]:
        """Scores, larger for graphs that are more foreign, where the graphs are.

        Args:
            graphs: as for `fit`, without labels.
        """
        if not self._has("fitted_"):
            raise NotFittedError(self.name)
        given = self._given(graphs, None)
        scores = self._score_graphs(given)
        if torch.isnan(scores).any():
            raise InputError(f"{self.name}: graphs", given="scores are NaN", hint="check the encoder's outputs")
        return scores.to(home(given if isinstance(given, Tensor) else given.x))

    def predict(self, graphs: Any) -> Bool[Tensor, " n"]:
        """True = foreign.

        Args:
            graphs: to judge.
        """
        if not self._has("threshold_"):
            raise NotCalibratedError(self.name)
        scores = self.score(graphs)
        return scores.double() > self.threshold_.to(scores.device)

    def calibrate(self, id_scores: Float[Tensor, " n"], tpr: float = 0.95) -> Self:
        """See `Detector.calibrate`; scores of the graphs of `fit` are refused, since they are too small."""
        flat = numbers(id_scores, "id_scores").double().sort().values
        seen = self.get_buffer("fit_scores_").to(flat.device) if self._has("fit_scores_") else flat[:0]
        if len(flat) == len(seen) and torch.allclose(flat, seen.double(), rtol=1e-6):
            raise InputError("id_scores", given="those of the graphs of fit", expected="scores of held-out graphs")
        return super().calibrate(id_scores, tpr)

    def calibrate_on(self, graphs: Any, tpr: float = 0.95) -> Self:
        """Threshold and p-values from held-out in-distribution graphs.

        Args:
            graphs: none that `fit` saw.
            tpr: the share of them to accept.
        """
        given = self._given(graphs, None)
        scores = self.score(given)
        self.calibrate(scores, tpr)
        self.remember(held_out_=scores, held_out_classes_=self.classes_of(given).to(scores.device))
        return self

    def pvalues(self, graphs: Any, per_class: bool = False) -> Float[Tensor, " n"]:
        """Conformal p-values: how probable so large a score is for an in-distribution graph.

        Args:
            graphs: to judge.
            per_class: against the held-out graphs of the same predicted class alone, which keeps the rate of false
                alarms of every predicted class; coarser, since these are fewer.

        Raises:
            NotCalibratedError: before `calibrate_on`.
        """
        if not self._has("held_out_"):
            raise NotCalibratedError(self.name)
        given = self._given(graphs, None)
        scores, held = self.score(given), self.get_buffer("held_out_")
        if not per_class:
            return conformal_pvalues(held, scores)
        own, classes = self.get_buffer("held_out_classes_"), self.classes_of(given).to(scores.device)
        found = torch.empty_like(scores, dtype=torch.float64)
        for c in classes.unique().tolist():
            if not bool((own == c).any()):
                raise InputError(f"held-out graphs of predicted class {c}", given="none", expected="at least one")
            found[classes == c] = conformal_pvalues(held[own == c], scores[classes == c])
        return found

    def classes_of(self, graphs: Any) -> Int64[Tensor, " n"]:
        """The class that the detector takes each graph for; 0 where it knows none.

        Args:
            graphs: to judge.
        """
        given = self._given(graphs, None)
        return torch.zeros(len(given), dtype=torch.int64, device=home(given if isinstance(given, Tensor) else given.x))

    def _given(self, graphs: Any, y: Any) -> Any:
        """Graphs packed, labels with them."""
        return pack(graphs, y)

    def _embedded(self, given: Any) -> Tensor:
        return embed(self.encoder, given)

    def _fit_graphs(self, graphs: Any, val: Any) -> None:
        raise NotImplementedError

    def _score_graphs(self, graphs: Any) -> Tensor:
        raise NotImplementedError


def require_graph_labels(graphs: GraphBatch, classes: int, name: str) -> Tensor:
    """The labels of the graphs, each class there.

    Args:
        graphs: to learn from.
        classes: how many there are.
        name: of the detector.

    Raises:
        InputError: none, one that is too large, or a class without graphs.
    """
    require_whole(2, num_classes=classes)
    if graphs.y is None:
        hint = "fit(graphs, y), or num_classes=1 for groups that are found"
        raise InputError(f"{name} needs labels", given="graphs without them", expected="one a graph", hint=hint)
    if int(graphs.y.max()) >= classes:
        given = f"class {int(graphs.y.max())}"
        raise InputError("labels", given=given, expected=f"0 to {classes - 1}", hint=f"num_classes={classes} was said")
    counts = torch.bincount(graphs.y, minlength=classes)
    if bool((counts == 0).any()):
        raise InputError(f"class {int(counts.argmin())}", given="no graphs of it", expected="some of each class")
    return graphs.y
