"""Bounding boxes against every other detector at its best setting: on digits, photographs, and where boxes are right.

How foreign two unknown digits look depends on which they are, far more than on the detector: what is near is measured
over all 45 pairs of them, and the intervals know that pairs share digits. Settings are chosen on other networks, by the
same rule for all. What boxes add to the variables that they look at is told by neighbours in the same variables.
"""

from __future__ import annotations

from deepwright.core.results import StudyResult
from deepwright.studies import Settings
from deepwright.studies._frame import Runs, cross, run_grid, study_result
from deepwright.studies.bbas.choosing import DRAWS, EPOCHS, NETWORKS, QUICK_EPOCHS, choices
from deepwright.studies.bbas.claims import claims_of
from deepwright.studies.bbas.digits import NEAREST, PAIRS, boxes_trial, digits_trial, nearest_trial
from deepwright.studies.bbas.found import Found
from deepwright.studies.bbas.photographs import files_of, photographs_trial
from deepwright.studies.bbas.shown import LIMITS, figures_of, summary_of, tables_of

SEEDS = range(500, 505)
LENGTHS = (3, 10, 30)
AT_EACH_LENGTH = ((0, 5), (1, 6), (2, 7), (3, 8), (4, 9))


def run(settings: Settings) -> StudyResult:
    """Choose each detector's setting, then hold all against each other on pairs of digits, photographs and boxes."""
    quick = settings.quick
    seeds = settings.seeds_or(SEEDS[:1] if quick else SEEDS, aside=[*DRAWS, *(seed for seed, _ in NETWORKS)])
    chosen = choices(settings)
    seed_of = {pair: seeds[i % len(seeds)] for i, pair in enumerate(PAIRS)}

    def trial(pair: tuple[int, int], epochs: int) -> dict[str, object]:
        return {"seed": seed_of[pair], "epochs": epochs, "unknown": pair, "chosen": chosen.digits}

    main, lengths = (QUICK_EPOCHS, (1, QUICK_EPOCHS)) if quick else (EPOCHS, LENGTHS)
    tested, some = (PAIRS[::44], PAIRS[:1]) if quick else (PAIRS, AT_EACH_LENGTH)
    pairs = run_grid(digits_trial, [trial(pair, main) for pair in tested], settings, "pairs of unknown digits")
    others = [trial(pair, epochs) for epochs in lengths if epochs != main for pair in some]
    longer = run_grid(digits_trial, others, settings, "lengths of training")
    boxes = run_grid(boxes_trial, cross(seed=seeds), settings, "boxes_ood")
    nearest = run_grid(nearest_trial, cross(seed=seeds), settings, "boxes_ood, neighbours")
    both = Runs(boxes.specs, tuple({**row, NEAREST: other} for row, other in zip(boxes, nearest)))
    drawn = None
    if chosen.photographs is not None:
        grid = cross(seed=seeds, root=str(settings.data_root), small=quick)
        grid = [{**spec, "chosen": chosen.photographs} for spec in grid]
        drawn = run_grid(photographs_trial, grid, settings, "photographs", files=files_of(settings.data_root))
    by_length = {**longer.by("epochs"), main: pairs}
    found = Found(pairs, {n: by_length[n] for n in lengths}, main, both, drawn, chosen)
    return study_result(
        "bbas",
        [*chosen.runs, pairs, longer, boxes, nearest, *([] if drawn is None else [drawn])],
        seeds=seeds,
        claims=claims_of(found),
        tables=tables_of(found),
        figures=figures_of(found),
        summary=summary_of(found),
        settings={"epochs": main, "pairs of digits": len(pairs), "photographs": drawn is not None},
        arms=chosen.arms,
        limits=LIMITS,
    )
