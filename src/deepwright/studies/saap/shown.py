"""Tables, figures, arms and the sentence on top."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deepwright.core.results import Arm, Figure, Table
from deepwright.core.statistics import mean_interval
from deepwright.studies._frame import Runs, banded, columns, ends, mean
from deepwright.studies.saap.claims import (
    CURVE,
    LOOSE,
    LOSSES,
    MAIN,
    MOVED,
    PHYSICAL,
    SPEED,
    TRAINING,
    of,
)
from deepwright.studies.saap.detectors import CENTRE, SSD_NAME
from deepwright.studies.saap.trials import CONTROLS, GREEDY, OURS, PGD, RATES, SIGN, TAUS

LIMITS = (
    "Scenes are synthetic, 64 x 64 pixels with one or two ships, and the detectors have under 20,000 parameters: no "
    "measured radar image and no detector of the size that is used on them.",
    "The attacker knows the detector and its gradients; nothing is said of one who doesn't.",
    "The receiver is a model of ours (the released code has none): three taps, independent cells, and a scene that "
    "the attacker knows exactly. It isn't a test of any absorber or jammer.",
    "Equal shares of amplitude aren't equal power: the main table says how much of it each way takes.",
    "The paper's own numbers couldn't be read, and its detector wasn't run.",
    "Adversarial training is measured against the attack that it is trained with, at more steps; no attack was made "
    "for it.",
)
_ORDER = (OURS, "Frank-Wolfe, 8 bits", PGD, SIGN, *CONTROLS)


def _cells(values: list[float]) -> list[Any]:
    found = mean_interval(values)
    return [found.value, *ends(found)]


def _nested(*path: str) -> Callable[[Any], float]:
    def read(row: Any) -> float:
        for key in path:
            row = row[key]
        return float(row)

    return read


def tables_of(found: dict[str, Runs]) -> list[Table]:
    """The main table first.

    Args:
        found: trials by detector.
    """
    ssd, centre = found[SSD_NAME], found[CENTRE]
    return [
        _main(found),
        _curve(found),
        _three(centre, "losses", f"{LOSSES}, by Frank-Wolfe steps at a share of 0.1, on the centre detector"),
        _loose(centre),
        _three(ssd, "physical", f"{PHYSICAL}: a share of 0.2 on coherent scenes, SSD"),
        _three(ssd, "moved", f"{MOVED}, four draws of each, at a share of 0.1, SSD"),
        _training(ssd),
        _three(ssd, "others", "Not at equal energy: a universal pattern, noise, and patches pasted over, SSD"),
        _speed(ssd),
    ]


def _main(found: dict[str, Runs]) -> Table:
    rows: list[list[Any]] = []
    for kind in (CENTRE, SSD_NAME):
        runs = found[kind]
        clean = {m: runs.values(_nested("clean", m)) for m in ("fnr", "fppi", "ap50")}
        rows.append([kind, "no patch", *_cells(clean["fnr"]), *_cells(clean["fppi"]), *_cells(clean["ap50"])])
        for name in _ORDER:
            measures = [_cells(runs.values(of(name, m))) for m in ("fnr", "fppi", "ap50")]
            rows.append([kind, name, *measures[0], *measures[1], *measures[2]])
    ships = mean([row["clean"]["objects"] for row in found[SSD_NAME]])
    caption = f"{MAIN}: missed ships, false alarms an image, average precision at 0.5; {ships:.0f} ships a seed"
    return Table(["detector", "way", *columns("missed", "false alarms", "AP50")], rows, caption)


def _curve(found: dict[str, Runs]) -> Table:
    rows: list[list[Any]] = []
    for kind in (CENTRE, SSD_NAME):
        for name in (OURS, "centre", "brightest", "random", "constant", "darkest", "pixels"):
            row = [mean(found[kind].values(_nested("curve", f"{tau:g}", name, "fnr"))) for tau in TAUS]
            rows.append([kind, name, *row])
    return Table(["detector", "way", *(f"share {tau:g}" for tau in TAUS)], rows, f"{CURVE}, means over seeds")


def _three(runs: Runs, part: str, caption: str) -> Table:
    rows = []
    for name in runs[0][part]:
        missed, alarms = (runs.values(_nested(part, name, m)) for m in ("fnr", "fppi"))
        rows.append([name, *_cells(missed), *_cells(alarms)])
    return Table(["way", *columns("missed", "false alarms")], rows, caption)


def _loose(runs: Runs) -> Table:
    rows = []
    for name in runs[0]["loose"]:
        missed, share = (runs.values(_nested("loose", name, m)) for m in ("fnr", "share"))
        rows.append([name, *_cells(missed), *_cells(share)])
    caption = f"{LOOSE}: missed ships, and the share of amplitude that is really taken; centre detector"
    return Table(["way", *columns("missed", "share taken")], rows, caption)


def _training(runs: Runs) -> Table:
    rows = []
    for name in runs[0]["training"]:
        measures = [_cells(runs.values(_nested("training", name, m))) for m in ("fnr", "clean fnr", "ap50")]
        rows.append([name, *measures[0], *measures[1], *measures[2]])
    caption = f"{TRAINING}: missed under SAAP at 0.1, found anew for each; and on clean scenes; SSD"
    return Table(["training", *columns("missed under attack", "missed", "AP50")], rows, caption)


def _speed(runs: Runs) -> Table:
    rows = [[name, *_cells(runs.values(_nested("speed", name)))] for name in ("at once", "one by one")]
    return Table(["images", *columns("images a CPU second")], rows, f"{SPEED}, ten steps of the attack, SSD")


def figures_of(found: dict[str, Runs]) -> list[Figure]:
    """Missed ships over the share; all ways at a tenth; the receiver; pictures.

    Args:
        found: trials by detector.
    """
    ssd = found[SSD_NAME]
    shown = (OURS, "centre", "brightest", "random", "constant")
    lines = [
        banded(name, TAUS, [ssd.values(_nested("curve", f"{tau:g}", name, "fnr")) for tau in TAUS]) for name in shown
    ]
    bars = [
        banded(kind, list(_ORDER), [found[kind].values(of(name)) for name in _ORDER]) for kind in (SSD_NAME, CENTRE)
    ]
    ways = list(ssd[0]["physical"])
    receiver = [banded("SSD", ways, [ssd.values(_nested("physical", way, "fnr")) for way in ways])]
    one = "one seed" if len(ssd) == 1 else ""
    figures = [
        Figure(
            "line",
            "Ships missed by the SSD",
            lines,
            "share of each ship's amplitude that is taken away",
            "share missed",
            y_range=(0, 1),
            note=one,
        ),
        Figure("bar", "A tenth taken away in each way", bars, "", "share missed", y_range=(0, 1), note=one),
        Figure("bar", "A fifth, behind the receiver", receiver, "", "share missed", y_range=(0, 1), note=one),
    ]
    pictures = next((row["pictures"] for row in ssd if "pictures" in row), None)
    if pictures:
        figures.append(Figure("images", "Three scenes of the first seed", pictures))
    return figures


def arms_of(found: dict[str, Runs], size: dict[str, int]) -> list[Arm]:
    """How each way's setting was selected.

    Args:
        found: trials by detector.
        size: of the trials.
    """
    budget = f"{size['steps']} steps at most"
    data = f"{size['validation']} scenes of each seed that are neither trained nor tested on"
    rule = "most ships missed on validation scenes, seed by seed"
    arms = []
    for kind in (CENTRE, SSD_NAME):
        for name in (PGD, SIGN):
            picked = [row["rates"][name] for row in found[kind]]
            chosen = {f"step {round(255 * r)}/255": picked.count(r) for r in RATES if r in picked}
            edge = sum(r in (RATES[0], RATES[-1]) for r in picked)
            grid = {"step": [f"{round(255 * r)}/255" for r in RATES]}
            arms.append(Arm(name, rule, data, budget, grid, len(RATES), chosen, edge, kind))
        none = "it has no step length"
        arms.append(Arm(OURS, "its only setting", "", budget, group=kind, why=none))
        arms.append(Arm(GREEDY, "its only setting", "", "one gradient", group=kind, why=none))
        for name in CONTROLS[:-1]:
            arms.append(Arm(name, "its only setting", "", "no model", group=kind, why="it knows no model"))
    return arms


def summary_of(found: dict[str, Runs]) -> str:
    """What the tables say.

    Args:
        found: trials by detector.
    """
    ssd, centre = found[SSD_NAME], found[CENTRE]
    p = {way: mean(ssd.values(_nested("physical", way, "fnr"))) for way in ssd[0]["physical"]}
    moved = {name: mean(ssd.values(_nested("moved", name, "fnr"))) for name in ssd[0]["moved"]}
    training = {name: mean(ssd.values(_nested("training", name, "fnr"))) for name in ssd[0]["training"]}
    others = {name: mean(ssd.values(_nested("others", name, "fnr"))) for name in ssd[0]["others"]}

    def at(runs: Runs, name: str) -> float:
        return mean(runs.values(of(name)))

    best = max((name for name in CONTROLS), key=lambda name: at(ssd, name))
    behind, through = p["found on pixels, behind the receiver"], p["found through the receiver"]
    return (
        f"With a tenth of each ship's amplitude taken away where it hides the ship best, the SSD misses "
        f"{at(ssd, OURS):.3f} of the ships and the centre detector {at(centre, OURS):.3f}; the control that does most "
        f"to the SSD ({best}) reaches {at(ssd, best):.3f}, sign steps {at(ssd, SIGN):.3f}, projected gradients "
        f"{at(ssd, PGD):.3f}. A universal pattern hides {others['universal pattern, share 0.1']:.3f}. Behind a "
        f"receiver, with a fifth taken away, what was found on pixels hides {behind:.3f}, what was found through it "
        f"{through:.3f}: {p['through it, phase error 0.1']:.3f} at a phase error of 0.1, "
        f"{p['through it, phase error 1']:.3f} at 1, and {p['through it, a cell off']:.3f} where it lies a cell off. "
        f"On moved images a patch made as it is hides {moved['made as it is']:.3f}, one made under transformations "
        f"{moved['made under transformations']:.3f}. A few more epochs leave {training['more epochs']:.3f} missed "
        f"under attack, and {training['more epochs, half attacked']:.3f} with half of their images attacked."
    )
