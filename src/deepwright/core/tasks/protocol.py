"""What a task is: the meaning of a network's outputs, as everything that measures or attacks it needs to know it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, ClassVar, Protocol, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.statistics import Interval
from deepwright.core.tasks.reading import finite_rows


@runtime_checkable
class Task(Protocol):
    """What outputs mean. The house's tasks are frozen dataclasses of plain data, and so may be part of an identity.

    Everything but `read` takes `out` as `read` gives it, and everything but `check_targets` takes `y` as that gives it:
    both can be indexed by rows, moved by `.to`, and have a `len`. `loss`, `adversarial_loss`, `right`, `score` and
    `fooled` wait for no value, so that a loop of them on an accelerator doesn't; but for `Detection`, which matches its
    boxes on the CPU.

    Attributes:
        kind: the field's word for it.
        headline: the metric that stands for the others.
        higher_is_better: names of metrics.
        lower_is_better: names of metrics.
    """

    kind: ClassVar[str]
    headline: ClassVar[str]
    higher_is_better: ClassVar[tuple[str, ...]]
    lower_is_better: ClassVar[tuple[str, ...]]

    @property
    def columns(self) -> tuple[int, ...]:
        """How many output columns a network may have; empty where that says nothing."""
        ...

    @property
    def attack_losses(self) -> tuple[str, ...]:
        """Names that `adversarial_loss` knows, the usual one first."""
        ...

    def read(self, out: Any, n: int | None = None, *, strict: bool = True) -> Any:
        """Raw outputs in the task's form.

        Args:
            out: what the network returned: a tensor, array, tuple, dict, or an object with `.logits`.
            n: number of samples, if known.
            strict: look at the values too: finite, logits or probabilities. Without it only shapes are checked.

        Raises:
            InputError: outputs that the task can't read, with what was seen.
        """
        ...

    def join(self, parts: Sequence[Any]) -> Any:
        """Several batches, each as `read` or `check_targets` gives it, as one."""
        ...

    def check_targets(self, y: Any, n: int | None = None, name: str = "labels") -> Any:
        """Targets in the task's form; whole numbers of any type are taken as labels.

        Args:
            y: what the data holds.
            n: number of samples, if known.
            name: how the user knows them.

        Raises:
            InputError: another shape, type or range, with the task that they look like.
        """
        ...

    def size(self, y: Any) -> int:
        """Number of samples in a batch of targets."""
        return len(y)

    def loss(self, out: Any, y: Any) -> Float[Tensor, " n"]:
        """The loss of training, one number a sample, differentiable."""
        ...

    def right(self, out: Any, y: Any) -> Bool[Tensor, " n"]:
        """Whether each sample is right."""
        ...

    def score(self, out: Any, y: Any) -> Float[Tensor, " n"]:
        """How right each sample is, in [0, 1]; 1 - score is its error."""
        return self.right(out, y).double()

    def prediction(self, out: Any) -> Any:
        """What a person is told, in the form of targets."""
        ...

    def probabilities(self, out: Any) -> Tensor | None:
        """Probabilities in the shape of the outputs, or None where the outputs claim none."""
        return None

    def class_logits(self, out: Any) -> Float[Tensor, "n classes"] | None:
        """Logits of classes of which each sample has one, for methods that need them; None where there are none."""
        return None

    def adversarial_loss(
        self, out: Any, y: Any = None, target: Any = None, *, loss: str | None = None
    ) -> Float[Tensor, " n"]:
        """What an attack raises, differentiable: away from y, towards a target, or from y to a target.

        Args:
            out: as `read` gives it.
            y: true targets, or None.
            target: wanted targets, or None.
            loss: one of `attack_losses`; the first by default.

        Raises:
            InputError: a loss that the task doesn't have; neither y nor target.
        """
        ...

    def fooled(self, out: Any, y: Any = None, target: Any = None) -> Bool[Tensor, " n"]:
        """Whether an attack has reached its aim: not y, or the target where there is one. Never on NaN or infinity."""
        reached = self.right(out, target) if target is not None else ~self.right(out, y)
        return reached & self.finite(out)

    def finite(self, out: Any) -> Bool[Tensor, " n"]:
        """Whether all numbers of a sample are finite."""
        return finite_rows(out)

    def metrics(self, out: Any, y: Any, *, resamples: int = 1000, seed: int = 0) -> dict[str, Interval]:
        """The field's metrics with 95 % intervals; one that these targets don't define is absent.

        Args:
            out: as `read` gives it.
            y: true targets.
            resamples: of the bootstrap.
            seed: of the bootstrap.
        """
        ...

    def headline_value(self, out: Any, y: Any) -> float:
        """The headline metric without its interval; NaN where these targets don't define it."""
        found = self.metrics(out, y, resamples=1)
        return found[self.headline].value if self.headline in found else float("nan")

    def baseline(self, train: Any, y: Any, history: Tensor | None = None) -> Any:
        """Outputs of the trivial predictor, which knows the training targets and no input, for the samples of y.

        Args:
            train: training targets.
            y: the targets for which outputs are wanted; only their number and shape are used.
            history: (N, time, channels) what came before y, for forecasts.
        """
        ...

    def chance(self, y: Any, train: Any = None) -> float:
        """Mean score of the trivial predictor on y, fitted on `train` (on y itself when None)."""
        return float(self.score(self.baseline(y if train is None else train, y), y).double().mean())

    def fitted(self, train: Any, history: Tensor | None = None) -> Task:
        """The task with what it leaves open (a tolerance, a scale) taken from training targets."""
        return self

    def identity(self) -> dict[str, Any]:
        """What determines its answers, as plain data."""
        return {"task": type(self).__name__, **asdict(self)}  # type: ignore[call-overload]


def chosen_loss(task: Task, loss: str | None, y: Any, target: Any) -> str:
    """The name of an attack's loss, refused when the task doesn't have it or there is nothing to aim at."""
    if y is None and target is None:
        raise InputError("adversarial_loss", given="neither y nor target", expected="at least one of them")
    if loss is None:
        return task.attack_losses[0]
    if loss not in task.attack_losses:
        raise unknown_name(f"loss of a {task.kind} attack", loss, task.attack_losses)
    return loss
