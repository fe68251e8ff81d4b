"""Which learning rate, exit, network in front and trigger is taken: by validation and calibration frames alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deepwright.core.results import Arm
from deepwright.studies._frame import Runs, Selection, select
from deepwright.studies.exits.detectors import ALONE, BATCH, CUTS, EQUAL, FRONT, FRONTS, HALF, JOINT
from deepwright.studies.exits.films import FILMS

EXIT, TRIGGER, RANDOM = "exit", "frame difference", "random skips"
SKIPPING = "who skips, at 5 %"
DETECTORS = (JOINT, ALONE, EQUAL, HALF)


@dataclass(frozen=True)
class Chosen:
    """What was taken.

    Attributes:
        cut: the exit.
        front: the network in front.
        on_films: by film, the exit's runs and the trigger's.
        places: by film, the exit and the trigger in words.
        arms: how.
    """

    cut: str
    front: str
    on_films: dict[str, tuple[Runs, Runs]]
    places: dict[str, tuple[str, str]]
    arms: list[Arm]


def rates_of(tuned: dict[str, Runs], steps: int, frames: int) -> tuple[dict[str, float], list[Arm]]:
    """Learning rate of each arm.

    Args:
        tuned: all that were tried, by group.
        steps: of each training.
        frames: that it saw.
    """
    rates: dict[str, float] = {}
    arms: list[Arm] = []
    measures = {"detectors": "mean average precision", "networks that tell empty frames": "area under the curve"}
    for group, runs in tuned.items():
        found = select(
            runs,
            arms=("group", "arm"),
            over=("lr",),
            by="validation",
            words=f"{measures[group]} on validation frames",
            data="600 validation frames of the first seed, which nothing else uses",
            budget=f"{steps} steps of {BATCH} frames, out of {frames:,}",
            largest=True,
            pooled=True,
        )
        rates |= {spec["arm"]: spec["lr"] for spec in found.runs.specs}
        arms += found.arms
    return rates, arms


def chosen(main: Runs, triggers: Runs, steps: int) -> Chosen:
    """The exit, the network in front, and on each film the exit and the trigger.

    Args:
        main: the trials.
        triggers: those of the triggers on films.
        steps: of each training.
    """
    exits = _spread(main, SKIPPING, EXIT, {c: lambda row, c=c: row["exits"][f"{c} 0.05"] for c in CUTS})
    fronts = _spread(main, SKIPPING, FRONT, {f: lambda row, f=f: row[FRONT][f] for f in FRONTS})
    picked = select(
        _together(exits, fronts),
        arms=("group", "arm"),
        over=("place",),
        by="speedup in calibration",
        words="saving of MACs on calibration frames at the certified bound",
        data="1,200 calibration frames of each seed",
        budget=f"{steps} steps of {BATCH} frames",
        largest=True,
        pooled=True,
    )
    place = _places(picked)
    random = Arm(RANDOM, "the exit's rate", budget="none", group=SKIPPING, why="nothing to choose: it has a rate alone")
    arms, films, places = [*picked.arms, random], {}, {}
    for kind in FILMS:
        own = _spread(main, kind, EXIT, {c: lambda row, key=f"{kind} {c}": row["films"][key] for c in CUTS})
        found = select(
            _together(own, triggers.by("group")[kind]),
            arms=("group", "arm"),
            over=("place",),
            by="empty skipped in calibration",
            words="share of empty frames skipped in the calibration film at the certified bound",
            data="a calibration film of 800 frames of each seed",
            budget={(kind, EXIT): f"{steps} steps of {BATCH} frames", (kind, TRIGGER): "none"},
            largest=True,
            pooled=True,
            why={(kind, TRIGGER): "it isn't trained"},
        )
        by_arm = found.runs.by("arm")
        films[kind] = (by_arm[EXIT], by_arm[TRIGGER])
        places[kind] = (_places(found)[EXIT], _places(found)[TRIGGER])
        arms += found.arms
    return Chosen(place[EXIT], place[FRONT], films, places, arms)


def _places(chosen: Selection) -> dict[str, str]:
    """By arm, the candidate that was taken for all seeds."""
    return {spec["arm"]: spec["place"] for spec in chosen.runs.specs}


def _spread(main: Runs, group: str, arm: str, readers: dict[str, Any]) -> Runs:
    """One row a candidate and seed."""
    pairs = [
        ({"group": group, "arm": arm, "place": place, "seed": seed}, reader(row))
        for place, reader in readers.items()
        for seed, row in zip(main.seeds, main)
    ]
    return Runs(tuple(spec for spec, _ in pairs), tuple(row for _, row in pairs))


def _together(a: Runs, b: Runs) -> Runs:
    return Runs((*a.specs, *b.specs), (*a.rows, *b.rows))
