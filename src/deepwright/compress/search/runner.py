"""Candidates evaluated here, in an executor, or on Ray: the numbers don't depend on where."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Any

import numpy as np
from torch import Tensor

from deepwright.compress.search.objectives import Accuracy
from deepwright.compress.search.space import Space
from deepwright.core.errors import InputError, MissingExtraError


class Runner:
    """Evaluates masks in this process, in an executor, or on Ray; the order of results is that of the masks.

    Args:
        evaluate: on which data.
        space: of the masks.
        executor: None, an executor of `concurrent.futures`, or "ray".
        jobs: chunks that the masks are cut into.

    Raises:
        InputError: another executor.
    """

    def __init__(self, evaluate: Accuracy, space: Space, executor: Executor | str | None, jobs: int) -> None:
        if executor not in (None, "ray") and not isinstance(executor, Executor):
            raise InputError("executor", given=repr(executor), expected="None, a concurrent.futures executor, or 'ray'")
        self.evaluate, self.space, self.executor, self.jobs = evaluate, space, executor, max(1, jobs)
        self._shared: Any = None

    def __call__(self, masks: np.ndarray, rows: Tensor) -> np.ndarray:
        """(candidates, rows) True where a candidate is wrong.

        Args:
            masks: (candidates, D).
            rows: of the data.
        """
        if self.executor is None or len(masks) < 2:
            return self.evaluate.wrong(self.space, masks, rows)
        parts = [p for p in np.array_split(masks, self.jobs) if len(p)]
        if self.executor == "ray":
            return self._on_ray(parts, rows)
        assert isinstance(self.executor, Executor)
        calls = [self.executor.submit(self.evaluate.wrong, self.space, p, rows) for p in parts]
        return np.concatenate([c.result() for c in calls])

    def _on_ray(self, parts: list[np.ndarray], rows: Tensor) -> np.ndarray:
        try:
            import ray
        except ImportError as error:
            raise MissingExtraError("ray", "ray", "executor='ray'") from error
        if not ray.is_initialized():
            ray.init(log_to_driver=False)
        if self._shared is None:  # model and data are sent once
            self._shared = ray.put((self.evaluate, self.space))
        remote = ray.remote(_remote_wrong)
        packed = [np.packbits(p, axis=1) for p in parts]
        return np.concatenate(ray.get([remote.remote(self._shared, p, rows) for p in packed]))


def _remote_wrong(shared: Any, packed: np.ndarray, rows: Tensor) -> np.ndarray:
    evaluate, space = shared
    masks = np.unpackbits(packed, axis=1, count=space.size).astype(bool)
    return evaluate.wrong(space, masks, rows)
