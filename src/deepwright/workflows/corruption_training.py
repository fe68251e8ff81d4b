"""Hardening by training on corrupted pictures, measured on families of corruptions that weren't trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from deepwright.checks import Finding, NotApplicableError, Subject, run_check
from deepwright.core.copies import copied
from deepwright.core.fit import FitResult
from deepwright.core.inference import read_outputs
from deepwright.core.randomness import generator
from deepwright.core.tasks import Segmentation, Task
from deepwright.core.tasks.divergences import DISTRIBUTIONS
from deepwright.corruptions import Consistent, CorruptionMix, Perturbation, Suite, split_families
from deepwright.data import Split
from deepwright.workflows.recipes import Hardened, Recipe, Unspoiled, lost, trained

FAMILIES = ("noise", "weather", "occlusion", "overlay")
"""Kept back where nobody says otherwise."""
MIXINGS = ("consistent", "plain")
_EPOCHS = 3
_LEAST = 8  # pixels of a side that perturbations take


def require_corruptible(subject: Subject) -> None:
    """Refuse what isn't corrupted, or would need other targets when it is.

    Args:
        subject: any.

    Raises:
        NotApplicableError: no pictures, or too small ones; a task whose targets are neither classes nor label maps.
    """
    if subject.data.kind != "image":
        raise NotApplicableError(f"only pictures are mixed from corrupted ones, and this is {subject.data.kind} data")
    if not isinstance(subject.task, DISTRIBUTIONS):
        raise NotApplicableError(f"mixtures are trained on for classes, labels and label maps, not {subject.task.kind}")
    if min(subject.data.shape[1:]) < _LEAST or subject.data.shape[0] not in (1, 3):
        raise NotApplicableError(f"corruptions want grey or colour pictures of {_LEAST} x {_LEAST} pixels or more")


def corruption_training(subject: Subject, recipe: Recipe) -> Hardened:
    """Train on mixtures of corrupted pictures; errors under the families kept back are measured before and after.

    Args:
        subject: of pictures.
        recipe: families to keep back, `FAMILIES` by default; mixing "consistent" (one answer to a picture and two
            mixtures of it) or "plain"; 3 epochs.
    """
    held = tuple(recipe.held_out) or FAMILIES
    seen, unseen = split_families(held, moving=not isinstance(subject.task, Segmentation))
    consistent = recipe.mixing != "plain"
    mix = CorruptionMix(tuple(seen), views=2 if consistent else 0)
    recipe.say(f"training on mixtures of {len(seen)} corruptions; {', '.join(held)} are kept back")
    step: dict[str, Any] = {"step": Consistent(subject.task)} if consistent else {}
    score = CorruptedScore(
        subject.data.validation, subject.batch_size, subject.task, replace(mix, views=1), subject.seed
    )
    model = copied(subject.model)
    before = score(model)
    chosen = Unspoiled(score, "both", before, subject.task.chance(subject.data.validation.y, subject.data.train.y))
    found = trained(model, subject, recipe, _EPOCHS, chosen.selection(), augment=mix, **step)
    notes = _told(subject, chosen, found)
    if not chosen.betters(found):
        model = copied(subject.model).eval()
    recipe.say("corruptions that weren't trained on")
    both = [
        run_check("unseen corruptions", lambda whole: measured_on(whole, unseen, held), replace(subject, model=m))
        for m in (subject.model, model)
    ]
    note = (
        f'{", ".join(held)} weren\'t trained on: "unseen corruptions" is what the training did for weather that it '
        f"didn't see; the section on corruptions holds all, also the {len(seen)} that it saw"
    )
    return Hardened(model, both[:1], both[1:], notes=[*notes, note])


def _told(subject: Subject, chosen: Unspoiled, found: FitResult) -> list[str]:
    """Which epoch is kept, and what it cost on pictures as they are; or why none is."""
    before, n = chosen.before, len(subject.data.validation)
    if found.best_epoch is None:
        return ["no epoch was trained: the network is as it was"]
    if not chosen.betters(found):
        return [
            f"the network is as it was: on {n} validation samples no epoch does better than its {before['both']:.1%}, "
            f"the mean over pictures as they are and mixtures{chosen.why_not(found)}; more epochs (--epochs) may"
        ]
    best = found.history[found.best_epoch]
    return [
        f"epoch {found.best_epoch + 1} of {len(found.history)} is kept: on {n} validation samples "
        f"{subject.score_name} is {best['score']:.1%} ({before['score']:.1%} before), and {best['corrupted']:.1%} "
        f"({before['corrupted']:.1%}) on mixtures",
        *lost(subject.score_name, n, before["score"], best["score"]),
    ]


@dataclass(frozen=True)
class CorruptedScore:
    """The task's mean score on validation pictures and on one mixture of each, of corruptions that are trained on.

    Attributes:
        split: validation samples.
        batch_size: of the passes.
        task: reads the outputs.
        mix: one mixture a picture.
        seed: of the mixtures.
    """

    split: Split
    batch_size: int
    task: Task
    mix: CorruptionMix
    seed: int

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Both, and "both", their mean."""
        found = []
        for which in (0, 1):
            parts = []
            for number, x in enumerate(self.split.batches(self.batch_size).inputs):
                shown = self.mix(x, generator(self.seed, "mixture", number))[:, 1] if which else x
                parts += read_outputs(network, [shown], self.task.read)
            found.append(float(self.task.score(self.task.join(parts), self.split.y).double().mean()))
        return {"score": found[0], "corrupted": found[1], "both": sum(found) / 2}


def measured_on(subject: Subject, perturbations: tuple[Perturbation, ...], families: tuple[str, ...]) -> Finding:
    """Errors under some corruptions, ungraded.

    Args:
        subject: of pictures.
        perturbations: by which they are corrupted.
        families: they are of these.
    """
    split = subject.data.test.take(subject.corruption_limit, subject.seed)
    report = Suite(perturbations, seed=subject.seed).evaluate(
        subject.network,
        split.batches(subject.batch_size),
        task=subject.baseline_task,
        headline=not subject.has_classes,
        description="unseen corruptions",
    )
    clean, mean = 1 - report.clean.value, 1 - report.mean_error.value
    return Finding(
        check="unseen corruptions",
        grade="info",
        summary=f"{subject.score_name[0].upper()}{subject.score_name[1:]} is {clean:.1%} on pictures as they are and "
        f"{mean:.1%} on average over {len(report.errors)} corruptions of {', '.join(families)} x 5 severities "
        f"({report.n} samples), none of which the training sees.",
        values={"clean_error": report.clean, "mean_error": report.mean_error},
        rule="Not graded. The intervals are over samples.",
        tables=[report.table()],
        figures=[report.figure()],
        lower_is_better=("clean_error", "mean_error"),
        conditions={"perturbations": sorted(report.errors)},
    )
