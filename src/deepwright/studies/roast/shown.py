"""Tables, figures, arms, limits and the sentence on top."""

from __future__ import annotations

from typing import Any

from deepwright.core.results import Arm, Figure, Table
from deepwright.studies._frame import Runs, banded, columns, gaps, inside, over_trials
from deepwright.studies.roast.trials import ALL, DRAWS, EACH, KINDS, LESS, MORE, OWN, RANDOM, RATE, SHOWN, WIDE

REGIMES = (ALL, LESS, MORE, RANDOM, EACH, OWN, *SHOWN.values())
REGIMES_SHOWN = "Regimes"
CHOICES_SHOWN = "Whom the selection keeps"
_KNOWING = ("knowing", "knowing, at a wide rate")
_HEADS = ("gain, judged by honest windows", "accepted", f"gain at {WIDE:.0%}, judged by honest windows", "accepted ")
LIMITS = (
    "Simulated patients and machines of our own: OhioT1DM, MIMIC-IV and CinC 2019 are restricted, and no number of "
    "the paper's is compared.",
    "One attack, a single gradient step on a channel, and one detector, the 7th nearest neighbour; the search attack, "
    "the support vector machine and MAD-GAN are in the library and weren't run here.",
    "The attacker doesn't know of the detector: one who does wasn't measured.",
    "Windows of one entity follow each other: intervals are over cohorts, not over windows.",
    "One threshold for all entities in the headline; in practice each may have its own, which the table shows.",
)


def measured(name: str, what: str) -> Any:
    """A number of a regime; the mean over the draws of a random half.

    Args:
        name: of the regime.
        what: of its numbers.
    """
    if name != RANDOM:
        return inside("regimes", name, what)

    def read(row: Any) -> float:
        return sum(row["regimes"][f"{RANDOM} {draw}"][what] for draw in range(DRAWS)) / DRAWS

    return read


def tables_of(found: dict[str, Runs]) -> list[Table]:
    """One of regimes for each cohort, and one of choices.

    Args:
        found: kind -> trials.
    """
    return [*(_regimes(kind, runs) for kind, runs in found.items()), _choices(found)]


def _regimes(kind: str, runs: Runs) -> Table:
    rows: list[list[Any]] = []
    for name in REGIMES:
        row: list[Any] = [name]
        for what in ("even", "recall", "false alarms"):
            row += [*runs.cells(measured(name, what))] if (name, what) != (OWN, "even") else [None, None, None]
        for what in ("of the excluded", "precision", "auroc", "auroc kept", "auroc excluded", "seconds"):
            row.append(None if name == OWN and what.startswith("auroc") else runs.mean(measured(name, what)))
        rows.append(row)
    heads = columns(f"recall at {RATE:.0%} false alarms", "recall at its own threshold", "false alarms there")
    more = ["of the excluded", "precision", "AUROC", "of the kept", "of the excluded ones", "seconds of fit"]
    caption = (
        f"{REGIMES_SHOWN}, {kind}: {len(runs)} cohorts; attacks took {runs.mean(inside('seconds', 'attacks')):.2f} s, "
        f"profiles {runs.mean(inside('seconds', 'profiles')):.3f} s; root mean squared error of the forecaster "
        f"{runs.mean('rmse'):.3g}"
    )
    return Table(["trained on", *heads, *more], rows, caption)


def _choices(found: dict[str, Runs]) -> Table:
    rows: list[list[Any]] = []
    for kind, runs in found.items():
        limits = [runs.mean(inside("limits", k)) if runs[0]["limits"] else None for k in ("meal", "180")]
        measures = [runs.mean(inside("measures", m)) for m in runs[0]["measures"]]
        row = [kind, runs.mean("steady kept"), *limits, *measures[1:], min(runs.values("clusters"))]
        more = [runs.mean(inside(how, what)) for how in _KNOWING for what in ("gain", "accepted")]
        rows.append([*row, *runs.cells(inside("cv", "gain")), runs.mean(inside("cv", "accepted")), *more])
    heads = ["cohort", "steady ones in the lower half", "limit by meals", "limit of 180"]
    heads += ["by normalised risk", "by flips", "by roughness", "smallest of two clusters, worst seed"]
    return Table([*heads, *columns("gain left out one by one"), "selection accepted", *_HEADS], rows, CHOICES_SHOWN)


def figures_of(found: dict[str, Runs]) -> list[Figure]:
    """Recall at the common rate beside recall at thresholds of their own.

    Args:
        found: kind -> trials.
    """
    figures = []
    for kind in (KINDS[0], KINDS[2]):
        runs = found[kind]
        names = [name for name in REGIMES if name != OWN]
        series = [
            banded(words, names, [runs.values(measured(name, what)) for name in names])
            for words, what in (
                (f"at {RATE:.0%} false alarms of all", "even"),
                ("at its own threshold", "recall"),
                ("false alarms there", "false alarms"),
            )
        ]
        figures.append(Figure("bar", kind, series, "trained on", "share", y_range=(0, 1)))
    return figures


def arms() -> list[Arm]:
    """Each regime as it is: nothing is tuned."""
    fixed = "as published, or as the spec has it: nothing is tuned"
    budget = "the same attacked windows; k = 7"
    shown = "its threshold is set on labelled windows of the earlier part"
    why = {name: shown for name in SHOWN.values() if name.endswith("labeled")}
    return [Arm(name, fixed, budget=budget, group="regimes", why=why.get(name, "")) for name in REGIMES]


def summary_of(found: dict[str, Runs]) -> str:
    """The sentence on top.

    Args:
        found: kind -> trials.
    """
    runs = found[KINDS[0]]
    own = _gap(runs, "recall", LESS, ALL)
    even = _gap(runs, "even", ALL, LESS)
    secret = found[KINDS[2]]
    return (
        f"Trained on the less vulnerable half, a detector sees {own} more of the attacked windows at its own "
        f"threshold, and alarms on {runs.mean(measured(LESS, 'false alarms')):.3f} of the benign ones where it "
        f"alarmed on {runs.mean(measured(ALL, 'false alarms')):.3f}. At one rate of "
        f"false alarms for both, recall of all less that of the half is {even}. A threshold per entity sees "
        f"{runs.mean(measured(EACH, 'recall')):.3f} at {runs.mean(measured(EACH, 'false alarms')):.3f} false alarms. "
        f"Where nine tenths of the other half's training windows are secretly attacked, selection changes AUROC by "
        f"{_gap(secret, 'auroc', LESS, ALL)}; leaving entities out one by one accepts it in "
        f"{secret.mean(inside('cv', 'accepted')):.2f} of these cohorts and in "
        f"{runs.mean(inside('cv', 'accepted')):.2f} of the plain ones."
    )


def _gap(runs: Runs, what: str, a: str, b: str) -> str:
    found = over_trials(gaps(runs, runs, measured(a, what), measured(b, what)))
    ends = f" [{found.low:+.3f}, {found.high:+.3f}]" if found.known else ""
    return f"{found.value:+.3f}{ends}"
