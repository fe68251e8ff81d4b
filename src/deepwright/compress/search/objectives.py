"""What a search minimises first: the error on validation data, or what a user's function gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from numpy import ndarray as Array
from torch import Tensor, nn

from deepwright.compress.search.requirements import require_pair
from deepwright.compress.search.space import Space, outputs
from deepwright.core.errors import InputError
from deepwright.core.inference import read_outputs
from deepwright.core.requirements import require_whole
from deepwright.core.tasks import Task, infer


class Accuracy:
    """Which validation samples each candidate gets wrong: the usual first objective.

    Args:
        x: validation inputs (N, ...); never the test set.
        y: their targets, one a row.
        batch_size: of the forward passes.
        seed: of the nested, class-stratified subsets that racing uses.
        task: how outputs and targets are read; told from what the unpruned network gives where not named.

    Raises:
        InputError: other numbers of inputs and targets, none, or inputs that aren't finite.
    """

    def __init__(self, x: Tensor, y: Tensor, batch_size: int = 500, seed: int = 0, task: Task | None = None) -> None:
        require_pair("validation data", (x, y))
        require_whole(1, batch_size=batch_size)
        require_whole(0, seed=seed)
        if len(x) != len(y) or len(y) == 0:
            raise InputError(
                "validation data", given=f"{len(x)} inputs, {len(y)} labels", expected="equally many, at least one"
            )
        if x.is_floating_point() and not bool(torch.isfinite(x).all()):
            raise InputError("validation data", given="inputs with NaN or infinity", expected="finite numbers")
        self.x, self.y, self.batch_size, self.task = x, y.cpu(), batch_size, task
        self._read, self._given = False, (y, task)
        order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
        position = torch.empty(len(y), dtype=torch.double)
        strata = self.y if self.y.ndim == 1 and not self.y.is_floating_point() else torch.zeros(len(y))
        for label in strata.unique():
            rows = order[strata[order] == label]
            position[rows] = torch.arange(len(rows), dtype=torch.double) / len(rows)
        self.order = position.argsort(stable=True)

    def __resume_identity__(self) -> list[Any]:
        """What it was made from, before and after the task was told from outputs."""
        return [self.x, *self._given, self.batch_size, self.order]

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
        task, parts = self._task(space), []
        for part in rows.split(self.batch_size):
            y = self.y[part.cpu()]
            found = space.predict(masks, self.x[part.to(self.x.device)])
            parts.append(torch.stack([~self._right(task, out, y) for out in found]).cpu().numpy())
        return np.concatenate(parts, 1)

    def wrong_of(self, space: Space, model: nn.Module, rows: Tensor | None = None) -> Bool[Array, " rows"]:
        """True where one network is wrong, whatever was done to it since it was built.

        Args:
            space: that it came from.
            model: the network.
            rows: of the data; all by default, in the order of `order`.
        """
        rows = self.order if rows is None else rows
        task = self._task(space)
        parts = [
            ~self._right(task, outputs(model, self.x[part.to(self.x.device)]), self.y[part.cpu()])
            for part in rows.split(self.batch_size)
        ]
        return torch.cat([p.cpu() for p in parts]).numpy()

    @staticmethod
    def _right(task: Task, out: Tensor, y: Tensor) -> Tensor:
        """What isn't finite is wrong: a candidate may be broken."""
        out = task.read(out, len(y), strict=False)
        return task.right(out, y) & task.finite(out)

    def _task(self, space: Space) -> Task:
        """The task, once it has been held against what the unpruned network gives."""
        if not self._read:
            rows = self.order[:256]
            x = self.x[rows.to(self.x.device)]
            out = read_outputs(space.network, [x], lambda found, n: found)[0]
            if not isinstance(out, Tensor):
                given = type(out).__name__
                raise InputError("the network's output", given=given, expected="one tensor", hint="wrap it")
            task = infer(out, self.y[rows]) if self.task is None else self.task
            task.read(out, len(rows))
            self.task, self.y, self._read = task, task.check_targets(self.y, len(self.x)), True
        assert self.task is not None
        return self.task


def accuracy_on(x: Tensor, y: Tensor, batch_size: int = 500, seed: int = 0, task: Task | None = None) -> Accuracy:
    """The error on held-out data as a search's objective.

    Args:
        x: validation inputs (N, ...); never the test set.
        y: their targets, one a row.
        batch_size: of the forward passes.
        seed: of the nested, class-stratified subsets that racing uses.
        task: how outputs and targets are read; told from what the unpruned network gives where not named.
    """
    return Accuracy(x, y, batch_size, seed, task)


def shared_samples(a: Tensor, b: Tensor) -> int:
    """How many different samples are in both, by their bytes.

    Args:
        a: (N, ...).
        b: (M, ...).
    """

    def keys(x: Tensor) -> set[bytes]:
        return {row.tobytes() for row in x.detach().cpu().reshape(len(x), -1).numpy()}

    return len(keys(a) & keys(b)) if a.shape[1:] == b.shape[1:] else 0


def require_disjoint(validation: Tensor, test: Tensor) -> None:
    """Refuse validation samples that are in the test set.

    Args:
        validation: (N, ...).
        test: (M, ...).

    Raises:
        InputError: some are in both.
    """
    shared = shared_samples(validation, test)
    if shared:
        raise InputError(
            "validation data",
            given=f"{shared} samples that are in the test set too",
            expected="none",
            hint="search on validation data only; the test set is for the end",
        )


Evaluate = Accuracy | Callable[[nn.Module], Any]
