"""Objects in images, read from a detector's candidates: before scores are cut and doubles suppressed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.boxes import Detections, box_iou, class_nms
from deepwright.core.requirements import require_whole, require_within
from deepwright.core.statistics import Interval
from deepwright.core.tasks.detection import Detection
from deepwright.core.tasks.detection_batch import DetectionBatch
from deepwright.core.tasks.protocol import chosen_loss
from deepwright.core.tasks.reading import finite_rows, raised, require_finite, require_form, unwrap
from deepwright.core.tasks.targets import beside

_FLOOR = 13.8  # -log of the least score that counts, 1e-6
_QUADRATIC = 400  # candidates of an image that go into suppression, best first


@dataclass(frozen=True)
class CandidateDetection(Detection):
    """Outputs (N, M, 4 + classes): of M candidates the corners in pixels and the logits of independent classes.

    What is right and every metric is of the detections that the candidates become: scores of at least `least`, doubles
    of a class suppressed, the best `limit`. Losses of attacks see all candidates. Targets are those of `Detection`.

    Args:
        classes: labels are 0..classes - 1, without a background.
        names: of the classes, or none.
        iou: overlap at which a detection finds a box, and a candidate belongs to it.
        score_threshold: detections from this score on are claimed.
        least: score below which a candidate is dropped.
        suppression: overlap with a better box of its class from which a box is suppressed.
        limit: most detections an image.
    """

    score_threshold: float = 0.25
    least: float = 0.05
    suppression: float = 0.5
    limit: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        require_within(0, 1, least=self.least, suppression=self.suppression)
        require_whole(1, limit=self.limit)

    @property
    def attack_losses(self) -> tuple[str, ...]:
        """Of the final scores; objects lose theirs; candidates of nothing gain; objects get another label."""
        return ("ce", "vanish", "fabricate", "mislabel") if self.classes > 1 else ("ce", "vanish", "fabricate")

    def read(self, out: Any, n: int | None = None, *, strict: bool = True) -> Any:
        """Candidates (N, M, 4 + classes); detections that were made of them stay."""
        if isinstance(out, DetectionBatch):
            return out
        expected = f"(N, candidates, {4 + self.classes})"
        candidates = unwrap(out, n, self._fits, expected)
        hint = "four corners, then a logit a class: deepwright.nets.CandidateBoxes(detector)"
        require_form(candidates, n, self._fits(candidates), expected, hint)
        if strict:
            require_finite(candidates)
        return candidates

    def _fits(self, out: Tensor) -> bool:
        return out.ndim == 3 and out.shape[2] == 4 + self.classes

    def join(self, parts: Sequence[Any]) -> Any:
        """Batches as one."""
        return super().join(parts) if isinstance(parts[0], DetectionBatch) else torch.cat(list(parts))

    def finite(self, out: Any) -> Bool[Tensor, " n"]:
        """Whether all numbers of an image are finite."""
        return out.finite() if isinstance(out, DetectionBatch) else finite_rows(out)

    def final(self, out: Any) -> DetectionBatch:
        """What the candidates become.

        Args:
            out: as `read` gives it.
        """
        if isinstance(out, DetectionBatch):
            return out
        found = []
        for boxes, logits in zip(out[..., :4], raised(out[..., 4:])):
            chances = torch.where(torch.isfinite(logits), logits, -torch.inf).sigmoid()
            place, label = torch.nonzero(chances >= self.least, as_tuple=True)
            score = chances[place, label]
            if len(score) > _QUADRATIC:
                best = score.topk(_QUADRATIC).indices
                place, label, score = place[best], label[best], score[best]
            kept = class_nms(boxes[place].detach(), score.detach(), label, self.suppression)[: self.limit]
            found.append(Detections(boxes[place][kept], label[kept], score[kept]))
        return DetectionBatch(found)

    def loss(self, out: Any, y: DetectionBatch) -> Float[Tensor, " n"]:
        """That of `Detection`, of what the candidates become."""
        return super().loss(self.final(out), y)

    def right(self, out: Any, y: DetectionBatch) -> Bool[Tensor, " n"]:
        """Whether all objects of an image are found, and an image without one is left alone."""
        return super().right(self.final(out), y)

    def score(self, out: Any, y: DetectionBatch) -> Float[Tensor, " n"]:
        """F1 of the claimed detections of an image; 1 where there is nothing and nothing is claimed."""
        return super().score(self.final(out), y)

    def prediction(self, out: Any) -> DetectionBatch:
        """The detections that are claimed."""
        return super().prediction(self.final(out))

    def error_rates(self, out: Any, y: DetectionBatch) -> dict[str, float]:
        """Share of objects that no claimed detection finds, and claimed detections of nothing an image.

        Args:
            out: candidates.
            y: true boxes, at least one of them.
        """
        return super().error_rates(self.final(out), y)

    def headline_value(self, out: Any, y: DetectionBatch) -> float:
        """Mean average precision over overlaps and classes."""
        return super().headline_value(self.final(out), y)

    def metrics(self, out: Any, y: DetectionBatch, *, resamples: int = 1000, seed: int = 0) -> dict[str, Interval]:
        """Those of `Detection`."""
        return super().metrics(self.final(out), y, resamples=resamples, seed=seed)

    def adversarial_loss(
        self,
        out: Any,
        y: DetectionBatch | None = None,
        target: DetectionBatch | None = None,
        *,
        loss: str | None = None,
    ) -> Float[Tensor, " n"]:
        """The loss of the final scores (minus that of the target), or one of those on candidates, away from y.

        vanish: mean over objects of the mean of -log p of its class over the candidates that belong to it; mislabel: of
        the log p of its strongest other class, and of log(1 - p) of its own; fabricate: logsumexp of all logits of
        candidates that belong to no object. An object to which none belongs counts as lost.
        """
        y, target = beside(out, y), beside(out, target)
        name = chosen_loss(self, loss, y, target)
        if name == "ce" or target is not None:
            return super().adversarial_loss(self.final(out), y, target, loss="ce")
        assert y is not None
        if name == "fabricate":
            return self.fabricated(out, y)
        return self.vanished(out, y) if name == "vanish" else self.mislabelled(out, y, None)

    def belonging(
        self, out: Float[Tensor, "n m columns"], y: DetectionBatch
    ) -> tuple[Bool[Tensor, "n m k"], Int64[Tensor, "n k"]]:
        """(whether a candidate overlaps an object by `iou`, labels of the objects, -1 beyond each image's own).

        Args:
            out: candidates.
            y: true boxes.
        """
        most = max([1, *map(len, y)])
        boxes = out.new_zeros(len(y), most, 4)
        labels = torch.full((len(y), most), -1, device=out.device)
        for i, truth in enumerate(y):
            boxes[i, : len(truth)], labels[i, : len(truth)] = truth.boxes.to(boxes), truth.labels.to(labels)
        return (box_iou(out[..., :4].detach(), boxes) >= self.iou) & (labels >= 0)[:, None], labels

    def vanished(self, out: Float[Tensor, "n m columns"], y: DetectionBatch) -> Float[Tensor, " n"]:
        """See `adversarial_loss`; 0 for an image without objects.

        Args:
            out: candidates.
            y: true boxes.
        """
        own, mine, labels = self._own(out, y)
        return _over_objects(F.softplus(-own).clamp_max(_FLOOR), mine, labels, _FLOOR)

    def mislabelled(
        self, out: Float[Tensor, "n m columns"], y: DetectionBatch, wanted: int | None
    ) -> Float[Tensor, " n"]:
        """See `adversarial_loss`; 0 for an image without objects.

        Args:
            out: candidates.
            y: true boxes.
            wanted: the label that they shall get; None for the strongest other.
        """
        own, mine, labels = self._own(out, y)
        logits = raised(out[..., 4:])
        if wanted is None:
            index = labels.clamp_min(0)[:, None, :, None].expand(-1, out.shape[1], -1, 1)
            several = logits[:, :, None].expand(-1, -1, labels.shape[1], -1)
            other = several.scatter(3, index, -torch.inf).amax(3)
        else:
            other = logits[..., wanted, None].expand_as(own)
        value = F.logsigmoid(other).clamp_min(-_FLOOR) + F.logsigmoid(-own).clamp_min(-_FLOOR)
        return _over_objects(value, mine, labels, -_FLOOR)

    def fabricated(self, out: Float[Tensor, "n m columns"], y: DetectionBatch) -> Float[Tensor, " n"]:
        """See `adversarial_loss`.

        Args:
            out: candidates.
            y: true boxes.
        """
        mine, _ = self.belonging(out, y)
        free = ~mine.any(2, keepdim=True)
        return torch.where(free, raised(out[..., 4:]), -30.0).flatten(1).logsumexp(1)

    def _own(self, out: Tensor, y: DetectionBatch) -> tuple[Tensor, Tensor, Tensor]:
        """(logit of each object's class at each candidate, which belong to it, labels)."""
        mine, labels = self.belonging(out, y)
        index = labels.clamp_min(0)[:, None].expand(-1, out.shape[1], -1)
        return raised(out[..., 4:]).gather(2, index), mine, labels


def _over_objects(values: Tensor, mine: Tensor, labels: Tensor, lost: float) -> Tensor:
    """(N,) mean over objects of the mean over the candidates that belong to each, `lost` where none does."""
    count, real = mine.sum(1), labels >= 0
    mean = torch.where(mine, values, 0.0).sum(1) / count.clamp_min(1)
    each = torch.where(real, torch.where(count > 0, mean, lost), 0.0)
    return each.sum(1) / real.sum(1).clamp_min(1)
