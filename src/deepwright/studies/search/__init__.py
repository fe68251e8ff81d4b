"""The two-phase search: after equal training against one-shot cuts, and at equal budgets against other searches."""

from __future__ import annotations

from deepwright.core.results import Claim, StudyResult, Table
from deepwright.studies import Settings
from deepwright.studies._frame import Runs, Selection, cross, gaps, mean, over_trials, run_grid, study_result
from deepwright.studies.search.room import MAIN, NETWORKS, exact_trial, room_trial
from deepwright.studies.search.shown import (
    CUT,
    FORETOLD,
    PHOTOS,
    ROOM,
    SEARCHED,
    UNITS,
    WEIGHTS,
    Arms,
    best_of_kind,
    figures,
    foretold_table,
    room_table,
    selected,
    share_words,
    unit_table,
    weight_arms,
    weight_table,
)
from deepwright.studies.search.units import (
    ANEW,
    AS_CUT,
    DIGITS,
    FEW_DIGITS,
    L2,
    PHOTO_SHARES,
    PHOTO_SIZES,
    RANDOM,
    SHARES,
    STEPS,
    TAYLOR,
    digits_trial,
    photos_trial,
)
from deepwright.studies.search.weights import GENERATIONS, METHODS, POPULATION, weights_trial

PHOTOS_FILE = "cifar10-images.zip"
OURS, LONG, UNGUIDED, FLAT = "phase 1 + 2", "phase 1, full budget", "phase 1 + 2, unguided", "flat binary"
_CURSE = (
    "Masks that were searched for by 400 validation digits fit these: from validation to test the error of the network "
    "that is picked rises several times as much as LAMP's, which judges as many networks, but in one order of weights."
)
_FADES = "What more search gains on the 400 validation digits is theirs: on test digits these three are as high."
LIMITS = (
    "Networks of at most 17,024 searched weights, small ResNets in units, searches of 100 passes or less there: the "
    "paper's networks and budgets are larger by orders of magnitude, and its hypervolume's scale isn't known.",
    "One epoch of training after the cut; a longer one may bring all cuts nearer to each other.",
    "Searches and cuts get the same training and learning rates, but a search also costs its passes: the table's "
    "networks don't pay for them.",
    "Where a front holds nothing near a share, the network taken from it is Taylor's cut in part or wholly: there the "
    "searches can't differ much from it.",
    "Fewer nonzero weights aren't a smaller or faster network: only the cuts in units are.",
)


def run(settings: Settings) -> StudyResult:
    """Searches and one-shot cuts in units, trained again alike; hypervolumes over single weights; what is left."""
    quick = settings.quick
    seeds = settings.seeds_or(range(100, 101 if quick else 105))
    sizes = FEW_DIGITS if quick else DIGITS
    generations = 4 if quick else GENERATIONS
    grid = cross(method=METHODS, seed=seeds, generations=generations)
    weights = run_grid(weights_trial, grid, settings, "weights")
    networks = [MAIN] if quick else list(NETWORKS)
    rooms = run_grid(room_trial, cross(network=networks, seed=seeds, short=quick), settings, "room")
    exact = run_grid(exact_trial, cross(seed=seeds, short=quick), settings, "room, all masks")
    units = run_grid(digits_trial, cross(seed=seeds, **sizes), settings, "units")
    photos = _photographs(settings, seeds)
    methods = weights.by("method")
    data = f"{sizes['judged']:,} digits of each seed that are neither trained nor tested on"
    again = f"one epoch of the {sizes['trained']:,} training digits, from the cut"
    chosen, kinds = selected(units, data, again), best_of_kind(units, data, again)
    arms, best = chosen.runs.by("share", "arm"), kinds.runs.by("share", "arm")
    real = None if photos is None else _selected_photographs(photos)
    budget = 2 * POPULATION * (generations + 1)
    tables = [
        unit_table(arms, best, _size_words(units, sizes)),
        foretold_table(arms),
        *_photo_tables(photos, real),
        room_table(rooms.by("network"), exact),
        weight_table(methods, len(seeds), budget),
    ]
    return study_result(
        "evolutionary-pruning",
        [weights, rooms, exact, units, *([] if photos is None else [photos])],
        seeds=seeds,
        claims=[
            *_trained_claims(arms, best, units),
            *_photo_claims(real),
            *_phase_claims(methods, exact),
            *_weight_claims(methods),
        ],
        tables=tables,
        figures=figures(methods, best, arms, SHARES),
        summary=_summary(arms, best, methods, rooms, exact, real),
        arms=[*chosen.arms, *kinds.arms, *([] if real is None else real.arms), *weight_arms(budget)],
        limits=LIMITS,
        settings={"digits": sizes, "generations of a phase": generations, "photographs": photos is not None},
    )


def _photographs(settings: Settings, seeds: tuple[int, ...]) -> Runs | None:
    root = settings.data_root
    if settings.quick or root is None or not (root / PHOTOS_FILE).exists():
        return None
    grid = cross(seed=seeds, root=str(root), **PHOTO_SIZES)
    return run_grid(photos_trial, grid, settings, "photographs", files=[root / PHOTOS_FILE])


def _selected_photographs(photos: Runs) -> Selection:
    data = f"{PHOTO_SIZES['validated']} photographs of each seed that are neither trained nor tested on"
    budget = f"one epoch of {PHOTO_SIZES['trained']} training photographs, from the cut"
    return selected(photos, data, budget, f"{PHOTOS}, ")


def _size_words(units: Runs, sizes: dict[str, int]) -> str:
    passes = ", ".join(
        f"{name}: {mean([u['evaluations'][name] for u in units]):.0f}" for name in units[0]["evaluations"]
    )
    return (
        f"{UNITS}: ResNet-{sizes['depth']} of {sizes['width']} channels at first, on 14 x 14 digits, {len(units)} "
        f"seeds, test accuracy; dense {mean([u['dense'] for u in units]):.4f}; one epoch of "
        f"{sizes['trained']:,} digits from each cut; a search's network is the cheapest of its front with the "
        f"share asked for, its least units by Taylor cut to it; passes over the {sizes['judged']:,} validation digits: "
        f"{passes}"
    )


def _photo_tables(photos: Runs | None, real: Selection | None) -> list[Table]:
    if photos is None or real is None:
        return []
    dense = mean([trial["dense"] for trial in photos])
    passes = mean([trial["evaluations"][ANEW] for trial in photos])
    words = (
        f"{PHOTOS}: the bundled ResNet-20 on CIFAR-10, {len(photos)} seeds, test accuracy; dense {dense:.4f}; one "
        f"epoch of {PHOTO_SIZES['trained']} photographs from each cut; the search has {passes:.0f} passes over "
        f"{PHOTO_SIZES['validated']} photographs and ranks units by Taylor"
    )
    return [unit_table(real.runs.by("share", "arm"), {}, words)]


def _over_shares(arms: Arms, arm: str, other: str, key: str, suffix: str = "") -> list[float]:
    """Seed by seed: one arm's accuracy minus another's, mean over the shares of the MACs."""
    by_share = [gaps(arms[share_words(s) + suffix, arm], arms[share_words(s) + suffix, other], key) for s in SHARES]
    return [mean(found) for found in zip(*by_share)]


def _best_gaps(best: Arms) -> list[float]:
    return _over_shares(best, SEARCHED, CUT, "test", ", best of three")


def _trained_claims(arms: Arms, best: Arms, units: Runs) -> list[Claim]:
    guide = (
        "What a search goes by isn't shown to say anything (as cut), or says only something (statistics anew), of "
        "accuracy after training; a cut by Taylor, whose scores the search uses too, ends as high without it."
    )
    broken = "The gain is that of single seeds in which the search as cut leaves a network that doesn't learn again."
    after = [
        (ANEW, AS_CUT, "a search that takes statistics anew above one that judges cuts as they are", broken, UNITS),
        (ANEW, L2, "that search above one-shot L2", guide, FORETOLD),
        (ANEW, TAYLOR, "that search above one-shot Taylor", guide, FORETOLD),
        (ANEW, RANDOM, "that search above units chosen at random", "One epoch mends a random cut as well.", UNITS),
        (
            STEPS,
            ANEW,
            "8 steps of training for each candidate add to it at an equal budget",
            "Steps cost passes, so that fewer networks are seen.",
            UNITS,
        ),
    ]
    wide = best[f"{share_words(SHARES[0])}, best of three", SEARCHED]
    return [
        Claim.at_least(
            "units, after equal training: the best of three searches above the best of three one-shot cuts, both "
            "chosen on validation with their learning rates (mean over three shares of the MACs)",
            _best_gaps(best),
            0.0,
        ).because(guide, FORETOLD),
        *(
            Claim.at_least(f"units, after equal training: {text}", _over_shares(arms, one, other, "test"), 0.0).because(
                why, shown
            )
            for one, other, text, why, shown in after
        ),
        Claim.at_least(
            "units, before any training: the search that judges cuts as they are above one-shot L2",
            _over_shares(arms, AS_CUT, L2, "before"),
            0.0,
        ).because("Without new statistics both networks are broken, but at the largest share.", UNITS),
        Claim.at_least(
            f"units, at most {share_words(SHARES[0])}: the best search's network within 1 point of the dense one",
            [row["test"] - row["dense"] for row in wide],
            -0.01,
        ).because("One epoch of so small a network doesn't mend a cut, by whichever rule it is made.", UNITS),
        Claim.at_most(
            "every network equals its masked original (largest difference, float64)",
            [max(row["error"] for row in u["rows"]) for u in units],
            1e-9,
            every=True,
        ),
    ]


def _photo_claims(real: Selection | None) -> list[Claim]:
    if real is None:
        return []
    arms = real.runs.by("share", "arm")
    share = next(share for share, _ in arms)
    why = (
        "The search takes its units' order from Taylor, whose cut ends below L2's here in the mean, and few passes "
        "over few photographs don't make up for it."
    )
    claims = [
        Claim.at_least(
            f"photographs, after equal training: the search above one-shot {other} at {share_words(PHOTO_SHARES[0])}",
            gaps(arms[share, ANEW], arms[share, other], "test"),
            0.0,
        ).because(why, PHOTOS)
        for other in (L2, TAYLOR)
    ]
    lost = [row["test"] - row["dense"] for row in arms[share, ANEW]]
    text = f"photographs, {share_words(PHOTO_SHARES[0])}: the search's network within 2 points of the dense one"
    return [
        *claims,
        Claim.at_least(text, lost, -0.02).because(
            "So few photographs don't mend a cut, by whichever rule it is made.", PHOTOS
        ),
    ]


def _phase_claims(methods: Arms, exact: Runs) -> list[Claim]:
    return [
        Claim.at_least(
            "phase 2 adds 0.04 hypervolume to its own phase 1 (the paper's lower figure)",
            gaps(methods[OURS], methods["phase 1"], "hypervolume"),
            0.04,
        ).because(
            "After a full phase 1 less than that is known to be left; where more is left, because phase 1 was cut "
            "short, going on with phase 1 takes more of it than phase 2 does.",
            ROOM,
        ),
        Claim.at_least(
            "where all masks can be tried (18 weights): phase 2 adds 0.04 hypervolume to its own phase 1",
            gaps(exact, exact, OURS, "phase 1"),
            0.04,
        ).because(
            "In some of these networks phase 1 leaves less than that, and phase 2 can't take more than is left.", ROOM
        ),
        Claim.at_least(
            "phases 1 + 2 not below a longer phase 1 of the same budget by more than 0.002",
            gaps(methods[OURS], methods[LONG], "hypervolume"),
            -0.002,
        ).because("Going on with phase 1 takes more of what is left.", ROOM),
        Claim.at_least(
            "importance guides phase 2: above unguided bits",
            gaps(methods[OURS], methods[UNGUIDED], "hypervolume"),
            0.0,
        ).because(
            "Within the corridor magnitude's order says little of what can go: bits flipped without it end as high.",
            WEIGHTS,
        ),
    ]


def _weight_claims(methods: Arms) -> list[Claim]:
    ours = methods[OURS]
    return [
        Claim.at_least(
            "phases 1 + 2 above a flat binary search by 0.10 hypervolume, in every seed",
            gaps(ours, methods[FLAT], "hypervolume"),
            0.10,
            every=True,
        ).because("A flat search also gets better with its budget.", WEIGHTS),
        Claim.at_least(
            "phases 1 + 2 above the global magnitude sweep, in every seed",
            gaps(ours, methods["global magnitude"], "hypervolume"),
            0.0,
            every=True,
        ).because("A sweep that is sorted once is hard to beat.", WEIGHTS),
        Claim.at_least(
            "on test digits: phases 1 + 2 above LAMP, the best of the sweeps",
            gaps(ours, methods["LAMP"], "held out"),
            0.0,
        ).because(_CURSE, WEIGHTS),
        Claim.at_least(
            "on test digits: phases 1 + 2 above their own phase 1",
            gaps(ours, methods["phase 1"], "held out"),
            0.0,
        ).because(_FADES, WEIGHTS),
        Claim.at_least(
            "on test digits: phases 1 + 2 not below a longer phase 1 by more than 0.002",
            gaps(ours, methods[LONG], "held out"),
            -0.002,
        ).because(_FADES, WEIGHTS),
        Claim.at_most(
            "the sparsest network within 1 point on validation: test error no higher than that of LAMP's",
            gaps(ours, methods["LAMP"], "picked test error"),
            0.0,
        ).because(f"It has fewer weights; and {_CURSE[0].lower()}{_CURSE[1:]}", WEIGHTS),
        Claim.at_least(
            "winner's curse: test error of the picked network minus its validation error is positive",
            gaps(ours, ours, "picked test error", "picked validation error"),
            0.0,
        ).because("The pick is no luckier than others.", WEIGHTS),
    ]


def _photo_words(real: Selection) -> str:
    arms = real.runs.by("share", "arm")
    share = next(share for share, _ in arms)
    plain, taylor = (f"{over_trials(gaps(arms[share, ANEW], arms[share, o], 'test')):+.4f}" for o in (L2, TAYLOR))
    lost = [mean([row["test"] - row["dense"] for row in arms[share, name]]) for name in (ANEW, L2)]
    return (
        f" On photographs the search with statistics anew is {plain} against L2 and {taylor} "
        f"against Taylor, and {lost[0]:+.3f} against the dense "
        f"network (L2: {lost[1]:+.3f}) after few photographs."
    )


def _summary(arms: Arms, best: Arms, methods: Arms, rooms: Runs, exact: Runs, photos: Selection | None) -> str:
    def after(one: str, other: str) -> str:
        return f"{over_trials(_over_shares(arms, one, other, 'test')):+.4f}"

    def over(other: str, key: str) -> str:
        return f"{over_trials(gaps(ours, methods[other], key)):+.4f}"

    ours, first = methods[OURS], "phase 1"
    main = rooms.by("network")[MAIN]
    short, full = ([trial[i] for trial in main] for i in (0, -1))
    left = [mean([t["best"] - t[first] for t in trials]) for trials in (short, full)]
    added = [mean([t[key] - t[first] for t in short]) for key in (OURS, LONG)]
    wide = best[f"{share_words(SHARES[0])}, best of three", SEARCHED]
    picked, gone = ([methods[m].mean(k) for m in (OURS, "LAMP")] for k in ("picked test error", "reduction"))
    than = "more" if gone[0] > gone[1] else "no more"
    return (
        "After equal training, in coupled units, the best of three searches is "
        f"{over_trials(_best_gaps(best)):+.4f} in test accuracy against the best of three one-shot cuts, as a mean "
        f"over three shares of the MACs, and {mean([row['test'] - row['dense'] for row in wide]):+.4f} against the "
        f"dense network at the largest; a search with statistics anew is {after(ANEW, L2)} against one-shot L2, "
        f"{after(ANEW, TAYLOR)} against Taylor, {after(ANEW, RANDOM)} against random units, {after(ANEW, AS_CUT)} "
        f"against a search that judges cuts as they are; 8 steps for each candidate add {after(STEPS, ANEW)}. Before "
        f"training the search as cut is {over_trials(_over_shares(arms, AS_CUT, L2, 'before')):+.4f} against L2."
        f"{'' if photos is None else _photo_words(photos)} Over single weights phase 2 adds "
        f"{over(first, 'hypervolume')} on validation to its own phase 1 (the paper: 0.04 at least) of {left[1]:.4f} "
        f"that are known to be left, on test digits {over(first, 'held out')}; against a longer phase 1 it is "
        f"{over(LONG, 'hypervolume')} and {over(LONG, 'held out')}. Where phase 1 is cut short {left[0]:.4f} are left: "
        f"phase 2 takes {added[0]:.4f} of it, phase 1 going on {added[1]:.4f}; where all masks can be tried phase 2 "
        f"adds {mean(gaps(exact, exact, OURS, first)):+.4f}. Importance against none: {over(UNGUIDED, 'hypervolume')}. "
        f"The sparsest network within 1 point on validation errs on {picked[0]:.1%} of the test digits, LAMP's, with "
        f"{than} weights, on {picked[1]:.1%}. Two phases are {min(gaps(ours, methods[FLAT], 'hypervolume')):+.4f} or "
        f"more against a flat search and on test digits {over('LAMP', 'held out')} against LAMP, the best sweep."
    )
