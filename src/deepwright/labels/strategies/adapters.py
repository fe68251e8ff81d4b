"""scikit-activeml's query strategies in our loop, and ours in its cycles."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError, MissingExtraError
from deepwright.core.features import extract, read_logits
from deepwright.core.tasks import Task
from deepwright.labels.strategies.catalogue import Strategy, View, named


def from_skactiveml(query_strategy: Any) -> Strategy:
    """A pool strategy of scikit-activeml as one of ours.

    It sees the selector's features as X, labels where they are known, and (where it asks for a classifier) the
    selector's own probabilities; nothing is fitted anew.

    Args:
        query_strategy: an object with `query(X, y, ..., candidates, batch_size)`, e.g. its `CoreSet()`.

    Raises:
        InputError: a strategy that needs more than a classifier (an ensemble, say).
        MissingExtraError: scikit-activeml isn't installed.
    """
    try:
        from skactiveml.base import SkactivemlClassifier
    except ImportError as error:
        raise MissingExtraError("scikit-activeml", "peers", "from_skactiveml") from error
    name = type(query_strategy).__name__
    parameters = inspect.signature(query_strategy.query).parameters
    needs = {p for p, v in parameters.items() if v.default is inspect.Parameter.empty}
    if needs - {"X", "y", "clf"}:
        raise InputError(
            "query_strategy",
            given=f"{name}, which needs {', '.join(sorted(needs - {'X', 'y', 'clf'}))}",
            expected="one that needs X, y and at most a classifier",
        )

    class Selector(SkactivemlClassifier):
        """Looks the selector's probabilities up by a sample's features."""

        def __init__(self, classes: Any = None) -> None:
            super().__init__(classes=classes)

        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Selector:
            """The selector is trained already: nothing of what is given is looked at."""
            return self

        def predict_proba(self, X: Any) -> np.ndarray:
            """(n, classes)."""
            return np.stack([self.known[row.tobytes()] for row in np.ascontiguousarray(X)])

    asks_for_a_classifier = "clf" in parameters

    def select(view: View, k: int) -> Tensor:
        features = view.required("features")
        x = np.ascontiguousarray(features.double().cpu().numpy())
        y = np.full(len(x), np.nan)
        y[view.labelled.cpu().numpy()] = 0.0 if view.truth is None else view.truth.cpu().numpy()
        options: dict[str, Any] = {}
        if asks_for_a_classifier:
            logits = read_logits(view.logits, view.task, strict=True)
            clf = Selector(classes=list(range(logits.shape[1])))
            clf.classes_ = np.arange(logits.shape[1])
            probabilities = logits.double().softmax(1).cpu().numpy()
            clf.known = {row.tobytes(): p for row, p in zip(x, probabilities)}
            options = {"clf": clf, "fit_clf": False}
        query = copy.deepcopy(query_strategy)  # the user's own is left as found
        query.random_state = view.seed % 2**31
        picked = query.query(X=x, y=y, candidates=view.free.cpu().numpy(), batch_size=k, **options)
        return torch.from_numpy(np.asarray(picked, dtype=np.int64)).to(features.device)

    return Strategy(f"skactiveml {name}", select, needs_features=True)


def as_skactiveml(
    strategy: str | Strategy, model: nn.Module, batch_size: int = 256, seed: int = 0, task: Task | None = None
) -> Any:
    """One of our strategies as a `SingleAnnotatorPoolQueryStrategy`.

    Args:
        strategy: a name or a `Strategy` (without stochastic passes).
        model: a trained classifier; logits and features of X come from it.
        batch_size: of its forward passes.
        seed: of random choices.
        task: how to read the model's outputs; None takes them as logits of classes.

    Returns:
        An object whose `query(X, y, candidates=None, batch_size=1)` gives indices into X; NaN marks missing labels.

    Raises:
        InputError: a strategy that needs stochastic passes.
        MissingExtraError: scikit-activeml isn't installed.
    """
    try:
        from skactiveml.base import SingleAnnotatorPoolQueryStrategy
    except ImportError as error:
        raise MissingExtraError("scikit-activeml", "peers", "as_skactiveml") from error
    ours = named(strategy)
    if ours.needs_passes:
        raise InputError("strategy", given=ours.name, expected="one without stochastic passes")

    class Ours(SingleAnnotatorPoolQueryStrategy):
        """See `as_skactiveml`."""

        def __init__(self) -> None:
            super().__init__(missing_label=np.nan, random_state=seed)

        def query(
            self, X: Any, y: Any, candidates: Any = None, batch_size: int = 1, return_utilities: bool = False
        ) -> np.ndarray:
            """(batch_size,) indices into X.

            Args:
                X: (N, ...) inputs.
                y: (N,) labels; NaN where they are missing.
                candidates: indices that may be chosen; those without a label by default.
                batch_size: how many.
                return_utilities: only False.
            """
            if return_utilities:
                raise InputError("return_utilities", given=True, expected="False: a set is chosen, not single samples")
            y = np.asarray(y, dtype=float)
            missing = np.isnan(y)
            free = np.flatnonzero(missing) if candidates is None else np.asarray(candidates)
            if free.ndim != 1:
                raise InputError("candidates", given=f"shape {free.shape}", expected="indices into X")
            inputs = torch.as_tensor(np.asarray(X), dtype=torch.float32).split(rows)
            found = extract(model, inputs, (), offload="cpu", task=task)
            labelled = torch.from_numpy(np.flatnonzero(~missing))
            view = View(
                found.logits,
                found.features,
                labelled,
                torch.from_numpy(free.astype(np.int64)),
                seed,
                truth=torch.from_numpy(y[~missing]).long(),
            )
            return ours.select(view, min(batch_size, len(free))).numpy()

    rows = batch_size
    return Ours()
