"""Tables, figures and the sentence on top."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deepwright.core.results import Figure, Table
from deepwright.studies._frame import Runs, banded, columns, inside
from deepwright.studies.ordinal.trials import CE, CO2, CSDT, CSNP, CSSDF, HEAVY, LR, WEIGHTS

FIXED_SHOWN = "Layers of 48 x 48: fixed weights, each way to read the labels"
CHOSEN_SHOWN = "Layers of 32 x 32: each loss at the setting that validation pictures prefer"
WEIGHTS_SHOWN = "Layers of 32 x 32: contacts by the weight of the term"
CONTROL_SHOWN = "Control: the order is false"
WARMUP_SHOWN = "Layers of 48 x 48: a large weight at once and grown"
CAMVID_SHOWN = "CamVid: each loss at the setting that validation frames prefer"
RATE, READ = "contacts", ("argmax", "median")


@dataclass(frozen=True)
class Found:
    """All that was run.

    Attributes:
        fixed: (arm, setting) -> trials at all seeds.
        grid: (arm, setting) -> trials at the grid's seeds.
        chosen: arm -> its trials at the chosen settings.
        control: arm -> trials in which the order is false.
        sudden: trials of the largest weight without a warm-up.
        camvid: arm -> its trials at the chosen settings; None without data.
    """

    fixed: dict[Any, Runs]
    grid: dict[Any, Runs]
    chosen: dict[Any, Runs]
    control: dict[Any, Runs]
    sudden: Runs
    camvid: dict[Any, Runs] | None

    def at(self, name: str, setting: float | None = None) -> Runs:
        """An arm at one setting, at all seeds.

        Args:
            name: of the arm.
            setting: a weight; the standard learning rate where there is none.
        """
        return self.fixed[(name, LR if setting is None else setting)]


def _named(key: Any) -> str:
    name, setting = key
    return name if setting == LR else f"{name}, weight {setting:g}"


def tables(found: Found) -> list[Table]:
    """Fixed weights, chosen settings, the control, the warm-up, CamVid.

    Args:
        found: everything.
    """
    n, few = len(found.at(CE)), len(found.chosen[CE])
    shown = [
        _read_table(found, f"{FIXED_SHOWN}; {n} seeds"),
        _chosen_table(found.chosen, f"{CHOSEN_SHOWN}; {few} seeds"),
        _control_table(found),
        _warmup_table(found, n),
    ]
    if found.camvid is not None:
        shown.append(_chosen_table(found.camvid, f"{CAMVID_SHOWN}; {len(found.camvid[CE])} seeds"))
    return shown


def _read_table(found: Found, caption: str) -> Table:
    rows: list[list[Any]] = []
    for key, runs in found.fixed.items():
        for way in runs[0]:
            if isinstance(runs[0][way], dict):
                cells = [c for what in (RATE, "dice") for c in runs.cells(inside(way, what))]
                worst, gone = (runs.mean(inside(way, what)) for what in ("worst dice", "vanished"))
                unimodal = runs.mean("unimodal") if way == "argmax" else None
                rows.append([_named(key), way, *cells, worst, gone, unimodal])
    heads = columns("contact rate", "macro Dice")
    more = ["worst class's Dice", "classes vanished", "unimodal pixels"]
    return Table(["loss", "labels read by", *heads, *more], rows, caption)


def _chosen_table(chosen: dict[Any, Runs], caption: str) -> Table:
    rows: list[list[Any]] = []
    for name, runs in chosen.items():
        cells = [c for way in READ for c in runs.cells(inside(way, RATE))]
        dice = runs.cells(inside("argmax", "dice"))
        others = [runs.mean(inside("median", "dice")), runs.mean(inside("argmax", "worst dice"))]
        others += [runs.mean(inside("argmax", "vanished")), runs.mean("unimodal")]
        others += [runs.mean("unimodal, zeros left out"), runs.mean("violations")]
        rows.append([name, *cells, *dice, *others, runs.mean(inside("argmax", "mae"))])
    heads = columns("contact rate", "contact rate, median", "macro Dice")
    more = ["Dice, median", "worst class's Dice", "classes vanished", "unimodal", "unimodal, zeros left out"]
    return Table(["loss", *heads, *more, "parts that touch what they may not", "mean error in levels"], rows, caption)


def _control_table(found: Found) -> Table:
    rows: list[list[Any]] = []
    for name, runs in found.control.items():
        for way in READ:
            cells = [c for what in (RATE, "dice") for c in runs.cells(inside(way, what))]
            rows.append([name, way, *cells, runs.mean(inside(way, "worst dice")), runs.mean("own contacts")])
    heads = columns("contact rate", "macro Dice")
    more = ["worst class's Dice", "contact rate of the true labels"]
    return Table(["loss", "labels read by", *heads, *more], rows, f"{CONTROL_SHOWN} in half of the pictures")


def _warmup_table(found: Found, n: int) -> Table:
    rows: list[list[Any]] = []
    for name, runs in (("grown over 100 steps", found.at(CSNP, HEAVY)), ("at once", found.sudden)):
        cells = [c for what in (RATE, "dice") for c in runs.cells(inside("argmax", what))]
        worst = [row["argmax"]["worst dice"] for row in runs]
        rows.append([name, *cells, min(worst), sum(row["argmax"]["vanished"] for row in runs)])
    heads = columns("contact rate", "macro Dice")
    caption = f"{WARMUP_SHOWN}: {CSNP}, weight {HEAVY:g}; {n} seeds"
    return Table(["weight", *heads, "worst class's Dice of any seed", "classes vanished, all seeds"], rows, caption)


def figures(found: Found) -> list[Figure]:
    """Contacts and Dice of every loss; contacts by weight; CamVid.

    Args:
        found: everything.
    """
    shown = [_plane(found.chosen, "Layers of 32 x 32: contacts and Dice of each loss")]
    drawn = (CO2, CSNP, CSDT, CSSDF)
    tried = [w for w in WEIGHTS if all((name, w) in found.grid for name in drawn)]
    lines = [
        banded(name, tried, [found.grid[(name, w)].values(inside("argmax", RATE)) for w in tried]) for name in drawn
    ]
    kind = "line" if len(tried) > 1 else "bar"
    shown.append(Figure(kind, WEIGHTS_SHOWN, lines, "weight", "contact rate", log_x=kind == "line"))
    if found.camvid is not None:
        shown.append(_plane(found.camvid, "CamVid: contacts and Dice of each loss"))
    return shown


def _plane(chosen: dict[Any, Runs], title: str) -> Figure:
    series = [
        {
            "name": f"{name}, {way}",
            "x": [runs.mean(inside(way, RATE))],
            "y": [runs.mean(inside(way, "dice"))],
        }
        for name, runs in chosen.items()
        for way in (READ if name == CE else READ[:1])
    ]
    return Figure("scatter", title, series, "contact rate", "macro Dice")


def summary(found: Found) -> str:
    """The sentence on top.

    Args:
        found: everything.
    """

    def rate(runs: Runs, way: str = "argmax") -> str:
        return f"{runs.mean(inside(way, RATE)):.4f}"

    def dice(runs: Runs, way: str = "argmax") -> str:
        return f"{runs.mean(inside(way, 'dice')):.3f}"

    ce, ten, thirty = found.at(CE), found.at(CSNP, 10.0), found.at(CSNP, 30.0)
    said = (
        "Of the neighbours that differ on layers of 48 x 48, a U-Net of cross-entropy puts a share of "
        f"{rate(ce)} against the order (macro Dice {dice(ce)}); reading its labels by the median class leaves "
        f"{rate(ce, 'median')} (Dice {dice(ce, 'median')}), the contact term with weight 10 {rate(ten)} "
        f"({dice(ten)}) and with weight 30 {rate(thirty)} ({dice(thirty)}), and repairing the labels afterwards "
        f"{rate(ce, 'icm')} ({dice(ce, 'icm')})."
    )
    if found.camvid is not None:
        plain, ours = found.camvid[CE], found.camvid[CSNP]
        said += (
            f" On CamVid cross-entropy has {rate(plain)} (Dice {dice(plain)}), its median {rate(plain, 'median')} "
            f"({dice(plain, 'median')}), and the contact term at its best {rate(ours)} ({dice(ours)})."
        )
    return said
