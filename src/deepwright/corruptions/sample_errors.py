"""The error of each sample, read from raw outputs by a task or by a function of the user's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.tasks import Task

Wrong = Callable[[Any, Any], Tensor]
_MEASURES = ("score", "right")


@dataclass(frozen=True)
class ErrorOf:
    """The error of each sample in [0, 1], from raw outputs.

    Args:
        task: reads and measures the outputs; None where `wrong` does.
        measure: "score" for 1 - `task.score`, "right" for 1 where `task.right` is False.
        wrong: (outputs, targets) -> errors; used as it is.
        keep_targets: whether targets stay as they are where pixels move.
        headline: whether the task's headline metric is measured beside it, over all samples together.
    """

    task: Task | None = None
    measure: str = "score"
    wrong: Wrong | None = None
    keep_targets: bool = False
    headline: bool = False

    def __post_init__(self) -> None:
        if self.measure not in _MEASURES:
            raise unknown_name("measure", self.measure, _MEASURES)
        if self.wrong is not None and (self.task is not None or self.measure != "score"):
            raise InputError("wrong", given="beside a task or a measure", expected="one way of counting errors")
        if self.headline and self.wrong is not None:
            raise InputError("headline", given="beside `wrong`", expected="a task, which has one")

    def made_from(self) -> dict[str, Any]:
        """What determines it, for an identity."""
        task = None if self.task is None else self.task.identity()
        options = {name: getattr(self, name) for name in ("measure", "keep_targets", "headline")}
        return {"wrong": self.wrong, "task": task, **options}

    def targets(self, y: Any, n: int) -> Any:
        """Targets in the task's form."""
        return y if self.task is None else self.task.check_targets(y, n)

    def __call__(self, out: Any, y: Any, n: int, clean: bool) -> Float[Tensor, " n"]:
        """Errors; a network that gives NaN or infinity for a perturbed sample is wrong on it.

        Args:
            out: raw outputs.
            y: targets in the task's form.
            n: number of samples.
            clean: unperturbed samples, for which outputs must be finite logits.
        """
        if self.task is None:
            assert self.wrong is not None
            return _shares(self.wrong(out, y), n)
        out = self.task.read(out, n, strict=clean)
        right = self.task.score(out, y) if self.measure == "score" else self.task.right(out, y)
        return 1 - torch.where(self.task.finite(out), right.double(), 0.0)


def _shares(found: Any, n: int) -> Float[Tensor, " n"]:
    """What a user's function says of n samples, checked."""
    if not isinstance(found, Tensor) or found.shape != (n,):
        given = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise InputError("wrong(outputs, targets)", given=given, expected=f"a tensor of shape ({n},), one a sample")
    values = found.double()
    if not bool(((values >= 0) & (values <= 1)).all()):
        given = f"values {float(values.min()):.4g}..{float(values.max()):.4g}"
        raise InputError("wrong(outputs, targets)", given=given, expected="shares in [0, 1], 1 where a sample is wrong")
    return values
