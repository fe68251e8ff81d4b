"""Tables, figures and the sentence of the study of networks on trees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from deepwright.core.results import Arm, Cell, Figure, Table
from deepwright.studies._frame import Runs, banded, columns, inside, mean
from deepwright.studies.padic import codes, digits, fields
from deepwright.studies.padic.claims import (
    CODES_SHOWN,
    DIGITS_SHOWN,
    PAIRS_SHOWN,
    SHUFFLED_SHOWN,
    WEIGHTS_SHOWN,
    Found,
    best_rival,
    error_ratio,
    over_optimum,
    rmse_ratio,
)

_LIKELIHOOD = "the likelihood of the training rows chooses its variances: no held-out leaves are needed"
_TRUTH = "it has the variances that drew the effects: what could be reached at best"
_CLOSED = "as many strengths as its kind has use for; each is a closed form"
LIMITS = (
    "The field is drawn on the very tree that the operator has: what a tree is worth where the data have none is shown "
    "by shuffled leaves only.",
    "Effects of codes are drawn, normal and nested, on ICD-10's tree as on the full one: no patient's table was read. "
    "The process is then the right model, and its rivals aren't.",
    "One strength is chosen for each rival, by leaves that were held out whole; one-hot ridge can't be chosen so, for "
    "it says the mean of leaves that it never saw.",
    "Digits are 8 x 8 and 1,797; nothing is claimed of larger pictures. The number of channels wasn't tuned.",
    "Published papers have theorems and pictures and no such numbers: nothing here repeats one.",
)


def tables(found: Found) -> list[Table]:
    """All of them, the main one first.

    Args:
        found: all trials.
    """
    return [*_codes(found), _fields(found), _shuffled(found), _weights(found), _digits(found)]


def _codes(found: Found) -> list[Table]:
    made = []
    for tree, runs in found.codes.items():
        rows: list[list[Cell]] = [
            [arm, *runs.cells(inside("rmse", arm, "unseen")), *runs.cells(inside("rmse", arm, "seen"))]
            for arm in codes.ARMS
        ]
        covered, best = (runs.mean(inside("coverage", arm)) for arm in (codes.PROCESS, codes.ORACLE))
        made.append(
            Table(
                ["encoder", *columns("RMSE on unseen leaves", "RMSE on seen leaves")],
                rows,
                f"{CODES_SHOWN}: {tree}, nested effects of variance 5^(-0.2 level) (in all 1), noise of 1, one to five "
                f"rows a seen leaf, 30 % of the leaves unseen, {len(runs)} seeds; TreeGP's 95 % intervals cover "
                f"{covered:.3f} of the unseen, with the true variances {best:.3f}",
            )
        )
    return made


def _fields(found: Found) -> Table:
    sizes = [pairs for pairs, shuffled in found.fields if not shuffled]
    rows: list[list[Cell]] = []
    for arm in fields.ARMS:
        rows.append([arm, *(cell for n in sizes for cell in found.fields[n, False].cells(over_optimum(arm)))])
    return Table(
        ["filter", *columns(*(f"{n} pairs" for n in sizes))],
        rows,
        f"{PAIRS_SHOWN}: mean squared error on {fields.TEST} test fields of 243 leaves over that of the best filter "
        "there is, by training pairs",
    )


def _shuffled(found: Found) -> Table:
    runs = found.fields[300, True]
    rows: list[list[Cell]] = [[arm, *runs.cells(inside("error", arm))] for arm in fields.ARMS]
    return Table(
        ["filter", *columns("mean squared error")],
        rows,
        f"{SHUFFLED_SHOWN}: the same with leaves shuffled before training, 300 pairs",
    )


def _weights(found: Found) -> Table:
    rows: list[list[Cell]] = [
        [name, runs.rows[0]["weights"], *runs.cells("over optimum")] for name, runs in found.operators.items()
    ]
    return Table(
        ["operator", "weights", *columns("error over the optimum")],
        rows,
        f"{WEIGHTS_SHOWN}: operators on 243 leaves, 300 pairs, trained by L-BFGS from 0, steps chosen on a fifth "
        "of the pairs; the dense one in closed form",
    )


def _digits(found: Found) -> Table:
    rows: list[list[Cell]] = []
    for arm in digits.ARMS:
        runs = found.digits[arm, False]
        wrong = found.digits[arm, True]
        rows.append([arm, runs.rows[0]["weights"], *runs.cells("accuracy"), *wrong.cells("accuracy")])
    return Table(
        ["network", "weights", *columns("test accuracy", "with permuted pixels")],
        rows,
        f"{DIGITS_SHOWN}: 8 x 8 as a tree of squares (q = 4, 3 levels), 1,077 to train, 360 to choose the epoch, 360 "
        f"to test, {digits.EPOCHS} epochs",
    )


def figures(found: Found) -> list[Figure]:
    """All of them.

    Args:
        found: all trials.
    """
    sizes = [pairs for pairs, shuffled in found.fields if not shuffled]
    shown = [
        banded(arm, sizes, [found.fields[n, False].values(over_optimum(arm)) for n in sizes])
        for arm in (fields.RADIAL, *fields.RIVALS)
    ]
    made = [
        Figure(
            "line",
            "Six weights need few pairs",
            shown,
            "training pairs",
            "error over the optimum",
            log_x=True,
            note="A field of 243 leaves; 1 is the best filter there is. Bands are 95 % intervals over seeds.",
        )
    ]
    for tree, runs in found.codes.items():
        series = [
            banded(where + " leaves", list(codes.ARMS), [runs.values(inside("rmse", a, where)) for a in codes.ARMS])
            for where in ("unseen", "seen")
        ]
        made.append(Figure("bar", f"Codes, {tree}: error against the truth", series, "", "RMSE"))
    return made


def arms(found: Found) -> list[Arm]:
    """How each rival's strength was selected.

    Args:
        found: all trials.
    """
    made = []
    for (pairs, shuffled), runs in found.fields.items():
        if pairs not in (20, 300) or shuffled:
            continue
        group = f"field, {pairs} pairs"
        held = f"{max(1, pairs // 5)} of the pairs; then all are fitted"
        made += [
            _arm(runs, arm, fields.STRENGTHS[arm], held, group, f"{pairs} pairs, closed form") for arm in fields.RIVALS
        ]
        made.append(
            Arm(
                fields.RADIAL,
                "its only setting",
                budget=f"{pairs} pairs, 60 iterations of L-BFGS",
                group=group,
                why="it has nothing to choose, and L-BFGS ends where a closed form would",
            )
        )
    for tree, runs in found.codes.items():
        held = "a quarter of the seen leaves, held out whole"
        made += [_arm(runs, arm, codes.STRENGTHS, held, tree, "all rows") for arm in codes.PREDICTED]
        made.append(Arm(codes.PROCESS, "its only setting", budget="all rows", group=tree, why=_LIKELIHOOD))
        made.append(Arm(codes.ORACLE, "its only setting", budget="all rows", group=tree, why=_TRUTH))
    made += [
        Arm(arm, "lowest validation loss, epoch by epoch", "360 digits", f"{digits.EPOCHS} epochs", group="digits")
        for arm in digits.ARMS
    ]
    return made


def _arm(runs: Runs, arm: str, strengths: Sequence[Any], data: str, group: str, budget: str) -> Arm:
    picked = [row["chosen"][arm] for row in runs]
    words = [str(p) for p in picked]
    edges = (strengths[0], strengths[-1])
    return Arm(
        arm,
        "lowest error on held-out data, seed by seed",
        data,
        budget,
        {"strength": [str(s) for s in strengths]},
        len(strengths),
        dict(Counter(words).most_common()),
        sum(p in edges for p in picked) if not isinstance(strengths[0], tuple) else 0,
        group,
        _CLOSED if group.startswith("field") else "",
    )


def summary(found: Found) -> str:
    """What was found, the unfavourable too.

    Args:
        found: all trials.
    """
    few = found.fields[20, False]
    rival = best_rival(few)
    against = mean(error_ratio(few, fields.RADIAL, rival))
    parts = [
        f"With 20 pairs a radial operator of 6 weights has {against:.3f} of the error of its best rival ({rival})",
        f"with 300 it is {found.fields[300, False].mean(over_optimum(fields.RADIAL)):.3f} times the optimum where the "
        f"shrunk Wiener filter is {found.fields[300, False].mean(over_optimum(fields.WIENER)):.3f}",
    ]
    said = f"{parts[0]}; {parts[1]}: the gain is few data and O(N). Shuffled, it has "
    said += f"{mean(error_ratio(found.fields[300, True], fields.RADIAL, fields.WIENER)):.3f} times Wiener's error. "
    for tree, runs in found.codes.items():
        parent = mean(rmse_ratio(runs, codes.PROCESS, codes.PARENT, "unseen"))
        recursive = mean(rmse_ratio(runs, codes.PROCESS, codes.RECURSIVE, "unseen"))
        said += (
            f"Codes, {tree}: TreeGP has {parent:.3f} of the RMSE of target encoding with parents on unseen leaves, "
            f"{recursive:.3f} of that of recursive target encoding. "
        )
    own, wrong = found.digits[digits.OWN, False], found.digits[digits.OWN, True]
    return (
        f"{said}Digits: {own.mean('accuracy'):.3f} on the tree of squares, {wrong.mean('accuracy'):.3f} with permuted "
        f"pixels, an MLP {found.digits[digits.MLP, False].mean('accuracy'):.3f}: the tree isn't what makes it right."
    )
