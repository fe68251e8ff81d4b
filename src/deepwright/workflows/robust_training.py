"""Hardening by training on worst inputs: adversarial training, with several steps or the fast way, and TRADES."""

from __future__ import annotations

import math
from typing import Any

from deepwright.adversarial.training import AdversarialTraining, RobustScore, Trades, overfitted
from deepwright.checks import NotApplicableError, Subject
from deepwright.checks.budgets import budgets
from deepwright.core.copies import copied
from deepwright.core.fit import FitResult
from deepwright.core.tasks.divergences import DISTRIBUTIONS
from deepwright.workflows.recipes import Hardened, Recipe, Unspoiled, lost, trained

_EPOCHS = 5
_STEPS = {AdversarialTraining: 7, Trades: 10}  # as published
_WARM_UP = 0.6  # of the training: a whole budget of 0.3 from the start turns a trained network into a constant
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

    One that spoils the network is never kept (`Unspoiled`); where none is better, the network stays as it was.

    Args:
        subject: of pictures or rows.
        recipe: the strength is the budget, by default the field's for the data (in L2 `usual_l2`), over 0.6 of the
            training rising to it; 7 steps, 1 for the fast way; 5 epochs.
    """
    steps = _STEPS[AdversarialTraining] if recipe.steps is None else recipe.steps
    way = AdversarialTraining(_budget(subject, recipe), steps=steps, **_common(subject, recipe))
    return _on_worst(subject, recipe, way, "adversarial training")


def trades(subject: Subject, recipe: Recipe) -> Hardened:
    """Train on inputs as they are, and to say nearly the same near them; the epoch is chosen likewise.

    Args:
        subject: of pictures or rows, of a task with probabilities.
        recipe: as for `adversarial_training`; 10 steps, a beta of 6.
    """
    steps = _STEPS[Trades] if recipe.steps is None else recipe.steps
    beta = 6.0 if recipe.beta is None else recipe.beta
    way = Trades(_budget(subject, recipe), steps=steps, beta=beta, **_common(subject, recipe))
    return _on_worst(subject, recipe, way, f"TRADES of beta {beta:g}")


def _common(subject: Subject, recipe: Recipe) -> dict[str, Any]:
    return {
        "norm": recipe.norm or "linf",
        "warm_up": _WARM_UP if recipe.warm_up is None else recipe.warm_up,
        "task": subject.task,
        "bounds": subject.bounds,
    }


def _budget(subject: Subject, recipe: Recipe) -> float:
    if recipe.strength is not None:
        return recipe.strength
    return usual_l2(subject) if recipe.norm == "l2" else budgets(subject).judged


def usual_l2(subject: Subject) -> float:
    """The budget in L2: the field's 0.5 for small colour pictures (CIFAR-10) and 3 for large ones (ImageNet).

    Other data have no usual one: theirs is ours, a quarter of the way to a corner of the ball in L-inf.

    Args:
        subject: of pictures or rows.

    Sources: "RobustBench: a standardized adversarial robustness benchmark", arXiv 2010.09670 (0.5 on CIFAR-10); "Do
    Adversarially Robust ImageNet Models Transfer Better?", arXiv 2007.08489 (3 for each architecture on ImageNet).
    """
    shape = subject.data.shape
    if subject.data.kind == "image" and shape[0] == 3:
        return 0.5 if max(shape[1:]) <= 64 else 3.0
    return budgets(subject).judged * math.sqrt(math.prod(shape)) / 4


def _on_worst(subject: Subject, recipe: Recipe, way: AdversarialTraining | Trades, name: str) -> Hardened:
    fast = isinstance(way, AdversarialTraining) and way.steps == 1
    where = "" if way.norm == "linf" else " in L2"
    recipe.say(f"{name} at a budget of {way.eps:.4g}{where}, {way.steps} step{'s' if way.steps > 1 else ''} an input")
    held = subject.data.validation.take(_JUDGED, subject.seed)
    score = RobustScore(held.inputs(), held.y, way.ball, way.task, fast, subject.batch_size, subject.seed)
    model = copied(subject.model)
    before = score(model)
    chosen = Unspoiled(score, "robust", before, subject.task.chance(held.y, subject.data.train.y))
    found = trained(model, subject, recipe, _EPOCHS, chosen.selection(), augment=way.start, step=way)
    watched = [_collapse(found)] if fast and found.history else []
    if found.history and not chosen.betters(found):
        note = (
            f"the network is as it was: on {len(held)} validation samples no epoch does better than its "
            f"{before['robust']:.1%} under ten steps at {way.eps:.4g}{where}{chosen.why_not(found)}; more epochs "
            "(--epochs), or a smaller budget (--strength)"
        )
        return Hardened(copied(subject.model).eval(), notes=[note, *watched])
    return Hardened(model, notes=[*_told(subject, way, len(held), before, found), *watched])


def _told(
    subject: Subject, way: AdversarialTraining | Trades, n: int, before: dict[str, float], found: FitResult
) -> list[str]:
    eps, in_l2 = way.eps, way.norm == "l2"
    where = " in L2" if in_l2 else ""
    if found.best_epoch is None:
        return ["no epoch was trained: the network is as it was"]
    best = found.history[found.best_epoch]
    notes = [
        f"epoch {found.best_epoch + 1} of {len(found.history)} is kept: on {n} validation samples "
        f"{subject.score_name} is {best['score']:.1%} ({before['score']:.1%} before), and {best['robust']:.1%} "
        f"({before['robust']:.1%}) under ten steps at {eps:.4g}{where}; the test split wasn't looked "
        "at",
        *lost(subject.score_name, n, before["score"], best["score"]),
    ]
    judged = budgets(subject).judged
    if in_l2:
        return [*notes, f"it was trained in L2, and the audits judge robustness in L-inf, at {judged:.4g}"]
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
