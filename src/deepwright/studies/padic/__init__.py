"""Networks on trees: filters of a field, codes with unseen leaves, digits as trees of squares, weights and error."""

from __future__ import annotations

from typing import Any

from deepwright.core.results import StudyResult
from deepwright.studies import Settings
from deepwright.studies._frame import cross, run_grid, study_result
from deepwright.studies.padic.claims import Found, claims_of
from deepwright.studies.padic.codes import ICD, MADE, codes_trial, icd_index
from deepwright.studies.padic.digits import ARMS, digits_trial
from deepwright.studies.padic.fields import OPERATORS, field_trial, operator_trial
from deepwright.studies.padic.shown import LIMITS, arms, figures, summary, tables

SEEDS = range(800, 810)


def run(settings: Settings) -> StudyResult:
    """Fields, operators, codes and digits.

    Args:
        settings: size, seeds and store.
    """
    quick = settings.quick
    seeds = settings.seeds_or(SEEDS[:1] if quick else SEEDS)
    common: dict[str, Any] = {"seed": seeds, "quick": quick}
    sizes = (20, 300) if quick else (5, 20, 60, 300, 1000)
    filters = [
        *cross(pairs=list(sizes), shuffled=False, **common),
        *cross(pairs=300, shuffled=True, **common),
    ]
    trees = [MADE] if icd_index() is None or quick else [MADE, ICD]
    grids = [
        run_grid(field_trial, filters, settings, "padic-dnn, fields"),
        run_grid(operator_trial, cross(operator=list(OPERATORS), **common), settings, "padic-dnn, operators"),
        run_grid(codes_trial, cross(tree=trees, **common), settings, "padic-dnn, codes"),
        run_grid(digits_trial, cross(arm=list(ARMS), permuted=[False, True], **common), settings, "padic-dnn, digits"),
    ]
    found = Found(
        fields=grids[0].by("pairs", "shuffled"),
        operators=grids[1].by("operator"),
        codes=grids[2].by("tree"),
        digits=grids[3].by("arm", "permuted"),
    )
    return study_result(
        "padic-dnn",
        grids,
        seeds=seeds,
        claims=claims_of(found),
        tables=tables(found),
        figures=figures(found),
        summary=summary(found),
        arms=arms(found),
        limits=LIMITS,
        settings={"field": "q = 3, 5 levels, noise 0.35", "digits": "q = 4, 3 levels"},
    )
