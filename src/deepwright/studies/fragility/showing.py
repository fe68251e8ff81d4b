"""The study's tables and figures."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval, holm
from deepwright.studies._frame import Runs, banded, barred, mean
from deepwright.studies.fragility.arms import ARMS, RIVALS
from deepwright.studies.fragility.choosing import FIXED, PUSHED, SMALL, Arms, by_target
from deepwright.studies.fragility.linear import MODELS
from deepwright.studies.fragility.measures import FACTORS
from deepwright.studies.fragility.paired import Gap, against, lowered, over_seeds

METHODS = (*ARMS, FIXED, SMALL)
MEASURES = {
    "accuracy": "accuracy",
    "auc": "AUC",
    "ce": "CE",
    "ce_matched": "CE matched",
    "ece": "ECE",
    "ece_matched": "ECE matched",
    "fi": "FI",
    "nfi": "nFI",
    "nfi_matched": "nFI matched",
    "confident": "P(xi > 0.8)",
    "confident_matched": "P(xi > 0.8) matched",
    "cvar95_matched": "CVaR95 matched",
    "look": "best look",
}
MATCHED = ("nfi_matched", "ce_matched", "confident_matched", "accuracy")
BESIDE = ("auc", "nfi", "ce", "confident", "ece", "ece_matched")
LOSS, RIGHT = "CE matched, minus rival's", "accuracy, minus rival's"
OURS_SURE, ERM_AS_SOFT = "FragilityLoss's, as trained", "ERM's at FragilityLoss's CE"
AGAINST_ERM, REGIMES, BEST, EVERY_LOSS, TARGETS, SOFT, LINEAR_MODELS = (
    "Minus ERM, selected by validation cross-entropy",
    "FragilityLoss against ERM in every regime",
    "FragilityLoss against the rival that is best on validation",
    "FragilityLoss against every other loss",
    "What the target does",
    "Softness alone",
    "The paper's linear models",
)


def means_table(arms: Arms, names: list[str], n: int) -> Table:
    """Every measure of every arm; as trained, and at the temperature that held-out rows ask for ("matched").

    Args:
        arms: chosen by data and method.
        names: of the tables.
        n: seeds.
    """
    rows: list[list[Any]] = []
    for data in names:
        rows += [[data, method, *(arms[data, method].mean(k) for k in MEASURES)] for method in METHODS]
        scaled = {k: f"{k}_matched" if f"{k}_matched" in MEASURES else k for k in MEASURES}
        scaled |= {"fi": "fi_matched"}
        rows.append([data, "erm + temperature", *(arms[data, "erm"].mean(scaled[k]) for k in MEASURES)])
    caption = (
        f"Means over {n} seeds, every arm selected by validation cross-entropy at matched temperature. Stand-in: made "
        "rows of which 12 % follow the reversed rule, which no feature shows. xi: a wrong class's probability minus "
        "the right one's; FI: the Fragility Index of xi, nFI: normalised; CVaR95: mean of the worst 5 % of xi; best "
        "look: which of the trainings' looks at validation was taken"
    )
    return Table(["data", "method", *MEASURES.values()], rows, caption)


def gaps_table(arms: Arms, names: list[str], rule: str, measures: tuple[str, ...] = MATCHED) -> Table:
    """Every arm minus ERM over the same seeds.

    Args:
        arms: chosen by data and method.
        names: of the tables.
        rule: by which they were selected, in words.
        measures: what is compared; the first is tested.
    """
    rows, p = [], []
    for data in names:
        for method in METHODS[1:]:
            found = [against(arms, data, method, measure) for measure in measures]
            p.append(found[0].p)
            rows.append([data, method, *_cells(*found), found[0].p])
    columns = [c for k in measures for c in (MEASURES[k], "low", "high")]
    return Table(
        ["data", "method", *columns, "p", "p (Holm)"],
        [[*row, adjusted] for row, adjusted in zip(rows, holm(p))],
        f"Minus ERM, selected by {rule}: 95 % intervals; p of {MEASURES[measures[0]]}, Holm over the rows",
    )


def regimes_table(arms: Arms, baselines: dict[str, str], caption: str) -> Table:
    """FragilityLoss against one other loss on every table.

    Args:
        arms: chosen by data and method.
        baselines: of each table, the other loss.
        caption: what the table compares.
    """
    rows, p = [], []
    for data, other in baselines.items():
        ours, theirs = arms[data, "fragility"], arms[data, other]
        gain, loss = (
            lowered(arms, data, "nfi_matched", baseline=other),
            against(arms, data, "fragility", "ce_matched", other),
        )
        sure, right = (against(arms, data, "fragility", k, other) for k in ("confident_matched", "accuracy"))
        p.append(gain.p)
        means = (theirs.mean("nfi_matched"), ours.mean("nfi_matched"))
        rows.append([data, other, *means, *_cells(gain, loss, sure, right), gain.p])
    return Table(
        [
            "regime",
            "rival",
            "rival's matched nFI",
            "FragilityLoss's",
            *("lowered by", "low", "high"),
            *(LOSS, "low", "high"),
            *("P(xi > 0.8) matched, minus rival's", "low", "high"),
            *(RIGHT, "low", "high"),
            "p",
            "p (Holm)",
        ],
        [[*row, adjusted] for row, adjusted in zip(rows, holm(p))],
        f"{caption}: by which share it lowers the matched nFI, with 95 % intervals; Holm over the regimes",
    )


def rivals_table(arms: Arms, names: list[str]) -> Table:
    """FragilityLoss against every other loss, all searched alike.

    Args:
        arms: chosen by data and method.
        names: of the tables.
    """
    rows: list[list[Any]] = []
    for data in names:
        for method in ("fragility", *RIVALS):
            means = [arms[data, method].mean(k) for k in ("validation", "ce_matched", "accuracy", "nfi_matched")]
            if method == "fragility":
                rows.append([data, method, *means, *[None] * 7])
            else:
                gain = lowered(arms, data, "nfi_matched", baseline=method)
                loss = against(arms, data, "fragility", "ce_matched", method)
                rows.append([data, method, *means, *_cells(gain, loss), gain.p])
    adjusted = iter(holm([row[-1] for row in rows if row[-1] is not None]))
    return Table(
        [
            "regime",
            "loss",
            "CE matched, validation",
            "CE matched",
            "accuracy",
            "nFI matched",
            *("lowered by", "low", "high"),
            *("FragilityLoss's CE matched, minus it", "low", "high"),
            "p",
            "p (Holm)",
        ],
        [[*row, None if row[-1] is None else next(adjusted)] for row in rows],
        f"{EVERY_LOSS}: by which share FragilityLoss lowers its matched nFI, with 95 % intervals; Holm over all rows",
    )


def best_rival(arms: Arms, data: str) -> str:
    """The loss of least validation cross-entropy beside FragilityLoss.

    Args:
        arms: chosen by data and method.
        data: a world's name.
    """
    return min(RIVALS, key=lambda method: arms[data, method].mean("validation"))


def wins(table: Table) -> int:
    """In how many rows of a table of regimes, rivals or linear models the matched nFI is lower, after Holm.

    Args:
        table: one of them.
    """
    gain, p = table.columns.index("lowered by"), table.columns.index("p (Holm)")
    rows: list[list[Any]] = list(table.rows)
    return sum(settled(row[p]) and row[gain] > 0 for row in rows)


def beaten(table: Table, data: str) -> list[str]:
    """Losses whose matched nFI FragilityLoss lowers in one regime, after Holm.

    Args:
        table: of `rivals_table`.
        data: the regime.
    """
    gain, p = table.columns.index("lowered by"), table.columns.index("p (Holm)")
    rows: list[list[Any]] = list(table.rows)
    return [row[1] for row in rows if row[0] == data and settled(row[p]) and row[gain] > 0]


def settled(p: float | None) -> bool:
    """Whether a difference is one at the level of the 95 % intervals; one seed has no p and settles nothing.

    Args:
        p: after Holm.
    """
    return p is not None and p <= 0.05


def targets_table(runs: Runs, arms: Arms, names: list[str]) -> Table:
    """FragilityLoss at each of its targets, the rest of its search by the same rule.

    Args:
        runs: trials of the networks.
        arms: chosen by data and method, for ERM.
        names: of the tables.
    """
    rows: list[list[Any]] = []
    for target in ARMS["fragility"].grid:
        pinned = arms | by_target(runs, target)
        for data in names:
            ours = pinned[data, "fragility"]
            met = mean([row["train_ce"] < 0.98 * target for row in ours])
            gain, loss = lowered(pinned, data, "nfi_matched"), against(pinned, data, "fragility", "ce_matched")
            rows.append([data, target, met, ours.mean("temperature"), *_cells(gain, loss)])
    rows.sort(key=lambda row: names.index(row[0]))
    return Table(
        [
            "data",
            "target (nats)",
            "met in training (share of seeds)",
            "temperature",
            *("nFI matched, lowered by", "low", "high"),
            *("CE matched, minus ERM", "low", "high"),
        ],
        rows,
        f"{TARGETS}: where training doesn't meet it the loss is ERM's; where it does, it softens (temperature < 1)",
    )


def softened(arms: Arms, data: str) -> list[float]:
    """ERM's share of confident errors when its temperature makes its cross-entropy FragilityLoss's, seed by seed.

    Args:
        arms: chosen by data and method.
        data: a world's name.
    """
    return [
        _at(ours["ce"], erm["softer ce"], erm["softer confident"])
        for ours, erm in zip(arms[data, PUSHED], arms[data, "erm"])
    ]


def _at(ce: float, losses: list[float], shares: list[float]) -> float:
    """The share at a cross-entropy on the softer side of the curve, by interpolation."""
    first = int(np.argmin(losses))
    return float(np.interp(ce, losses[first:], shares[first:]))


def soft_gap(arms: Arms, data: str) -> Gap:
    """FragilityLoss's share of confident errors as trained minus that of an ERM made as soft.

    Args:
        arms: chosen by data and method.
        data: a world's name.
    """
    ours = arms[data, PUSHED].values("confident")
    return over_seeds(data, [a - b for a, b in zip(ours, softened(arms, data))])


def soft_table(arms: Arms, names: list[str]) -> Table:
    """Confident errors as trained, beside those of an ERM that a temperature makes as soft.

    Args:
        arms: chosen by data and method.
        names: of the tables.
    """
    rows = []
    for data in names:
        ours, erm, gap = arms[data, PUSHED], arms[data, "erm"], soft_gap(arms, data)
        rows.append(
            [
                data,
                erm.mean("ce_matched"),
                ours.mean("ce"),
                erm.mean("confident_matched"),
                ours.mean("confident"),
                mean(softened(arms, data)),
                *gap.cells,
            ]
        )
    return Table(
        [
            "data",
            "ERM's CE, matched",
            "FragilityLoss's CE, as trained",
            "ERM's P(xi > 0.8), matched",
            OURS_SURE,
            ERM_AS_SOFT,
            "FragilityLoss's minus it",
            "low",
            "high",
        ],
        rows,
        f"{SOFT}: ERM with its temperature raised until its cross-entropy is that of FragilityLoss (targets from 0.6)",
    )


def linear_table(arms: Arms, names: list[str]) -> Table:
    """Exact linear classifiers of least FI beside logistic regression.

    Args:
        arms: chosen by data and model.
        names: of the tables.
    """
    measures = ("accuracy", "auc", "ce_matched", "nfi", "nfi_matched", "confident_matched")
    rows: list[list[Any]] = []
    p: dict[int, float] = {}  # by row; that of the baseline has none
    for data in names:
        for model in MODELS:
            row = [data, model, *(arms[data, model].mean(k) for k in measures)]
            if model == "logistic":
                rows.append([*row, None, None, None])
            else:
                gain = lowered(arms, data, "nfi_matched", model, "logistic")
                p[len(rows)] = gain.p
                rows.append([*row, *gain.cells])
    adjusted = dict(zip(p, holm(list(p.values()))))
    columns = [
        "accuracy",
        "AUC",
        "CE matched",
        "nFI",
        "nFI matched",
        "P(xi > 0.8) matched",
        "lowered by",
        "low",
        "high",
    ]
    return Table(
        ["data", "model", *columns, "p (Holm)"],
        [[*row, adjusted.get(i)] for i, row in enumerate(rows)],
        f"{LINEAR_MODELS}: ridge logistic regression, least FI by KL and by Wasserstein; matched nFI against the first",
    )


def gap_figure(arms: Arms, names: list[str]) -> Figure:
    """Each loss's matched nFI minus ERM's.

    Args:
        arms: chosen by data and method.
        names: of the tables.
    """
    series = []
    for method in [m for m in ARMS if m != "erm"]:
        found = [against(arms, data, method, "nfi_matched").interval for data in names]
        series.append(barred(method, names, found))
    return Figure(
        "bar",
        "Matched nFI minus ERM's: below 0 is better",
        series,
        "data",
        "difference of normalised FI, 95 % interval",
    )


def regime_figure(arms: Arms, names: list[str]) -> Figure:
    """By which share FragilityLoss lowers ERM's matched nFI in each regime.

    Args:
        arms: chosen by data and method.
        names: of the tables.
    """
    found = [lowered(arms, data, "nfi_matched").interval for data in names]
    per_cent = [Interval(*(100 * end for end in (i.value, i.low, i.high))) for i in found]
    return Figure(
        "bar",
        "By how much FragilityLoss lowers the matched nFI: above 0 it pays",
        [barred("fragility", names, per_cent)],
        "regime",
        "% of ERM's, 95 % interval",
    )


def soft_figure(arms: Arms, data: str) -> Figure:
    """Confident errors over cross-entropy as the temperature rises from half to eight times the matched one.

    Args:
        arms: chosen by data and method.
        data: a world's name.
    """
    series = []
    for name in ("erm", PUSHED):
        here = arms[data, name]
        losses, shares = (
            [[row[key][i] for row in here] for i in range(len(FACTORS))] for key in ("softer ce", "softer confident")
        )
        series.append(banded(name, [mean(x) for x in losses], [[100 * s for s in some] for some in shares]))
    return Figure(
        "line",
        f"Softer is what lowers confident errors ({data})",
        series,
        "test cross-entropy (nats)",
        "confident errors (% of test rows)",
        note=f"one point a temperature, {FACTORS[0]:g} to {FACTORS[-1]:g} times the matched one; fragility: at its "
        "best target from 0.6, which every fit meets, not at the one that validation picks",
    )


def _cells(*gaps: Gap) -> list[float | None]:
    return [cell for gap in gaps for cell in gap.cells]
