"""Columns of a table that say, level by level, where a row's code lies: estimators in scikit-learn's form."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin, clone
from sklearn.model_selection import KFold
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.nets.padic.codes import TreeIndex
from deepwright.nets.padic.gaussian_process import TreeGaussianProcess

_OPTIONS: dict[str, Any] = {"dtype": None, "ensure_all_finite": "allow-nan"}
_ABSENT = -1  # a node that no training row has


class TreeGPRegressor(RegressorMixin, BaseEstimator):
    """A Gaussian process on a tree whose levels are the columns, the coarsest first.

    A row's path ends at its first missing value (None, NaN, NA, ""), and is answered from there; rows whose first value
    is missing are a branch of their own. Unseen codes get the posterior of the deepest ancestor that was seen, with a
    standard deviation that says so. A code is what it was in `fit`: "1" isn't 1, and a column of texts that has none
    any more is refused, as the other way round.

    Args:
        level_variances: see `TreeGaussianProcess`; v_0 is that of the whole.
        noise_variance: see there.
        mean: see there.

    Attributes:
        process_: the `TreeGaussianProcess`.
        at_bounds_: see there.
        undetermined_: see there.

    Example:
        >>> codes = [["A", "A1"], ["A", "A1"], ["A", "A2"], ["B", "B1"]]
        >>> found = TreeGPRegressor([0.0, 1.0, 1.0], 0.5, 0.0).fit(codes, [1.0, 2.0, 1.5, -1.0])
        >>> [round(float(v), 2) for v in found.predict([["A", "A9"], ["C", "C1"]])]
        [0.89, 0.0]
    """

    def __init__(self, level_variances: Any = None, noise_variance: Any = None, mean: Any = None) -> None:
        self.level_variances = level_variances
        self.noise_variance = noise_variance
        self.mean = mean

    def fit(self, X: Any, y: Any) -> TreeGPRegressor:
        """Learn.

        Args:
            X: (n, levels) codes, numbers or texts.
            y: a number a row.

        Raises:
            InputError: no row, or y without spread where variances are to be chosen.
        """
        paths, targets = _training_paths(self, X, y)
        self.nodes_ = _Nodes(paths)
        process = TreeGaussianProcess(
            self.nodes_.index,
            self.level_variances,
            noise_variance=self.noise_variance,
            mean=self.mean,
        )
        self.process_ = process.fit(self.nodes_.leaves, torch.from_numpy(targets))
        self.at_bounds_, self.undetermined_ = self.process_.at_bounds_, self.process_.undetermined_
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Means, and standard deviations of the value without noise.

        Args:
            X: (n, levels) codes.
            return_std: both, as a tuple.

        Raises:
            InputError: another number of columns.
        """
        check_is_fitted(self)
        paths = _paths(self, X)
        mean, variance = self.process_.predict_rows(self.nodes_.rows(paths))
        return (mean.numpy(), variance.sqrt().numpy()) if return_std else mean.numpy()

    def __sklearn_tags__(self) -> Any:
        """Rows of any codes, with missing ones; not made for numbers that never repeat."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = tags.input_tags.categorical = True
        tags.regressor_tags.poor_score = True
        return tags


class TreeTargetEncoder(TransformerMixin, BaseEstimator):
    """A row's code as the target's posterior means at each level: cross-fitted, so that y doesn't leak.

    `fit_transform` encodes each fold by a process that was fitted on the others; `transform` by one on all rows. It is
    target encoding in which each node is shrunk to its parent as far as the data say.

    Args:
        level_variances: see `TreeGaussianProcess`.
        noise_variance: see there.
        cv: folds of `fit_transform`; 2 or more.
        random_state: seed of the folds.
    """

    def __init__(
        self, level_variances: Any = None, noise_variance: Any = None, cv: Any = 5, random_state: Any = 0
    ) -> None:
        self.level_variances = level_variances
        self.noise_variance = noise_variance
        self.cv = cv
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> TreeTargetEncoder:
        """Learn from all rows.

        Args:
            X: (n, levels) codes.
            y: a number a row.

        Raises:
            InputError: see `TreeGPRegressor.fit`.
        """
        paths, targets = _training_paths(self, X, y)
        self.nodes_ = _Nodes(paths)
        self.process_ = self._process(self.nodes_).fit(self.nodes_.leaves, torch.from_numpy(targets))
        return self

    def fit_transform(self, X: Any, y: Any) -> Float[np.ndarray, "n levels"]:
        """Learn, and encode each row by what the others say.

        Args:
            X: (n, levels) codes.
            y: a number a row.

        Raises:
            InputError: fewer rows than folds.
        """
        if not isinstance(self.cv, int) or self.cv < 2:
            raise InputError("cv", given=self.cv, expected="2 folds or more")
        paths, targets = _training_paths(self, X, y)
        self.fit(X, y)
        if len(paths) < self.cv:
            raise InputError("X", given=f"{len(paths)} rows", expected=f"at least cv={self.cv}")
        out = np.empty((len(paths), self.nodes_.index.depth))
        for rest, held in KFold(self.cv, shuffle=True, random_state=self.random_state).split(paths):
            other = clone(self).fit(np.asarray(_dense(X), dtype=object)[rest], targets[rest])
            out[held] = other._means([paths[i] for i in held])
        return out

    def transform(self, X: Any) -> Float[np.ndarray, "n levels"]:
        """Posterior means at the levels of each row's code, from the coarsest on.

        Args:
            X: (n, levels) codes.

        Raises:
            InputError: another number of columns.
        """
        check_is_fitted(self)
        return self._means(_paths(self, X))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """A name a level.

        Args:
            input_features: names of the columns.
        """
        check_is_fitted(self)
        names = getattr(self, "feature_names_in_", None) if input_features is None else input_features
        names = [f"x{i}" for i in range(self.n_features_in_)] if names is None else names
        return np.asarray([f"{name}_mean" for name in names], dtype=object)

    def _process(self, nodes: _Nodes) -> TreeGaussianProcess:
        return TreeGaussianProcess(nodes.index, self.level_variances, noise_variance=self.noise_variance)

    def _means(self, paths: list[tuple[Any, ...]]) -> np.ndarray:
        rows = self.nodes_.rows(paths)
        columns = []
        for s in range(1, rows.shape[1]):
            cut = rows.clone()
            cut[:, s + 1 :] = _ABSENT
            columns.append(self.process_.predict_rows(cut)[0].numpy())
        return np.stack(columns, 1)

    def __sklearn_tags__(self) -> Any:
        """Rows of any codes; a target is needed."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = tags.input_tags.categorical = True
        tags.target_tags.required = True
        return tags


class _Nodes:
    """The tree of the training rows: which leaf each is, and where other rows lie in it."""

    def __init__(self, paths: list[tuple[Any, ...]]) -> None:
        distinct = list(dict.fromkeys(paths))
        self.index = TreeIndex.from_paths(distinct)
        places = {path: i for i, path in enumerate(distinct)}
        self.leaves: Int[Tensor, " n"] = torch.tensor([places[p] for p in paths])
        self.numbers = {
            path[:s]: int(node)
            for path, row in zip(distinct, self.index.ancestors_of_leaves)
            for s, node in enumerate(row)
            if s <= len(path)
        }
        self.kinds = [{_kind(p[s]) for p in distinct if s < len(p) and p[s] != ""} for s in range(self.index.depth)]

    def rows(self, paths: list[tuple[Any, ...]]) -> Int[Tensor, "n levels"]:
        """Numbers of the nodes above each path, `_ABSENT` from the first unseen or missing label on.

        Args:
            paths: labels.

        Raises:
            InputError: a column of texts that has none any more, or of numbers.
        """
        depth = self.index.depth
        for s, kinds in enumerate(self.kinds):
            found = {_kind(p[s]) for p in paths if s < len(p) and p[s] != ""}
            if found and kinds and not found & kinds:
                given, expected = (" and ".join(sorted(k)) for k in (found, kinds))
                hint = "codes are compared as they are: read them alike in fit and predict"
                raise InputError(f"column {s}", given=given, expected=f"{expected}, as in fit", hint=hint)
        places = [
            [self.numbers.get(p[:s], _ABSENT) if s <= len(p) else _ABSENT for s in range(depth + 1)] for p in paths
        ]
        return torch.tensor(places).reshape(-1, depth + 1)


def _training_paths(estimator: Any, X: Any, y: Any) -> tuple[list[tuple[Any, ...]], np.ndarray]:
    """Paths of the training rows, and their targets."""
    rows, targets = validate_data(estimator, _dense(X), y, y_numeric=True, **_OPTIONS)
    return _paths_of(rows), np.array(targets, dtype=np.float64)


def _paths(estimator: Any, X: Any) -> list[tuple[Any, ...]]:
    """Each row's labels up to the first that is missing."""
    return _paths_of(validate_data(estimator, _dense(X), reset=False, **_OPTIONS))


def _paths_of(rows: np.ndarray) -> list[tuple[Any, ...]]:
    if rows.dtype.kind == "c":
        raise ValueError("Complex data not supported")
    return [_until_missing(row) for row in rows.tolist()]


def _dense(X: Any) -> Any:
    if issparse(X):
        raise TypeError("Sparse input is not supported: codes are dense columns; give X.toarray().")
    if not isinstance(X, (list, tuple)):
        return X
    try:
        as_texts = np.asarray(X).dtype.kind in "US"
    except ValueError:  # rows of unlike lengths, of which scikit-learn says more
        return X
    return np.asarray(X, dtype=object) if as_texts else X  # 1 and NaN beside texts would become "1" and "nan"


def _until_missing(row: list[Any]) -> tuple[Any, ...]:
    for i, label in enumerate(row):
        if _is_missing(label):
            return (*row[: max(i, 1)],) if i else ("",)
    return tuple(row)


def _is_missing(label: Any) -> bool:
    if label is None or isinstance(label, str):
        return not label
    return type(label).__name__ == "NAType" or bool(label != label)  # pandas' NA equals neither anything nor nothing


def _kind(label: Any) -> str:
    if isinstance(label, str):
        return "texts"
    return "numbers" if isinstance(label, (int, float, np.number)) else "others"
