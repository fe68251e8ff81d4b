"""What comes through the door: columns, their names and units, targets of three kinds, and the rows of folds."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse import coo_array, csgraph
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.interpret.deepin.selection import Folds

_ALIKE = 0.999  # correlation from which two columns can't be told apart
_BLOCK = 1024  # columns whose correlations with all others are looked at together
_LEAST_HELD = 30
_STOP = 0.15  # of the rows, for stopping the pilot where there's no validation set


class DeepInWarning(UserWarning):
    """Something about the data that a reader of the result must know."""


@dataclass(frozen=True)
class Scale:
    """Means and deviations of the training rows, in float64, and which columns vary.

    Attributes:
        mean: (p,).
        deviation: (p,), 1 where a column is constant.
        varies: (p,) numbers of the columns that do.
    """

    mean: np.ndarray
    deviation: np.ndarray
    varies: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray) -> Scale:
        """Of the rows that are fitted.

        Args:
            x: (n, p).
        """
        peak = np.abs(x).max(0)
        power = np.ldexp(1.0, np.clip(np.frexp(peak)[1], -1000, 1000))  # exact, and squares stay within float64
        scaled = x / power
        mean, deviation = scaled.mean(0) * power, scaled.std(0) * power
        flat = deviation <= 1e-12 * peak
        return cls(mean, np.where(flat, 1.0, deviation), np.flatnonzero(~flat))

    def apply(self, x: np.ndarray) -> np.ndarray:
        """(n, varying columns), standardised in float64.

        Args:
            x: (n, p).
        """
        return ((x - self.mean) / self.deviation)[:, self.varies]


def names_of(x: Any) -> list[Any] | None:
    """The columns' names, which needn't be text; None where there are none.

    Args:
        x: a table, or anything else.

    Raises:
        InputError: two columns of one name: nobody could say which was selected.
    """
    columns = getattr(x, "columns", None)
    if columns is None:
        return None
    names = list(columns)
    twice = [name for name in names if names.count(name) > 1] if len(set(names)) < len(names) else []
    if twice:
        raise InputError("columns", given=f"{twice[0]!r} {names.count(twice[0])} times", expected="different names")
    return names


def as_numbers(x: Any) -> Any:
    """The table as an array or a frame of numbers; tensors come to the CPU.

    Args:
        x: array, tensor or DataFrame.

    Raises:
        InputError: columns of text or categories, or with NaN, by name.
    """
    if isinstance(x, Tensor):
        return as_array(x)
    if names_of(x) is None or not hasattr(x, "iloc"):
        return x
    words = [str(c) for c, kind in x.dtypes.items() if not (_is_number(kind))]
    if words:
        hint = "one column a category (pandas.get_dummies), together by groups="
        raise InputError("columns", given=f"no numbers in {', '.join(words[:5])}", expected="numbers", hint=hint)
    lacking = [str(c) for c, gone in x.isna().any().items() if gone]
    if lacking:
        given = f"NaN in {', '.join(lacking[:5])}" + (f" and {len(lacking) - 5} more" if len(lacking) > 5 else "")
        raise InputError("columns", given=given, expected="finite numbers", hint="fill them, or leave such rows out")
    return x


def as_array(values: Any) -> Any:
    """A tensor as an array, on the CPU and of a type that numpy has; anything else as it is.

    Args:
        values: a tensor, or anything else.
    """
    if not isinstance(values, Tensor):
        return values
    values = values.detach().cpu()
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()


def _is_number(kind: Any) -> bool:
    return (isinstance(kind, np.dtype) and kind.kind in "biuf") or str(kind).lower() in _NULLABLE


_NULLABLE = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)} | {"float32", "float64", "boolean"}


def in_order(x: Any, names: Sequence[Any] | None) -> Any:
    """A table with its columns in the order of training, matched by name.

    Args:
        x: rows.
        names: of training, or None.

    Raises:
        InputError: names that aren't text and aren't those of training; of text scikit-learn says so.
    """
    own = names_of(x)
    if names is None or own is None or own == list(names):
        return x
    if set(own) == set(names):
        return x[list(names)]
    plain = list(range(len(own))), list(range(len(names)))
    if own == plain[0] or list(names) == plain[1] or all(isinstance(c, str) for c in (*own, *names)):
        return x
    strange = [c for c in own if c not in set(names)] or [c for c in names if c not in set(own)]
    raise InputError("columns", given=f"{strange[0]!r} in one table alone", expected="those of training")


def survival_target(y: Any) -> np.ndarray:
    """(n, 2) times and events, from a structured array, from two columns, or from times that all end in an event.

    Args:
        y: structured with one bool field and one number field; (n, 2) times and 0/1 events; or (n,) times.

    Raises:
        InputError: another form, or no event.
    """
    array = np.asarray(as_array(y))
    if array.dtype.names:
        fields = array.dtype.names
        event = [f for f in fields if array.dtype[f].kind == "b"]
        time = [f for f in fields if f not in event]
        if len(event) != 1 or len(time) != 1:
            given = f"fields {', '.join(fields)}"
            raise InputError("y", given=given, expected="one bool field (event) and one of numbers (time)")
        array = np.column_stack([array[time[0]].astype(float), array[event[0]].astype(float)])
    array = array.astype(np.float64)
    if array.ndim == 1:
        array = np.column_stack([array, np.ones(len(array))])
    if array.ndim != 2 or array.shape[1] != 2:
        raise InputError("y", given=f"shape {array.shape}", expected="(n, 2): time, event")
    if not np.isfinite(array).all():
        raise InputError("y", given="NaN or infinity", expected="finite times, events of 0 and 1")
    if not np.isin(array[:, 1], (0.0, 1.0)).all():
        raise InputError("y", given="events that aren't 0 or 1", expected="(time, event)", hint="time comes first")
    if not array[:, 1].any():
        raise InputError("y", given="no event", expected="at least one", hint="without events nothing is learned")
    return array


def correlation_groups(x: np.ndarray) -> list[list[int]]:
    """Columns that can't be told apart: correlated by 0.999 or more; either of them may be selected.

    Args:
        x: (n, p) standardised.
    """
    p = x.shape[1]
    first, second = [], []
    for start in range(0, p, _BLOCK):
        rows, columns = np.nonzero(np.abs(x[:, start : start + _BLOCK].T @ x) / len(x) >= _ALIKE)
        apart = rows + start < columns
        first.append(rows[apart] + start)
        second.append(columns[apart])
    a, b = np.concatenate(first), np.concatenate(second)
    if not len(a):
        return []
    _, label = csgraph.connected_components(coo_array((np.ones(len(a)), (a, b)), shape=(p, p)), directed=False)
    return [np.flatnonzero(label == k).tolist() for k in np.unique(label[a])]


def variable_groups(groups: Any, names: list[Any] | None, p: int) -> np.ndarray | None:
    """(p,) numbers of groups from 0.

    Args:
        groups: (p,) labels; or lists of columns (numbers or names), where a column in none is a group by itself.
        names: of the columns.
        p: columns.

    Raises:
        InputError: other lengths, unknown columns, a column in two groups.
    """
    if groups is None:
        return None
    if isinstance(groups, Tensor):
        groups = groups.tolist()
    if len(groups) and not isinstance(groups[0], (list, tuple, set)):
        if len(groups) != p:
            raise InputError("groups", given=f"{len(groups)} labels", expected=f"{p}, one a column")
        return np.unique(np.asarray(groups), return_inverse=True)[1]
    label = -np.ones(p, dtype=int)
    for k, members in enumerate(groups):
        for member in members:
            known = names is not None and member in names
            place = names.index(member) if names is not None and known else member
            if not isinstance(place, (int, np.integer)) or not 0 <= place < p or label[place] >= 0:
                raise InputError("groups", given=repr(member), expected="each column once, by number or name")
            label[place] = k
    alone = np.flatnonzero(label < 0)
    label[alone] = len(groups) + np.arange(len(alone))
    return np.unique(label, return_inverse=True)[1]


def rounded(x: np.ndarray) -> np.ndarray:
    """The numbers as float32 holds them: a table that was fitted in it is known again in float64.

    Args:
        x: (n, p).
    """
    with np.errstate(over="ignore"):
        return x.astype(np.float32).astype(np.float64)


def fingerprints(x: np.ndarray) -> np.ndarray:
    """(n,) a 64-bit number a row, equal for equal rows.

    Args:
        x: (n, p) float64.
    """
    bits = np.ascontiguousarray(x + 0.0, dtype=np.float64).view(np.uint64)  # + 0.0: minus zero is zero
    drawn = np.random.default_rng(0).integers(1, 2**63, x.shape[1], dtype=np.uint64) | np.uint64(1)
    with np.errstate(over="ignore"):
        mixed = (bits ^ (bits >> np.uint64(29))) * drawn
        return (mixed ^ (mixed >> np.uint64(32))).sum(1, dtype=np.uint64)


def strata(y: np.ndarray, kind: str) -> np.ndarray | None:
    """(n,) what folds shall have alike: classes, or whether there was an event.

    Args:
        y: targets.
        kind: of the estimator.
    """
    if kind == "classes":
        return y
    return y[:, 1].astype(int) if kind == "survival" else None


def balanced_order(n: int, seed: int, by: np.ndarray | None) -> np.ndarray:
    """Rows in random order, stratum after stratum, so that every k-th row is a sample with each stratum's share.

    Args:
        n: rows.
        seed: of the draw.
        by: (n,) strata, or None.
    """
    drawn = torch.rand(n, generator=generator(seed, "folds"), dtype=torch.float64).numpy()
    order = np.argsort(drawn)
    return order if by is None else order[np.argsort(by[order], kind="stable")]


def held_folds(train: np.ndarray, held: np.ndarray) -> Folds:
    """One group, judged on rows of its own.

    Args:
        train: rows that are fitted.
        held: rows that stop the pilot and judge refits.
    """
    a, b = torch.as_tensor(train)[None], torch.as_tensor(held)[None]
    return Folds(a, b, a, b)


def cross_folds(order: np.ndarray, count: int) -> Folds:
    """Folds that judge, and all rows; each stops its pilot on some of its own rows.

    Args:
        order: of the rows; each fold takes every `count`-th, so that strata are spread.
        count: of folds.
    """
    n = len(order)
    size = n // count
    held = [order[k::count][:size] for k in range(count)]  # the last stratum may lack a row
    fits = [np.setdiff1d(order, part, assume_unique=True) for part in held] + [order]
    rank = np.empty(n, dtype=int)
    rank[order] = np.arange(n)
    least = min(len(f) for f in fits)
    stops, pilots = [], []
    for fit in fits:
        fit = fit[np.argsort(rank[fit])]
        stop = np.zeros(len(fit), dtype=bool)
        stop[:: round(1 / _STOP)] = True
        stops.append(fit[stop])
        pilots.append(fit[~stop])
    held.append(held[0])  # of all rows: nobody reads it
    return Folds(_cut(pilots, n), _cut(stops, n), _cut(fits, least), _cut(held, n))


def in_sample(order: np.ndarray) -> Folds:
    """One group, judged on the rows that it is fitted on, for EBIC.

    Args:
        order: of the rows.
    """
    stop = np.zeros(len(order), dtype=bool)
    stop[:: round(1 / _STOP)] = True
    everything = torch.as_tensor(order)[None]
    return Folds(torch.as_tensor(order[~stop])[None], torch.as_tensor(order[stop])[None], everything, everything)


def _cut(parts: list[np.ndarray], most: int) -> Tensor:
    """Parts of one length, each thinned evenly: a stack's groups have as many rows each."""
    least = min(most, *(len(p) for p in parts))
    return torch.stack([torch.as_tensor(p[np.arange(least) * len(p) // least]) for p in parts])


def warn_of_constant(varies: np.ndarray, names: list[Any], p: int) -> list[Any]:
    """The columns that are dropped, with a warning.

    Args:
        varies: numbers of those that vary.
        names: of all.
        p: how many there are.
    """
    dropped = [names[j] for j in np.setdiff1d(np.arange(p), varies)]
    if dropped:
        shown = ", ".join(map(str, dropped[:5])) + (f" and {len(dropped) - 5} more" if len(dropped) > 5 else "")
        warnings.warn(f"columns that are constant in the training rows are left out: {shown}", DeepInWarning, 3)
    return dropped


def warn_of_few(held: int) -> None:
    """A validation set that says little.

    Args:
        held: its rows.
    """
    if held < _LEAST_HELD:
        warnings.warn(
            f"{held} validation rows choose the structure: below {_LEAST_HELD} that is mostly luck", DeepInWarning, 3
        )
