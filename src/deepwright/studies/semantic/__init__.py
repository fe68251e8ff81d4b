"""Detecting attacked inputs: what are features worth beside three passes of squeezing, and who stops one who knows?"""

from __future__ import annotations

from typing import Any

from deepwright.core.results import StudyResult
from deepwright.studies import Settings
from deepwright.studies._frame import Runs, cross, run_grid, select, study_result
from deepwright.studies.semantic.beside import KNOWING, beside_trial, knowing_trial
from deepwright.studies.semantic.claims import claims_of
from deepwright.studies.semantic.shown import Found, figures, summary, tables
from deepwright.studies.semantic.trials import BOTH, JPEG, OURS, SQUEEZING, WAYS, photo_trial, roads_trial

LIMITS = (
    "Drawn scenes of 48 x 96 pixels with a network of three blocks, and CIFAR-10 with one ResNet-20: no Cityscapes "
    "and no network of the paper's.",
    "Settings are chosen on one attack, PGD at 4/255, and measured on others, too; who uses a monitor knows neither.",
    "Three settings a detector: of JPEG difference, nearest features, local dimension, class distances, the one-class "
    "SVM and the supervised one the choice fell on an end of what was tried, so that others may be better still.",
    "Attackers who know a detector have 40 steps at one budget on 60 scenes a seed, and know one detector, or two; a "
    "stronger one may need less.",
    "Weather is drawn at the lightest of five severities, on drawn scenes; films are test scenes in their order, whose "
    "frames don't resemble each other as a camera's do.",
)


def run(settings: Settings) -> StudyResult:
    """Eleven detectors at three settings each, chosen on validation scenes; attackers who know; weather; photographs.

    Args:
        settings: of the run.
    """
    quick = settings.quick
    seeds = settings.seeds_or(range(500, 501 if quick else 505))
    sizes, epochs = ((40, 40, 8, 12), 8) if quick else ((320, 400, 100, 120), 12)
    looking = (OURS, SQUEEZING, JPEG)
    ways = {name: list(WAYS[name])[: 1 if quick else None] for name in (looking if quick else WAYS)}
    fixed: dict[str, Any] = {"sizes": sizes, "epochs": epochs}
    grid = [t | fixed for name, tried in ways.items() for t in cross(name=name, setting=tried, seed=seeds)]
    runs = run_grid(roads_trial, _by_seed(grid), settings, "adversarial-detection, scenes")
    chosen = _chosen(runs)
    settled = {spec["name"]: spec["setting"] for spec in chosen.runs.specs}
    watching = {name: settled[name] for name in looking}
    knowing = cross(known=["", *looking, BOTH], settings=[watching], seed=seeds, steps=[4 if quick else KNOWING])
    known = run_grid(knowing_trial, _by_seed([t | fixed for t in knowing]), settings, "adversarial-detection, knowing")
    others = [t | fixed for t in cross(settings=[settled], seed=seeds, frames=[40 if quick else 2000])]
    beside = run_grid(beside_trial, others, settings, "adversarial-detection, other attacks and weather")
    photos = None
    if settings.data_root is not None:
        more = {"root": settings.data_root, "sizes": (60, 40, 8, 8) if quick else (600, 300, 100, 200)}
        grid = [t | more for name, one in settled.items() for t in cross(name=name, setting=[one], seed=seeds)]
        photos = run_grid(photo_trial, _by_seed(grid), settings, "adversarial-detection, photographs")
    found = Found(chosen.runs.by("name"), known.by("known"), beside, None if photos is None else photos.by("name"))
    return study_result(
        "adversarial-detection",
        [runs, known, beside, *([] if photos is None else [photos])],
        seeds=seeds,
        claims=claims_of(found),
        tables=tables(found),
        figures=figures(found),
        summary=summary(found),
        arms=chosen.arms,
        limits=LIMITS,
        settings={"scenes trained on, calibrated on, chosen on, tested on": list(sizes), "epochs": epochs},
    )


def _by_seed(grid: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Trials of a seed one after another, as they share its network and attacks."""
    return sorted(grid, key=lambda trial: trial["seed"])


def _chosen(runs: Runs) -> Any:
    return select(
        runs,
        arms="name",
        over=("setting",),
        by="validation",
        largest=True,
        pooled=True,
        words="AUROC under PGD at 4/255",
        data="validation scenes",
        budget="three settings; fitted on the scenes that the network was trained on, calibrated on others",
    )
