"""scikit-learn estimators and pipelines as networks that give scores only."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from deepwright.core.errors import InputError
from deepwright.nets.scores_only import ScoresOnly

_READ_AS_LOGITS = (
    "decision_function's values are read as logits, which they needn't be: confidence, calibration and fragility speak "
    "of their softmax"
)
_LABELS = "it gives labels and no scores: where scores are needed, the label that it gives counts as certain"


@runtime_checkable
class Estimator(Protocol):
    """What speaks scikit-learn's protocol."""

    def fit(self, X: Any, y: Any) -> Any:
        """Learn from rows."""

    def predict(self, X: Any) -> Any:
        """One answer a row."""


def is_estimator(model: Any) -> bool:
    """Whether something is an instance that speaks scikit-learn's protocol.

    Args:
        model: anything.
    """
    return not isinstance(model, type) and all(callable(getattr(model, n, None)) for n in ("fit", "predict"))


class _Asked:
    """One method of an estimator, on rows as it was fitted on.

    Args:
        estimator: fitted.
        method: of it.
    """

    def __init__(self, estimator: Any, method: str) -> None:
        self.estimator, self.method = estimator, method

    def __call__(self, array: np.ndarray | list[str]) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = np.asarray(getattr(self.estimator, self.method)(self._rows(array)))
        return found.astype(np.float64) if found.dtype.kind in "iu" else found  # a regressor's are numbers, no labels

    def _rows(self, array: np.ndarray | list[str]) -> Any:
        """Rows of numbers, under the columns' names where the estimator knows them; texts as they are."""
        if isinstance(array, list):
            return array
        width = getattr(self.estimator, "n_features_in_", None)
        flat = array.reshape(len(array), -1)
        if width is not None and flat.shape[1] != width:
            raise InputError(
                f"input of {type(self.estimator).__name__}",
                given=f"{flat.shape[1]} columns (shape {array.shape})",
                expected=f"{width}, as it was fitted",
            )
        names = getattr(self.estimator, "feature_names_in_", None)
        if names is None:
            return flat if width is not None else array
        import pandas as pd

        return pd.DataFrame(flat, columns=list(names))


class _Hot:
    """Labels as scores: 1 for the one that is given, 0 elsewhere."""

    def __init__(self, asked: _Asked, classes: np.ndarray) -> None:
        self.asked, self.classes = asked, classes

    def __call__(self, array: np.ndarray | list[str]) -> np.ndarray:
        return (np.asarray(self.asked(array))[:, None] == self.classes[None]).astype(np.float64)


class _Columns:
    """Scores in another order."""

    def __init__(self, function: Any, order: list[int]) -> None:
        self.function, self.order = function, order

    def __call__(self, array: np.ndarray | list[str]) -> np.ndarray:
        return np.asarray(self.function(array))[:, self.order]


def from_estimator(estimator: Any) -> ScoresOnly:
    """A fitted scikit-learn estimator or pipeline as a network without gradients.

    Asked is `predict_proba`, else `decision_function`, else `predict`; rows are given in float64, under the names of
    the columns that it was fitted on. Pictures are given as rows of their numbers.

    Args:
        estimator: a classifier or a regressor.

    Raises:
        InputError: one that isn't fitted, or gives neither scores nor numbers.
    """
    _require_fitted(estimator)
    name = type(estimator).__name__
    classes = getattr(estimator, "classes_", None)
    common: dict[str, Any] = {"dtype": torch.float64, "what": name}
    if isinstance(classes, list):
        raise InputError(
            "estimator", given=f"{name} of several outputs", expected="one class a sample", hint="one each"
        )
    if classes is not None:
        common["class_names"] = tuple(map(_name, np.asarray(classes)))
    for method, outputs in (("predict_proba", "probabilities"), ("decision_function", None)):
        if classes is not None and callable(getattr(estimator, method, None)):
            made = ScoresOnly(_Asked(estimator, method), outputs=outputs, **common)
            made.notes = () if outputs else (_READ_AS_LOGITS,)
            return made
    if classes is not None:
        hot = _Hot(_Asked(estimator, "predict"), np.asarray(classes))
        made = ScoresOnly(hot, labels_only=True, outputs="probabilities", **common)
        made.notes = (_LABELS,)
        return made
    if _gives_numbers(estimator):
        return ScoresOnly(_Asked(estimator, "predict"), **common)
    raise InputError(
        "estimator",
        given=name,
        expected="a fitted classifier or regressor",
        hint="others have no right answer to measure",
    )


def in_class_order(network: Any, classes: Sequence[str]) -> Any:
    """The network with its columns in the order of the data's classes, matched by name where the estimator has names.

    Args:
        network: any; only an estimator's knows its classes.
        classes: of the data, in order.

    Raises:
        InputError: the estimator names other classes than the data.
    """
    names, wanted = getattr(network, "class_names", ()), tuple(map(str, classes))
    if not isinstance(network, ScoresOnly) or not names or not wanted or names == wanted:
        return network
    if set(names) == set(wanted) and len(names) == len(wanted):
        if len(names) == 2 and _single_column(network):
            raise InputError(
                "the estimator's classes",
                given=f"{', '.join(names)}, of which decision_function scores the second",
                expected=f"the data's order: {', '.join(wanted)}",
                hint="name them in that order: --classes (class_names= from Python)",
            )
        made = copy.copy(network)  # of arrays or of strings
        made.function, made.class_names = _Columns(network.function, [names.index(n) for n in wanted]), wanted
        made.notes = (*network.notes, "the estimator's columns were brought into the order of the data's classes")
        return made
    if names == tuple(map(str, range(len(names)))):
        return network  # numbered from 0: their places are all that they say
    raise InputError(
        "the estimator's classes",
        given=_listed(names),
        expected=f"those of the data: {_listed(wanted)}",
        hint="name the classes as the estimator does: --classes (class_names= from Python)",
    )


def _single_column(network: ScoresOnly) -> bool:
    return getattr(network.function, "method", "") == "decision_function"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")


def _name(value: Any) -> str:
    """A class as data name it: 1.0 is 1."""
    return str(int(value)) if isinstance(value, float | np.floating) and float(value).is_integer() else str(value)


def _require_fitted(estimator: Any) -> None:
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise InputError(
            "estimator", given=f"{type(estimator).__name__}, not fitted", expected="a fitted one", hint=".fit(X, y)"
        ) from error
    except (TypeError, AttributeError):
        return  # not scikit-learn's own, and only alike


def _gives_numbers(estimator: Any) -> bool:
    from sklearn.base import is_regressor

    try:
        return bool(is_regressor(estimator))
    except (TypeError, AttributeError):  # one that has no tags
        return False
