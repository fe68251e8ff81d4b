"""Large loaders: their samples are read from the data set again when they are needed, and not gathered."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from deepwright.checks.subjects.batches import copied, joined, one_batch, require_plain
from deepwright.core.errors import InputError
from deepwright.core.progress import track
from deepwright.core.rows import STREAMED, Rows
from deepwright.core.texts import are_codes, are_tokens


class LoaderRows(Rows):
    """The inputs of a loader over a map-style data set, each read from the data set when it is asked for.

    Args:
        loader: whose data set and collating are used.
        items: of the data set, one a row: the order in which the loader gave them once.
        checksums: of the inputs as they came then; a data set that gives others is refused.
        like: inputs (n, ...) of one batch.
        keys: of inputs and targets where batches are dicts.
        what: "train", "validation" or "test", for messages.
        wide: see `require_plain`.
    """

    def __init__(
        self,
        loader: DataLoader,
        items: Sequence[Any],
        checksums: Sequence[int],
        like: Tensor,
        keys: Sequence[str] | None,
        what: str,
        wide: bool = False,
    ) -> None:
        super().__init__((len(items), *like.shape[1:]), like.dtype)
        self.loader, self.items, self.checksums = loader, items, checksums
        self.keys, self.what, self.wide = keys, what, wide
        self.lock = threading.Lock()  # a data set of a user's may not be read by two at once

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"lock": threading.Lock()})

    def _read(self, rows: Tensor) -> Tensor:
        numbers = rows.tolist()
        if not numbers:
            return torch.empty(0, *self.shape[1:], dtype=self.dtype)
        with self.lock:
            batch = self.loader.collate_fn(_items(self.loader.dataset, [self.items[i] for i in numbers]))
            x = require_plain(one_batch(batch, self.what, self.keys)[0], self.what, self.wide).clone()
        if x.shape[1:] != self.shape[1:] or checksums_of(x) != [self.checksums[i] for i in numbers]:
            raise InputError(
                f"{self.what} loader",
                given="a sample that isn't what it was when it was read before",
                expected="a data set that gives the same sample each time",
                hint="leave random augmentation out of what is measured",
            )
        return x


def _items(dataset: Any, which: list[Any]) -> list[Any]:
    """Items in the way that a loader takes them."""
    return dataset.__getitems__(which) if hasattr(dataset, "__getitems__") else [dataset[i] for i in which]


def checksums_of(x: Tensor) -> list[int]:
    """One number a row, which another row hardly has.

    Args:
        x: (n, ...) inputs.
    """
    flat = x.contiguous().reshape(len(x), -1).view(torch.uint8).numpy()
    return [zlib.crc32(row.data) for row in flat]


def is_large(loader: object, keys: Sequence[str] | None, what: str) -> bool:
    """Whether a loader's inputs are better read again than gathered: over 512 MiB, and the data set can be asked twice.

    Args:
        loader: of a user.
        keys: of inputs and targets where batches are dicts.
        what: "train", "validation" or "test", for messages.
    """
    if not can_be_read_again(loader) or not len(loader.dataset):  # type: ignore[attr-defined]
        return False
    try:
        first = loader.collate_fn(_items(loader.dataset, [0]))  # type: ignore[attr-defined]
    except Exception:  # a data set with keys of its own: it is gathered, as it says
        return False
    x = one_batch(first, what, keys)[0]
    if are_codes(x) or are_tokens(x):  # texts of several lengths make no rows
        return False
    x = require_plain(x, what)
    return x.nbytes * len(loader.dataset) > STREAMED  # type: ignore[attr-defined]


def can_be_read_again(loader: object) -> bool:
    """Whether single samples can be asked of a loader's data set.

    Args:
        loader: of a user.
    """
    plain = isinstance(loader, DataLoader) and loader.batch_sampler is not None
    return plain and not isinstance(loader.dataset, IterableDataset)  # type: ignore[attr-defined]


def read_again(loader: DataLoader, keys: Sequence[str] | None, what: str, wide: bool = False) -> tuple[LoaderRows, Any]:
    """The inputs of a loader, read when they are asked for, and all of its targets.

    One pass in the loader's order, drawn once, gathers targets and checksums; a loader that shuffles has that one
    order from then on.

    Args:
        loader: over a map-style data set.
        keys: of inputs and targets where batches are dicts.
        what: "train", "validation" or "test", for messages.
        wide: see `require_plain`.

    Raises:
        InputError: batches of another form, samples of unlike shapes.
    """
    order = [list(batch) for batch in loader.batch_sampler or ()]
    same = {
        name: getattr(loader, name)
        for name in ("num_workers", "collate_fn", "worker_init_fn", "multiprocessing_context")
    }
    once = DataLoader(loader.dataset, batch_sampler=order, **same)  # type: ignore[arg-type]
    checksums: list[int] = []
    ys: list[Any] = []
    like: Tensor | None = None
    for batch in track(once, f"look through {what} data", len(order)):
        x, y = copied(*one_batch(batch, what, keys))
        x = require_plain(x, what, wide)
        like = x if like is None else like
        if x.shape[1:] != like.shape[1:]:
            given = f"samples of shape {tuple(x.shape[1:])} after {tuple(like.shape[1:])}"
            raise InputError(f"{what} loader", given=given, expected="one shape in all batches")
        checksums += checksums_of(x)
        ys.append(y)
    if like is None or not checksums:
        raise InputError(f"{what} loader", given="no sample", expected="at least one")
    items = [i for batch in order for i in batch]
    if len(items) != len(checksums):
        given = f"{len(checksums)} samples out of {len(items)} of the data set"
        raise InputError(f"{what} loader", given=given, expected="a collate_fn that keeps every sample")
    return LoaderRows(loader, items, checksums, like, keys, what, wide), joined(ys, what)
