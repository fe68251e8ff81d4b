"""Objectives of candidates: errors by data or by a user's function, and costs by the space."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array

from deepwright.compress.search.objectives import Accuracy, Evaluate
from deepwright.compress.search.preparing import Preparation
from deepwright.compress.search.runner import Runner
from deepwright.compress.search.space import COSTS, Space
from deepwright.compress.search.state import SearchState
from deepwright.core.errors import InputError


class Evaluation:
    """Fills in the objectives of masks.

    Args:
        evaluate: `accuracy_on(x, y)`, or a function of a network.
        space: of the masks.
        objectives: "error" first, then costs of the space and further values of the user's function.
        racing: drop early what can't enter the front.
        executor: None, an executor of `concurrent.futures`, or "ray".
        jobs: chunks that a generation is cut into for an executor.
        preparation: what each candidate gets before it is judged.

    Raises:
        InputError: a preparation together with an executor or a function of one's own.
    """

    def __init__(
        self,
        evaluate: Evaluate,
        space: Space,
        objectives: Sequence[str],
        racing: bool = False,
        executor: Executor | str | None = None,
        jobs: int = 1,
        preparation: Preparation | None = None,
    ) -> None:
        if preparation is not None and (executor is not None or not isinstance(evaluate, Accuracy)):
            given = "an executor" if executor is not None else "a function as evaluate"
            hint = "prepare networks in your function" if executor is None else None
            raise InputError("preparation", given=f"beside {given}", expected="accuracy_on(x, y), here", hint=hint)
        self.preparation = preparation
        self.space, self.objectives, self.racing = space, tuple(objectives), racing
        self.costs = [o for o in self.objectives[1:] if o in COSTS]
        self.extra = [o for o in self.objectives[1:] if o not in COSTS]
        self.evaluate = evaluate
        self.runner = Runner(evaluate, space, executor, jobs) if isinstance(evaluate, Accuracy) else None

    def __call__(self, masks: Bool[Array, "p d"], state: SearchState) -> Float[Array, "p k"]:
        """Objectives of each mask, NaN where it was dropped; the state counts evaluations and keeps mistakes.

        Args:
            masks: one candidate a row.
            state: of the search.
        """
        costs = self.space.costs(masks, self.costs)
        if self.runner is None:
            return self._by_function(masks, costs, state)
        if self.preparation is not None:
            return self._prepared(masks, costs, state)
        order = self.runner.evaluate.order
        if self.racing and state.mistakes and len(self.objectives) == 2:
            archive = state.archive
            errors, share = state.mistakes.race(self.runner, masks, costs[:, 0], archive.masks, archive.fitness)
        else:
            wrong = self.runner(masks, order)
            errors, share = wrong.mean(1), np.ones(len(masks))
            if self.racing:
                state.mistakes.remember(masks, wrong)
        state.evaluations += float(share.sum())
        return np.concatenate([errors[:, None], costs], 1)

    def _prepared(self, masks: Array, costs: Array, state: SearchState) -> Array:
        assert self.preparation is not None
        assert self.runner is not None
        rivals = state.mistakes if self.racing and len(self.objectives) == 2 else None
        errors, share = self.preparation.race(
            self.runner.evaluate, self.space, masks, costs[:, 0], rivals, (state.archive.masks, state.archive.fitness)
        )
        state.evaluations += float(share.sum())
        return np.concatenate([errors[:, None], costs], 1)

    def _by_function(self, masks: Array, costs: Array, state: SearchState) -> Array:
        function: Any = self.evaluate
        values = [_numbers(function(self.space.build(m))) for m in masks]
        state.evaluations += len(masks)
        rows = np.stack([self._row(v, c) for v, c in zip(values, costs)])
        state.infeasible += int((~np.isfinite(rows).all(1)).sum())
        return rows

    def _row(self, values: Array, costs: Array) -> Array:
        """The user's values in the order of the objectives."""
        if len(values) != 1 + len(self.extra):
            raise InputError(
                "evaluate",
                given=f"{len(values)} values",
                expected=f"{1 + len(self.extra)}: {', '.join(['error', *self.extra])}",
            )
        named = dict(zip(self.costs, costs)) | dict(zip(self.extra, values[1:]))
        return np.array([values[0], *(named[o] for o in self.objectives[1:])])


def _numbers(found: object) -> Float[Array, " k"]:
    """What a user's function gave."""
    try:
        return np.asarray(found, dtype=float).reshape(-1)
    except (TypeError, ValueError) as error:
        raise InputError("evaluate", given=f"{found!r}", expected="its error as a number, or several") from error
