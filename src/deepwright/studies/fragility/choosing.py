"""Every arm's setting by the same rule on the same held-out rows, and the arms that only a part of a search makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from deepwright.core.results import Arm
from deepwright.studies._frame import Runs, select
from deepwright.studies.fragility.arms import ARMS, DECAYS
from deepwright.studies.fragility.trials import EVERY

WORDS = {
    "ce": "validation cross-entropy at matched temperature",
    "nfi": "validation normalised FI at matched temperature",
}
HELD = "held-out rows of each seed, which also fit the temperature"
FIXED, SMALL, PUSHED = "fragility, target 0.5", "erm, 8 settings", "fragility, targets from 0.6"
_PARTS: dict[str, tuple[str, Callable[[dict[str, Any]], bool], str]] = {
    SMALL: ("erm", lambda row: row["decay"] in DECAYS, "the part of ERM's search with the others' weight decays"),
    FIXED: ("fragility", lambda row: row["setting"] == 0.5, "the part of its search at the target that is the default"),
    PUSHED: (
        "fragility",
        lambda row: row["setting"] >= 0.6,
        "the part of its search with targets that every fit meets",
    ),
}
Arms = dict[tuple[str, str], Runs]


@dataclass(frozen=True)
class Chosen:
    """Chosen trials by (data, method), and how each was chosen."""

    arms: Arms
    records: list[Arm]


def chosen(runs: Runs, rule: str) -> Chosen:
    """Networks, by one rule; parts of a search are arms of their own.

    Args:
        runs: of `trials.trial`.
        rule: "ce" or "nfi".
    """
    everything = _settings(runs, rule)
    found = select(
        everything,
        arms=("data", "arm"),
        over=("own",),
        by="validation",
        words=WORDS[rule],
        data=HELD,
        budget=f"{runs.specs[0]['steps']} steps of Adam, the best of the looks taken every {EVERY}",
        why={(spec["data"], name): part[2] for spec in everything.specs for name, part in _PARTS.items()},
    )
    return Chosen(found.runs.by("data", "arm"), [_of(arm, rule) for arm in found.arms])


def chosen_linear(runs: Runs) -> Chosen:
    """Linear models, by cross-entropy.

    Args:
        runs: of `linear.linear_trial`.
    """
    specs, rows = [], []
    for spec, settings in zip(runs.specs, runs.rows):
        word = "C" if spec["arm"] == "logistic" else "slack"
        for row in settings:
            if row["rule"] == "ce":
                specs.append({k: spec[k] for k in ("data", "arm", "seed")} | {"own": {word: row["setting"]}})
                rows.append(row)
    found = select(
        Runs(tuple(specs), tuple(rows)),
        arms=("data", "arm"),
        over=("own",),
        by="validation",
        words=WORDS["ce"],
        data=HELD,
        budget="solved to its optimum",
    )
    return Chosen(found.runs.by("data", "arm"), [replace(arm, group=f"{arm.group}, linear") for arm in found.arms])


def by_target(runs: Runs, target: float) -> Arms:
    """The best network at one target of `FragilityLoss`, by cross-entropy.

    Args:
        runs: of `trials.trial`.
        target: of the loss's grid.
    """
    everything = _settings(runs, "ce")
    at = [i for i, s in enumerate(everything.specs) if s["arm"] == "fragility" and everything[i]["setting"] == target]
    found = select(
        everything.only(at),
        arms=("data", "arm"),
        over=("own",),
        by="validation",
        words=WORDS["ce"],
        data=HELD,
        budget="the same",
    )
    return found.runs.by("data", "arm")


def _settings(runs: Runs, rule: str) -> Runs:
    """One row a setting, under every arm that may choose it."""
    specs, rows = [], []
    for spec, settings in zip(runs.specs, runs.rows):
        names = [(spec["arm"], None)] + [(name, part[1]) for name, part in _PARTS.items() if part[0] == spec["arm"]]
        for row in settings:
            own = _own(spec["arm"], row)
            for name, keep in names:
                if row["rule"] == rule and (keep is None or keep(row)):
                    specs.append({"data": spec["data"], "arm": name, "seed": spec["seed"], "own": own})
                    rows.append(row)
    return Runs(tuple(specs), tuple(rows))


def _own(arm: str, row: dict[str, Any]) -> dict[str, Any]:
    """What a row's network was trained with, by name."""
    own = {} if arm == "erm" else {ARMS[arm].setting: row["setting"]}
    return own | {"weight decay": row["decay"], "lr": row["lr"]}


def _of(arm: Arm, rule: str) -> Arm:
    return arm if rule == "ce" else replace(arm, group=f"{arm.group}, by nFI")
