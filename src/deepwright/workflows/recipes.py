"""What every method that hardens a network is given, gives, and trains by."""

from __future__ import annotations

from collections.abc import Sequence
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
        warm_up: share of the training over which that budget rises.
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
