"""Learning rates and epochs of every arm, chosen on validation digits, and what they lead to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deepwright.core.results import Arm
from deepwright.studies._frame import Runs, Selection, select
from deepwright.studies.prunefuse.selecting import LABELS
from deepwright.studies.prunefuse.training import LENGTHS

SELECTORS = "selectors"
HELD_OUT = "1,000 validation digits of each seed"
ACCURACY = "validation accuracy"


@dataclass(frozen=True)
class Trained:
    """Whole networks after training.

    Attributes:
        best: by length and arm ("PruneFuse: fused"), the chosen trials.
        all: the same with every setting.
        arms: how they were chosen.
    """

    best: dict[tuple[str, str], Runs]
    all: dict[tuple[str, str], Runs]
    arms: list[Arm]

    def at(self, length: str, labels: str, way: str) -> Runs:
        """The chosen trials of one arm.

        Args:
            length: of the training.
            labels: who chose them.
            way: from scratch or fused.
        """
        return self.best[length, arm(labels, way)]

    def has(self, length: str, labels: str, way: str) -> bool:
        """Whether that was trained.

        Args:
            length: of the training.
            labels: who chose them.
            way: from scratch or fused.
        """
        return (length, arm(labels, way)) in self.best


def arm(labels: str, way: str) -> str:
    """The name of an arm.

    Args:
        labels: who chose them.
        way: from scratch or fused.
    """
    return f"{labels}: {way}"


def chosen_selectors(by_name: dict[str, Runs], epochs: int) -> Selection:
    """The learning rate of each selector, by its accuracy when it is trained on all the labels that it chose.

    Args:
        by_name: every rate of every selector.
        epochs: of each round.
    """
    specs = [{**spec, "group": SELECTORS} for runs in by_name.values() for spec in runs.specs]
    rows = [row for runs in by_name.values() for row in runs]
    return select(
        Runs(tuple(specs), tuple(rows)),
        arms=("group", "name"),
        over=("lr",),
        by="validation",
        words=f"{ACCURACY} of the selector",
        data=HELD_OUT,
        budget=f"{LABELS} labels, {epochs} epochs in each round",
        largest=True,
    )


def training_grid(selectors: Selection, rates: tuple[float, ...], epochs: int, quick: bool) -> list[dict[str, Any]]:
    """One trial a choice of labels and seed.

    Args:
        selectors: that were chosen.
        rates: that are tried.
        epochs: of the selector.
        quick: without the longest trainings.
    """
    return [
        {"labels": spec["name"], "seed": spec["seed"], "indices": row["indices"], "selector_lr": spec["lr"]}
        | {"selector_epochs": epochs, "rates": list(rates), "quick": quick}
        for spec, row in zip(selectors.runs.specs, selectors.runs)
    ]


def chosen_trainings(trained: Runs) -> Trained:
    """The learning rate and epochs of every way and length, seed by seed.

    Args:
        trained: the trials.
    """
    specs, rows = [], []
    for spec, row in zip(trained.specs, trained):
        for key, settings in row.items():
            way, length = key.split(" | ")
            for setting, measured in settings.items():
                lr, epochs = setting.split()
                own = {"lr": float(lr)} | ({"epochs": int(epochs)} if len(LENGTHS[length][0]) > 1 else {})
                specs.append({"group": length, "arm": arm(spec["labels"], way), "setting": own, "seed": spec["seed"]})
                rows.append(measured | {"epochs": int(epochs)})
    runs = Runs(tuple(specs), tuple(rows))
    found = select(
        runs,
        arms=("group", "arm"),
        over=("setting",),
        by="validation",
        words=ACCURACY,
        data=HELD_OUT,
        budget={key: key[0] for key in runs.places("group", "arm")},
        largest=True,
    )
    return Trained(found.runs.by("group", "arm"), runs.by("group", "arm"), found.arms)
