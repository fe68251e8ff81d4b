"""How data sets and loaders enter an identity."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from deepwright.core.identity.objects import take_object
from deepwright.core.identity.walk import Walk
from deepwright.core.randomness import local_rng


def take_dataset(walk: Walk, value: Dataset) -> None:
    """A data set: by the fingerprint that it declares, by its tensors, or by every item."""
    declared = getattr(value, "fingerprint", None) or getattr(value, "_fingerprint", None)
    if isinstance(declared, str):
        walk.word("fingerprint", declared)
    elif isinstance(value, TensorDataset):
        _items(walk, "tensors", value.tensors)
    elif isinstance(value, IterableDataset) or not hasattr(value, "__len__"):
        take_object(walk, value)
    else:
        with _fixed_seeds():
            _items(walk, "dataset", (value[i] for i in range(len(value))))  # type: ignore[arg-type]


def _items(walk: Walk, kind: str, items: Any) -> None:
    """Items that are made as they are read: those may be let go again, so each has a hash of its own."""
    for count, item in enumerate(items):
        walk.word(kind, f"{count} {walk.apart(item)}")


def take_loader(walk: Walk, value: DataLoader) -> None:
    """A loader: what it loads, and in which order and batches."""
    walk.word("loader", f"{value.batch_size} {value.drop_last}")
    walk.feed(value.dataset)
    walk.feed(value.sampler)
    walk.feed(value.batch_sampler if value.batch_size is None else None)
    walk.feed(value.collate_fn)


@contextmanager
def _fixed_seeds() -> Iterator[None]:
    """Data sets that draw as they are read give the same items."""
    state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - put back below
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    try:
        with local_rng(0):
            yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)  # noqa: NPY002
