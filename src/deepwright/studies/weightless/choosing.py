"""Every setting of every arm as one list of runs, what validation chooses of it, and the smallest tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deepwright.core.results import Arm
from deepwright.studies._frame import Runs, select
from deepwright.studies.weightless.trials import BLOOM, DWN, EPOCHS, HASHED_FROM, ULEEN

BEST, SAME = "each at its best", "equal hardware"
HELD_OUT = "400 validation digits of each seed"
POINT = 0.01
_WHY = {
    BLOOM: "its filters have a size of their own, and n below 14 needs none",
    DWN: "gradients take a hundred times longer: fewer settings, and tables of six inputs only",
    ULEEN: "gradients take a hundred times longer: fewer settings",
}


@dataclass(frozen=True)
class Found:
    """What the trials found.

    Attributes:
        wide: every setting of every arm on 5,000 digits; its specs have `arm`, `key` (the setting in words), `setting`.
        best: by arm, what validation chose, seed by seed.
        arms: how.
        variants: by option.
        flips: by arm and share of tables stored three times.
        small: by arm, inputs and tables, scikit-learn's digits.
        prototypes: by arm, inputs and samples.
        more: by arm, 10,000 digits; empty without a data root.
    """

    wide: Runs
    best: dict[str, Runs]
    arms: list[Arm]
    variants: dict[str, Runs]
    flips: dict[tuple[str, float], Runs]
    small: dict[tuple[str, int, int], Runs]
    prototypes: dict[tuple[str, int, int], Runs]
    more: dict[str, Runs]

    def at(self, arm: str, n: int, uses: int, epochs: int = EPOCHS[-1]) -> Runs:
        """One arm at one setting; automata after so many epochs.

        Args:
            arm: a rule.
            n: inputs of a table.
            uses: times a pixel is read.
            epochs: of automata.
        """
        same = [
            i
            for i, spec in enumerate(self.wide.specs)
            if spec["arm"] == arm
            and (spec["setting"].get("n"), spec["setting"].get("uses")) == (n, uses)
            and spec["setting"].get("epochs", epochs) == epochs
        ]
        return self.wide.only(same)


def spread(automata: Runs, counted: Runs, bloom: Runs, gradients: Runs) -> Runs:
    """One list: an arm, its setting, its seed, and what was measured.

    Args:
        automata: a trial has several numbers of epochs.
        counted: plain and bleached.
        bloom: BTHOWeN.
        gradients: DWN and ULEEN.
    """
    specs: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []

    def add(arm: str, seed: int, setting: dict[str, Any], row: dict[str, Any]) -> None:
        key = ", ".join(f"{name} = {value}" for name, value in setting.items())
        specs.append({"group": BEST, "arm": arm, "setting": setting, "key": key, "seed": seed})
        rows.append(row)

    for spec, row in zip(automata.specs, automata):
        for epochs, measured in row["after"].items():
            setting = {"n": spec["n"], "uses": spec["uses"], "epochs": int(epochs)}
            add(spec["arm"], spec["seed"], setting, measured | {"microseconds": row["microseconds"]})
    for spec, row in zip(counted.specs, counted):
        add(spec["arm"], spec["seed"], {"n": spec["n"], "uses": spec["uses"]}, row)
    for spec, row in zip(bloom.specs, bloom):
        add(BLOOM, spec["seed"], {"n": spec["n"], "uses": spec["uses"], "entries": spec["entries"]}, row)
    for spec, row in zip(gradients.specs, gradients):
        own: dict[str, Any] = {name: spec[name] for name in ("tables", "lr", "mapping") if name in spec}
        add(spec["arm"], spec["seed"], own, row)
    return Runs(tuple(specs), tuple(rows))


def chosen(wide: Runs) -> tuple[dict[str, Runs], list[Arm]]:
    """By arm, the setting with the best validation accuracy, seed by seed.

    Args:
        wide: of `spread`.
    """
    names = tuple(dict.fromkeys(spec["arm"] for spec in wide.specs))
    found = select(
        wide,
        arms=("group", "arm"),
        over=("setting",),
        by="validation",
        words="validation accuracy",
        data=HELD_OUT,
        budget="every setting of its grid once, on 3,600 digits",
        largest=True,
        why={
            (BEST, arm): _WHY.get(arm, "the grids follow the rules: inputs up to what its tables can hold, and epochs")
            for arm in names
        },
    )
    return found.runs.by("arm"), found.arms


def by_setting(wide: Runs, arm: str, dense: bool | None = None) -> dict[str, Runs]:
    """By setting in words, the runs of an arm.

    Args:
        wide: of `spread`.
        arm: a rule.
        dense: only dense tables, or only hashed ones.
    """

    def wanted(spec: dict[str, Any]) -> bool:
        return spec["arm"] == arm and (dense is None or dense == (spec["setting"].get("n", 0) < HASHED_FROM))

    return wide.only([i for i, spec in enumerate(wide.specs) if wanted(spec)]).by("key")


def smallest(settings: dict[str, Runs], accuracy: float, measure: str = "test") -> tuple[str, float] | None:
    """The setting with the fewest bytes of those whose mean accuracy is at least this; None where there is none.

    Args:
        settings: of `by_setting`.
        accuracy: the bar.
        measure: which accuracy.
    """
    enough = {key: runs.mean("bytes") for key, runs in settings.items() if runs.mean(measure) >= accuracy - 1e-12}
    return min(enough.items(), key=_second) if enough else None


def economical(wide: Runs, arm: str) -> tuple[str, Runs]:
    """The smallest table of an arm whose validation accuracy is within a point of its best, by means over the seeds.

    Args:
        wide: of `spread`.
        arm: a rule.
    """
    settings = by_setting(wide, arm)
    top = max(runs.mean("validation") for runs in settings.values())
    found = smallest(settings, top - POINT, "validation")
    assert found is not None
    return found[0], settings[found[0]]


def beside(wide: Runs, arms: Sequence[str], accuracy: float) -> dict[str, tuple[str, float] | None]:
    """The smallest dense table of each arm of at least this test accuracy, by means over the seeds.

    Args:
        wide: of `spread`.
        arms: rules.
        accuracy: the bar.
    """
    return {arm: smallest(by_setting(wide, arm, dense=True), accuracy) for arm in arms}


def _second(pair: tuple[str, float]) -> float:
    return pair[1]
