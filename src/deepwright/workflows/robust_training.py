"""Hardening by training on worst inputs: adversarial training, with several steps or the fast way, and TRADES."""

from __future__ import annotations

import copy

from deepwright.adversarial.training import AdversarialTraining, RobustScore, Trades, overfitted
from deepwright.checks import NotApplicableError, Subject
from deepwright.checks.robustness import budgets
from deepwright.core.fit import FitResult, Selection
from deepwright.core.tasks.divergences import DISTRIBUTIONS
from deepwright.workflows.recipes import Hardened, Recipe, trained

_EPOCHS = 5
_STEPS = {AdversarialTraining: 7, Trades: 10}  # as published
_JUDGED = 500  # validation samples that every epoch is attacked on


def require_numbers(subject: Subject) -> None:
    """Refuse what has no small changes of its inputs, or no loss that rises with them.

    Args:
        subject: any.

    Raises:
        NotApplicableError: texts, token ids or series; a task that isn't trained so.
    """
    if subject.data.kind not in ("image", "tabular"):
        why = {"series": "a budget of series is one of each channel, and a training has one"}
        raise NotApplicableError(why.get(subject.data.kind, "words can't be changed a little"))
    if not isinstance(subject.task, AdversarialTraining.applies_to):
        raise NotApplicableError(f"no worst input is trained on for {subject.task.kind}")


def require_probabilities(subject: Subject) -> None:
    """Refuse what TRADES has nothing to compare of.

    Args:
        subject: any.

    Raises:
        NotApplicableError: as `require_numbers`; a task without probabilities.
    """
    require_numbers(subject)
    if not isinstance(subject.task, DISTRIBUTIONS):
        raise NotApplicableError(f"TRADES compares probabilities, and {subject.task.kind} has none")


def adversarial_training(subject: Subject, recipe: Recipe) -> Hardened:
    """Train on the worst inputs within a budget; the epoch is the best under attack on validation samples.

    Args:
        subject: of pictures or rows.
        recipe: the strength is the budget, the field's for the data by default; 7 steps, 1 for the fast way; 5 epochs.
    """
    steps = _STEPS[AdversarialTraining] if recipe.steps is None else recipe.steps
    way = AdversarialTraining(_budget(subject, recipe), steps=steps, task=subject.task, bounds=subject.bounds)
    return _on_worst(subject, recipe, way, "adversarial training")


def trades(subject: Subject, recipe: Recipe) -> Hardened:
    """Train on inputs as they are, and to say nearly the same near them; the epoch is chosen likewise.

    Args:
        subject: of pictures or rows, of a task with probabilities.
        recipe: as for `adversarial_training`; 10 steps, a beta of 6.
    """
    steps = _STEPS[Trades] if recipe.steps is None else recipe.steps
    beta = 6.0 if recipe.beta is None else recipe.beta
    way = Trades(_budget(subject, recipe), steps=steps, beta=beta, task=subject.task, bounds=subject.bounds)
    return _on_worst(subject, recipe, way, f"TRADES of beta {beta:g}")


def _budget(subject: Subject, recipe: Recipe) -> float:
    return budgets(subject).judged if recipe.strength is None else recipe.strength


def _on_worst(subject: Subject, recipe: Recipe, way: AdversarialTraining | Trades, name: str) -> Hardened:
    fast = isinstance(way, AdversarialTraining) and way.steps == 1
    recipe.say(f"{name} at a budget of {way.eps:.4g}, {way.steps} step{'s' if way.steps > 1 else ''} an input")
    held = subject.data.validation.take(_JUDGED, subject.seed)
    score = RobustScore(held.inputs(), held.y, way.ball, way.task, fast, subject.batch_size, subject.seed)
    model = copy.deepcopy(subject.model)
    before = score(model)
    found = trained(
        model,
        subject,
        recipe,
        _EPOCHS,
        Selection(score, "robust"),
        augment=way.start,
        step=way,
    )
    watched = [_collapse(found)] if fast and found.history else []
    if found.best_value is not None and found.best_value <= before["robust"]:
        note = (
            f"the network is as it was: on {len(held)} validation samples no epoch does better than its "
            f"{before['robust']:.1%} under ten steps at {way.eps:.4g}; more epochs (--epochs), or a smaller budget "
            "(--strength)"
        )
        return Hardened(copy.deepcopy(subject.model).eval(), notes=[note, *watched])
    return Hardened(model, notes=[*_told(subject, way.eps, len(held), before, found), *watched])


def _told(subject: Subject, eps: float, n: int, before: dict[str, float], found: FitResult) -> list[str]:
    if found.best_epoch is None:
        return ["no epoch was trained: the network is as it was"]
    best = found.history[found.best_epoch]
    notes = [
        f"epoch {found.best_epoch + 1} of {len(found.history)} is kept: on {n} validation samples "
        f"{subject.score_name} is {best['score']:.1%} ({before['score']:.1%} before), and {best['robust']:.1%} "
        f"({before['robust']:.1%}) under ten steps at {eps:.4g}; the test split wasn't looked at"
    ]
    judged = budgets(subject).judged
    if abs(eps - judged) > 1e-9:
        notes.append(f"it was trained at {eps:.4g}, and the audits judge robustness at {judged:.4g} (--eps)")
    return notes


def _collapse(found: FitResult) -> str:
    """What became of the fast way: it may come to stand against its own one step, and against nothing else."""
    epoch = overfitted(found.history)
    if epoch is None:
        return "the fast way was watched for overfitting to its own attack: in no epoch did it"
    row = found.history[epoch]
    return (
        f"from epoch {epoch + 1} on the fast way had overfitted to its own attack ({row['one_step']:.1%} under one "
        f"step, {row['robust']:.1%} under ten): the epoch kept is the best under ten; --steps 7 doesn't do that"
    )
