"""What a data set is in this house: three splits, class names, and how to read a pixel.

Images stay uint8 (N, C, H, W) until a batch is used; tables are float32 (N, features), series float32
(N, time, channels), texts int32 code points (N, characters), token ids int64 (N, tokens). Inputs are a tensor, or
`Rows`, which are read when they are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from deepwright.core.batches import Batches
from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_whole, require_within
from deepwright.core.rows import Rows, picked


@dataclass(frozen=True)
class Split:
    """Inputs and labels of equal length.

    Args:
        x: (N, ...) inputs, one a row: a tensor, or `Rows`, which are read when they are asked for.
        y: labels (N,) as int64, or the targets of another task: one a row, indexed as a tensor is (`core.tasks`).
        columns: what else is known of each sample and isn't fed to a network: name -> N numbers or texts.

    Raises:
        InputError: other lengths.
    """

    x: Any
    y: Any
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y):
            raise InputError(
                "a split", given=f"{len(self.x)} inputs and {len(self.y)} labels", expected="equal lengths"
            )
        for name, values in self.columns.items():
            if len(values) != len(self.y):
                given = f"{len(values)} values for {len(self.y)} samples"
                raise InputError(f"column {name!r} of a split", given=given, expected="one a sample")

    def __len__(self) -> int:
        return len(self.y)

    def inputs(self, rows: Tensor | slice = slice(None)) -> Shaped[Tensor, "n ..."]:
        """Inputs of some rows: floats, images in [0, 1]; texts are code points.

        Args:
            rows: indices, a mask or a slice.
        """
        return to_float(self.x[_beside(rows, self.x)])

    def batches(self, size: int) -> Batches:
        """(inputs, labels) in order; `.inputs` of them are the inputs alone.

        Args:
            size: of each batch but the last.
        """
        require_whole(1, size=size)
        return Batches(self.x, self.y, size, to_float)

    def take(self, n: int | None, seed: int = 0) -> Split:
        """At most n samples, spread over the classes as in the whole, the same ones for the same seed.

        Args:
            n: how many; None for all.
            seed: which ones.
        """
        if n is None:
            return self
        require_whole(0, n=n)
        if n >= len(self):
            return self
        return self.where(stratified_order(self.y, seed)[:n].sort().values)

    def where(self, mask: Tensor) -> Split:
        """The samples of a mask or index.

        Args:
            mask: (N,) booleans, or indices.
        """
        rows = mask.cpu().numpy()
        columns = {name: values[rows] for name, values in self.columns.items()}
        return Split(picked(self.x, _beside(mask, self.x)), self.y[_beside(mask, self.y)], columns)

    def loaded(self) -> Split:
        """The same samples with their inputs in memory."""
        return replace(self, x=self.x[:]) if isinstance(self.x, Rows) else self


def _beside(rows: Tensor | slice, x: Any) -> Tensor | slice:
    """Rows where the data are."""
    return rows.to(x.device) if isinstance(rows, Tensor) and isinstance(x, Tensor) else rows


@dataclass(frozen=True)
class Data:
    """A data set: train, validation and test splits that do not overlap.

    Attributes:
        name: as in the catalogue, or the path it came from.
        kind: "image", "tabular", "series", "text", "tokens", "segmentation" (images with label maps) or
            "detection" (with boxes).
        classes: class names, index = label; none where targets aren't classes.
        train: for fitting.
        validation: for choosing.
        test: for measuring.
        ood: extra sets that belong to none of the classes, by name; names start with "near " or "far ".
        features: column names of a table.
        center: what was taken off each feature of a table (the mean of its training rows).
        scale: what it was then divided by (their deviation).
        notes: what a reader of the numbers must know (skipped files, re-encoded images).
        seen_validation: whether the validation split was cut from the training samples, so that a network that comes
            from elsewhere may have been trained on it.
    """

    name: str
    kind: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    ood: dict[str, Tensor] = field(default_factory=dict)
    features: tuple[str, ...] = ()
    center: Tensor | None = None
    scale: Tensor | None = None
    notes: tuple[str, ...] = ()
    seen_validation: bool = False

    def limited(self, test: int | None, train: int | None = None, seed: int = 0) -> Data:
        """The same data with at most so many samples per split.

        Args:
            test: of the test and validation splits, and of each set in `ood`; None for all.
            train: of the training split; None for all.
            seed: which ones.
        """
        note = limit_note(self.test.y, test, seed)
        return replace(
            self,
            train=self.train.take(train, seed),
            validation=self.validation.take(test, seed),
            test=self.test.take(test, seed),
            ood={name: x[:test] if test else x for name, x in self.ood.items()},
            notes=(*self.notes, *note),
        )

    def loaded(self) -> Data:
        """The same data with all inputs in memory: for what trains on them again and again."""
        return replace(self, train=self.train.loaded(), validation=self.validation.loaded(), test=self.test.loaded())

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return tuple(self.test.x.shape[1:])


def to_float(x: Tensor) -> Tensor:
    """uint8 images to float32 in [0, 1]; anything else unchanged.

    Args:
        x: pixels or features.
    """
    return x.to(torch.float32).div_(255) if x.dtype == torch.uint8 else x


def limit_note(y: Any, limit: int | None, seed: int) -> tuple[str, ...]:
    """What to tell about test samples that were drawn from more of them.

    Args:
        y: the targets of all of them.
        limit: how many were asked for; None for all.
        seed: of the draw.
    """
    if limit is None or limit >= len(y):
        return ()
    how = "stratified by class" if of_classes(y) else "drawn at random"
    return (f"{limit:,} of {len(y):,} test samples, {how}, seed {seed}",)


def of_classes(y: Any) -> bool:
    """Whether targets are one class a sample, so that a draw can keep the classes' shares.

    Args:
        y: targets of any task.
    """
    return isinstance(y, Tensor) and y.ndim == 1 and not y.is_floating_point()


def stratified_order(labels: Any, seed: int) -> Tensor:
    """An order in which every prefix holds the classes in about their overall shares; any order for other targets.

    Args:
        labels: (N,) class indices, or targets of another task.
        seed: of the order.

    Returns:
        (N,) indices, where the labels are.
    """
    n, place = len(labels), getattr(labels, "device", "cpu")
    shuffled = torch.randperm(n, generator=generator(seed, "stratify")).to(place)
    if n == 0 or not of_classes(labels):
        return shuffled
    by_class = shuffled[labels[shuffled].argsort(stable=True)]
    counts = torch.unique_consecutive(labels[by_class], return_counts=True)[1].tolist()
    position = torch.cat([torch.arange(c, dtype=torch.float64, device=place) / c for c in counts])
    jitter = torch.rand(len(counts), generator=generator(seed, "jitter"), dtype=torch.float64).tolist()
    offset = [torch.full((c,), j / c, dtype=torch.float64, device=place) for c, j in zip(counts, jitter)]
    return by_class[(position + torch.cat(offset)).argsort(stable=True)]


def split_three(
    x: Any,
    y: Any,
    shares: tuple[float, float] = (0.7, 0.1),
    seed: int = 0,
    columns: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> tuple[Split, Split, Split]:
    """Stratified train, validation and test splits.

    Args:
        x: (N, ...) inputs, a tensor or `Rows`.
        y: (N,) labels.
        shares: of the training and the validation split; the rest is the test split.
        seed: of the splits.
        columns: see `Split`.

    Raises:
        InputError: shares that are none, or together more than all; unlike lengths.
    """
    require_within(0, 1, train=shares[0], validation=shares[1])
    require_within(0, 1 + 1e-9, shares=sum(shares))
    whole = Split(x, y, dict(columns))
    order = stratified_order(y, seed)
    first, second = round(shares[0] * len(y)), round((shares[0] + shares[1]) * len(y))
    parts = (order[:first], order[first:second], order[second:])
    train, validation, test = (whole.where(rows) for rows in parts)
    return train, validation, test
