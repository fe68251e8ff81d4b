"""Attenuation patches: does spending a set share of a ship's echo by gradients hide more than spending it anyhow?

Two detectors, learned anew at each seed on synthetic radar scenes. Every way of spending takes the same share of each
ship's amplitude; step lengths are chosen on validation scenes.
"""

from __future__ import annotations

from deepwright.core.results import StudyResult
from deepwright.studies import Settings
from deepwright.studies._frame import cross, run_grid, study_result
from deepwright.studies.saap.attacks import TAU, curve_trial, hiding_trial, loose_trial, moved_trial, transfer_trial
from deepwright.studies.saap.claims import claims_of
from deepwright.studies.saap.detectors import CENTRE, KINDS, size_of
from deepwright.studies.saap.found import Found, best_pasted, best_step_lengths
from deepwright.studies.saap.hardening import WAYS, hardening_trial
from deepwright.studies.saap.parts import parts_trial
from deepwright.studies.saap.pasted import pasted_trial
from deepwright.studies.saap.receiver import receiver_trial
from deepwright.studies.saap.shown import LIMITS, figures_of, pictures_trial, summary_of, tables_of

SEEDS = range(700, 705)
SHARES = {CENTRE: (0.05, 0.2, 0.3, 0.5)}
LOOSE = (0.1, 0.3)
TWO = (0.1, 0.2)


def run(settings: Settings) -> StudyResult:
    """Every way of spending at one share; ours at others, seen anew, behind a receiver, trained against."""
    quick = settings.quick
    seeds = settings.seeds_or(SEEDS[:1] if quick else SEEDS)
    kinds = KINDS[:1] if quick else KINDS
    hiding = run_grid(hiding_trial, cross(seed=seeds, kind=KINDS, quick=quick), settings, "saap, ways of spending")
    shares = {kind: (0.3,) if quick else SHARES.get(kind, ()) for kind in kinds}
    grid = [spec for kind in kinds for spec in cross(seed=seeds, kind=kind, tau=shares[kind], quick=quick)]
    curves = run_grid(curve_trial, grid, settings, "saap, shares")
    transfer = run_grid(
        transfer_trial,
        cross(seed=seeds, tau=TWO[:1] if quick else TWO, quick=quick),
        settings,
        "saap, transfer",
    )
    loose = run_grid(loose_trial, cross(seed=seeds, tau=LOOSE, quick=quick), settings, "saap, the released bound")
    moved = run_grid(
        moved_trial, cross(seed=seeds, tau=TWO[:1] if quick else TWO, quick=quick), settings, "saap, seen anew"
    )
    parts = run_grid(parts_trial, cross(seed=seeds, tau=TWO[-1], quick=quick), settings, "saap, change by change")
    receiver = run_grid(receiver_trial, cross(seed=seeds, quick=quick), settings, "saap, receiver")
    hardened = run_grid(hardening_trial, cross(seed=seeds, way=WAYS, quick=quick), settings, "saap, trained on")
    pasted = run_grid(pasted_trial, cross(seed=seeds, kind=kinds, quick=quick), settings, "saap, pasted")
    drawn = run_grid(pictures_trial, cross(seed=seeds[:1], quick=quick), settings, "saap, pictures")
    lengths, patches = best_step_lengths(hiding, quick), best_pasted(pasted, quick)
    found = Found(
        hiding.by("kind"),
        lengths.runs.by("detector", "arm"),
        curves.by("kind", "tau"),
        transfer.by("tau"),
        loose.by("tau"),
        moved.by("tau"),
        parts,
        receiver,
        hardened.by("way"),
        pasted.by("kind"),
        patches.runs.by("kind", "arm"),
        [*lengths.arms, *patches.arms],
    )
    return study_result(
        "saap",
        [hiding, curves, transfer, loose, moved, parts, receiver, hardened, pasted, drawn],
        seeds=seeds,
        claims=claims_of(found),
        tables=tables_of(found),
        figures=figures_of(found, drawn),
        summary=summary_of(found),
        arms=found.arms,
        limits=LIMITS,
        settings={"share": TAU, **vars(size_of(quick))},
    )
