"""What a search minimises first: the error on validation data, or what a user's function gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from numpy import ndarray as Array
from torch import Tensor, nn

from deepwright.compress.search.space import Space
from deepwright.core.errors import InputError


class Accuracy:
    """Which validation samples each candidate gets wrong: the usual first objective.

    Args:
        x: validation inputs (N, ...); never the test set.
        y: their labels (N,).
        batch_size: of the forward passes.
        seed: of the nested, class-stratified subsets that racing uses.
    """

    def __init__(self, x: Tensor, y: Tensor, batch_size: int = 500, seed: int = 0) -> None:
        if len(x) != len(y) or len(y) == 0:
            raise InputError(
                "validation data", given=f"{len(x)} inputs, {len(y)} labels", expected="equally many, at least one"
            )
        self.x, self.y, self.batch_size = x, y.cpu(), batch_size
        order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
        position = torch.empty(len(y), dtype=torch.double)
        for label in self.y.unique():
            rows = order[self.y[order] == label]
            position[rows] = torch.arange(len(rows), dtype=torch.double) / len(rows)
        self.order = position.argsort(stable=True)

    def __len__(self) -> int:
        return len(self.y)

    def wrong(self, space: Space, masks: Bool[Array, "p d"], rows: Tensor | None = None) -> Bool[Array, "p rows"]:
        """True where a candidate is wrong.

        Args:
            space: that the masks belong to.
            masks: one candidate a row.
            rows: of the data; all by default, in the order of `order`.
        """
        rows = self.order if rows is None else rows
        parts = []
        for part in rows.split(self.batch_size):
            out = space.predict(masks, self.x[part.to(self.x.device)])
            parts.append((out.argmax(-1).cpu() != self.y[part.cpu()]).numpy())
        return np.concatenate(parts, 1)


def accuracy_on(x: Tensor, y: Tensor, batch_size: int = 500, seed: int = 0) -> Accuracy:
    """The error on held-out data as a search's objective.

    Args:
        x: validation inputs (N, ...); never the test set.
        y: their labels (N,).
        batch_size: of the forward passes.
        seed: of the nested, class-stratified subsets that racing uses.
    """
    return Accuracy(x, y, batch_size, seed)


def require_disjoint(validation: Tensor, test: Tensor) -> None:
    """Refuse validation samples that are in the test set.

    Args:
        validation: (N, ...).
        test: (M, ...).

    Raises:
        InputError: some are in both.
    """

    def keys(x: Tensor) -> set[bytes]:
        return {row.tobytes() for row in x.detach().cpu().reshape(len(x), -1).numpy()}

    shared = keys(validation) & keys(test) if validation.shape[1:] == test.shape[1:] else set()
    if shared:
        raise InputError(
            "validation data",
            given=f"{len(shared)} samples that are in the test set too",
            expected="none",
            hint="search on validation data only; the test set is for the end",
        )


Evaluate = Accuracy | Callable[[nn.Module], Any]
