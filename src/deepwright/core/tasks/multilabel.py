"""Any number of labels a sample: one logit column each, targets (N, labels) of 0 and 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.core.statistics import Interval
from deepwright.core.tasks.intervals import bootstrap, share
from deepwright.core.tasks.protocol import Task, chosen_loss
from deepwright.core.tasks.ranking import AveragePrecision
from deepwright.core.tasks.reading import (
    column_logit,
    columns,
    raised,
    require_finite,
    require_form,
    require_scale,
    unwrap,
)
from deepwright.core.tasks.targets import beside, require_count, require_names, zeros_and_ones


@dataclass(frozen=True)
class MultiLabel(Task):
    """Each of L labels applies or not.

    Args:
        labels: L.
        names: of the labels, in the order of the columns.
        threshold: of a label's probability; it is predicted above it.
        outputs: "logits", "probabilities" (sigmoids), "log-probabilities", or "auto", which takes logits and refuses
            what looks like probabilities.
    """

    labels: int
    names: tuple[str, ...] = ()
    threshold: float = 0.5
    outputs: str = "auto"

    kind: ClassVar[str] = "multi-label classification"
    headline: ClassVar[str] = "mean_average_precision"
    higher_is_better: ClassVar[tuple[str, ...]] = (
        "subset_accuracy",
        "label_accuracy",
        "mean_average_precision",
        "micro_f1",
        "macro_f1",
    )
    lower_is_better: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        require_whole(1, labels=self.labels)
        if not 0 < self.threshold < 1:
            raise InputError("threshold", given=self.threshold, expected="within (0, 1), a probability")
        object.__setattr__(self, "names", require_names(self.names, self.labels))
        require_scale(self.outputs)

    @property
    def columns(self) -> tuple[int, ...]:
        """L."""
        return (self.labels,)

    @property
    def attack_losses(self) -> tuple[str, ...]:
        """Binary cross-entropy and margin."""
        return ("ce", "margin")

    def read(self, out: Any, n: int | None = None, *, strict: bool = True) -> Float[Tensor, "n labels"]:
        """Logits (N, L)."""
        expected = f"(N, {self.labels}), one column a label"
        z = columns(unwrap(out, n, self._fits, expected), n)
        require_form(z, n, self._fits(z), expected)
        if strict:
            require_finite(z)
        return column_logit(z, self.outputs, strict)

    def _fits(self, out: Tensor) -> bool:
        return columns(out, None).shape[1:] == (self.labels,)

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Batches as one."""
        return torch.cat(list(parts))

    def check_targets(self, y: Any, n: int | None = None, name: str = "labels") -> Int64[Tensor, "n labels"]:
        """(N, L) of 0 and 1 as int64; booleans and whole floats are taken, rows without a label are fine."""
        y = zeros_and_ones(y, name)
        if y.ndim != 2 or y.shape[1] != self.labels:
            raise InputError(
                name,
                given=f"shape {tuple(y.shape)}",
                expected=f"(N, {self.labels})",
                hint="one class a sample: Classification(classes)" if y.ndim == 1 else None,
            )
        require_count(y, n, name)
        return y

    def loss(self, out: Float[Tensor, "n labels"], y: Int64[Tensor, "n labels"]) -> Float[Tensor, " n"]:
        """Binary cross-entropy, its mean over the labels."""
        y = beside(out, y)
        z = raised(out)
        return F.binary_cross_entropy_with_logits(z, y.to(z.dtype), reduction="none").mean(1)

    def right(self, out: Float[Tensor, "n labels"], y: Int64[Tensor, "n labels"]) -> Bool[Tensor, " n"]:
        """Whether all labels of a sample are right."""
        y = beside(out, y)
        return (self.prediction(out) == y).all(1)

    def score(self, out: Float[Tensor, "n labels"], y: Int64[Tensor, "n labels"]) -> Float[Tensor, " n"]:
        """Share of the labels that are right."""
        y = beside(out, y)
        return (self.prediction(out) == y).double().mean(1)

    def prediction(self, out: Float[Tensor, "n labels"]) -> Int64[Tensor, "n labels"]:
        """1 above the threshold."""
        return (raised(out) > self._boundary).long()

    @property
    def _boundary(self) -> float:
        return math.log(self.threshold / (1 - self.threshold))

    def probabilities(self, out: Float[Tensor, "n labels"]) -> Float[Tensor, "n labels"]:
        """Sigmoids."""
        return raised(out).sigmoid()

    def adversarial_loss(
        self,
        out: Float[Tensor, "n labels"],
        y: Int64[Tensor, "n labels"] | None = None,
        target: Int64[Tensor, "n labels"] | None = None,
        *,
        loss: str | None = None,
    ) -> Float[Tensor, " n"]:
        """Binary cross-entropy, or the margin of the label nearest to being wrong (farthest from its target)."""
        y, target = beside(out, y), beside(out, target)
        name = chosen_loss(self, loss, y, target)
        aim = target if target is not None else y
        assert aim is not None
        if name == "ce":
            value = self.loss(out, aim)
        else:
            value = ((1 - 2 * aim) * (raised(out) - self._boundary)).amax(1)
        return value if target is None else -value

    def headline_value(self, out: Float[Tensor, "n labels"], y: Int64[Tensor, "n labels"]) -> float:
        """Mean average precision over the labels that occur."""
        ranked = _ranked(out, beside(out, y) == 1)
        one = torch.ones(1, len(y), dtype=torch.float64, device=out.device)
        return float(torch.stack([each(one) for each in ranked]).mean()) if ranked else math.nan

    def metrics(
        self, out: Float[Tensor, "n labels"], y: Int64[Tensor, "n labels"], *, resamples: int = 1000, seed: int = 0
    ) -> dict[str, Interval]:
        """Subset accuracy, share of right labels, mean average precision, micro and macro F1.

        The mean average precision is over the labels that occur, macro F1 over those that occur or are predicted.
        """
        y = beside(out, y)
        truth, called = y == 1, self.prediction(out) == 1
        hits = torch.stack([called & truth, called, truth], 1).double().flatten(1)
        label_score, ranked = self.score(out, y), _ranked(out, truth)

        def all_of_them(w: Tensor) -> dict[str, Tensor]:
            hit, claimed, true = (w @ hits).reshape(len(w), 3, -1).unbind(1)
            found = {
                "label_accuracy": w @ label_score / w.sum(1),
                "micro_f1": 2 * hit.sum(1) / (claimed + true).sum(1),
                "macro_f1": (2 * hit / (claimed + true)).nanmean(1),
            }
            if ranked:
                found["mean_average_precision"] = torch.stack([each(w) for each in ranked]).nanmean(0)
            return found

        counts = truth.sum(0)
        rarest = int(counts[counts > 0].min()) if ranked else len(y)
        shares = dict.fromkeys(self.higher_is_better, rarest) | {"label_accuracy": len(y)}
        found = bootstrap(len(y), all_of_them, resamples=resamples, seed=seed, shares=shares, device=out.device)
        defined = {name: value for name, value in found.items() if not math.isnan(value.value)}
        return {"subset_accuracy": share(self.right(out, y)), **defined}

    def baseline(
        self, train: Int64[Tensor, "m labels"], y: Int64[Tensor, "n labels"], history: Tensor | None = None
    ) -> Float[Tensor, "n labels"]:
        """Log odds of each label in training, half a sample added to either side."""
        count = train.sum(0)
        return ((count + 0.5) / (len(train) - count + 0.5)).log().expand(len(y), -1)


def _ranked(out: Tensor, truth: Tensor) -> list[AveragePrecision]:
    """The average precision of each label that occurs."""
    z = raised(out)
    return [AveragePrecision(z[:, k], truth[:, k]) for k in truth.any(0).nonzero().flatten().tolist()]
