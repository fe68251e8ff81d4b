"""What every method that hardens a network is given, gives, and trains by."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from deepwright.checks import Finding, Subject
from deepwright.core.devices import Compute
from deepwright.core.fit import FitResult, Selection, adamw, fit, one_cycle
from deepwright.workflows.options import Say
from deepwright.workflows.precision import training_precision
from deepwright.workflows.scoring import TaskLoss, ValidationScore


@dataclass
class Hardened:
    """What a method gives.

    Attributes:
        model: the module, on the subject's device, in evaluation mode.
        before: findings about the network as it was that the audit doesn't make.
        after: the same of the module.
        notes: what a reader must know.
        program: what is exported in the module's place, where that says more than it.
    """

    model: nn.Module
    before: list[Finding] = field(default_factory=list)
    after: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    program: nn.Module | None = None


@dataclass(frozen=True)
class Recipe:
    """What every method is given beside the subject. What a method has none of is None, or empty.

    Attributes:
        epochs: of training; the method's own where None.
        precision: of training.
        checkpoint: the file from which an interrupted training goes on.
        strength: of what the method has one of; its own where None.
        say: told about each step.
        steps: of the search for worst inputs.
        beta: of TRADES.
        held_out: families of corruptions that aren't trained on.
        mixing: how corrupted pictures are trained on.
        norm: of the budget of worst inputs; "linf" where None.
        warm_up: share of the training over which that budget rises; the method's own where None.
        groups: the column of groups, or the file that has it.
    """

    epochs: int | None
    precision: str | None
    checkpoint: Path
    strength: float | None
    say: Say
    steps: int | None = None
    beta: float | None = None
    held_out: Sequence[str] = ()
    mixing: str | None = None
    norm: str | None = None
    warm_up: float | None = None
    groups: str | Path | None = None


MOST_LOST = 1 / 3
"""Of the score on inputs as they are: an epoch that gives up more of it isn't kept, whatever it gains elsewhere."""
WARNED = 0.05
"""Likewise: from here on the loss is told as a warning."""


@dataclass(frozen=True)
class Unspoiled:
    """Values of an epoch, and "kept": the one that decides, or -1 where the network is spoiled.

    Spoiled is what gives up more than `MOST_LOST` of its score on inputs as they are, or scores no better than an
    answer that looks at no input where the network did before: a constant stands under every attack.

    Attributes:
        values: network -> values, "score" among them.
        monitor: the value that decides.
        before: what `values` says of the network as it was.
        chance: score of the best answer that looks at no input, on the same samples.
    """

    values: Callable[[nn.Module], dict[str, float]]
    monitor: str
    before: dict[str, float]
    chance: float

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """The values with "kept", as `core.fit` takes them."""
        row = self.values(network)
        return {**row, "kept": -1.0 if self.spoils(row["score"]) else row[self.monitor]}

    def spoils(self, score: float) -> bool:
        """Whether a network of this score on inputs as they are is spoiled.

        Args:
            score: likewise on validation samples.
        """
        before = self.before["score"]
        blind = math.isfinite(self.chance) and before > self.chance >= score
        return blind or score < (1 - MOST_LOST) * before

    def selection(self) -> Selection:
        """The best epoch that isn't spoiled."""
        return Selection(self, "kept")

    def betters(self, found: FitResult) -> bool:
        """Whether some epoch isn't spoiled and is better than the network as it was.

        Args:
            found: of a training that was selected so.
        """
        return found.best_value is not None and found.best_value > self.before[self.monitor]

    def why_not(self, found: FitResult) -> str:
        """What became of the epochs where none is kept: as good as it was, or spoiled.

        Args:
            found: of a training that was selected so.
        """
        spoiled = [row for row in found.history if self.spoils(row["score"])]
        if not spoiled:
            return ""
        most = max(row["score"] for row in spoiled)
        return (
            f"; {len(spoiled)} of {len(found.history)} epochs gave up more than {MOST_LOST:.0%} of the "
            f"{self.before['score']:.1%} on inputs as they are, or answered alike to all of them ({most:.1%} at best)"
        )


def lost(name: str, n: int, before: float, after: float) -> list[str]:
    """A warning where a network gave up more than `WARNED` of its score on inputs as they are.

    Args:
        name: of the score.
        n: validation samples that it was measured on.
        before: of the network as it was.
        after: of the hardened one.
    """
    if not after < (1 - WARNED) * before:
        return []
    return [
        f"WARNING: {name} on inputs as they are fell by {1 - after / before:.0%} of what it was, from {before:.1%} to "
        f"{after:.1%} on {n} validation samples"
    ]


def trained(
    model: nn.Module, subject: Subject, recipe: Recipe, epochs: int, selection: Selection | None = None, **options: Any
) -> FitResult:
    """Train on, and keep the epoch that is best on the validation split.

    Args:
        model: trained in place; it ends in evaluation mode.
        subject: whose data it is trained on.
        recipe: says how long, in which precision, and where an interrupted training goes on from.
        epochs: where the recipe names none.
        selection: of the best epoch; by the task's score where None.
        **options: of `core.fit.fit`.
    """
    data, found = subject.data, FitResult()
    epochs = epochs if recipe.epochs is None else recipe.epochs
    if epochs:
        by_score = Selection(ValidationScore(data.validation, subject.batch_size, subject.task), "score")
        found = fit(
            model,
            (data.train.inputs(), data.train.y),
            epochs=epochs,
            batch_size=min(64, max(8, len(data.train) // 20)),
            optimizer=adamw(1e-3),
            scheduler=one_cycle(1e-3),
            loss=TaskLoss(subject.task),
            selection=selection or by_score,
            checkpoint=recipe.checkpoint,
            seed=subject.seed,
            compute=Compute(precision=training_precision(recipe.precision)),
            description="hardening",
            **options,
        )
    model.eval()
    return found
