"""TsetlinWiSARD against WiSARD, bleaching, BTHOWeN, DWN and ULEEN: at equal hardware, and each at its best."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deepwright.core.results import Arm, StudyResult
from deepwright.studies import Settings
from deepwright.studies._frame import Runs, cross, run_grid, study_result
from deepwright.studies.weightless.choosing import SAME, Found, chosen, spread
from deepwright.studies.weightless.claims import claims_of
from deepwright.studies.weightless.shown import LIMITS, SAME_ARMS, figures, summary, tables
from deepwright.studies.weightless.trials import (
    AUTOMATA,
    BLEACHING,
    BLOOM,
    CONTROL,
    COUNTED,
    DWN,
    EPOCHS,
    GRADIENT_EPOCHS,
    HALF,
    MNIST_10K,
    ULEEN,
    VARIANTS,
    WHOLE,
    WISARD,
    automata_trial,
    bloom_trial,
    counted_trial,
    flip_trial,
    gradient_trial,
    prototype_trial,
    small_digits_trial,
    variant_trial,
)

SEEDS = range(700, 705)


def run(settings: Settings) -> StudyResult:
    """Every setting of every rule; then options, prototypes, small digits, damage and more data.

    Args:
        settings: size, seeds, store and data root.
    """
    quick = settings.quick
    seeds = settings.seeds_or(SEEDS[:1] if quick else SEEDS)
    grids = _wide(settings, seeds)
    wide = spread(*grids)
    best, arms = chosen(wide)
    others = _others(settings, seeds)
    more, pool = _more(settings, seeds)
    found = Found(
        wide,
        best,
        arms,
        variants=others[0].by("variant"),
        flips=others[1].by("arm", "protect"),
        small=others[2].by("arm", "n", "luts"),
        prototypes=others[3].by("arm", "n", "samples"),
        more=more,
    )
    return study_result(
        "tsetlin-wisard",
        [*grids, *others, *pool],
        seeds=seeds,
        claims=claims_of(found),
        tables=tables(found),
        figures=figures(found),
        summary=summary(found),
        arms=[*arms, *_fixed_arms()],
        limits=LIMITS,
        settings={
            "pixels above": 75,
            "epochs of automata": list(EPOCHS),
            "epochs of DWN and ULEEN": GRADIENT_EPOCHS,
            "digits": 500 if quick else 5000,
        },
    )


def _wide(settings: Settings, seeds: tuple[int, ...]) -> list[Runs]:
    """Every setting of every rule on 5,000 digits."""
    quick = settings.quick
    uses: Any = (4,) if quick else (1, 4, 8)
    common: dict[str, Any] = {"seed": seeds, "quick": quick}
    automata = cross(arm=list(AUTOMATA), n=(4, 8) if quick else (4, 6, 8, 10, 12), uses=uses, **common)
    counted = cross(arm=list(COUNTED), n=(4, 8, 20) if quick else (4, 6, 8, 10, 12, 14, 20, 28), uses=uses, **common)
    filters = cross(
        n=(20,) if quick else (14, 20, 28),
        uses=uses[:1] if quick else (1, 4),
        entries=(256,) if quick else (256, 1024, 4096),
        **common,
    )
    rates = (1e-2,) if quick else (3e-3, 1e-2)
    epochs, mappings = (1, "learnable") if quick else (GRADIENT_EPOCHS, ("learnable", "random"))
    gradients = [
        *cross(arm=DWN, tables=100 if quick else 500, lr=1e-2, mapping=mappings, epochs=epochs, **common),
        *cross(arm=ULEEN, tables=20 if quick else 70, lr=rates, epochs=epochs, **common),
    ]
    return [
        run_grid(automata_trial, automata, settings, "tsetlin-wisard, automata"),
        run_grid(counted_trial, counted, settings, "tsetlin-wisard, counting"),
        run_grid(bloom_trial, filters, settings, "tsetlin-wisard, filters"),
        run_grid(gradient_trial, gradients, settings, "tsetlin-wisard, gradients"),
    ]


def _others(settings: Settings, seeds: tuple[int, ...]) -> list[Runs]:
    """Options, damage, small digits, prototypes."""
    quick = settings.quick
    common: dict[str, Any] = {"seed": seeds, "quick": quick}
    options = cross(variant=[*VARIANTS, CONTROL], uses=1 if quick else 4, **common)
    flips = [
        *cross(arm=[WISARD, BLEACHING, HALF], protect=0.0, uses=1 if quick else 4, **common),
        *cross(arm=HALF, protect=0.1, uses=1 if quick else 4, **common),
    ]
    sizes = ((6, 33),) if quick else ((6, 33), (8, 32), (8, 392))
    small = [spec for n, luts in sizes for spec in cross(arm=list(SAME_ARMS), n=n, luts=luts, seed=seeds)]
    prototypes = cross(
        arm=[*COUNTED, HALF],
        n=(4,) if quick else (4, 6, 8),
        samples=(250, 500) if quick else (250, 500, 2000, 8000),
        seed=seeds,
    )
    return [
        run_grid(variant_trial, options, settings, "tsetlin-wisard, options"),
        run_grid(flip_trial, flips, settings, "tsetlin-wisard, flips"),
        run_grid(small_digits_trial, small, settings, "tsetlin-wisard, small digits"),
        run_grid(prototype_trial, prototypes, settings, "tsetlin-wisard, prototypes"),
    ]


def _more(settings: Settings, seeds: tuple[int, ...]) -> tuple[dict[str, Runs], list[Runs]]:
    """MNIST's own test digits, twice as many, where a data root has them."""
    folder = _digits_under(settings.data_root)
    if folder is None or settings.quick:
        return {}, []
    files = [folder / f"t10k-{part}-ubyte.gz" for part in ("images-idx3", "labels-idx1")]
    common: dict[str, Any] = {"seed": seeds, "data": MNIST_10K, "root": str(folder)}
    last = {"epochs": (EPOCHS[-1],)}
    automata = cross(arm=list(AUTOMATA), n=8, uses=4, **common)
    counted = [
        *cross(arm=list(COUNTED), n=(8, 14), uses=4, **common),
        *cross(arm=WISARD, n=28, uses=4, **common),
    ]
    filters = cross(n=28, uses=4, entries=1024, **common)
    first = run_grid(automata_trial, [spec | last for spec in automata], settings, "tsetlin-wisard, more", files)
    second = run_grid(counted_trial, counted, settings, "tsetlin-wisard, more", files)
    third = run_grid(bloom_trial, filters, settings, "tsetlin-wisard, more", files)
    found = {f"{arm}, n = 8": _last(runs) for arm, runs in first.by("arm").items()}
    found |= {
        f"{arm}, n = {n}{', hashed' if n == 28 else ''}": runs for (arm, n), runs in second.by("arm", "n").items()
    }
    return found | {f"{BLOOM}, n = 28, 1,024 entries": third}, [first, second, third]


def _last(runs: Runs) -> Runs:
    """Automata after all their epochs."""
    rows = [row["after"][str(EPOCHS[-1])] for row in runs]
    return Runs(runs.specs, tuple(rows))


def _digits_under(root: Path | None) -> Path | None:
    folders = () if root is None else (root / "mnist", root)
    return next((place for place in folders if (place / "t10k-images-idx3-ubyte.gz").is_file()), None)


def _fixed_arms() -> list[Arm]:
    """Arms that nothing selected: equal hardware, and what explains the results."""
    why = {
        BLEACHING: "its threshold is chosen inside training, on a tenth of the training digits",
        HALF: "the paper's chance",
        WHOLE: "the other chance",
        WISARD: "nothing is to be chosen",
    }
    return [
        Arm(arm, "set beforehand", budget=f"{EPOCHS[-1]} epochs at most, the same tables", group=SAME, why=why[arm])
        for arm in SAME_ARMS
    ]
