"""Data whose attributes can be exchanged between samples: what a feature is, to who isolates it or permutes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int64
from torch import Tensor

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_same_length, require_whole
from deepwright.interpret.prequential.stacking import Pair


@dataclass(frozen=True)
class View:
    """One way to see a task: data in which one feature alone tells the label, or the data as they are.

    Attributes:
        train: (inputs, classes).
        validation: (inputs, classes) for stopping.
        test: (inputs, classes).
    """

    train: Pair
    validation: Pair
    test: Pair

    def __post_init__(self) -> None:
        for name in ("train", "validation", "test"):
            x, y = getattr(self, name)
            require_same_length(x, y, f"{name} inputs and labels")
            if not len(y):
                raise InputError(f"{name} samples of a view", given="none", expected="at least one")


@runtime_checkable
class Exchangeable(Protocol):
    """Samples of which each attribute can be taken from another sample."""

    @property
    def y(self) -> Tensor:
        """(n,) labels."""

    @property
    def codes(self) -> Mapping[str, Tensor]:
        """Attribute -> (n,) whole numbers: samples whose codes all are equal look alike."""

    def exchanged(self, attribute: str, rows: Tensor, donors: Tensor) -> Tensor:
        """(k, ...) inputs of some rows, each with the attribute of its donor.

        Args:
            attribute: which.
            rows: (k,) of the samples.
            donors: (k,) of those that the attribute is taken from.
        """


class ColumnAttributes:
    """A table whose attributes are columns, alone or several together.

    Args:
        x: (n, columns) rows.
        y: (n,) labels.
        attributes: name -> numbers of its columns; none may share one. The other columns are an attribute, "rest".

    Raises:
        InputError: lengths that differ, no attributes, columns that aren't there or that two attributes share, an
            attribute named "rest" where columns are left.
    """

    def __init__(self, x: Tensor, y: Tensor, attributes: Mapping[str, Sequence[int]]) -> None:
        require_same_length(x, y, "rows and labels")
        taken = [c for columns in attributes.values() for c in columns]
        require_whole(0, **{f"column {c}": c for c in taken})
        if not attributes or not all(attributes.values()) or len(set(taken)) < len(taken) or max(taken) >= x.shape[1]:
            expected = f"columns from 0 to {x.shape[1] - 1}, each in one attribute"
            raise InputError("attributes", given=dict(attributes), expected=expected)
        rest = [c for c in range(x.shape[1]) if c not in taken]
        if rest and "rest" in attributes:
            given = f'"rest" for columns {list(attributes["rest"])}, where columns {rest[:8]} are left'
            raise InputError("attributes", given=given, expected="another name: that is the one of the columns left")
        self.x, self._y = x, y
        self.columns = {name: list(columns) for name, columns in attributes.items()}
        parts = self.columns | ({"rest": rest} if rest else {})
        self._codes = {name: _codes(x[:, columns]) for name, columns in parts.items()}
        self._parts = parts

    def __len__(self) -> int:
        return len(self._y)

    @property
    def y(self) -> Tensor:
        """(n,) labels."""
        return self._y

    @property
    def codes(self) -> Mapping[str, Tensor]:
        """Attribute -> (n,) number of its values among those that there are."""
        return self._codes

    def exchanged(self, attribute: str, rows: Tensor, donors: Tensor) -> Tensor:
        """(k, columns) rows, each with the attribute of its donor.

        Args:
            attribute: which.
            rows: (k,) of the samples.
            donors: (k,) of those that the attribute is taken from.
        """
        if attribute not in self._parts:
            raise unknown_name("attribute", attribute, self._parts)
        x = self.x[rows]
        x[:, self._parts[attribute]] = self.x[donors][:, self._parts[attribute]]
        return x


def shuffle_columns(x: Tensor, columns: Sequence[int], seed: int = 0) -> Tensor:
    """A table in which some columns are permuted together among the rows: their values stay, and tell nothing.

    Args:
        x: (n, columns) rows.
        columns: numbers of those that are permuted.
        seed: of the permutation.
    """
    require_whole(0, **{f"column {c}": c for c in columns})
    if not columns or max(columns) >= x.shape[1]:
        raise InputError("columns", given=list(columns), expected=f"some of 0 to {x.shape[1] - 1}")
    order = torch.randperm(len(x), generator=generator(seed, "columns")).to(x.device)
    shuffled = x.clone()
    shuffled[:, list(columns)] = x[order][:, list(columns)]
    return shuffled


def isolated_columns(view: View, columns: Sequence[int], seed: int = 0) -> View:
    """A view of a table in which only some columns go with the label: all others are permuted, in every part.

    Args:
        view: of the table as it is.
        columns: numbers of those that stay with their labels.
        seed: of the permutations.

    Raises:
        InputError: no columns, all of them, or one that isn't there.
    """
    width = view.train[0].shape[1]
    require_whole(0, **{f"column {c}": c for c in columns})
    if not columns or max(columns) >= width:
        raise InputError("columns", given=list(columns), expected=f"some of 0 to {width - 1}")
    others = [c for c in range(width) if c not in set(columns)]
    if not others:
        raise InputError("columns", given="all of them", expected="some that others can be told from")
    parts = (view.train, view.validation, view.test)
    made = [(shuffle_columns(x, others, seed=seed + 1 + k), y) for k, (x, y) in enumerate(parts)]
    return View(*made)


def _codes(x: Tensor) -> Int64[Tensor, " n"]:
    return torch.unique(x, dim=0, return_inverse=True)[1]
