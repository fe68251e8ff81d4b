"""Tables, figures and the sentence of the study of weightless networks."""

from __future__ import annotations

from deepwright.core.results import Cell, Figure, Table
from deepwright.core.statistics import Interval
from deepwright.studies._frame import banded, cells, columns, curve, gaps, inside, over_trials
from deepwright.studies.weightless.choosing import Found, beside, by_setting, economical, smallest
from deepwright.studies.weightless.claims import (
    BEST_SHOWN,
    BYTES_SHOWN,
    DIGITS_SHOWN,
    FLIPS_SHOWN,
    HARDWARE_SHOWN,
    OPTIONS_SHOWN,
    PROTOTYPES_SHOWN,
    PUBLISHED,
    byte_ratio,
    ordered,
)
from deepwright.studies.weightless.trials import (
    AUTOMATA,
    BLEACHING,
    BLOOM,
    COUNTED,
    DWN,
    EPOCHS,
    HALF,
    RATES,
    ULEEN,
    WISARD,
)

SAME_ARMS = (*COUNTED, *AUTOMATA)
SAME_INPUTS, USES = (4, 6, 8, 10), (1, 4, 8)
BARS = (0.88, 0.89, 0.9, 0.91, 0.92, 0.93, 0.94)
LIMITS = (
    "5,000 digits of one kind, a pixel a bit; other encoders, other data and the paper's fifteen sets weren't tried. "
    "With ten times the samples tables of few inputs saturate sooner, which this doesn't show.",
    "No FPGA, no microcontroller: the paper's speed, area and power are of its own hardware, and aren't repeated here. "
    "Seconds and microseconds are CPU time of one thread beside other work, NumPy or numba as it is installed.",
    "Bytes are of tables at one bit an entry (hashed ones: and the bits of each stored address); mapping, popcount and "
    "argmax aren't in them.",
    "The sizes that counting needs were looked up on the test digits, which favours it; those of automata were chosen "
    "on validation.",
    "Most arms chose eight uses of a pixel, and BTHOWeN 4,096 entries, the most that were tried: more may be better "
    "still.",
    "DWN and ULEEN had eight epochs and few settings: longer, with larger layers and thermometer codes they may be "
    "better than shown. A mapping that is learnt has to be stored, where one that is drawn can be drawn again.",
    "Tsetlin machines aren't arms here: benchmarks/weightless_speed.py measures them where they are installed.",
)


def tables(found: Found) -> list[Table]:
    """All of them, the main one first.

    Args:
        found: all trials.
    """
    more = [_more(found)] if found.more else []
    return [
        _best(found),
        _hardware(found),
        _bytes(found),
        _epochs(found),
        _options(found),
        _prototypes(found),
        _small(found),
        _flips(found),
        *more,
    ]


def _best(found: Found) -> Table:
    rows: list[list[Cell]] = []
    for arm in ordered(found):
        runs = found.best[arm]
        gap = over_trials(gaps(found.best[HALF], runs, "test"))
        cost: list[Cell] = [runs.mean("bytes") / 1000, runs.mean("seconds"), runs.mean("microseconds")]
        rows.append([arm, *runs.cells("test"), *(cells(gap) if arm != HALF else (None, None, None)), *cost])
    return Table(
        ["rule", *columns("test accuracy", f"{HALF}, less it"), "KB", "CPU seconds of training", "us a prediction"],
        rows,
        f"{BEST_SHOWN}: 5,000 digits (3,600 to train, 400 to validate, 1,000 to test), settings chosen on validation "
        f"seed by seed, {len(found.best[HALF])} seeds",
    )


def _hardware(found: Found) -> Table:
    rows: list[list[Cell]] = []
    for n in SAME_INPUTS:
        for uses in USES:
            runs = {arm: found.at(arm, n, uses) for arm in SAME_ARMS}
            if not len(runs[HALF]):
                continue
            size = runs[HALF].mean("bytes") / 1000
            rows.append([n, uses, size, *(cell for arm in SAME_ARMS for cell in runs[arm].cells("test"))])
    return Table(
        ["inputs", "uses of a pixel", "KB", *columns(*SAME_ARMS)],
        rows,
        f"{HARDWARE_SHOWN}: same bits, mapping and tables, test accuracy, automata after {EPOCHS[-1]} epochs",
    )


def _bytes(found: Found) -> Table:
    kinds: dict[str, tuple[str, bool | None]] = {
        "WiSARD, dense": (WISARD, True),
        "bleaching, dense": (BLEACHING, True),
        "WiSARD, hashed": (WISARD, False),
        "bleaching, hashed": (BLEACHING, False),
        BLOOM: (BLOOM, None),
        DWN: (DWN, None),
        ULEEN: (ULEEN, None),
        **{arm: (arm, None) for arm in AUTOMATA},
    }
    rows: list[list[Cell]] = []
    for bar in (*BARS, economical(found.wide, HALF)[1].mean("test")):
        sizes = [smallest(by_setting(found.wide, arm, dense), bar) for arm, dense in kinds.values()]
        rows.append([bar, *(None if size is None else size[1] / 1000 for size in sizes)])
    return Table(
        ["test accuracy of at least", *kinds],
        rows,
        f"{BYTES_SHOWN}: KB of the smallest table of the grid that reaches it, by means over the seeds and on the test "
        "digits for all arms alike; the last row is what the smallest TsetlinWiSARD (q = 0.5) within a point of its "
        "best on validation has",
    )


def _epochs(found: Found) -> Table:
    rows: list[list[Cell]] = [
        [epochs, *(cell for arm in AUTOMATA for cell in found.at(arm, 8, 4, epochs).cells("test"))]
        for epochs in EPOCHS
        if len(found.at(HALF, 8, 4, epochs))
    ]
    return Table(
        ["epochs", *columns(*AUTOMATA)], rows, "Epochs: test accuracy of automata, n = 8, 392 tables, 5,000 digits"
    )


def _options(found: Found) -> Table:
    whole = found.variants[PUBLISHED]
    rows: list[list[Cell]] = []
    for name, runs in found.variants.items():
        gap = (None, None, None) if name == PUBLISHED else cells(over_trials(gaps(runs, whole, "test")))
        rows.append([name, *runs.cells("test"), *gap])
    return Table(
        ["TsetlinWiSARD with", *columns("test accuracy", "less as published")],
        rows,
        f"{OPTIONS_SHOWN}: TsetlinWiSARD, n = 8, 392 tables, {EPOCHS[-1]} epochs, 5,000 digits",
    )


def _prototypes(found: Found) -> Table:
    places = dict.fromkeys((n, samples) for _, n, samples in found.prototypes)
    arms = (*COUNTED, HALF)
    rows: list[list[Cell]] = [
        [n, samples, *(cell for arm in arms for cell in found.prototypes[arm, n, samples].cells("test"))]
        for n, samples in places
    ]
    return Table(
        ["inputs", "training samples", *columns(*arms)],
        rows,
        f"{PROTOTYPES_SHOWN}: ten of 256 bits, a bit flips with chance 0.2, 5 % of the labels wrong, each bit read "
        "once, test accuracy on clean labels, automata after 10 epochs",
    )


def _small(found: Found) -> Table:
    places = dict.fromkeys((n, luts) for _, n, luts in found.small)
    rows: list[list[Cell]] = [
        [n, luts, *(cell for arm in SAME_ARMS for cell in found.small[arm, n, luts].cells("test"))]
        for n, luts in places
    ]
    return Table(
        ["inputs", "tables", *columns(*SAME_ARMS)],
        rows,
        f"{DIGITS_SHOWN}: scikit-learn's 8 x 8 digits (1,437 to train, 360 to test), where nothing is claimed; "
        "automata after 30 epochs",
    )


def _flips(found: Found) -> Table:
    rows: list[list[Cell]] = [
        [
            arm,
            protect,
            runs.mean("bytes") / 1000,
            runs.mean("clean"),
            *(runs.mean(inside("at", f"{r:g}")) for r in RATES),
        ]
        for (arm, protect), runs in found.flips.items()
    ]
    return Table(
        ["rule", "share stored three times", "KB", "no flips", *(f"chance {rate:g}" for rate in RATES)],
        rows,
        f"{FLIPS_SHOWN} in finished tables: test accuracy by each bit's chance, n = 8, 392 tables, 5,000 digits; three "
        "draws a seed",
    )


def _more(found: Found) -> Table:
    rows: list[list[Cell]] = [
        [arm, *runs.cells("test"), runs.mean("bytes") / 1000, runs.mean("seconds")] for arm, runs in found.more.items()
    ]
    return Table(
        ["rule and setting", *columns("test accuracy"), "KB", "CPU seconds of training"],
        rows,
        "Twice the digits: MNIST's 10,000 test digits, 7,200 to train, 2,000 to test; settings set beforehand",
    )


def figures(found: Found) -> list[Figure]:
    """All of them.

    Args:
        found: all trials.
    """
    return [_fronts(found), _curves(found), _growing(found), _falling(found), *_maps(found)]


def _fronts(found: Found) -> Figure:
    """Accuracy against bytes: for each arm the settings that no smaller one beats."""
    series = []
    for arm in (WISARD, BLEACHING, BLOOM, DWN, *AUTOMATA):
        places = sorted((runs.mean("bytes") / 1000, runs.mean("test")) for runs in by_setting(found.wide, arm).values())
        front: list[tuple[float, float]] = []
        for size, accuracy in places:
            if not front or accuracy > front[-1][1]:
                front.append((size, accuracy))
        series.append(curve(arm, [size for size, _ in front], [accuracy for _, accuracy in front]))
    note = "Means over the seeds, without intervals; of each arm the settings that none of fewer bytes beats."
    return Figure("line", "Accuracy against bytes", series, "KB of tables", "test accuracy", log_x=True, note=note)


def _curves(found: Found) -> Figure:
    epochs = [e for e in EPOCHS if len(found.at(HALF, 8, 4, e))]
    series = [banded(arm, epochs, [found.at(arm, 8, 4, e).values("test") for e in epochs]) for arm in AUTOMATA]
    for arm in COUNTED:
        values = found.at(arm, 8, 4).values("test")
        series.append(banded(arm, [epochs[0], epochs[-1]], [values, values]) | {"dashed": True})
    title = "Automata catch up with counting, and pass it, at n = 8"
    return Figure("line", title, series, "epochs", "test accuracy", log_x=True)


def _growing(found: Found) -> Figure:
    samples = list(dict.fromkeys(count for _, n, count in found.prototypes if n == 4))
    series = [
        banded(arm, samples, [found.prototypes[arm, 4, count].values("test") for count in samples])
        for arm in (*COUNTED, HALF)
    ]
    return Figure("line", "Prototypes, n = 4: tables fill", series, "training samples", "test accuracy", log_x=True)


def _falling(found: Found) -> Figure:
    series = []
    for (arm, protect), runs in found.flips.items():
        name = f"{arm}, {protect:.0%} three times" if protect else arm
        series.append(banded(name, list(RATES), [runs.values(inside("at", f"{rate:g}")) for rate in RATES]))
    title = "Bit flips in finished tables"
    return Figure("line", title, series, "chance of each bit", "test accuracy", log_x=True)


def _maps(found: Found) -> list[Figure]:
    shown = []
    for arm in (WISARD, BLEACHING, HALF):
        inputs = [n for n in SAME_INPUTS if len(found.at(arm, n, 4))]
        uses = [u for u in USES if all(len(found.at(arm, n, u)) for n in inputs)]
        values = [[found.at(arm, n, u).mean("test") for u in uses] for n in inputs]
        series = [{"rows": [f"n = {n}" for n in inputs], "columns": [f"{u} uses" for u in uses], "values": values}]
        shown.append(Figure("heatmap", f"{arm}: test accuracy by inputs and uses of a pixel", series))
    return shown


def summary(found: Found) -> str:
    """What was found, the unfavourable first.

    Args:
        found: all trials.
    """
    best, own = ordered(found), found.best[HALF]
    rival = next(arm for arm in best if arm not in AUTOMATA)
    gap = over_trials(gaps(own, found.best[rival], "test"))
    ratio, _ = byte_ratio(found)
    _, small = economical(found.wide, HALF)
    same = {arm: over_trials(gaps(found.at(HALF, 8, 4), found.at(arm, 8, 4), "test")) for arm in COUNTED}
    dense = beside(found.wide, COUNTED, small.mean("test"))
    at_least = "" if any(size is not None for size in dense.values()) else "at least "
    bar = small.mean("test")
    words = "; ".join(_needs(found, arm, bar) for arm in (BLOOM, DWN))
    return (
        f"Not accuracy: at its best {HALF} has {own.mean('test'):.3f} on 1,000 test digits, "
        f"{rival} {found.best[rival].mean('test'):.3f} ({_judged(gap)}). Bytes beside counting: within a point of its "
        f"best on validation it has {bar:.3f} in {small.mean('bytes') / 1000:,.0f} KB, for which dense tables of "
        f"counts take {at_least}{ratio:.1f} times as many. {words}. At equal hardware (n = 8, 392 tables) it is "
        f"{same[WISARD]:+.3f} against WiSARD and {same[BLEACHING]:+.3f} against bleaching."
    )


def _needs(found: Found, arm: str, bar: float) -> str:
    size = smallest(by_setting(found.wide, arm), bar)
    if size is None:
        return f"No {arm} of the grid reaches that ({found.best[arm].mean('test'):.3f} at its best)"
    return f"{arm} reaches that in {size[1] / 1000:,.1f} KB"


def _judged(interval: Interval) -> str:
    if not interval.known or interval.low <= 0 <= interval.high:
        return f"{interval:+.3f}, a difference is not shown"
    return f"{interval:+.3f}, {'better' if interval.low > 0 else 'worse'}"
