"""Scores by group, as a metric; see `dataquality.compare_groups` for intervals and tests."""

from __future__ import annotations

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import numbers, require_same_length, require_whole
from deepwright.core.tasks.targets import Labels, require_range, whole_labels
from deepwright.integrations.metrics.states import Sums


class GroupScores(Sums):
    """The worst and the best group's mean score, and the gap between them.

    Args:
        groups: how many there are; ids count from 0.
        least: samples of a group that is compared; with fewer than two such groups there is no number.
    """

    names = ("total", "count")

    def __init__(self, groups: int, least: int = 30) -> None:
        require_whole(2, groups=groups)
        require_whole(1, least=least)
        super().__init__((groups,))
        self.groups, self.least = groups, least

    def update(self, score: Tensor, group: Labels) -> None:
        """Add a batch.

        Args:
            score: (N,) how right each sample is: booleans, or numbers.
            group: (N,) its group.
        """
        values, place = numbers(score, "score").double(), whole_labels(group, "group").reshape(-1)
        require_same_length(values, place, "scores and groups")
        require_range(place, self.groups, "group")
        place, zeros = place.to(values.device), values.new_zeros(self.groups)
        self._add("total", zeros.index_add(0, place, values))
        self._add("count", zeros.index_add(0, place, torch.ones_like(values)))

    def compute(self) -> dict[str, Tensor]:
        """`worst_group`, `best_group` and `largest_gap`, float64 scalars."""
        count = self._sum("count")
        enough = count >= self.least
        if int(enough.sum()) < 2:
            given = f"{int(enough.sum())} groups of {self.least} samples or more"
            raise InputError("GroupScores", given=given, expected="two or more", hint="update with more, or least=1")
        means = (self._sum("total") / count)[enough]
        return {"worst_group": means.min(), "best_group": means.max(), "largest_gap": means.max() - means.min()}
