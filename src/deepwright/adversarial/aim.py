"""What an attack is after: the loss that it raises and when it has arrived, in the words of the network's task."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.tasks import Binary, Classification, Task
from deepwright.core.tasks.reading import columns, finite_rows, unwrap
from deepwright.core.tasks.targets import as_tensor

LossFunction = Callable[[Any, Any], Float[Tensor, " n"]]
SuccessFunction = Callable[[Any, Any], Bool[Tensor, " n"]]

_TASKS = (
    "task=Binary(), MultiLabel(labels), Regression(outputs, tolerance), Segmentation(classes), ... says what they are"
)
_CLASS_LOSSES = Classification(3).attack_losses


@dataclass(frozen=True)
class Aim:
    """To leave y, or with `targeted` to reach it.

    Args:
        task: what outputs mean; None for classes, or where `loss` and `success` are functions for raw outputs.
        loss: a name of the task's `attack_losses`, or (out, y) -> (N,), raised (or lowered when targeted).
        success: (out, y) -> bool (N,); None for the task's `fooled`.
        targeted: whether y are wanted.
    """

    task: Task | None
    loss: str | LossFunction
    success: SuccessFunction | None
    targeted: bool

    @property
    def raw(self) -> bool:
        """Whether outputs and targets go to the user's two functions as they are."""
        return self.task is None and self.success is not None and not isinstance(self.loss, str)

    def settled(self, out: Any, n: int, y: Any) -> Aim:
        """With the task that outputs have where none was named: as many classes as columns.

        One column beside labels that are all 0 or 1 is the logit of class 1.

        Args:
            out: raw outputs.
            n: of so many samples.
            y: targets.

        Raises:
            InputError: outputs that aren't one row of classes a sample.
        """
        if self.task is not None or self.raw:
            return self
        z = columns(unwrap(out, n, lambda t: t.is_floating_point(), "(N, classes)"), n)
        if not z.is_floating_point() and z.shape[1:] == (1,):
            hint = "F.one_hot(indices, classes).float() for attacks that ask decisions only: Boundary, HopSkipJump"
            raise InputError("the network's output", given=f"class indices, {z.dtype}", expected="scores", hint=hint)
        if z.ndim == 2 and z.shape[1] == 1 and _zeros_and_ones(y):
            return replace(self, task=Binary(), loss="margin" if self.loss == "dlr" else self.loss)
        if z.ndim != 2 or z.shape[1] < 2:
            raise InputError(
                "the network's output",
                given=f"shape {tuple(z.shape)}",
                expected="(N, classes) of two classes or more, where no task is named",
                hint=_TASKS,
            )
        if z.shape[1] == 2 and self.loss == "dlr":
            warnings.warn("DLR needs three classes: the margin is used", stacklevel=4)
            return replace(self, task=Classification(2), loss="margin")
        return replace(self, task=Classification(z.shape[1]))

    def read(self, out: Any, n: int, strict: bool = False) -> Any:
        """Raw outputs as the task reads them.

        Args:
            out: raw outputs.
            n: of so many samples.
            strict: look at the values too, which waits for the device.
        """
        return out if self.task is None else self.task.read(out, n, strict=strict)

    def check_targets(self, y: Any, n: int) -> Any:
        """The user's y as the task takes it.

        Args:
            y: labels or targets.
            n: number of samples.
        """
        if self.task is not None:
            return self.task.check_targets(y, n, "y")
        return y if self.raw else as_tensor(y, "y")

    def value(self, out: Any, y: Any) -> Tensor:
        """What the attack raises, one number a sample (a function of the user's may give anything).

        Args:
            out: as `read` gives it.
            y: as `check_targets` gives it.
        """
        if not isinstance(self.loss, str):
            value = self.loss(out, y)
            return -value if self.targeted else value
        assert self.task is not None
        return self.task.adversarial_loss(out, **self._aimed(y), loss=self.loss)

    def reached(self, out: Any, y: Any) -> Bool[Tensor, " n"]:
        """Whether it has arrived; never on outputs that aren't finite.

        Args:
            out: as `read` gives it.
            y: as `check_targets` gives it.
        """
        if self.success is not None:
            return self.success(out, y) & self.finite(out)
        assert self.task is not None
        return self.task.fooled(out, **self._aimed(y))

    def _aimed(self, y: Any) -> dict[str, Any]:
        return {"target" if self.targeted else "y": y}

    def finite(self, out: Any) -> Bool[Tensor, " n"]:
        """Whether all numbers of a sample are finite.

        Args:
            out: as `read` gives it.
        """
        return finite_rows(out) if self.task is None else self.task.finite(out)

    def class_logits(self, out: Any) -> Float[Tensor, "n classes"] | None:
        """Logits whose largest is the predicted class; None where a sample has no one class.

        Args:
            out: as `read` gives it.
        """
        return None if self.task is None else self.task.class_logits(out)


def _zeros_and_ones(y: Any) -> bool:
    """Whether targets are whole numbers of 0 and 1 in one row."""
    labels = isinstance(y, Tensor) and y.ndim == 1 and not y.is_floating_point() and not y.is_complex()
    return labels and bool(((y == 0) | (y == 1)).all())


def loss_name(task: Task | None, loss: str | None, preferred: str) -> str:
    """The loss of a name or of none, refused where the task doesn't have it.

    Args:
        task: what outputs mean; None for classes.
        loss: a name; None for the usual one.
        preferred: the attack's usual one, where the task has it.

    Raises:
        InputError: a loss of another task.
    """
    names = _CLASS_LOSSES if task is None else task.attack_losses
    if loss is None:
        return preferred if preferred in names else names[0]
    if loss not in names:
        kind = "classification" if task is None else task.kind
        raise InputError(
            "loss",
            given=repr(loss),
            expected=f"{', '.join(map(repr, names))} of {kind}, or a function (out, y) -> (N,)",
            hint=_TASKS if task is None else None,
        )
    return loss


def require_task(task: object) -> None:
    """Refuse what isn't a task.

    Args:
        task: what the user gave.

    Raises:
        InputError: anything but a task or None.
    """
    if task is not None and (isinstance(task, type) or not isinstance(task, Task)):
        given = task.__name__ + " itself" if isinstance(task, type) else type(task).__name__
        raise InputError("task", given=given, expected="a task of deepwright.core.tasks, e.g. Binary()")


def may_have_classes(task: Task | None) -> bool:
    """Whether samples of a task have one class each, as far as can be told without outputs.

    Args:
        task: what outputs mean; None for classes.
    """
    return task is None or getattr(type(task), "class_logits", None) is not Task.class_logits
