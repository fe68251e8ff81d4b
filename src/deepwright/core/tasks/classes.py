"""One of several classes a sample: logits (N, classes), labels (N,)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.core.statistics import Interval
from deepwright.core.tasks import class_losses
from deepwright.core.tasks.intervals import bootstrap, share
from deepwright.core.tasks.protocol import Task, chosen_loss
from deepwright.core.tasks.reading import (
    as_logits,
    columns,
    raised,
    require_finite,
    require_form,
    require_scale,
    unwrap,
)
from deepwright.core.tasks.targets import (
    as_tensor,
    beside,
    one_a_sample,
    require_names,
    require_range,
    whole_labels,
)


@dataclass(frozen=True)
class Classification(Task):
    """One of K classes a sample.

    Args:
        classes: K, two or more.
        names: of the classes, in the order of the columns; none are fine.
        outputs: what the columns are: "logits", "probabilities" (their logarithm is read) or "log-probabilities";
            "auto" takes logits and log-probabilities, and refuses what can only be probabilities.
    """

    classes: int
    names: tuple[str, ...] = ()
    outputs: str = "auto"

    kind: ClassVar[str] = "classification"
    headline: ClassVar[str] = "accuracy"
    higher_is_better: ClassVar[tuple[str, ...]] = ("accuracy", "balanced_accuracy", "top5_accuracy")
    lower_is_better: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        require_whole(2, classes=self.classes)
        object.__setattr__(self, "names", require_names(self.names, self.classes))
        require_scale(self.outputs)

    @property
    def columns(self) -> tuple[int, ...]:
        """K."""
        return (self.classes,)

    @property
    def attack_losses(self) -> tuple[str, ...]:
        """Cross-entropy, margin, and with three classes or more DLR."""
        return ("ce", "margin", "dlr") if self.classes > 2 else ("ce", "margin")

    def read(self, out: Any, n: int | None = None, *, strict: bool = True) -> Float[Tensor, "n classes"]:
        """Logits (N, K)."""
        expected = f"(N, {self.classes}), one column a class"
        z = columns(unwrap(out, n, self._fits, expected), n)
        require_form(z, n, self._fits(z), expected, _other_task(z))
        if strict:
            require_finite(z)
        return as_logits(z, self.outputs, strict)

    def _fits(self, out: Tensor) -> bool:
        return columns(out, None).shape[1:] == (self.classes,)

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Batches as one."""
        return torch.cat(list(parts))

    def check_targets(self, y: Any, n: int | None = None, name: str = "labels") -> Int64[Tensor, " n"]:
        """Labels (N,) of 0..K-1 as int64; (N, 1) and whole floats are taken, booleans aren't."""
        y = as_tensor(y, name)
        if y.dtype == torch.bool:
            raise InputError(name, given="booleans", expected="class indices", hint="this looks like Binary()")
        y = one_a_sample(whole_labels(y, name), n, name)
        require_range(y, self.classes, name)
        return y

    def loss(self, out: Float[Tensor, "n classes"], y: Int64[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Cross-entropy."""
        y = beside(out, y)
        return class_losses.cross_entropy(out, y)

    def right(self, out: Float[Tensor, "n classes"], y: Int64[Tensor, " n"]) -> Bool[Tensor, " n"]:
        """Whether the largest logit (the first of equal ones) is the true class's."""
        y = beside(out, y)
        return out.argmax(1) == y

    def prediction(self, out: Float[Tensor, "n classes"]) -> Int64[Tensor, " n"]:
        """The class with the largest logit."""
        return out.argmax(1)

    def probabilities(self, out: Float[Tensor, "n classes"]) -> Float[Tensor, "n classes"]:
        """Softmax."""
        return raised(out).softmax(1)

    def class_logits(self, out: Float[Tensor, "n classes"]) -> Float[Tensor, "n classes"]:
        """The logits themselves."""
        return out

    def adversarial_loss(
        self,
        out: Float[Tensor, "n classes"],
        y: Int64[Tensor, " n"] | None = None,
        target: Int64[Tensor, " n"] | None = None,
        *,
        loss: str | None = None,
    ) -> Float[Tensor, " n"]:
        """Cross-entropy, margin or DLR of y; minus the cross-entropy or margin of the target; z_t - z_y for a pair.

        DLR towards a target is the targeted one, from y or, where y isn't given, from the best other class: the plain
        DLR of the target has no gradient where the target's logit is the third.
        """
        y, target = beside(out, y), beside(out, target)
        name = chosen_loss(self, loss, y, target)
        if target is None:
            assert y is not None
            losses = {"ce": class_losses.cross_entropy, "margin": class_losses.margin, "dlr": class_losses.dlr}
            return losses[name](out, y)
        if name == "ce":
            return -class_losses.cross_entropy(out, target)
        if name == "margin":
            return -class_losses.margin(out, target) if y is None else class_losses.gap(out, y, target)
        source = out.detach().scatter(1, target[:, None], -torch.inf).argmax(1) if y is None else y
        return class_losses.targeted_dlr(out, source, target)

    def metrics(
        self, out: Float[Tensor, "n classes"], y: Int64[Tensor, " n"], *, resamples: int = 1000, seed: int = 0
    ) -> dict[str, Interval]:
        """Accuracy, mean recall over the classes that occur, and with more than five classes top-5 accuracy."""
        y = beside(out, y)
        hits = self.right(out, y)
        found = {"accuracy": share(hits)}
        member = torch.nn.functional.one_hot(y, self.classes).double()

        def recalls(w: Tensor) -> dict[str, Tensor]:
            return {"balanced_accuracy": ((w @ (member * hits[:, None])) / (w @ member)).nanmean(1)}

        counts = member.sum(0)
        shares = {"balanced_accuracy": int(counts[counts > 0].min())}
        found |= bootstrap(len(y), recalls, resamples=resamples, seed=seed, shares=shares, device=out.device)
        if self.classes > 5:
            found["top5_accuracy"] = share(out.topk(5, dim=1).indices.eq(y[:, None]).any(1))
        return found

    def baseline(
        self, train: Int64[Tensor, " m"], y: Int64[Tensor, " n"], history: Tensor | None = None
    ) -> Float[Tensor, "n classes"]:
        """Logarithms of the training frequencies (half a sample added to each class): names the most frequent class."""
        counts = torch.bincount(train, minlength=self.classes) + 0.5
        return (counts / counts.sum()).log().expand(len(y), -1)


@dataclass(frozen=True)
class GraphClassification(Classification):
    """One of K classes a graph: outputs have one row a graph, not one a node.

    Args:
        classes: K, two or more.
        names: of the classes, in the order of the columns.
        outputs: as for `Classification`.
    """

    kind: ClassVar[str] = "graph classification"


def _other_task(z: Tensor) -> str | None:
    """Which task the outputs look like, in words."""
    if z.ndim == 2 and z.shape[1] == 1:
        return "one column looks like Binary() (a logit) or Regression(outputs=1)"
    if z.ndim == 2:
        return f"this looks like Classification({z.shape[1]}); name as many classes as the network has outputs"
    if z.ndim == 3:
        return "several outputs a sample look like a sequence: reduce it, or name Segmentation or Forecast"
    return f"this looks like Segmentation({z.shape[1]})" if z.ndim > 3 else None
