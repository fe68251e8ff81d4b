"""Which detections of an image find which true boxes, and average precision for many weightings of the images."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from deepwright.core.boxes import Detections, box_iou, greedy_choices

Area = tuple[float, float]
EVERY_SIZE: Area = (-math.inf, math.inf)


def matches(guess: Detections, truth: Detections, iou: Float[Tensor, " t"]) -> Bool[Tensor, "t k"]:
    """Which detections are hits at each overlap.

    By falling score (stable), each takes the free true box of its class that it overlaps most, if by at least `iou`.

    Args:
        guess: k detections with scores.
        truth: the true boxes.
        iou: overlaps.
    """
    return choices(guess, truth, iou) >= 0


def choices(guess: Detections, truth: Detections, iou: Float[Tensor, " t"]) -> Int64[Tensor, "t k"]:
    """The true box that each detection finds at each overlap, see `matches`; -1 for none.

    Args:
        guess: k detections with scores.
        truth: the true boxes.
        iou: overlaps.
    """
    if len(truth) == 0:
        return _greedy(guess, guess.boxes.new_zeros(len(guess), 0), iou)
    same = guess.labels[:, None] == truth.labels
    return _greedy(guess, torch.where(same, box_iou(guess.boxes.double(), truth.boxes.double()), -1.0), iou)


def _greedy(guess: Detections, overlap: Tensor, iou: Tensor, shared: Tensor | None = None) -> Int64[Tensor, "t k"]:
    """By falling score the column of `overlap` that each detection takes; -1 for none."""
    found = torch.full((len(iou), len(guess)), -1, dtype=torch.long, device=guess.boxes.device)
    if overlap.numel() == 0 or guess.scores is None:
        return found
    order = guess.scores.argsort(descending=True, stable=True)
    # One transfer an image: each detection's choice depends on those before it, which no kernel does well.
    held = None if shared is None else shared.cpu().numpy()
    taken = greedy_choices(overlap[order].detach().cpu().numpy(), iou.detach().cpu().numpy(), held)
    found[:, order] = torch.from_numpy(taken).to(found.device)
    return found


def beside_aside(guess: Detections, truth: Detections, iou: Float[Tensor, " t"]) -> Bool[Tensor, "t k"]:
    """Which detections find nothing and lie on a box of their class that is set aside, so that they don't count.

    Args:
        guess: k detections with scores.
        truth: the true boxes.
        iou: overlaps.
    """
    return matches_within(guess, truth, iou, EVERY_SIZE)[1]


def matches_within(
    guess: Detections, truth: Detections, iou: Float[Tensor, " t"], area: Area
) -> tuple[Bool[Tensor, "t k"], Bool[Tensor, "t k"]]:
    """Which detections are hits among objects of a size, and which don't count at all.

    Objects of other sizes neither count as found nor as missed: a detection may take one where no object of the size is
    left for it, and then doesn't count; nor does one that finds nothing and is of another size itself. The same holds
    of boxes that are set aside, which any number of detections may lie on.

    Args:
        guess: k detections with scores.
        truth: the true boxes.
        iou: overlaps.
        area: least and largest number of pixels of a box, both included.
    """
    inside = _within(truth.boxes, area)
    wanted = Detections(truth.boxes[inside], truth.labels[inside])
    hits = matches(guess, wanted, iou)
    overlap, shared = _of_others(guess, Detections(truth.boxes[~inside], truth.labels[~inside], None, truth.aside))
    beside = torch.zeros_like(hits)
    if overlap.numel() == 0:
        return hits, beside | (~hits & ~_within(guess.boxes, area))
    for level in range(len(iou)):  # what an object of the size took is no longer there for the others
        left = ~hits[level]
        rest = Detections(guess.boxes[left], guess.labels[left], None if guess.scores is None else guess.scores[left])
        beside[level, left] = _greedy(rest, overlap[left], iou[level : level + 1], shared)[0] >= 0
    return hits, beside | (~hits & ~_within(guess.boxes, area))


def _of_others(guess: Detections, others: Detections) -> tuple[Tensor, Bool[Tensor, " m"]]:
    """Overlaps of detections with true boxes that don't count, and which of these many detections may take."""
    same = guess.labels[:, None] == others.labels
    overlap = torch.where(same, box_iou(guess.boxes.double(), others.boxes.double()), -1.0)
    shared = torch.zeros(len(others), dtype=torch.bool, device=overlap.device)
    if others.aside is None or len(others.aside.labels) == 0:
        return overlap, shared
    same = guess.labels[:, None] == others.aside.labels
    lies = torch.where(same, others.aside.overlaps(guess.boxes.double()), -1.0)
    return torch.cat([overlap, lies], 1), torch.cat([shared, torch.ones_like(others.aside.crowd)])


def _within(boxes: Tensor, area: Area) -> Bool[Tensor, " k"]:
    size = (boxes[:, 2:] - boxes[:, :2]).double().prod(1)
    return (size >= area[0]) & (size <= area[1])


class WeightedDetections:
    """Average precision over classes and overlaps, for many weightings of the images.

    Boxes are matched once; a resample of images only weighs what was matched.

    Args:
        guesses: detections of each image.
        truths: true boxes of each image.
        iou: overlaps, all of which are averaged.
        points: recalls at which the precision is read.
        limit: detections of a class in an image that count, by score.
        area: only objects of so many pixels, see `matches_within`; all of them when None.
    """

    def __init__(
        self,
        guesses: Sequence[Detections],
        truths: Sequence[Detections],
        iou: Sequence[float],
        points: int = 101,
        limit: int = 100,
        area: Area | None = None,
    ) -> None:
        device = truths[0].boxes.device
        levels = torch.tensor(iou, dtype=torch.float64, device=device)
        kept = [_first(guess, limit) for guess in guesses]
        pairs = [matches_within(g, t, levels, area or EVERY_SIZE) for g, t in zip(kept, truths)]
        hits = torch.cat([hit for hit, _ in pairs], 1).double()
        counted = torch.cat([~left_out for _, left_out in pairs], 1).double()
        if area is not None:
            truths = [Detections(t.boxes[_within(t.boxes, area)], t.labels[_within(t.boxes, area)]) for t in truths]
        labels = torch.cat([g.labels for g in kept])
        image = torch.cat([torch.full_like(g.labels, i) for i, g in enumerate(kept)])
        scores = torch.cat([g.scores for g in kept if g.scores is not None])
        order = scores.argsort(descending=True, stable=True)
        self.hits, self.labels, self.image = hits[:, order], labels[order], image[order]
        self.counted = counted[:, order]
        self.counts = _per_class(truths, device)
        self.classes = [c for c in range(self.counts.shape[1]) if bool(self.counts[:, c].any())]
        self.recalls = torch.from_numpy(np.linspace(0, 1, points)).to(device)  # to the last bit those of core.boxes

    def __call__(self, weights: Float[Tensor, "rows n"]) -> Float[Tensor, "rows t"]:
        """Mean average precision of each weighting at each overlap; NaN where no true box is left."""
        columns = [self.of_class(weights, c) for c in self.classes]
        if not columns:
            return torch.full((len(weights), len(self.hits)), torch.nan, dtype=torch.float64, device=weights.device)
        return torch.stack(columns).nanmean(0)

    def of_class(self, weights: Float[Tensor, "rows n"], c: int) -> Float[Tensor, "rows t"]:
        """Average precision of one class.

        Args:
            weights: of the images.
            c: its label, one of `classes`.
        """
        total = weights @ self.counts[:, c]
        mine = (self.labels == c).nonzero().flatten()
        if len(mine) == 0:
            return torch.where(total > 0, 0.0, torch.nan)[:, None].expand(-1, len(self.hits))
        w = weights[:, self.image[mine]]
        pairs = zip(self.hits[:, mine], self.counted[:, mine])
        values = [self._interpolated((w * hit).cumsum(1), (w * there).cumsum(1), total) for hit, there in pairs]
        return torch.stack(values, 1)

    def _interpolated(self, hit: Tensor, claimed: Tensor, total: Tensor) -> Tensor:
        """Mean over the recalls of the best precision from there on."""
        precision = (hit / claimed.clamp_min(1e-300)).flip(1).cummax(1).values.flip(1)
        padded = torch.cat([precision, torch.zeros_like(precision[:, :1])], 1)
        recall = (hit / total[:, None]).contiguous()
        place = torch.searchsorted(recall, self.recalls.expand(len(hit), -1).contiguous(), right=False)
        return torch.where(total > 0, padded.gather(1, place).mean(1), torch.nan)


def _first(guess: Detections, limit: int) -> Detections:
    """The detections with the highest scores of each class."""
    assert guess.scores is not None
    order = guess.scores.argsort(descending=True, stable=True)
    labels = guess.labels[order]
    earlier = (labels[:, None] == labels).tril(-1).sum(1)
    kept = order[earlier < limit]
    return Detections(guess.boxes[kept], guess.labels[kept], guess.scores[kept])


def _per_class(truths: Sequence[Detections], device: torch.device) -> Float[Tensor, "n classes"]:
    """Number of true boxes of each class in each image."""
    classes = 1 + max((int(t.labels.max()) for t in truths if len(t)), default=-1)
    rows: list[Int64[Tensor, " classes"]] = [torch.bincount(t.labels, minlength=classes) for t in truths]
    return torch.stack(rows).double().to(device)
