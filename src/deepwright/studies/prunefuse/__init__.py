"""PruneFuse: does a pruned copy choose labels as well as other networks, and is its training worth fusing?"""

from __future__ import annotations

from deepwright.core.results import StudyResult
from deepwright.studies import Settings
from deepwright.studies._frame import cross, run_grid, study_result
from deepwright.studies.prunefuse.choosing import chosen_selectors, chosen_trainings, training_grid
from deepwright.studies.prunefuse.claims import claims_of
from deepwright.studies.prunefuse.selecting import (
    LABELS,
    RATES,
    ROUND,
    SELECTIONS,
    SELECTOR_EPOCHS,
    round_trial,
    selection_trial,
)
from deepwright.studies.prunefuse.shown import figures, summary, tables
from deepwright.studies.prunefuse.training import training_trial

LIMITS = (
    "Digits of 14 x 14 and a ResNet-8 of width 8: selection costs little here, and what it saves at the paper's size "
    "isn't shown.",
    "One strategy, least confidence, and half of the units removed; entropy, margin, k-centers, BADGE and TypiClust, "
    "other shares and synchronised selectors aren't compared here.",
    "Nothing was trained for longer than 30 epochs (450 steps): where validation chose those, more may still help.",
    "Nearly every longer training chose the largest learning rate that was tried, 0.3; higher ones weren't.",
    "The 1,000 validation labels that every arm is chosen on aren't counted in the budget of 480.",
    "Whether a separate small network's training could be carried over in another way, by distillation for one, wasn't "
    "tried.",
)


def run(settings: Settings) -> StudyResult:
    """Labels chosen by pruned, whole and separate networks; training from scratch and fused on each choice."""
    quick = settings.quick
    seeds = settings.seeds_or(range(100, 101 if quick else 105))
    rates = RATES[1:2] if quick else RATES
    epochs = 3 if quick else SELECTOR_EPOCHS
    grid = cross(name=SELECTIONS, seed=seeds, lr=rates, epochs=epochs)
    selections = run_grid(selection_trial, grid, settings, "prunefuse, selection")
    selectors = chosen_selectors(selections.by("name"), epochs)
    trials = training_grid(selectors, rates, epochs, quick)
    trainings = run_grid(training_trial, trials, settings, "prunefuse, training")
    timed = cross(width=(8, 12) if quick else (8, 32), seed=seeds, epochs=1 if quick else 2)
    clock = run_grid(round_trial, timed, settings, "prunefuse, rounds")
    trained, rounds = chosen_trainings(trainings), clock.by("width")
    return study_result(
        "prunefuse",
        [selections, trainings, clock],
        seeds=seeds,
        claims=claims_of(selectors, trained, rounds),
        tables=tables(selectors, trained, rounds),
        figures=figures(trained),
        summary=summary(selectors, trained, rounds),
        arms=[*selectors.arms, *trained.arms],
        limits=LIMITS,
        settings={"removed": 0.5, "labels": LABELS, "a round": ROUND, "epochs of a selector": epochs},
    )
