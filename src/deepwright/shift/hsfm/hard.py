"""Which samples are hard, and which the support is drawn from."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.randomness import generator
from deepwright.shift.problems import ShiftWarning


class HardSet:
    """The samples of each class with the largest losses, found on their device without a word to the host.

    Args:
        y: (m,) classes.
        classes: how many; each must have a sample.
        k: samples of each class; all of a class that has fewer.
    """

    def __init__(self, y: Tensor, classes: int, k: int) -> None:
        self.y = y
        counts = torch.bincount(y, minlength=classes)
        starts = counts.cumsum(0) - counts
        rank = torch.arange(len(y), device=y.device) - starts.repeat_interleave(counts)
        self.places = (rank < k).nonzero().flatten()  # in the order of classes, hardest first in each
        self.labels = torch.arange(classes, device=y.device).repeat_interleave(counts)[self.places]

    def rows(self, losses: Tensor) -> Tensor:
        """Their indices, class by class, the hardest first; of equal ones the earlier.

        Args:
            losses: (m,) of all samples; several runs may stand in front.
        """
        hardest = losses.argsort(descending=True, stable=True)
        return hardest.gather(-1, self.y[hardest].argsort(stable=True)[..., self.places])


def hard_set(logits: Tensor, y: Tensor, k: int) -> Tensor:
    """Indices of the k samples of each class with the largest cross-entropy (all of a smaller class).

    Args:
        logits: (m, classes).
        y: (m,) classes.
        k: of each class.
    """
    return HardSet(y, logits.shape[1], k).rows(F.cross_entropy(logits, y, reduction="none"))


def drawn_support(y: Tensor, classes: int, n: int, seed: int) -> Tensor:
    """Indices of n rows of each class, drawn; all of a class that has fewer, with a warning.

    Args:
        y: (n,) classes of the training rows.
        classes: how many.
        n: rows of each.
        seed: of the draw.
    """
    counts = torch.bincount(y, minlength=classes)
    few = (counts < n).nonzero().flatten().tolist()
    if few:
        warnings.warn(
            f"{len(few)} classes have fewer than {n} training rows (class {few[0]} has {int(counts[few[0]])}): all of "
            "them are in the support",
            ShiftWarning,
            stacklevel=4,
        )
    order = torch.randperm(len(y), generator=generator(seed, "support")).to(y.device)
    order = order[y[order].argsort(stable=True)]
    rank = torch.arange(len(y), device=y.device) - (counts.cumsum(0) - counts).repeat_interleave(counts)
    return order[rank < n]
