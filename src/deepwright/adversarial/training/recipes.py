"""Training on worst inputs: adversarial training, with one step (fast) or several, and TRADES.

A recipe is both what `core.fit` augments by (`recipe.start` draws where the search of the worst input begins) and its
step (`recipe` itself): the draws depend on seed, epoch and step only, and an interrupted training goes on bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import partial
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.adversarial.aim import require_task
from deepwright.adversarial.options import switch
from deepwright.adversarial.training.ball import Ball
from deepwright.adversarial.training.modes import frozen_norms_still
from deepwright.adversarial.training.worst import climbed, said
from deepwright.core.errors import InputError
from deepwright.core.inference import floats_within
from deepwright.core.requirements import require_positive, require_whole, require_within
from deepwright.core.tasks import Binary, Classification, Forecast, MultiLabel, Regression, Segmentation, Task
from deepwright.core.tasks.divergences import DISTRIBUTIONS, kullback_leibler

_FAST = 1.25  # of the radius: the one step of arXiv 2001.03994
_BESIDE = 1e-3  # deviation of TRADES' start, where it is well inside the ball: the gradient at x itself is 0


@dataclass(frozen=True)
class WorstInputs:
    """What the recipes share.

    Attributes:
        eps: the budget.
        norm: "linf" or "l2".
        steps: of the search for each worst input.
        alpha: length of a step; the recipe's own by default.
        task: what outputs and targets mean.
        bounds: of every number of an input.
        still: search in evaluation mode (`modes`); else batch norms see the worst inputs while they are being found.
        warm_up: share of all steps of a fit over which the budget rises evenly from nothing; it is whole from the start
            where this is 0.
    """

    applies_to: ClassVar[tuple[type[Task], ...]] = ()
    eps: float
    norm: str = "linf"
    steps: int = 10
    alpha: float | None = None
    _: KW_ONLY
    task: Task
    bounds: tuple[float, float] = (0.0, 1.0)
    still: bool = True
    warm_up: float = 0.0
    ball: Ball = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ball", Ball(self.eps, self.norm, self.bounds))
        require_whole(1, steps=self.steps)
        if self.alpha is not None:
            require_positive(alpha=self.alpha)
        switch("still", self.still)
        require_within(0, 1, warm_up=self.warm_up)
        require_task(self.task)
        if not isinstance(self.task, self.applies_to):
            given = "none" if self.task is None else self.task.kind
            names = ", ".join(t.__name__ for t in self.applies_to)
            raise InputError("task", given=given, expected=f"one of {names}: it does not apply to anything else")

    @property
    def length(self) -> float:
        """Of a step: 2.5 eps / steps, or `alpha`."""
        return 2.5 * self.eps / self.steps if self.alpha is None else self.alpha

    def at(self, step: int, steps: int) -> Callable[..., Tensor]:
        """The recipe at the budget of a step, as `core.fit` asks for it.

        Args:
            step: from 0.
            steps: of the whole fit.
        """
        share = (step + 1) / (self.warm_up * steps) if self.warm_up else 1.0
        return self if share >= 1 else partial(self._smaller, share)

    def _smaller(self, share: float, model: nn.Module, pairs: Tensor, y: Any) -> Tensor:
        """The loss at a share of the budget: what `start` drew is drawn in towards x by as much."""
        alpha = None if self.alpha is None else self.alpha * share
        x, begun = pairs.unbind(1)
        pairs = torch.stack([x, x + share * (begun - x)], 1)
        return replace(self, eps=self.eps * share, alpha=alpha, warm_up=0.0)(model, pairs, y)

    def __call__(self, model: nn.Module, pairs: Float[Tensor, "n 2 ..."], y: Any) -> Float[Tensor, ""]:
        """What is lowered, as the step of `core.fit`.

        Args:
            model: in training.
            pairs: of `start`.
            y: targets.
        """
        raise NotImplementedError

    def start(self, x: Float[Tensor, "n ..."], rng: torch.Generator) -> Float[Tensor, "n 2 ..."]:
        """Each input beside the point where the search begins, as `core.fit` augments.

        Args:
            x: inputs within the bounds.
            rng: of this step.

        Raises:
            InputError: whole numbers; on the CPU also numbers outside the bounds. On an accelerator, where looking
                would wait, these make the loss NaN.
        """
        x = floats_within(x, self.ball.bounds, "attacks act on pixels in [0, 1]: put the normalisation into the model")
        return torch.stack([x, self._begun(x, rng)], 1)

    def _begun(self, x: Tensor, rng: torch.Generator) -> Tensor:
        raise NotImplementedError

    def _read(self, out: Any, n: int) -> Any:
        return self.task.read(out, n, strict=False)


@dataclass(frozen=True)
class AdversarialTraining(WorstInputs):
    """Learn from the worst inputs alone: min E max_{|d| <= eps} loss(f(x + d), y).

    With one step it is the fast way: a uniform start, one step of 1.25 eps. It may overfit to its own attack from one
    epoch to the next, after which several steps fool the network always: choose the epoch by such an attack
    (`RobustScore`), and look whether that happened (`overfitted`).

    Args:
        eps: the budget.
        norm: "linf" or "l2".
        steps: of the search; 1 is the fast way.
        alpha: length of a step; 2.5 eps / steps, and 1.25 eps for one.
        task: what outputs and targets mean: a class, several labels, numbers, label maps, forecasts.
        bounds: of every number of an input; (-inf, inf) for standardised features.
        still: search in evaluation mode.
        warm_up: share of all steps over which the budget rises.

    Example:
        >>> from deepwright.core.fit import fit
        >>> from deepwright.core.tasks import Classification
        >>> x = torch.rand(40, 1, 4, 4)
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
        >>> recipe = AdversarialTraining(8 / 255, steps=3, task=Classification(2))
        >>> fit(model, (x, (x.mean((1, 2, 3)) > 0.5).long()), epochs=1, augment=recipe.start, step=recipe).steps
        1

    Source: arXiv 1706.06083; 2001.03994 (fast).
    """

    applies_to = (Classification, Binary, MultiLabel, Regression, Segmentation, Forecast)
    steps: int = 7

    @property
    def length(self) -> float:
        """Of a step."""
        return _FAST * self.eps if self.steps == 1 and self.alpha is None else super().length

    def _begun(self, x: Tensor, rng: torch.Generator) -> Tensor:
        return self.ball.uniform(x, rng)

    def __call__(self, model: nn.Module, pairs: Float[Tensor, "n 2 ..."], y: Any) -> Float[Tensor, ""]:
        """The mean loss at the worst inputs, as the step of `core.fit`.

        Args:
            model: in training.
            pairs: of `start`.
            y: targets.
        """
        x, begun = pairs.unbind(1)

        def rising(out: Any) -> Tensor:
            return self.task.adversarial_loss(self._read(out, len(x)), y)

        with frozen_norms_still(model):
            worst = climbed(model, rising, x, begun, self.ball, self.length, self.steps, self.still)
            return self.task.loss(self._read(model(worst), len(x)), y).mean()


@dataclass(frozen=True)
class Trades(WorstInputs):
    """Learn from inputs as they are, and say nearly the same near them: loss(f(x), y) + beta KL(f(x) || f(x')).

    x' is where the divergence is largest in the ball, as far as `steps` from a start beside x find it. With beta 0 it
    is plain training, and no x' is looked for.

    Args:
        eps: the budget.
        norm: "linf" or "l2".
        steps: of the search.
        alpha: length of a step; 2.25 eps / steps (0.007 of 0.031 in ten, as published).
        task: what outputs mean, of those with probabilities: a class, several labels, label maps.
        bounds: of every number of an input; (-inf, inf) for standardised features.
        still: search in evaluation mode, as published.
        warm_up: share of all steps over which the budget rises.
        beta: 6, as published; more gives up right answers for steady ones.
        joint: one pass over both halves, whose batch norms then use common statistics; two passes, as published,
            otherwise.

    Source: arXiv 1901.08573.
    """

    applies_to = DISTRIBUTIONS
    _: KW_ONLY
    beta: float = 6.0
    joint: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.beta != 0:
            require_positive(beta=self.beta)
        switch("joint", self.joint)

    @property
    def length(self) -> float:
        """Of a step."""
        return 0.9 * super().length if self.alpha is None else self.alpha

    def _begun(self, x: Tensor, rng: torch.Generator) -> Tensor:
        return self.ball.near(x, rng, min(_BESIDE, self.eps / 8))

    def __call__(self, model: nn.Module, pairs: Float[Tensor, "n 2 ..."], y: Any) -> Float[Tensor, ""]:
        """The mean loss plus beta times the mean divergence, as the step of `core.fit`.

        Args:
            model: in training.
            pairs: of `start`.
            y: targets.
        """
        x, begun = pairs.unbind(1)
        with frozen_norms_still(model):
            if self.beta == 0:
                return self.task.loss(self._read(model(x), len(x)), y).mean()
            clean, moved = self._both(model, x, self._worst(model, x, begun, y))
        drift = kullback_leibler(self.task, clean, moved, y)
        return self.task.loss(clean, y).mean() + self.beta * drift.mean()

    def _worst(self, model: nn.Module, x: Tensor, begun: Tensor, y: Any) -> Tensor:
        kept = self._read(said(model, x, self.still), len(x))

        def rising(out: Any) -> Tensor:
            return kullback_leibler(self.task, kept, self._read(out, len(x)), y)

        return climbed(model, rising, x, begun, self.ball, self.length, self.steps, self.still)

    def _both(self, model: nn.Module, x: Tensor, worst: Tensor) -> tuple[Any, Any]:
        """What is said of inputs as they are, and of the worst ones."""
        if not self.joint:
            return self._read(model(x), len(x)), self._read(model(worst), len(x))
        out = self._read(model(torch.cat([x, worst])), 2 * len(x))
        return out[: len(x)], out[len(x) :]
