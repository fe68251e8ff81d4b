"""Training against confident misjudgments, held against seven other losses, with every arm selected alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deepwright.core.results import StudyResult, Table
from deepwright.studies import Settings
from deepwright.studies._frame import cross, run_grid, study_result
from deepwright.studies.fragility.arms import ARMS, RIVALS, WIDER
from deepwright.studies.fragility.choosing import WORDS, Arms, chosen, chosen_linear, chosen_wider
from deepwright.studies.fragility.claims import claims_of, claims_on_rivals
from deepwright.studies.fragility.linear import MODELS, linear_trial
from deepwright.studies.fragility.measures import CONFIDENT
from deepwright.studies.fragility.paired import lowered
from deepwright.studies.fragility.showing import (
    BESIDE,
    ERM_AS_SOFT,
    OURS_SURE,
    beaten,
    best_rival,
    gap_figure,
    gaps_table,
    linear_table,
    means_table,
    regime_figure,
    regimes_table,
    rivals_table,
    settled,
    soft_figure,
    soft_table,
    targets_table,
    wins,
)
from deepwright.studies.fragility.trials import HIDDEN, STEPS, trial
from deepwright.studies.fragility.worlds import HEART_FILE, LINEAR, MAIN, QUICK, RIVALLED, WORLDS

SEEDS = range(300, 310)  # looked at only once everything was decided; 0 to 4 and 200 to 204 were seen on the way
_LOSS, _RIGHT = "CE matched, minus ERM", "accuracy, minus ERM"  # columns of the regimes' table
LIMITS = (
    "Without noise, with 24 % of it, more later, 150 rows and mislabelled digits FragilityLoss is held against ERM "
    "alone.",
    "The published setting with a convolutional network on MedMNIST isn't here: its images are not at hand.",
    "The published regulariser isn't public; FragilityLoss is ours, built from the same index (see its page).",
    "Networks are small perceptrons on tables; nothing is said of large ones, of images or of texts.",
    "Two real sets of 299 and 569 rows leave wide intervals: gains of a few percent there would not be seen.",
    "Intervals of real sets allow for the rows that their splits share (Nadeau and Bengio), which is an approximation.",
    "On heart failure, breast cancer and the digits, held-out rows hold too few errors to fit a temperature: each "
    "tenth of the test rows is read at that of the held-out rows and the other nine tenths. No arm is selected by it.",
    "Sixteen settings an arm are a coarse search; a finer one may move every arm. Of twenty settings ERM's are ten "
    "weight decays at two learning rates, those of all other losses two decays: finer decays may lower theirs too.",
    "The target of 0.68 that validation picks with 5 % of positives is the last of its grid, just below log 2; the "
    "weakest label smoothing and focal loss are the last of theirs, and weaker ones are nearer to ERM.",
)


def _seeds(settings: Settings) -> tuple[int, ...]:
    return settings.seeds_or(SEEDS[:2] if settings.quick else SEEDS)


def grids(settings: Settings) -> tuple[list[dict[str, Any]], ...]:
    """Trials of all losses on the main tables, of two in other regimes, of linear models, and of wider searches."""
    seeds, quick, root = _seeds(settings), settings.quick, settings.data_root
    heart = root is not None and (root / HEART_FILE).exists()
    there = [name for name in WORLDS if (heart or name != "heart failure") and (not quick or name in QUICK)]
    more: dict[str, Any] = {"seed": seeds, "root": str(root) if heart else None}
    main, others = ([name for name in there if (name in MAIN) == wanted] for wanted in (True, False))
    linear, rivalled = ([name for name in names if name in there] for names in (LINEAR, RIVALLED))
    wider = [f"{name}{WIDER}" for name in ("fragility", *RIVALS)]
    steps = 40 if quick else STEPS
    return (
        cross(data=main, arm=list(ARMS), **more, steps=steps),
        cross(data=others, arm=["erm", "fragility"], **more, steps=steps),
        cross(data=linear, arm=MODELS, **more),
        cross(data=rivalled, arm=wider, **more, steps=steps),
    )


def run(settings: Settings) -> StudyResult:
    """FragilityLoss against ERM, label smoothing, focal, CVaR, tilted and chi2-DRO losses, and in other regimes."""
    seeds = _seeds(settings)
    most, two, exact_ones, twenty = grids(settings)
    heart = sorted({Path(spec["root"]) / HEART_FILE for spec in most if spec["root"] is not None})
    main = run_grid(trial, most, settings, "fragility-index", files=heart)
    others = run_grid(trial, two, settings, "regimes", files=heart)
    linear = run_grid(linear_trial, exact_ones, settings, "linear models", files=heart)
    wider = run_grid(trial, twenty, settings, "all losses, twenty settings", files=heart)
    n, names = len(seeds), list(main.by("data"))
    best, by_nfi = chosen(main, "ce"), chosen(main, "nfi")
    wide = chosen_wider(wider)
    elsewhere, lines = chosen(others, "ce"), chosen_linear(linear)
    arms = best.arms | elsewhere.arms
    everywhere = [name for name in WORLDS if (name, "erm") in arms]
    found = arms | wide.arms  # where both were searched wider, that counts: opponents at their best known setting
    regimes, exact = regimes_table(found, everywhere), linear_table(lines.arms, list(linear.by("data")))
    rivals = rivals_table(wide.arms, list(wider.by("data")), arms)
    soft = soft_table(arms, names)
    gaps = gaps_table(arms, names, WORDS["ce"])
    return study_result(
        "fragility-index",
        [main, others, linear, wider],
        seeds=seeds,
        claims=[*claims_of(found, by_nfi.arms, n, regimes, exact), *claims_on_rivals(wide.arms, rivals, n)],
        tables=[
            means_table(arms, names, n),
            gaps,
            gaps_table(best.arms, names, WORDS["ce"], BESIDE),
            gaps_table(by_nfi.arms, names, WORDS["nfi"]),
            regimes,
            rivals,
            targets_table(main, arms, names),
            soft,
            exact,
        ],
        figures=[gap_figure(arms, names), regime_figure(found, everywhere), soft_figure(arms, names[0])],
        summary=_summary(arms, gaps, regimes, exact, soft) + _rivals(wide.arms, rivals, arms),
        settings={"network": f"perceptron, hidden layers of {HIDDEN}", "confident": f"xi > {CONFIDENT}"},
        arms=[*best.records, *by_nfi.records, *elsewhere.records, *wide.records, *lines.records],
        limits=LIMITS,
    )


def _summary(arms: Arms, gaps: Table, regimes: Table, linear: Table, soft: Table) -> str:
    change = -100 * lowered(arms, "stand-in", "nfi_matched").interval.value
    sure, as_soft = (soft.rows[0][soft.columns.index(column)] for column in (OURS_SURE, ERM_AS_SOFT))
    wanted = (*regimes.columns[:4], _LOSS, _RIGHT)
    named: list[dict[str, Any]] = [
        {column: row[regimes.columns.index(column)] for column in wanted} | {"p": row[-1]} for row in regimes.rows
    ]
    lower = [row for row in named if row["lowered by"] > 0]
    won = [row for row in lower if settled(row["p"])]
    nearest = min(lower or named, key=lambda row: (row["p"], -row["lowered by"]))
    which = "; ".join(
        f"{r['regime']}, {r['lowered by']:.1%} lower, p = {r['p']:.2g}, at {r[_RIGHT]:+.4f} of accuracy and "
        f"{r[_LOSS]:+.4f} of matched cross-entropy"
        for r in won or [nearest]
    )
    which = which if won else f"nearest to it: {which}"
    higher = [row["regime"] for row in named if row["lowered by"] < 0 and settled(row["p"])]
    where = f" ({', '.join(higher)})" if higher else ""
    of_linear = f"{wins(linear)} of {len(linear.rows) // len(MODELS)} tables"
    return (
        "With every arm selected alike on held-out rows, the normalised FI at matched temperature after training with "
        f"FragilityLoss differs from ERM's by {change:+.1f} % on the stand-in. After Holm it is lower in "
        f"{wins(regimes)} of {len(regimes.rows)} regimes ({which}) and higher in "
        f"{len(higher)}{where}; that of the exact linear classifiers is lower in "
        f"{of_linear}. {_others(arms, gaps)} Where training meets its target it softens: {sure:.2%} of the "
        f"stand-in's test rows are confident errors, and {as_soft:.2%} with an ERM that a temperature makes as soft."
    )


def _others(arms: Arms, gaps: Table) -> str:
    """Which of the other losses are below ERM on the stand-in: the method's rivals belong into its summary."""
    rows: list[dict[str, Any]] = [
        dict(zip(gaps.columns[:3], row)) | {"p": row[-1]} for row in gaps.rows if row[0] == "stand-in"
    ]
    below = [str(row["method"]) for row in rows if row["nFI matched"] < 0 and settled(row["p"])]
    if not below:
        return "No other loss is below ERM on the stand-in, after Holm."
    values = ", ".join(f"{name} at {arms['stand-in', name].mean('nfi_matched'):.4g}" for name in below)
    return f"Below ERM's {arms['stand-in', 'erm'].mean('nfi_matched'):.4g} on the stand-in, after Holm: {values}."


def _rivals(wide: Arms, table: Table, narrow: Arms) -> str:
    """What becomes of the gain, or the loss, where every other loss is an arm."""
    text = ""
    for data in dict.fromkeys(str(row[0]) for row in table.rows):
        rival, lower = best_rival(wide, data), beaten(table, data)
        which = f" ({', '.join(lower)})" if lower else ""
        gain = lowered(wide, data, "nfi_matched", baseline=rival).interval
        plain, before = (lowered(some, data, "nfi_matched").interval.value for some in (wide, narrow))
        index = {method: wide[data, method].mean("nfi_matched") for method in ("fragility", *RIVALS)}
        shares = " against ".join(f"{narrow[data, m].mean('nfi_matched'):.4g}" for m in ("fragility", "erm"))
        values = ", ".join(f"{m} {v:.4g}" for m, v in sorted(index.items(), key=lambda item: item[1]))
        text += (
            f" With {data}, every loss searched over twenty settings, the index is {values}; FragilityLoss's is lower "
            f"by {gain.value:.1%} [{gain.low:.1%}, {gain.high:.1%}] than that of {rival}, the rival that is best on "
            f"validation, and after Holm lower than that of {len(lower)} of {len(RIVALS)} losses{which}. Against "
            f"ERM it is {plain:.1%}; sixteen settings of both had left {before:.1%} ({shares}): ERM's finer weight "
            "decays, and a target that validation prefers, take that away."
        )
    return text
