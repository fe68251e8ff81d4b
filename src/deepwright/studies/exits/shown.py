"""Tables and figures of the early-exit study."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deepwright.core.results import Figure, Table
from deepwright.studies._frame import Runs, banded, columns, curve, gaps, over_trials
from deepwright.studies.exits.choosing import EXIT, RANDOM, TRIGGER, Chosen
from deepwright.studies.exits.detectors import ALONE, CUTS, EQUAL, FRONT, FRONTS, HALF, JOINT, WIDTHS
from deepwright.studies.exits.films import FILMS
from deepwright.studies.exits.measures import SHARES
from deepwright.studies.exits.timing import BATCHES
from deepwright.studies.exits.trials import ALPHAS

EXITS_SHOWN = "Exits by certified bound"
DETECTORS_SHOWN = "Detectors"
SKIPPERS_SHOWN = "Who skips"
FILMS_SHOWN = "Films"
TIMES_SHOWN = "Time of a batch"
EMPTY_SHOWN = "By share of empty frames"


def tables(runs: Runs, picked: Chosen, repeats: int) -> list[Table]:
    """All of them, the main one first.

    Args:
        runs: the trials.
        picked: what was taken.
        repeats: of timings.
    """
    return [
        _exits(runs),
        _detectors(runs, picked),
        _skippers(runs, picked),
        _films(picked),
        _empty(runs, picked),
        _times(runs, repeats),
    ]


def of_exit(cut: str, alpha: float, key: str) -> Callable[[Any], Any]:
    """Reads one number of one exit at one certified bound from a trial.

    Args:
        cut: the exit.
        alpha: the bound.
        key: the number.
    """
    return lambda row: row["exits"][f"{cut} {alpha}"][key]


def _exits(runs: Runs) -> Table:
    spread = {"speedup": "static / expected MACs", "change": "change of mAP50", "false skip": "false skips"}
    plain = {"false skip, small objects": "... of small objects", "of empty": "empty frames skipped", "auc": "AUC"}
    plain |= {
        "before": "MACs up to the exit",
        "bound": "certified bound",
        "never empty": "MACs / static, nothing empty",
    }
    plain |= {"false boxes before": "false boxes on empty frames", "false boxes after": "... with skips"}
    rows = [
        [
            cut,
            alpha,
            *(cell for key in spread for cell in runs.cells(of_exit(cut, alpha, key))),
            *(runs.mean(of_exit(cut, alpha, key)) for key in plain),
        ]
        for cut in CUTS
        for alpha in ALPHAS
    ]
    return Table(
        ["exit after", "bound", *columns(*spread.values()), *plain.values()],
        rows,
        f"{EXITS_SHOWN}: 5-stage SSD of {runs[0]['macs'] / 1e6:.2f} million MACs, half of the frames empty, "
        f"{len(runs)} seeds, 1,000 test frames each; frames that are missed save nothing; false boxes have a score "
        "above 0.3",
    )


def _detectors(runs: Runs, picked: Chosen) -> Table:
    cut = picked.cut
    rows: list[list[Any]] = [[arm, runs.mean(_macs(arm)), *runs.cells(_precision(arm))] for arm in WIDTHS]
    rows.append(["trained with exits, none taken", runs.mean("macs"), *runs.cells(_precision(JOINT))])
    for alpha in ALPHAS:
        name = f"with the exit after {cut}, certified {alpha:.0%}"
        rows.append([name, runs.mean(of_exit(cut, alpha, "macs")), *runs.cells(of_exit(cut, alpha, "precision"))])
    rows.append(["skips of every empty frame, by an oracle", None, *runs.cells("oracle")])
    return Table(
        ["detector", "expected MACs", "mAP50", "low", "high"],
        rows,
        f"{DETECTORS_SHOWN} at their expected cost, half of the frames empty, {len(runs)} seeds",
    )


def _macs(arm: str) -> Callable[[Any], float]:
    return lambda row: row[arm]["macs"]


def _within(group: str, way: str, key: str) -> Callable[[Any], float]:
    return lambda row: row[group][way][key]


def _precision(arm: str) -> Callable[[Any], float]:
    return lambda row: row[arm]["precision"]


def _skippers(runs: Runs, picked: Chosen) -> Table:
    keys = {"speedup": "static / expected MACs", "change": "change of mAP50", "false skip": "false skips"}
    plain = {"of empty": "empty frames skipped", "auc": "AUC", "before": "its own share of the MACs"}
    ways = {f"{EXIT} after {c}": ("exits", f"{c} 0.05") for c in CUTS}
    ways |= {f"{FRONT}, {f}": (FRONT, f) for f in FRONTS}
    taken = (f"{EXIT} after {picked.cut}", f"{FRONT}, {picked.front}")
    rows: list[list[Any]] = []
    for name, (group, way) in ways.items():
        cells = [cell for key in keys for cell in runs.cells(_within(group, way, key))]
        rows.append([name, name in taken, *cells, *(runs.mean(_within(group, way, key)) for key in plain)])
    random = runs.cells(of_exit(picked.cut, 0.05, "random"))
    rows.append([f"{RANDOM} at the exit's rate", True, None, None, None, *random, *[None] * 6])
    return Table(
        ["way", "chosen in calibration", *columns(*keys.values()), *plain.values()],
        rows,
        f"{SKIPPERS_SHOWN}: false skips certified below 5 %, {len(runs)} seeds; exits change the detector that was "
        "trained with them, separate networks the static one",
    )


def _films(picked: Chosen) -> Table:
    keys = {"empty skipped": "empty frames skipped", "false skip": "false skips", "auc": "AUC"}
    rows = [
        [kind, name, place, *(cell for key in keys for cell in runs.cells(key))]
        for kind in FILMS
        for name, place, runs in zip((EXIT, TRIGGER), picked.places[kind], picked.on_films[kind])
    ]
    return Table(
        ["film", "way", "chosen in calibration", *columns(*keys.values())],
        rows,
        f"{FILMS_SHOWN} of 800 frames, half of them empty, in spells of 20; thresholds certified at 5 % on another "
        "film of the kind (as if its frames were independent, which they aren't)",
    )


def _empty(runs: Runs, picked: Chosen) -> Table:
    rows: list[list[Any]] = []
    for share in SHARES:
        saved = _shared(picked.cut, share)
        rows.append([share, *runs.cells(saved), runs.mean("macs") / runs.mean(saved)])
    for arm in (EQUAL, HALF):
        macs = runs.mean(_macs(arm))
        rows.append([f"any: {arm}", runs.mean("macs") / macs, None, None, macs])
    return Table(
        ["empty frames", "static / expected MACs", "low", "high", "expected MACs"],
        rows,
        f"{EMPTY_SHOWN}: the exit after {picked.cut} at 5 %, from the share of empty test frames that it skips; false "
        "skips save nothing; 0.5 is exactly half, where the test frames of the other tables hold what was drawn",
    )


def _shared(cut: str, share: float) -> Callable[[Any], float]:
    return lambda row: row["exits"][f"{cut} 0.05"]["by share"][str(share)]


def _time(cut: str, batch: str, key: str) -> Callable[[Any], float]:
    return lambda row: row["times"][cut][batch][key]


def _times(runs: Runs, repeats: int) -> Table:
    rows: list[list[Any]] = []
    for cut in CUTS:
        for batch in BATCHES:
            cells = [cell for key in ("cpu", "clock") for cell in runs.cells(_time(cut, batch, key))]
            rows.append([cut, batch, *cells, runs.mean(_time(cut, batch, "static ms"))])
    rows.append(["", "load of the machine, processes a core", *[None] * 3, runs.mean("load"), *[None] * 3])
    return Table(
        ["exit after", "batch", *columns("CPU time over static", "by the clock"), "static, CPU ms"],
        rows,
        f"{TIMES_SHOWN} with one exit over the static network's, boxes included: medians of {repeats} calls each on "
        f"one thread, taking turns, one network a seed, {len(runs)} seeds; last row: what else the machine did",
    )


def figures(runs: Runs, picked: Chosen) -> list[Figure]:
    """All of them.

    Args:
        runs: the trials.
        picked: what was taken.
    """

    def lines(key: str) -> list[dict[str, Any]]:
        return [banded(f"exit after {c}", ALPHAS, [runs.values(of_exit(c, a, key)) for a in ALPHAS]) for c in CUTS]

    random = banded("random skip, same rate", ALPHAS, [runs.values(of_exit(picked.cut, a, "random")) for a in ALPHAS])
    shares = banded("exit, 5 %", SHARES, [runs.values(_shared(picked.cut, s)) for s in SHARES])
    fixed = [
        curve(arm, SHARES, [runs.mean("macs") / runs.mean(_macs(arm))] * len(SHARES), dashed=True)
        for arm in (EQUAL, HALF)
    ]
    times = [
        banded(f"exit after {cut}", list(BATCHES), [runs.values(_time(cut, b, "cpu")) for b in BATCHES]) for cut in CUTS
    ]
    bound, macs = "certified bound on false skips", "MACs: static / expected"
    return [
        Figure("line", "What a certified bound buys", lines("speedup"), bound, macs),
        Figure("line", "... and costs", [*lines("change"), random], bound, "change of mAP50"),
        Figure(
            "line",
            "By share of empty frames",
            [shares, *fixed],
            "share of empty frames",
            macs,
            note="A static detector's MACs are the same whatever it sees.",
        ),
        Figure("bar", "Time of a batch over the static network's", times, "batch", "CPU time / static"),
    ]


def summary(runs: Runs, picked: Chosen) -> str:
    """What was found, the unfavourable first.

    Args:
        runs: the trials.
        picked: what was taken.
    """
    cut, (own, trigger) = picked.cut, picked.on_films["camera stands"]
    fast, apart = of_exit(cut, 0.05, "speedup"), _within(FRONT, picked.front, "speedup")
    front, shared = runs.mean(apart), over_trials(gaps(runs, runs, fast, apart))
    ahead = over_trials(gaps(runs, runs, of_exit(cut, 0.05, "precision"), _precision(EQUAL)))
    speed, change = runs.interval(fast), runs.interval(of_exit(cut, 0.05, "change"))
    cpu = runs.interval(_time(cut, "64, 51 leave", "cpu"))
    missed, small = (runs.mean(of_exit(cut, 0.05, k)) for k in ("false skip", "false skip, small objects"))
    never, precise = runs.mean(of_exit(cut, 0.05, "never empty")), runs.mean(of_exit(cut, 0.05, "precision"))
    static, equal, half = (runs.mean(_precision(arm)) for arm in (ALONE, EQUAL, HALF))
    clock, load = runs.mean(_time(cut, "64, 51 leave", "clock")), runs.mean("load")
    return (
        f"Where the camera stands still, a frame difference skips {trigger.mean('empty skipped'):.1%} of the empty "
        f"frames, the exit {own.mean('empty skipped'):.1%}, with thresholds for 5 % of false skips that are certified "
        f"as if a film's frames were independent; where no frame is empty the network with exits makes {never:.3f} of "
        f"the static one's MACs. With half of the frames empty and a bound of 5 % the exit after {cut} makes "
        f"{speed:.2f} times fewer MACs, a separate network in front {front:.2f} (the exit's less its: {shared:+.2f}); "
        f"{missed:.1%} of the frames with objects are missed whole ({small:.1%} of those with small ones only), and "
        f"mean average precision changes by {change:+.4f} to {precise:.3f}. Static detectors trained alone have "
        f"{static:.3f} (whole), {equal:.3f} (three quarters of the width, at about the exit's expected cost; the "
        f"exit's less it: {ahead:+.3f}) and {half:.3f} (half of the width, at half of that cost). A batch of 64 of "
        f"which 51 leave takes {cpu:.2f} of the "
        f"static network's CPU time ({clock:.2f} by the clock, at a load of {load:.1f} processes a core), one of which "
        f"none leaves {runs.mean(_time(cut, '64, none leave', 'cpu')):.2f}; a frame alone takes "
        f"{runs.mean(_time(cut, '1, it leaves', 'cpu')):.2f} where it leaves and "
        f"{runs.mean(_time(cut, '1, it stays', 'cpu')):.2f} where it stays."
    )
