"""A class for every position: logits (N, classes, *positions), labels (N, *positions)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.core.statistics import Interval
from deepwright.core.tasks import class_losses
from deepwright.core.tasks.class_order import ClassOrder
from deepwright.core.tasks.contacts import contact_counts
from deepwright.core.tasks.intervals import bootstrap
from deepwright.core.tasks.protocol import Task, chosen_loss
from deepwright.core.tasks.reading import (
    as_logits,
    column_logit,
    raised,
    require_finite,
    require_form,
    require_scale,
    unwrap,
)
from deepwright.core.tasks.targets import (
    beside,
    require_count,
    require_names,
    require_range,
    whole_labels,
)


@dataclass(frozen=True)
class Segmentation(Task):
    """One of K classes at every pixel (or voxel, or token).

    A network of two classes may have a single column of logits, which is read as the columns (0, z).

    Args:
        classes: K, two or more.
        names: of the classes, or none.
        ignore_index: the label of positions that don't count; None where all do.
        iou: a sample is right when its mean IoU, over the classes that it has or is said to have, reaches this.
        outputs: "logits", "probabilities", "log-probabilities", or "auto", which takes logits and refuses what looks
            like probabilities.
        order: which class lies inside which; metrics then hold `contact_rate`, of neighbouring positions of different
            related classes the share that the order forbids. None for classes without an order.
    """

    classes: int
    names: tuple[str, ...] = ()
    ignore_index: int | None = 255
    iou: float = 0.5
    outputs: str = "auto"
    order: ClassOrder | None = None

    kind: ClassVar[str] = "segmentation"
    headline: ClassVar[str] = "mean_iou"
    higher_is_better: ClassVar[tuple[str, ...]] = ("mean_iou", "mean_dice", "pixel_accuracy")
    lower_is_better: ClassVar[tuple[str, ...]] = ("contact_rate",)

    def __post_init__(self) -> None:
        require_whole(2, classes=self.classes)
        if not 0 < self.iou <= 1:
            raise InputError("iou", given=self.iou, expected="within (0, 1]")
        if self.ignore_index is not None and 0 <= self.ignore_index < self.classes:
            raise InputError(
                "ignore_index", given=self.ignore_index, expected=f"none of the classes 0..{self.classes - 1}"
            )
        object.__setattr__(self, "names", require_names(self.names, self.classes))
        if self.order is not None and self.order.classes != self.classes:
            given = f"an order of {self.order.classes} classes: {self.order.text}"
            raise InputError("order", given=given, expected=f"one of {self.classes}")
        require_scale(self.outputs)

    @property
    def columns(self) -> tuple[int, ...]:
        """K, or one for two classes."""
        return (1, 2) if self.classes == 2 else (self.classes,)

    @property
    def attack_losses(self) -> tuple[str, ...]:
        """Cross-entropy over all positions, and the margin of those that are still right."""
        return ("ce", "margin")

    def read(self, out: Any, n: int | None = None, *, strict: bool = True) -> Float[Tensor, "n classes *positions"]:
        """Logits (N, K, *positions)."""
        expected = f"(N, {' or '.join(map(str, self.columns))}, height, width)"
        z = unwrap(out, n, self._fits, expected)
        last = z.ndim > 2 and z.shape[-1] in self.columns
        require_form(z, n, self._fits(z), expected, "channels come second: use .movedim(-1, 1)" if last else None)
        if strict:
            require_finite(z)
        if z.shape[1] > 1:
            return as_logits(z, self.outputs, strict)
        z = column_logit(z, self.outputs, strict)
        return torch.cat([torch.zeros_like(z), z], 1)

    def _fits(self, out: Tensor) -> bool:
        return out.ndim > 2 and out.shape[1] in self.columns

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Batches as one; all of one size."""
        return torch.cat(list(parts))

    def check_targets(self, y: Any, n: int | None = None, name: str = "labels") -> Int64[Tensor, "n ..."]:
        """Labels (N, *positions) of 0..K-1 or `ignore_index` as int64; (N, 1, H, W) and booleans are taken too."""
        y = self.label_maps(y, n, name)
        blank = (~self.valid(y).flatten(1).any(1)).nonzero().flatten()
        if len(blank):
            given = f"samples {blank[:5].tolist()}{'...' if len(blank) > 5 else ''} without a position that counts"
            hint = "leave them out: they would count as right whatever the network says"
            raise InputError(name, given=given, expected="something labelled in each", hint=hint)
        return y

    def label_maps(self, y: Any, n: int | None = None, name: str = "labels") -> Int64[Tensor, "n ..."]:
        """`check_targets`, but samples without a position that counts are allowed.

        Args:
            y: what the data holds.
            n: number of samples, if known.
            name: how the user knows them.
        """
        boolean = isinstance(y, Tensor) and y.dtype == torch.bool and self.classes == 2
        y = y.long() if boolean else whole_labels(y, name)
        if y.ndim == 4 and y.shape[1] == 1:
            y = y[:, 0]
        if y.ndim < 2:
            raise InputError(
                name,
                given=f"shape {tuple(y.shape)}",
                expected="(N, height, width)",
                hint=f"one class a sample: Classification({self.classes})",
            )
        require_count(y, n, name)
        require_range(y if self.ignore_index is None else y[y != self.ignore_index], self.classes, name)
        some = y[self.valid(y).flatten(1).any(1)]  # an image that nothing is labelled in isn't a mask
        if self.ignore_index == 255 and len(y) > 1 and some.unique().tolist() == [0, 255]:  # of black and white
            raise InputError(
                name,
                given="0 and 255 only, and 255 is the label of what doesn't count",
                expected=f"labels 0..{self.classes - 1}",
                hint="divide masks of 0 and 255 by 255",
            )
        return y

    def valid(self, y: Int64[Tensor, "*n"]) -> Bool[Tensor, "*n"]:
        """Which positions count.

        Args:
            y: labels.
        """
        return torch.ones_like(y, dtype=torch.bool) if self.ignore_index is None else y != self.ignore_index

    def mean_valid(
        self, values: Shaped[Tensor, "n ..."], valid: Bool[Tensor, "n ..."], empty: float
    ) -> Shaped[Tensor, " n"]:
        """Mean over each sample's valid positions.

        Args:
            values: at each position.
            valid: which count.
            empty: the mean of a sample that has none.
        """
        count = valid.flatten(1).sum(1)
        total = torch.where(valid, values, torch.zeros_like(values)).flatten(1).sum(1)
        return torch.where(count > 0, total / count.clamp_min(1), torch.full_like(total, empty))

    def loss(self, out: Float[Tensor, "n classes *positions"], y: Int64[Tensor, "n ..."]) -> Float[Tensor, " n"]:
        """Cross-entropy, its mean over the positions that count (0 where none does)."""
        y = beside(out, y)
        valid = self._same_size(out, y)
        return self.mean_valid(class_losses.cross_entropy(out, y.where(valid, 0)), valid, 0.0)

    def _same_size(self, out: Tensor, y: Tensor) -> Tensor:
        if out.shape[2:] != y.shape[1:] or len(out) != len(y):
            raise InputError(
                "labels",
                given=f"shape {tuple(y.shape)} for outputs {tuple(out.shape)}",
                expected="the same positions",
                hint="resize the outputs inside the network to the labels' size",
            )
        return self.valid(y)

    def right(self, out: Float[Tensor, "n classes *positions"], y: Int64[Tensor, "n ..."]) -> Bool[Tensor, " n"]:
        """Whether a sample's mean IoU reaches `iou`; one without a position that counts is right."""
        y = beside(out, y)
        return _mean_iou(self.image_counts(out, y)).nan_to_num(1.0) >= self.iou

    def score(self, out: Float[Tensor, "n classes *positions"], y: Int64[Tensor, "n ..."]) -> Float[Tensor, " n"]:
        """Share of the positions that count whose class is right."""
        y = beside(out, y)
        valid = self._same_size(out, y)
        return self.mean_valid((out.argmax(1) == y).double(), valid, 1.0)

    def prediction(self, out: Float[Tensor, "n classes *positions"]) -> Int64[Tensor, "n ..."]:
        """The class with the largest logit at each position."""
        return out.argmax(1)

    def probabilities(self, out: Float[Tensor, "n classes *positions"]) -> Float[Tensor, "n classes *positions"]:
        """Softmax over the classes."""
        return raised(out).softmax(1)

    def adversarial_loss(
        self,
        out: Float[Tensor, "n classes *positions"],
        y: Int64[Tensor, "n ..."] | None = None,
        target: Int64[Tensor, "n ..."] | None = None,
        *,
        loss: str | None = None,
    ) -> Float[Tensor, " n"]:
        """Mean cross-entropy, or the mean margin in which positions that went over count 0; minus that of the target.

        With "margin" no effort goes into positions that are wrong (or on target) already.
        """
        y, target = beside(out, y), beside(out, target)
        name = chosen_loss(self, loss, y, target)
        aim = target if target is not None else y
        assert aim is not None
        if name == "ce":
            value = self.loss(out, aim)
            return value if target is None else -value
        valid = self._same_size(out, aim)
        margin = class_losses.margin(out, aim.where(valid, 0))
        return self.mean_valid((margin if target is None else -margin).clamp_max(0), valid, 0.0)

    def image_counts(
        self, out: Float[Tensor, "n classes *positions"], y: Int64[Tensor, "n ..."]
    ) -> Float[Tensor, "n three classes"]:
        """Hits, predictions and true labels of each class in each sample, over the positions that count."""
        valid, called = self._same_size(out, y).flatten(1), out.argmax(1).flatten(1)
        truth, ones = y.flatten(1).where(valid, 0), valid.double()
        zeros = torch.zeros(len(y), self.classes, dtype=torch.float64, device=out.device)
        hits = (called == truth).double() * ones
        tallies = ((truth, hits), (called, ones), (truth, ones))
        return torch.stack([zeros.scatter_add(1, index, weight) for index, weight in tallies], 1)

    def metrics(
        self,
        out: Float[Tensor, "n classes *positions"],
        y: Int64[Tensor, "n ..."],
        *,
        resamples: int = 1000,
        seed: int = 0,
    ) -> dict[str, Interval]:
        """Mean IoU and Dice over the classes that occur or are predicted, and pixel accuracy, over all that counts.

        With an order, the contact rate, too, if anything touches: 0 is no merit where a class has vanished.
        Whole samples are drawn by the bootstrap: the positions of one aren't independent.
        """
        y = beside(out, y)
        counts = self.image_counts(out, y)
        if not bool(counts[:, 2].any()):
            raise InputError("labels", given=f"only {self.ignore_index}", expected="positions that count")

        contacts = None if self.order is None else self.contacts(out, y).sum(1)

        def all_of_them(w: Tensor) -> dict[str, Tensor]:
            total = (w @ counts.flatten(1)).reshape(-1, 3, self.classes)
            found = {
                "mean_iou": _mean_iou(total),
                "mean_dice": (2 * total[:, 0] / (total[:, 1] + total[:, 2])).nanmean(1),
                "pixel_accuracy": total[:, 0].sum(1) / total[:, 2].sum(1),
            }
            if contacts is not None and bool(contacts[:, 1].any()):
                forbidden, all_contacts = (w @ contacts.to(w)).unbind(1)
                found["contact_rate"] = forbidden / all_contacts
            return found

        shares = dict.fromkeys((*self.higher_is_better, *self.lower_is_better), len(y))
        return bootstrap(len(y), all_of_them, resamples=resamples, seed=seed, shares=shares, device=out.device)

    def contacts(
        self, out: Float[Tensor, "n classes *positions"], y: Int64[Tensor, "n ..."]
    ) -> Float[Tensor, "n axes two"]:
        """Forbidden and all contacts of the predicted classes along each axis, between positions that count.

        Args:
            out: as `read` gives it.
            y: label maps, which tell what counts.

        Raises:
            InputError: a task without an order.
        """
        if self.order is None:
            raise InputError("contacts", given="a task without an order", expected="Segmentation(order=ClassOrder...)")
        return contact_counts(self.prediction(out), self.order, self._same_size(out, beside(out, y)))

    def headline_value(self, out: Float[Tensor, "n classes *positions"], y: Int64[Tensor, "n ..."]) -> float:
        """Mean IoU."""
        return float(_mean_iou(self.class_counts(out, y)))

    def image_iou(self, out: Float[Tensor, "n classes *positions"], y: Int64[Tensor, "n ..."]) -> Float[Tensor, " n"]:
        """Mean IoU of each sample, over the classes that it has or is said to have; NaN where no position counts."""
        return _mean_iou(self.image_counts(out, beside(out, y)))

    def mean_iou(self, counts: Float[Tensor, "*n three classes"]) -> Float[Tensor, "*n"]:
        """Mean IoU over the classes that occur or are predicted; NaN where no position counts.

        Args:
            counts: as `image_counts` gives them, or their sums over samples.
        """
        return _mean_iou(counts)

    def class_iou(
        self, out: Float[Tensor, "n classes *positions"], y: Int64[Tensor, "n ..."]
    ) -> Float[Tensor, " classes"]:
        """IoU of each class over all samples; NaN for a class that neither occurs nor is predicted."""
        return _ious(self.class_counts(out, y))

    def class_intervals(
        self,
        out: Float[Tensor, "n classes *positions"],
        y: Int64[Tensor, "n ..."],
        *,
        resamples: int = 1000,
        seed: int = 0,
    ) -> dict[int, Interval]:
        """IoU over all samples of each class that occurs or is predicted; whole samples are drawn by the bootstrap.

        Args:
            out: as `read` gives it.
            y: label maps.
            resamples: how many.
            seed: of the draws.
        """
        counts = self.image_counts(out, beside(out, y))
        there = (counts[:, 1] + counts[:, 2]).sum(0).nonzero().flatten().tolist()

        def each(w: Tensor) -> dict[str, Tensor]:
            ious = _ious((w @ counts.flatten(1)).reshape(-1, 3, self.classes))
            return {str(k): ious[:, k] for k in there}

        shares = {str(k): len(y) for k in there}
        found = bootstrap(len(y), each, resamples=resamples, seed=seed, shares=shares, device=out.device)
        return {k: found[str(k)] for k in there}

    def class_counts(
        self, out: Float[Tensor, "n classes *positions"], y: Int64[Tensor, "n ..."]
    ) -> Float[Tensor, "three classes"]:
        """Hits, predicted and true positions of each class over all samples, of those that count."""
        return self.image_counts(out, beside(out, y)).sum(0)

    def baseline(
        self, train: Int64[Tensor, "m ..."], y: Int64[Tensor, "n ..."], history: Tensor | None = None
    ) -> Float[Tensor, "n classes *positions"]:
        """Logarithms of the training frequencies at every position."""
        counts = torch.bincount(train[self.valid(train)], minlength=self.classes) + 0.5
        row = (counts / counts.sum()).log().reshape(1, -1, *[1] * (y.ndim - 1))
        return row.expand(len(y), -1, *y.shape[1:])


def _ious(counts: Float[Tensor, "*n 3 classes"]) -> Float[Tensor, "*n classes"]:
    """Hits over (predictions + labels - hits); NaN where all are 0."""
    hits, called, truth = counts.unbind(-2)
    return hits / (called + truth - hits)


def _mean_iou(counts: Float[Tensor, "*n 3 classes"]) -> Float[Tensor, "*n"]:
    return _ious(counts).nanmean(-1)
