"""Attacks on a class at every position: segmentation PGD, CosPGD, a wanted scene, one class removed.

All steps are done (to be below a bound isn't the worst), and tries are compared by one loss, the task's, whatever the
gradient is taken of. Images without a position that counts are skipped, with a flag.
Sources: arXiv 2207.12391 (SegPGD), 2302.02213 (CosPGD), 1704.05712 (scenes and removed classes).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from deepwright.adversarial.aim import Aim, LossFunction
from deepwright.adversarial.attacks.gradient import PGD
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole, require_within
from deepwright.core.tasks import Segmentation, class_losses


class DensePGD(PGD):
    """PGD on the task's cross-entropy or margin over all positions, to the last step.

    Args:
        eps: budget.
        norm: "linf", "l2" or "l1".
        steps: iterations of each restart.
        early_stop: leave an image alone once its mean IoU is below the task's `iou`.
        options: of `PGD`, with `task=Segmentation(...)` among them.
    """

    applies_to = (Segmentation,)

    def __init__(
        self, eps: float | Tensor, norm: str = "linf", steps: int = 20, *, early_stop: bool = False, **options: Any
    ) -> None:
        super().__init__(eps, norm, steps, early_stop=early_stop, **options)

    @property
    def name(self) -> str:
        """How tables call it: by its loss where that tells it from others."""
        if type(self) is not DensePGD:
            return type(self).__name__
        return f"PGD on {'cross-entropy' if self.loss_name == 'ce' else self.loss_name}"

    @property
    def positions(self) -> Segmentation:
        """Its task."""
        assert isinstance(self.task, Segmentation)
        return self.task

    def _taken(self, aim: Aim, y: Any, n: int) -> Any:
        return self.positions.label_maps(y, n, "y")

    def _skipped(self, out: Any, y: Any, reached: Tensor) -> Tensor | None:
        return ~self.positions.valid(y).flatten(1).any(1)


@dataclass(frozen=True)
class Weighted:
    """Mean cross-entropy over the positions that count, each weighted; no gradient flows through weights.

    Args:
        task: which positions count.
        cosine: weigh by the cosine between probabilities and the one-hot label; else by `wrong`.
        wrong: weight of positions that are predicted wrongly, 1 - wrong that of the others.
        targeted: labels are wanted: it is those still away from them that are pushed.
    """

    task: Segmentation
    cosine: bool
    wrong: float
    targeted: bool

    def __call__(self, out: Float[Tensor, "n classes *positions"], y: Int64[Tensor, "n ..."]) -> Float[Tensor, " n"]:
        """One number an image.

        Args:
            out: logits.
            y: labels.
        """
        valid = self.task.valid(y)
        truth = y.where(valid, 0)
        losses = class_losses.cross_entropy(out, truth)
        return self.task.mean_valid(losses * self.weights(out.detach(), truth), valid, 0.0)

    def weights(self, out: Float[Tensor, "n classes *positions"], truth: Int64[Tensor, "n ..."]) -> Tensor:
        """(N, *positions) in [0, 1].

        Args:
            out: logits.
            truth: labels, all within the classes.
        """
        if self.cosine:
            p = out.softmax(1)
            cosine = p.gather(1, truth[:, None])[:, 0] / p.norm(dim=1)
            return 1 - cosine if self.targeted else cosine
        there = out.argmax(1) == truth
        moved = ~there if not self.targeted else there
        return torch.where(moved, self.wrong, 1 - self.wrong).to(out.dtype)


class SegPGD(DensePGD):
    """PGD on cross-entropy weighted (1 - l) on positions that are right and l on wrong ones, l = (t - 1) / 2T.

    It begins with the right ones only (t = 1) and ends with all alike (t = T). Targeted, it is the positions still away
    from their target that weigh 1 - l. Its arguments are those of `DensePGD`, without loss.
    """

    refused = {"loss": "it has an objective of its own"}

    def _objective(self, step: int) -> LossFunction | None:
        return Weighted(self.positions, False, step / (2 * self.steps), self.aim.targeted)


class CosPGD(DensePGD):
    """PGD on cross-entropy weighted by cos(softmax(z), onehot(y)), or 1 - cos where y is wanted.

    Its arguments are those of `DensePGD`, without loss.
    """

    refused = {"loss": "it has an objective of its own"}

    def _objective(self, step: int) -> LossFunction | None:
        return Weighted(self.positions, True, 0.0, self.aim.targeted)


class TargetScene(DensePGD):
    """Another scene: every position shall get the label that y wants, wherever y has one.

    An image whose prediction is that scene already (by the task's `iou`) is skipped: it is no success.

    Args:
        eps: budget.
        norm: "linf", "l2" or "l1".
        steps: iterations of each restart.
        options: of `DensePGD`, without targeted.
    """

    refused = {"targeted": "y are always wanted"}

    def __init__(self, eps: float | Tensor, norm: str = "linf", steps: int = 40, **options: Any) -> None:
        super().__init__(eps, norm, steps, **options)

    def _aimed(self, task: Any, loss: Any, success: Any, targeted: bool) -> Aim:
        return super()._aimed(task, loss, success, True)

    def _skipped(self, out: Any, y: Any, reached: Tensor) -> Tensor | None:
        return reached | ~self.positions.valid(y).flatten(1).any(1)


@dataclass(frozen=True)
class Removal:
    """Whether a class is gone, and the cross-entropy of what shall stand in its place.

    Both take y as (N, 2, *positions): the label wanted at each position, and 1 where the class was seen at x.

    Args:
        task: which positions count.
        label: the class.
        left: share of the positions where it was that may still show it.
    """

    task: Segmentation
    label: int
    left: float

    def __call__(self, out: Float[Tensor, "n classes *positions"], y: Int64[Tensor, "n two ..."]) -> Tensor:
        """(N,) minus the cross-entropy of the wanted scene, which is to be raised.

        Args:
            out: logits.
            y: see above.
        """
        return -self.task.loss(out, y[:, 0])

    def gone(self, out: Float[Tensor, "n classes *positions"], y: Int64[Tensor, "n two ..."]) -> Bool[Tensor, " n"]:
        """(N,) whether no more than the share is left.

        Args:
            out: logits.
            y: see above.
        """
        was = (y[:, 1] == 1).flatten(1)
        seen = ((out.argmax(1) == self.label) & self.task.valid(y[:, 0])).flatten(1)
        return (seen.sum(1) <= self.left * was.sum(1)) & was.any(1)


class ClassRemoval(DensePGD):
    """Targeted PGD to the scene that the network sees without one class, whose positions take the nearest other label.

    Success: at most `left` of as many positions as showed the class at x still show it, anywhere. Images on which the
    network sees none of it, or nothing else, are skipped. Labels matter by their positions that don't count only. The
    nearest labels are found on the CPU, once.

    Args:
        eps: budget.
        label: the class that shall vanish.
        norm: "linf", "l2" or "l1".
        steps: iterations of each restart.
        left: share that may be left.
        options: of `DensePGD`, without loss, success and targeted.
    """

    refused = {"loss": "it has an objective of its own", "targeted": "its target comes from what the network sees"}

    def __init__(
        self,
        eps: float | Tensor,
        label: int,
        norm: str = "linf",
        steps: int = 40,
        *,
        left: float = 0.0,
        **options: Any,
    ) -> None:
        require_whole(0, label=label)
        require_within(0, 1, ends="[)", left=left)
        self.label, self.left = int(label), float(left)
        super().__init__(eps, norm, steps, **options)

    def _aimed(self, task: Any, loss: Any, success: Any, targeted: bool) -> Aim:
        super()._aimed(task, None, None, False)
        if success is not None:
            raise InputError("success", given="a function", expected="none: ClassRemoval has its own", hint="left=0.05")
        if self.label >= task.classes:
            raise InputError("label", given=self.label, expected=f"one of the classes 0..{task.classes - 1}")
        removal = Removal(task, self.label, self.left)
        return Aim(task, removal, removal.gone, False)

    def _wanted(self, out: Any, y: Any) -> Any:
        seen = out.argmax(1)
        if not isinstance(y, Tensor) or y.shape != seen.shape or y.is_floating_point():
            given = f"{y.dtype} of shape {tuple(y.shape)}" if isinstance(y, Tensor) else type(y).__name__
            raise InputError("label maps", given=given, expected=f"whole numbers of shape {tuple(seen.shape)}")
        valid = self.positions.valid(y)
        was = (seen == self.label) & valid
        scene = nearest_others(seen, self.label).where(valid, y)
        return torch.stack([scene, was.long()], 1)

    def _skipped(self, out: Any, y: Any, reached: Tensor) -> Tensor | None:
        others = self.positions.valid(y[:, 0]) & (y[:, 0] != self.label)
        return ~(y[:, 1] == 1).flatten(1).any(1) | ~others.flatten(1).any(1)


def nearest_others(labels: Int64[Tensor, "n ..."], label: int) -> Int64[Tensor, "n ..."]:
    """Label maps in which each position of one class has the label of the nearest position of another.

    Args:
        labels: (N, *positions).
        label: the class; a map of nothing else stays as it is.
    """
    from scipy.ndimage import distance_transform_edt

    maps = labels.cpu().numpy()
    rows = []
    for one in maps:
        inside = one == label
        if inside.all():
            rows.append(one)
            continue
        nearest = distance_transform_edt(inside, return_distances=False, return_indices=True)
        rows.append(one[tuple(nearest)])
    return torch.from_numpy(np.stack(rows)).to(labels)
