"""How data sets and loaders enter an identity."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from deepwright.core.identity.objects import declared_fingerprint
from deepwright.core.identity.walk import Walk
from deepwright.core.randomness import local_seeds

_GENERATORS = (np.random.Generator, np.random.RandomState, random.Random, torch.Generator)


def take_dataset(walk: Walk, value: Dataset) -> None:
    """A data set: by the fingerprint that it declares, by its tensors, or by its class and every item."""
    declared = declared_fingerprint(value)
    if declared is not None:
        walk.word("fingerprint", declared)
    elif type(value) is TensorDataset:
        _items(walk, "tensors", value.tensors)
    elif isinstance(value, IterableDataset) or not hasattr(value, "__len__"):
        walk.refuse(value, f"{type(value).__name__}, whose items can be read only once")
    else:
        walk.feed(type(value))
        with local_seeds(0), _generators_of_its_own(value):
            _items(walk, "dataset", _read(value))


def _read(value: Any) -> Iterator[Any]:
    """Every item, by the way that a loader would take."""
    size = len(value)
    if not hasattr(value, "__getitems__"):
        yield from (value[i] for i in range(size))
        return
    for start in range(0, size, 64):
        yield from value.__getitems__(list(range(start, min(start + 64, size))))


@contextmanager
def _generators_of_its_own(value: Any) -> Iterator[None]:
    """Reading the data set moves none of its generators: twins stand in for them meanwhile."""
    own = getattr(value, "__dict__", {})
    held = {name: inner for name, inner in own.items() if isinstance(inner, _GENERATORS)}
    own.update(copy.deepcopy(held))
    try:
        yield
    finally:
        own.update(held)


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
