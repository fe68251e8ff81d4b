"""Yes or no: one logit column, or two; labels 0 and 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_within
from deepwright.core.statistics import Interval
from deepwright.core.tasks.class_losses import cross_entropy
from deepwright.core.tasks.intervals import bootstrap, newcombe, share
from deepwright.core.tasks.protocol import Task, chosen_loss
from deepwright.core.tasks.ranking import AveragePrecision, auroc
from deepwright.core.tasks.reading import (
    as_logits,
    column_logit,
    columns,
    raised,
    require_finite,
    require_form,
    require_scale,
    unwrap,
)
from deepwright.core.tasks.targets import beside, one_a_sample, require_names, zeros_and_ones


@dataclass(frozen=True)
class Binary(Task):
    """The event (label 1) happens or not (label 0).

    One logit column z is read as the two columns (0, z), whose softmax is its sigmoid: what speaks to class logits
    speaks to binary networks of either kind.

    Args:
        names: of the two labels, or none.
        threshold: of the event's probability; it is predicted above it.
        outputs: "logits", "probabilities" (of the event, or of both labels), "log-probabilities", or "auto", which
            takes logits and refuses what looks like probabilities.
    """

    names: tuple[str, ...] = ()
    threshold: float = 0.5
    outputs: str = "auto"

    kind: ClassVar[str] = "binary classification"
    headline: ClassVar[str] = "accuracy"
    higher_is_better: ClassVar[tuple[str, ...]] = (
        "accuracy",
        "auroc",
        "average_precision",
        "f1",
        "sensitivity",
        "specificity",
    )
    lower_is_better: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise InputError("threshold", given=self.threshold, expected="within (0, 1), a probability")
        object.__setattr__(self, "names", require_names(self.names, 2))
        require_scale(self.outputs)

    @property
    def classes(self) -> int:
        """Two."""
        return 2

    @property
    def columns(self) -> tuple[int, ...]:
        """One or two."""
        return (1, 2)

    @property
    def attack_losses(self) -> tuple[str, ...]:
        """Cross-entropy and margin."""
        return ("ce", "margin")

    def read(self, out: Any, n: int | None = None, *, strict: bool = True) -> Float[Tensor, "n 2"]:
        """Logits (N, 2) of "no" and "yes"."""
        expected = "(N,), (N, 1) or (N, 2)"
        z = columns(unwrap(out, n, _fits, expected), n)
        hint = f"this looks like Classification({z.shape[1]})" if z.ndim == 2 else None
        require_form(z, n, _fits(z), expected, hint)
        if strict:
            require_finite(z)
        if z.shape[1] == 2:
            return as_logits(z, self.outputs, strict)
        z = column_logit(z, self.outputs, strict)
        return torch.cat([torch.zeros_like(z), z], 1)

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Batches as one."""
        return torch.cat(list(parts))

    def check_targets(self, y: Any, n: int | None = None, name: str = "labels") -> Int64[Tensor, " n"]:
        """Labels (N,) of 0 and 1 as int64; booleans, whole floats and (N, 1) are taken."""
        return one_a_sample(zeros_and_ones(y, name), n, name)

    def event_logit(self, out: Float[Tensor, "n 2"]) -> Float[Tensor, " n"]:
        """log p / (1 - p) of the event."""
        return raised(out)[:, 1] - raised(out)[:, 0]

    def loss(self, out: Float[Tensor, "n 2"], y: Int64[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Cross-entropy."""
        y = beside(out, y)
        return cross_entropy(out, y)

    def right(self, out: Float[Tensor, "n 2"], y: Int64[Tensor, " n"]) -> Bool[Tensor, " n"]:
        """Whether the probability lies on the true side of the threshold."""
        y = beside(out, y)
        return self.prediction(out) == y

    def prediction(self, out: Float[Tensor, "n 2"]) -> Int64[Tensor, " n"]:
        """1 above the threshold."""
        return (self.event_logit(out) > self._boundary).long()

    @property
    def _boundary(self) -> float:
        return math.log(self.threshold / (1 - self.threshold))

    def probabilities(self, out: Float[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
        """Of "no" and "yes"."""
        return raised(out).softmax(1)

    def class_logits(self, out: Float[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
        """The two columns, with the event's lowered by the threshold's logit: their argmax is the prediction."""
        if self._boundary == 0:
            return out
        return torch.stack([raised(out)[:, 0], raised(out)[:, 1] - self._boundary], 1)

    def adversarial_loss(
        self,
        out: Float[Tensor, "n 2"],
        y: Int64[Tensor, " n"] | None = None,
        target: Int64[Tensor, " n"] | None = None,
        *,
        loss: str | None = None,
    ) -> Float[Tensor, " n"]:
        """Cross-entropy, or the margin beyond the threshold; with two labels a target says as much as y."""
        y, target = beside(out, y), beside(out, target)
        name = chosen_loss(self, loss, y, target)
        away = 1 - target if target is not None else y
        assert away is not None
        if name == "ce":
            return cross_entropy(out, away) if target is None else -cross_entropy(out, target)
        return (1 - 2 * away) * (self.event_logit(out) - self._boundary)

    def metrics(
        self, out: Float[Tensor, "n 2"], y: Int64[Tensor, " n"], *, resamples: int = 1000, seed: int = 0
    ) -> dict[str, Interval]:
        """Accuracy, sensitivity, specificity and F1 at the threshold; AUROC and average precision over all of them.

        What needs positives is absent without one, and what needs negatives as well.
        """
        y = beside(out, y)
        positive, called, z = y == 1, self.prediction(out) == 1, self.event_logit(out)
        found = {"accuracy": share(called == positive)}
        if bool(positive.any()):
            found["sensitivity"] = share(called[positive])
            ranked = AveragePrecision(z, positive)
            pairs = torch.stack([called & positive, called, positive], 1).double()

            def both(w: Tensor) -> dict[str, Tensor]:
                hit, claimed, true = (w @ pairs).unbind(1)
                return {"average_precision": ranked(w), "f1": 2 * hit / (claimed + true)}

            shares = dict.fromkeys(("average_precision", "f1"), int(positive.sum()))
            found |= bootstrap(len(y), both, resamples=resamples, seed=seed, shares=shares, device=out.device)
        if not bool(positive.all()):
            found["specificity"] = share(~called[~positive])
        if "sensitivity" in found and "specificity" in found:
            found["auroc"] = newcombe(auroc(z, positive), int(positive.sum()), int((~positive).sum()))
        return found

    def at_sensitivity(self, out: Float[Tensor, "n 2"], y: Int64[Tensor, " n"], sensitivity: float) -> Binary:
        """The same task at the highest threshold that finds at least this share of the events.

        It lies halfway (on the logit scale) between the last event that is found and the next lower output. Choose it
        on samples that aren't measured afterwards: on those themselves the sensitivity would be as wished, by design.

        Args:
            out: as `read` gives it.
            y: labels.
            sensitivity: wanted, in (0, 1].

        Raises:
            InputError: no event among the labels.
        """
        require_within(0, 1, ends="(]", sensitivity=sensitivity)
        z = self.event_logit(out).double()
        events = z[beside(out, y) == 1].sort(descending=True).values
        if not len(events):
            raise InputError("labels", given="no event", expected="some, of which a share is to be found")
        last = events[math.ceil(sensitivity * len(events) - 1e-9) - 1]
        lower = z[z < last]
        boundary = float((last + lower.max()) / 2) if len(lower) else float(last) - 1.0
        tiny = 1e-12
        return replace(self, threshold=min(max(1 / (1 + math.exp(-boundary)), tiny), 1 - tiny))

    def baseline(
        self, train: Int64[Tensor, " m"], y: Int64[Tensor, " n"], history: Tensor | None = None
    ) -> Float[Tensor, "n 2"]:
        """Logarithms of the training frequencies, half a sample added to each label."""
        counts = torch.bincount(train, minlength=2) + 0.5
        return (counts / counts.sum()).log().expand(len(y), -1)

    def chance(self, y: Int64[Tensor, " n"], train: Int64[Tensor, " m"] | None = None) -> float:
        """Share of the more frequent training label in y, whatever the threshold is."""
        frequent = torch.bincount(y if train is None else train, minlength=2).argmax()
        return float((y == frequent).double().mean())


def _fits(out: Tensor) -> bool:
    return out.ndim == 1 or tuple(columns(out, None).shape[1:]) in ((1,), (2,))
