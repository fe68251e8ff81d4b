"""Tables, figures and the sentence of the HSFM study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deepwright.core.results import Figure, Table
from deepwright.studies._frame import Runs, banded, cells, columns, gaps, over_trials
from deepwright.studies.hsfm.trials import ARMS, DIRECT, DOMINOES, NAME_DFR, NAME_ERM, OURS

HEADS_SHOWN = "Last layers on drawn features"
CHOICE_SHOWN = "How HSFM's epoch is chosen"
DOMINOES_SHOWN = "Dominoes, end to end"


@dataclass(frozen=True)
class Found:
    """Everything that ran.

    Attributes:
        heads: (p_val, arm) -> the chosen trials.
        choices: way to choose -> trials.
        dominoes: share of the shortcut in training -> trials.
    """

    heads: dict[Any, Runs]
    choices: dict[Any, Runs]
    dominoes: dict[Any, Runs]


def tables(found: Found) -> list[Table]:
    """All of them, the main one first.

    Args:
        found: everything.
    """
    return [_heads(found), _choices(found), _dominoes(found)]


def _heads(found: Found) -> Table:
    rows: list[list[Any]] = []
    for (p_val, arm), runs in found.heads.items():
        ours = over_trials(gaps(found.heads[p_val, OURS], runs, "worst"))
        gap = [None, None, None] if arm == OURS else [*cells(ours)]
        label = "yes" if runs[0]["labels"][0] == "yes" else "no"
        row = [f"{p_val:.0%}", arm, *runs.cells("worst"), *gap, runs.mean("average"), label]
        rows.append([*row, "no" if arm == NAME_ERM else "yes", 1e3 * runs.mean("seconds")])
    rows.sort(key=_place)
    seeds, bound = len(next(iter(found.heads.values()))), next(iter(found.heads.values()))[0]["bound"]
    heads = ["shortcut in validation", "head", *columns("worst group", "HSFM less it"), "average"]
    heads += ["group labels in training", "group labels in the choice", "CPU ms a fit"]
    caption = (
        f"{HEADS_SHOWN}: test accuracy of the worst group, each head's setting chosen of nine on validation (AFR: of "
        f"36; HSFM, direct-hard and the frozen support: and one of 31 epochs), {seeds} seeds; the best rule "
        f"that is blind to the shortcut has {bound:.3f}"
    )
    return Table(heads, rows, caption)


def _place(row: list[Any]) -> tuple[str, int]:
    return row[0], ARMS.index(row[1])


def _choices(found: Found) -> Table:
    rows: list[list[Any]] = [
        [select, *runs.cells("worst"), runs[0]["labels"][1]] for select, runs in found.choices.items()
    ]
    caption = f"{CHOICE_SHOWN}: the default settings, shortcut in 90% of validation, test accuracy of the worst group"
    return Table(["chosen by", *columns("worst group"), "group labels"], rows, caption)


def _dominoes(found: Found) -> Table:
    rows: list[list[Any]] = []
    for p, runs in found.dominoes.items():
        for arm in DOMINOES:
            worst = [row["heads"][arm]["worst"] for row in runs]
            average = [row["heads"][arm]["average"] for row in runs]
            gain = [a - row["heads"][NAME_ERM]["worst"] for a, row in zip(worst, runs)]
            gained = [None, None, None] if arm == NAME_ERM else [*cells(over_trials(gain))]
            line = [f"{p:g}", arm, *cells(over_trials(worst)), *gained, over_trials(average).value]
            rows.append([*line, over_trials([row["headroom"] for row in runs]).value if arm == NAME_DFR else None])
    heads = ["shortcut in training", "head", *columns("worst group", "less the network's own"), "average"]
    seeds = len(next(iter(found.dominoes.values())))
    caption = f"{DOMINOES_SHOWN}: a small network on pairs of digits, its last layer replaced, {seeds} seeds"
    return Table([*heads, "headroom on validation"], rows, caption)


def figures(found: Found) -> list[Figure]:
    """Worst groups by head.

    Args:
        found: everything.
    """
    p_vals = list(dict.fromkeys(p_val for p_val, _ in found.heads))
    bars = [
        banded(f"shortcut in {p:.0%} of validation", list(ARMS), [found.heads[p, arm].values("worst") for arm in ARMS])
        for p in p_vals
    ]
    shown = [Figure("bar", "Drawn features: worst group by head", bars, "", "accuracy", y_range=(0.0, 1.0))]
    bars = [
        banded(
            f"shortcut in {p:.0%} of training",
            list(DOMINOES),
            [[row["heads"][arm]["worst"] for row in runs] for arm in DOMINOES],
        )
        for p, runs in found.dominoes.items()
    ]
    return [*shown, Figure("bar", "Dominoes: worst group by head", bars, "", "accuracy", y_range=(0.0, 1.0))]


def summary(found: Found) -> str:
    """The sentence on top.

    Args:
        found: everything.
    """

    def worst(p_val: float, arm: str) -> str:
        return f"{found.heads[p_val, arm].mean('worst'):.3f}"

    text = (
        f"On drawn features whose shortcut holds in 90% of the validation rows, HSFM's head has {worst(0.9, OURS)} in "
        f"its worst group where the network's has {worst(0.9, NAME_ERM)} and training on the hard set itself "
        f"{worst(0.9, DIRECT)}; {_ahead({arm: found.heads[0.9, arm].mean('worst') for arm in ARMS})}. Where validation "
        f"is balanced HSFM has {worst(0.5, OURS)}; {_ahead({arm: found.heads[0.5, arm].mean('worst') for arm in ARMS})}"
        ". HSFM trains without group labels, but its gain rests on those by which its epoch is chosen: by the worst "
        f"class it has {found.choices['worst_class'].mean('worst'):.3f}, by the worst group "
        f"{found.choices['worst_group'].mean('worst'):.3f} at the default settings."
    )
    for p, runs in found.dominoes.items():
        means = {arm: over_trials([row["heads"][arm]["worst"] for row in runs]).value for arm in DOMINOES}
        text += (
            f" On pairs of digits whose upper one goes with the class in {p:.0%} of training the network's own head "
            f"has {means[NAME_ERM]:.3f} and HSFM's {means[OURS]:.3f}; {_ahead(means)}."
        )
    return text


def _ahead(means: dict[str, float]) -> str:
    """Every head that has more than HSFM in the mean, the best first."""
    better = sorted((arm for arm in means if means[arm] > means[OURS]), key=means.__getitem__, reverse=True)
    if not better:
        return "no other head has more"
    return "more have " + ", ".join(f"{arm} ({means[arm]:.3f})" for arm in better)
