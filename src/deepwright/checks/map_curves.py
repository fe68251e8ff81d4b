"""Label maps over rising budgets: what is hit of each image, and how much of the mean IoU an attack leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from deepwright.checks.curves import numbered, placed
from deepwright.core.devices import device_of
from deepwright.core.inference import read_outputs
from deepwright.core.spreading import spread_map
from deepwright.core.statistics import Interval, wilson
from deepwright.core.tasks import Segmentation
from deepwright.core.tasks.intervals import bootstrap
from deepwright.data import Split


@dataclass(frozen=True)
class MapCurve:
    """What is hit of each image without an attack, and at its worst up to each budget.

    Attributes:
        task: whose classes they are.
        counts: hits, predictions and true positions of each class.
        right: whether each image's mean IoU reaches the task's bound.
        seed: of the intervals.
    """

    task: Segmentation
    counts: Float[Tensor, "budgets n three classes"]
    right: Bool[Tensor, "budgets n"]
    seed: int = 0

    def share_right(self) -> list[Interval]:
        """Share of the images whose mean IoU reaches the task's bound, at each budget."""
        return [wilson(int(row.sum()), len(row)) for row in self.right]

    def mean_iou(self) -> list[Interval]:
        """Mean IoU over all images at each budget; whole images are drawn by the bootstrap, the same at each."""
        b, n = self.counts.shape[:2]

        def each(w: Tensor) -> dict[str, Tensor]:
            return {str(i): self._of(w, i) for i in range(b)}

        found = bootstrap(n, each, seed=self.seed, shares={str(i): n for i in range(b)})
        return [found[str(i)] for i in range(b)]

    def kept(self, at: int) -> Interval | None:
        """Mean IoU at a budget over that without an attack, 1 at most; None where there is none without.

        Both are of the same resamples of whole images.

        Args:
            at: which budget; 0 is none.
        """
        n = self.counts.shape[1]
        if float(self._of(torch.ones(1, n, dtype=torch.float64), 0)) <= 0:
            return None

        def ratio(w: Tensor) -> dict[str, Tensor]:
            return {"kept": (self._of(w, at) / self._of(w, 0)).clamp_max(1)}

        return bootstrap(n, ratio, seed=self.seed, shares={"kept": n})["kept"]

    def _of(self, weights: Tensor, at: int) -> Tensor:
        counts = self.counts[at]
        return self.task.mean_iou((weights.to(counts) @ counts.flatten(1)).unflatten(1, counts.shape[1:]))


def map_curve(
    model: nn.Module,
    task: Segmentation,
    split: Split,
    attacks: Sequence[Callable[..., Any]],
    eps: Sequence[float],
    batch_size: int,
    seed: int = 0,
) -> MapCurve:
    """Attack every image at each budget; a budget holds what a smaller one found.

    Args:
        model: left as found.
        task: of label maps.
        split: images and their label maps.
        attacks: one for each budget: (model, x, y, *, eps, ids) -> result with `x_adv`.
        eps: rising budgets.
        batch_size: images at a time.
        seed: of the intervals.
    """
    opened = partial(_attacked, model, task, attacks, eps)
    parts = spread_map(opened, numbered(split.batches(batch_size)))
    counts, right = (torch.cat(each, 1) for each in zip(*parts, strict=True))
    return MapCurve(task, counts, right, seed)


@contextmanager
def _attacked(
    model: nn.Module, task: Segmentation, attacks: Sequence[Callable[..., Any]], eps: Sequence[float]
) -> Iterator[Callable[[int, Any], tuple[Tensor, Tensor]]]:
    """Of a batch: the counts of its images and which are right, at each budget."""

    def counted(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        out = task.join(read_outputs(model, [x], lambda out, n: task.read(out, n, strict=False)))
        return task.image_counts(out, y).cpu(), task.right(out, y).cpu()

    def one(number: int, batch: Any) -> tuple[Tensor, Tensor]:
        ids, x, y = batch
        x, y = placed(x, model), y.to(device_of(model))
        found = [counted(x, y)]
        for e, attack in zip(eps, attacks, strict=True):
            found.append(_worse(task, found[-1], counted(attack(model, x, y, eps=e, ids=ids).x_adv, y)))
        return torch.stack([counts for counts, _ in found]), torch.stack([right for _, right in found])

    yield one


def _worse(task: Segmentation, old: tuple[Tensor, Tensor], new: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Of each image the try of the lower mean IoU."""
    lower = task.mean_iou(new[0]) < task.mean_iou(old[0])
    return torch.where(lower[:, None, None], new[0], old[0]), torch.where(lower, new[1], old[1])
