"""What the three estimators share: reading, standardising, folds, the fit, and what is told of it."""

from __future__ import annotations

import itertools
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from deepwright.core.devices import resolve
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_positive, require_whole, require_within
from deepwright.interpret.deepin import tables
from deepwright.interpret.deepin.fitting import Minimal, Options, fit_minimal
from deepwright.interpret.deepin.losses import RowLoss
from deepwright.interpret.deepin.minimal import MinimalNet
from deepwright.interpret.deepin.selection import Folds, Problem
from deepwright.interpret.deepin.tables import DeepInWarning, Scale
from deepwright.interpret.deepin.training import Pool, Recipe

CRITERIA = ("auto", "val", "cv", "ebic")
_FOLDS, _FEW = 5, 1000
_HELD = 0.2


class DeepIn(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, ABC):
    """What the three estimators share; use one of them.

    f(x) = g(B^T x): rows of B are variables, its columns the dimensions of the representation, g is a ReLU
    network. A path of group penalties makes rows, columns and hidden units exactly zero; each structure that it passes
    is refitted without penalty, the chosen one also with fewer directions and fewer variables, and the smallest one is
    taken that held rows don't find worse by more than a standard error.

    Args:
        max_dim: D, columns of B; a `dim_` equal to it is at the cap (`at_cap_`).
        hidden: widths of g's hidden layers.
        lambdas: rising values of the penalty, in units of Adam's normalised steps; "auto" finds their range.
        groups: variables that are selected together: a label a column, or lists of columns.
        gamma: exponent of the adaptive weights.
        criterion: "val" (validation rows, a fifth of the rows where none are given), "cv" (five folds), "ebic", or
            "auto": validation rows where they are given or there are 1,000 rows, else folds.
        one_se: the smallest structure within a standard error of the best, or the best.
        epochs: of the pilot and of a refit; a stage of the path has half of them.
        batch_size: rows a step; where an epoch would have less than eight steps there are more epochs.
        lr: of Adam.
        weight_decay: of g.
        device: where it is fitted; the CPU by default.
        ebic_gamma: EBIC's weight of the number of subsets.
        random_state: of all draws.
        callbacks: called with a stage's name and its place on the path.

    Attributes:
        selected_: names of the variables (their places, from 0, where the table isn't a DataFrame).
        dim_: dimensions of the representation.
        B_: (p, d), canonical, for standardised columns; rows of other variables are zero. Its span is identified, its
            columns are not: they are those along which the outputs change most.
        widths_: units that are left.
        module_: the network that is left, an `nn.Module` on rows in their own units.
        path_: DataFrame of all structures: lambda, variables, dimensions, parameters, selection loss.
        scree_: eigenvalues of the pilot's mean outer product of gradients.
        n_params_: numbers of the network that is left.
        feature_importances_: (p,) root mean squared gradient by each standardised column.
        selection_loss_: by which it was chosen; it is no test loss.
        at_cap_: whether `dim_` is `max_dim`, and fewer than the columns: more may be needed.
        correlation_groups_: columns that can't be told apart; any of a group may have been selected.
        dropped_: columns that are constant in the training rows.

    Raises:
        InputError: options that make no sense; tables with NaN, text or categories.
    """

    _kind = "numbers"
    _center = False

    def __init__(
        self,
        max_dim: int = 10,
        hidden: Sequence[int] = (64, 64),
        lambdas: str | Sequence[float] = "auto",
        groups: Any = None,
        gamma: float = 1.0,
        criterion: str = "auto",
        one_se: bool = True,
        epochs: int = 40,
        batch_size: int = 250,
        lr: float = 5e-3,
        weight_decay: float = 1e-4,
        device: torch.device | str | None = None,
        ebic_gamma: float = 0.5,
        random_state: int | None = 0,
        callbacks: Sequence[Callable[[str, int], None]] | None = None,
    ) -> None:
        self.max_dim, self.hidden, self.lambdas, self.groups, self.gamma = max_dim, hidden, lambdas, groups, gamma
        self.criterion, self.one_se, self.epochs, self.batch_size = criterion, one_se, epochs, batch_size
        self.lr, self.weight_decay, self.device, self.ebic_gamma = lr, weight_decay, device, ebic_gamma
        self.random_state, self.callbacks = random_state, callbacks

    @abstractmethod
    def _read_target(self, y: Any, first: bool) -> np.ndarray:
        """Targets as numbers."""

    @abstractmethod
    def _scaled_target(self, target: np.ndarray, fit: np.ndarray) -> np.ndarray:
        """As the loss takes them; scales come from the rows `fit`."""

    @abstractmethod
    def _loss(self, target: np.ndarray) -> RowLoss:
        """Of a row."""

    def fit(
        self, X: Any, y: Any, X_val: Any = None, y_val: Any = None, *, checkpoint: Path | str | None = None
    ) -> Self:
        """Find the smallest network that does as well.

        Args:
            X: (n, p) array, tensor or DataFrame (whose names are kept).
            y: targets of the rows.
            X_val: rows that judge the structures; the last refit is on these rows, too.
            y_val: their targets.
            checkpoint: a file in which each stage and each lambda is kept, from which an interrupted fit goes on.
        """
        self._require_options()
        x, target, held = self._rows(X, y, X_val, y_val)
        folds, everything, seed = self._folds(target, held)
        problem = self._problem(x, target, folds, seed)
        found = fit_minimal(
            problem,
            folds,
            torch.as_tensor(everything).to(problem.pool.x.device),
            Options(
                self._given_lambdas(), "ebic" if self.criterion_ == "ebic" else "held", self.one_se, self.ebic_gamma
            ),
            checkpoint=checkpoint,
            identity={"x": problem.pool.x, "y": problem.pool.y, "folds": folds, "options": self._identity(seed)},
            told=self._tell,
        )
        self._keep(found, x)
        return self

    def _require_options(self) -> None:
        require_whole(1, max_dim=self.max_dim, epochs=self.epochs, batch_size=self.batch_size)
        require_positive(lr=self.lr)
        require_within(0, 10, gamma=self.gamma)
        if self.criterion not in CRITERIA:
            raise InputError("criterion", given=repr(self.criterion), expected=" or ".join(map(repr, CRITERIA)))
        if not hasattr(self.hidden, "__len__") or not len(self.hidden) or min(self.hidden) < 1:
            raise InputError("hidden", given=repr(self.hidden), expected="at least one width of at least 1")
        for name, value in (("weight_decay", self.weight_decay), ("ebic_gamma", self.ebic_gamma)):
            if not 0 <= value < np.inf:
                raise InputError(name, given=value, expected="a number, at least 0")

    def _given_lambdas(self) -> tuple[float, ...] | None:
        if isinstance(self.lambdas, str):
            if self.lambdas != "auto":
                raise InputError("lambdas", given=repr(self.lambdas), expected="'auto' or rising numbers")
            return None
        values = tuple(float(v) for v in self.lambdas)
        rising = all(b > a for a, b in itertools.pairwise(values))  # not of NaN
        if not values or not values[0] >= 0 or not rising:
            raise InputError("lambdas", given=repr(self.lambdas), expected="'auto' or rising numbers, not negative")
        return values

    def _rows(self, X: Any, y: Any, X_val: Any, y_val: Any) -> tuple[np.ndarray, np.ndarray, int]:
        """All rows, those of validation last, and how many those are."""
        names = tables.names_of(X)
        ready = tables.as_numbers(X)
        if self._kind == "survival":
            x = validate_data(self, ready, dtype=np.float64)
            y = self._read_target(self._require_y(y), True)
            if len(y) != len(x):
                raise InputError("y", given=f"{len(y)} targets", expected=f"{len(x)}, one a row")
        else:
            y = tables.as_array(y)
            x, y = validate_data(
                self, ready, y, dtype=np.float64, multi_output=self._kind == "numbers", ensure_min_samples=2
            )
            y = self._read_target(y, True)
        if len(x) < 2:
            raise InputError("X", given="n_samples = 1", expected="at least two rows")
        self._names = names
        if (X_val is None) != (y_val is None):
            raise InputError("X_val, y_val", given="one of the two", expected="both or none")
        if X_val is None:
            return x, y, 0
        held, judged = self._read(X_val), self._read_target(tables.as_array(y_val), False)
        if judged.shape != (len(held), *y.shape[1:]):
            expected = f"shape {(len(held), *y.shape[1:])}, one target a row"
            raise InputError("y_val", given=f"shape {judged.shape}", expected=expected)
        if not np.isfinite(judged).all():
            raise InputError("y_val", given="NaN or infinity", expected="finite numbers")
        return np.concatenate([x, held]), np.concatenate([y, judged]), len(held)

    @staticmethod
    def _require_y(y: Any) -> Any:
        if y is None:
            message = "requires y to be passed, but the target y is None"
            raise InputError("y", given=message, expected="times and events")
        return y

    def _folds(self, target: np.ndarray, held: int) -> tuple[Folds, np.ndarray, int]:
        n, seed = len(target), int(check_random_state(self.random_state).randint(2**31 - 1))
        criterion = self.criterion
        if criterion == "auto":
            criterion = "val" if held or n >= _FEW else "cv"
        self.criterion_ = criterion if n >= 2 * _FOLDS else "ebic"  # of fewer rows there are no folds to speak of
        order = tables.balanced_order(n, seed, tables.strata(target, self._kind))
        if self.criterion_ == "cv":
            return tables.cross_folds(order, _FOLDS), order, seed
        if self.criterion_ == "ebic":
            return tables.in_sample(order), order, seed
        if held:
            train, judged = np.arange(n - held), np.arange(n - held, n)
        else:
            mask = np.zeros(n, dtype=bool)
            mask[order[:: round(1 / _HELD)]] = True
            train, judged = np.flatnonzero(~mask), np.flatnonzero(mask)
        tables.warn_of_few(len(judged))
        return tables.held_folds(train, judged), np.arange(n), seed

    def _problem(self, x: np.ndarray, target: np.ndarray, folds: Folds, seed: int) -> Problem:
        fit = np.unique(folds.fit[-1].numpy()) if self.criterion_ == "val" else np.arange(len(x))
        self._scale = Scale.of(x[fit])
        names = self._labels()
        self.dropped_ = tables.warn_of_constant(self._scale.varies, names, x.shape[1])
        if not len(self._scale.varies):
            raise InputError("X", given="only constant columns", expected="at least one that varies")
        z = self._scale.apply(x)
        alike = tables.correlation_groups(z[fit])
        self.correlation_groups_ = [[names[self._scale.varies[j]] for j in group] for group in alike]
        device = torch.device("cpu") if self.device is None else resolve(self.device, "device")
        y = self._scaled_target(target, fit)
        kind = torch.long if self._kind == "classes" else torch.float32
        pool = Pool(
            torch.as_tensor(z, dtype=torch.float32, device=device), torch.as_tensor(y, dtype=kind, device=device)
        )
        label = tables.variable_groups(self.groups, self._names, x.shape[1])
        groups = None
        if label is not None:
            groups = torch.as_tensor(np.unique(label[self._scale.varies], return_inverse=True)[1]).to(device)
        dim = min(self.max_dim, z.shape[1])
        recipe = Recipe(self.epochs, self.lr, self.batch_size, self.weight_decay, seed)
        loss = self._loss(target[fit])
        return Problem(pool, loss, dim, tuple(self.hidden), groups, self.gamma, recipe, self._center)

    def _identity(self, seed: int) -> dict[str, Any]:
        options = {k: v for k, v in self.get_params().items() if k not in ("callbacks", "device")}
        return options | {"seed": seed, "kind": type(self).__name__}

    def _tell(self, stage: str, place: int) -> None:
        for callback in self.callbacks or ():
            callback(stage, place)

    def _labels(self) -> list[Any]:
        return list(self._names) if self._names is not None else list(range(self.n_features_in_))

    def _keep(self, found: Minimal, x: np.ndarray) -> None:
        chosen, p = found.candidates[found.chosen], x.shape[1]
        inner = found.stack.variables()[0].nonzero().flatten().cpu().numpy()
        columns = self._scale.varies[inner]
        names = self._labels()
        self.support_ = np.isin(np.arange(p), columns)
        self.selected_ = [names[j] for j in columns]
        self.widths_ = tuple(int(u[0].sum()) for u in found.stack.units()) if len(inner) else (0,) * len(self.hidden)
        offset, factor = torch.as_tensor(self._offset), torch.as_tensor(self._factor)
        network = found.stack.network(0).cpu() if len(inner) else None
        if network is None:
            offset = offset + factor * found.stack.biases[-1].detach()[0, 0].cpu().double()
        self.module_ = MinimalNet(
            network,
            torch.as_tensor(columns, dtype=torch.long),
            p,
            torch.as_tensor(self._scale.mean[columns]),
            torch.as_tensor(self._scale.deviation[columns]),
            offset,
            factor,
        ).eval()
        self.dim_ = 0 if network is None else network.representation.weight.shape[1]
        self.n_params_ = len(offset) if network is None else sum(t.numel() for t in network.parameters())
        self.B_ = np.zeros((p, self.dim_))
        if network is not None:
            self.B_[columns] = network.representation.weight.detach().numpy()
        self.scree_ = found.scree.cpu().numpy()
        self.feature_importances_ = np.sqrt((self.B_**2).sum(1))
        self.selection_loss_ = chosen.loss
        self.at_cap_ = self.dim_ == self.max_dim < len(self._scale.varies)
        self.path_ = _path_table(found, self.criterion_)
        self.training_rows_ = tables.fingerprints(x)
        self._rounded_rows = tables.fingerprints(tables.rounded(x))
        self._warn(found)

    def _warn(self, found: Minimal) -> None:
        if not found.pilot_loss < found.constant_loss and self.dim_:
            warnings.warn(
                f"the pilot ({found.pilot_loss:.4g}) is no better than constant outputs ({found.constant_loss:.4g}) on "
                "the rows on which it stops: what was selected may be noise",
                DeepInWarning,
                4,
            )

    def _read(self, X: Any) -> np.ndarray:
        x: np.ndarray = validate_data(
            self, tables.as_numbers(tables.in_order(X, self._names)), dtype=np.float64, reset=False
        )
        return np.ascontiguousarray(x)  # torch takes no reversed views

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "module_")
        with torch.no_grad():
            return np.asarray(self.module_(torch.from_numpy(self._read(X))).numpy())

    def transform(self, X: Any) -> np.ndarray:
        """(n, d) z, the representation.

        Args:
            X: (n, p).
        """
        check_is_fitted(self, "module_")
        with torch.no_grad():
            return np.asarray(self.module_.representation(torch.from_numpy(self._read(X))).numpy())

    @property
    def _n_features_out(self) -> int:
        return self.dim_

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there's a network."""
        return hasattr(self, "module_")

    def __sklearn_tags__(self) -> Any:
        """Targets are needed."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def _path_table(found: Minimal, criterion: str) -> pd.DataFrame:
    rows = [
        {
            "lambda": np.nan if c.strength is None else c.strength,
            "variables": c.variables,
            "dimensions": c.dims,
            "widths": c.widths,
            "parameters": c.parameters,
            "selection": c.loss,
            "standard_error": c.se,
            "epoch": c.epoch,
            "chosen": i == found.chosen,
        }
        for i, c in enumerate(found.candidates)
    ]
    table = pd.DataFrame(rows)
    table.attrs["selection"] = "EBIC" if criterion == "ebic" else "mean loss of held rows, by which it was chosen"
    return table
