"""What a patch against a detector raises, read from all its candidates (N, M, 4 + classes).

`hide` is bounded by what still shows: the smooth maximum of an object's candidates. A plain sum of log-odds isn't, so
that a budget is spent on candidates that are off already; it is here as the control that shows it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.boxes import box_iou, to_centre

REACH = 0.1
"""Overlap from which a candidate counts as one of an object, and a detection as not having lost it."""
_NEAR = 2.0  # candidates of nobody whose centre lies in an object's box, so many times as large, are its, too
_OFF = -30.0  # a log-odds that means nothing
_ASSIGNED = 0.5


@dataclass(frozen=True)
class Scene:
    """What a loss is given beside the candidates: objects in a row, each with its image.

    Attributes:
        boxes: level boxes of the objects, as they lie in the images that were shown.
        image: the image of each.
        clean: of each object, its candidate with the highest score before the attack; -1 where it has none.
        alpha: weight of the boxes in `box_obj`.
        beta: weight of the scores in `box_obj`.
    """

    boxes: Float[Tensor, "k 4"]
    image: Int64[Tensor, " k"]
    clean: Int64[Tensor, " k"]
    alpha: float
    beta: float

    def mine(self, out: Float[Tensor, "n m columns"]) -> tuple[Tensor, Bool[Tensor, "k m"], Tensor]:
        """(log-odds (k, m) of the strongest class, which candidates are an object's, overlaps (k, m)).

        Args:
            out: candidates.
        """
        boxes, logits = out[..., :4].detach(), out[..., 4:].amax(2)
        seen = boxes[self.image]
        overlap = box_iou(self.boxes[:, None].to(seen), seen)[:, 0]
        centre, own = to_centre(seen)[..., :2], to_centre(self.boxes.to(seen))[:, None]
        near = ((centre - own[..., :2]).abs() <= own[..., 2:] * _NEAR / 2).all(2)
        on = overlap >= REACH
        somebodys = torch.zeros_like(logits).index_add(0, self.image, on.to(logits)) > 0
        return logits[self.image], on | (near & ~somebodys[self.image]), overlap

    def by_image(self, values: Float[Tensor, " k"], n: int) -> Float[Tensor, " n"]:
        """Sums over the objects of each image.

        Args:
            values: of the objects.
            n: images.
        """
        return values.new_zeros(n).index_add(0, self.image, values)


Objective = Callable[[Float[Tensor, "n m columns"], Scene], Float[Tensor, " n"]]


def hide(out: Tensor, scene: Scene) -> Tensor:
    """Minus the sum over objects of logsumexp of the log-odds of their candidates.

    Args:
        out: candidates.
        scene: the objects.
    """
    logits, mine, _ = scene.mine(out)
    return -scene.by_image(torch.where(mine, logits, _OFF).logsumexp(1), len(out))


def softplus(out: Tensor, scene: Scene) -> Tensor:
    """Minus the sum of log(1 + odds) of objects' candidates.

    Args:
        out: candidates.
        scene: the objects.
    """
    logits, mine, _ = scene.mine(out)
    return -scene.by_image(torch.where(mine, F.softplus(logits), 0.0).sum(1), len(out))


def plain_sum(out: Tensor, scene: Scene) -> Tensor:
    """Minus the sum of the log-odds of objects' candidates: unbounded, a control.

    Args:
        out: candidates.
        scene: the objects.
    """
    logits, mine, _ = scene.mine(out)
    return -scene.by_image(torch.where(mine, logits, 0.0).sum(1), len(out))


def strongest(out: Tensor, scene: Scene) -> Tensor:
    """Minus the log-odds of the one candidate that was strongest before: others take over, a control.

    Args:
        out: candidates.
        scene: the objects.
    """
    logits = out[..., 4:].amax(2)[scene.image]
    own = logits.gather(1, scene.clean.clamp_min(0)[:, None])[:, 0]
    return -scene.by_image(torch.where(scene.clean >= 0, own, 0.0), len(out))


def box_obj(out: Tensor, scene: Scene) -> Tensor:
    """alpha * 0.05 * (1 - CIoU) of assigned candidates, plus beta * cross-entropy of all scores with that overlap.

    The training loss of single-stage detectors, which the released code raises; the class loss is left out.

    Args:
        out: candidates.
        scene: the objects.
    """
    _, _, overlap = scene.mine(out)
    best = overlap.argmax(1, keepdim=True)
    assigned = (overlap >= _ASSIGNED) | torch.zeros_like(overlap, dtype=torch.bool).scatter(1, best, True)
    found = out[..., :4][scene.image]
    ciou = complete_iou(found, scene.boxes[:, None].to(out).expand_as(found))
    count = assigned.sum(1).clamp_min(1)
    location = torch.where(assigned, 1 - ciou, 0.0).sum(1) / count
    wanted = torch.zeros_like(out[..., 0])
    goal = torch.where(assigned, ciou.detach().clamp(0, 1), 0.0)
    wanted = wanted.scatter_reduce(0, scene.image[:, None].expand_as(goal), goal, "amax")
    scores = F.binary_cross_entropy_with_logits(out[..., 4:].amax(2), wanted, reduction="none").mean(1)
    return scene.alpha * 0.05 * scene.by_image(location, len(out)) + scene.beta * scores


def shift(out: Tensor, scene: Scene) -> Tensor:
    """Raise candidates that lie beside an object and lower those on it: it shall be found at a wrong place.

    Args:
        out: candidates.
        scene: the objects.
    """
    logits, mine, overlap = scene.mine(out)
    on, beside = mine & (overlap >= _ASSIGNED), mine & (overlap < _ASSIGNED - REACH)
    value = torch.where(beside, logits, _OFF).logsumexp(1) - torch.where(on, logits, _OFF).logsumexp(1)
    return scene.by_image(value, len(out))


def fabricate(out: Tensor, scene: Scene) -> Tensor:
    """logsumexp of the log-odds of all candidates that belong to no object: false alarms.

    Args:
        out: candidates.
        scene: the objects.
    """
    _, mine, _ = scene.mine(out)
    taken = torch.zeros_like(out[..., 0]).index_add(0, scene.image, mine.to(out)) > 0
    return torch.where(taken, _OFF, out[..., 4:].amax(2)).logsumexp(1)


LOSSES: dict[str, Objective] = {
    "hide": hide,
    "box_obj": box_obj,
    "softplus": softplus,
    "sum": plain_sum,
    "strongest": strongest,
    "shift": shift,
    "fabricate": fabricate,
}


def complete_iou(a: Float[Tensor, "*n 4"], b: Float[Tensor, "*n 4"]) -> Float[Tensor, " *n"]:
    """IoU - (distance of centres / diagonal of the hull)^2 - weight * (difference of aspects)^2; arXiv 1911.08287.

    Boxes without an extent are taken as 1e-4 pixels wide, so that nothing is divided by 0.

    Args:
        a: corners, with gradient.
        b: corners.
    """
    ca, cb = to_centre(a), to_centre(b)
    size_a, size_b = ca[..., 2:].clamp_min(1e-4), cb[..., 2:].clamp_min(1e-4)
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    inter = (high - low).clamp_min(0).prod(-1)
    iou = inter / (size_a.prod(-1) + size_b.prod(-1) - inter)
    hull = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    away = (ca[..., :2] - cb[..., :2]).square().sum(-1) / hull.square().sum(-1).clamp_min(1e-8)
    turn = torch.atan(size_b[..., 0] / size_b[..., 1]) - torch.atan(size_a[..., 0] / size_a[..., 1])
    aspect = 4 / torch.pi**2 * turn.square()
    weight = (aspect / (1 - iou + aspect).clamp_min(1e-8)).detach()
    return iou - away - weight * aspect


def strongest_candidates(
    out: Float[Tensor, "n m columns"], boxes: Float[Tensor, "k 4"], image: Int64[Tensor, " k"]
) -> Int64[Tensor, " k"]:
    """Of each object its candidate with the highest score among those that overlap it by `REACH`; -1 for none.

    Args:
        out: candidates of clean images.
        boxes: of the objects.
        image: the image of each.
    """
    logits = out[..., 4:].amax(2)[image]
    overlap = box_iou(boxes[:, None].to(out), out[..., :4][image])[:, 0]
    kept = torch.where(overlap >= REACH, logits, -torch.inf)
    best = kept.argmax(1)
    return torch.where(kept.amax(1) > -torch.inf, best, -1)


def hidden_objects(
    out: Float[Tensor, "n m columns"], boxes: Float[Tensor, "k 4"], image: Int64[Tensor, " k"], threshold: float
) -> Bool[Tensor, " k"]:
    """Whether no candidate above a score overlaps an object by `REACH`.

    Args:
        out: candidates.
        boxes: of the objects.
        image: the image of each.
        threshold: the score.
    """
    scores = out[..., 4:].amax(2).sigmoid()[image]
    overlap = box_iou(boxes[:, None].to(out), out[..., :4][image])[:, 0]
    return ~((overlap >= REACH) & (scores >= threshold)).any(1)
