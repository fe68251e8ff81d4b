"""Tables, figures and the sentence on top."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval
from deepwright.studies._frame import Runs, banded, columns, gaps, inside, over_trials
from deepwright.studies.sharpening import imagenet
from deepwright.studies.sharpening.trials import BILEVEL, FAST, NONE, OURS, PLAIN, SETTINGS

AT = 0.25
"""The strength of sharpening that is compared at equal error."""
EQUAL_SHOWN = "Waves, everything at the squared error of sharpening with a strength of 0.25"
BEST_SHOWN = "Waves, each way at the setting that validation pictures prefer"
PHOTO_SHOWN = "Photographs"
RETRAINED_SHOWN = "Waves, a target that is trained on what will be published"
STRENGTHS_SHOWN = "Share left by the strength"
_ATTACKERS = {
    "clean": "no attack",
    "stranger": "stranger",
    "surrogate": "surrogate",
    "reversion": "undone first",
    "white box": "target itself",
}


@dataclass(frozen=True)
class Found:
    """All that was run.

    Attributes:
        waves: (way, setting) -> trials.
        chosen: way -> its trials at the chosen settings.
        photographs: as `waves`; None without data.
        chosen_photographs: as `chosen`.
        imagenet: way -> its one trial; None without data.
    """

    waves: dict[Any, Runs]
    chosen: dict[Any, Runs]
    photographs: dict[Any, Runs] | None
    chosen_photographs: dict[Any, Runs] | None
    imagenet: dict[Any, Runs] | None = None

    @property
    def has_photographs(self) -> bool:
        """Whether there were any."""
        return self.photographs is not None

    def at(self, name: str) -> Runs:
        """A way at the error of sharpening with a strength of `AT`.

        Args:
            name: of the way.
        """
        return self.waves[(name, 0.0 if name == NONE else AT)]

    def best(self, name: str) -> Runs:
        """A way at its chosen settings.

        Args:
            name: of the way.
        """
        return self.chosen[name]

    def photo(self, name: str, setting: float) -> Runs:
        """A way of publishing photographs.

        Args:
            name: of the way.
            setting: of it.
        """
        assert self.photographs is not None
        return self.photographs[(name, 0.0 if name == NONE else setting)]

    def best_photo(self, name: str) -> Runs:
        """A way of publishing photographs at its chosen settings.

        Args:
            name: of the way.
        """
        assert self.chosen_photographs is not None
        return self.chosen_photographs[name]


def tables(found: Found) -> list[Table]:
    """Equal error, each at its best, a target that is trained on it, texture, photographs.

    Args:
        found: everything.
    """
    equal = [found.at(name) for name in (NONE, OURS, *PLAIN)]
    best = list(found.chosen.values())
    n = len(found.at(NONE))
    shown = [
        _table(dict(zip((NONE, OURS, *PLAIN), equal)), f"{EQUAL_SHOWN}, {_counted(n)}"),
        _table(dict(zip(found.chosen, best)), f"{BEST_SHOWN}, {_counted(n)}"),
        _retrained(found),
        _texture(found),
    ]
    if found.photographs is not None and found.chosen_photographs is not None:
        ways = {name: runs for name, runs in found.photographs.items() if name[1] in (0.0, AT)}
        rows = {f"{name}": runs for (name, _), runs in ways.items()}
        best_rows = {f"{name}, at its best": runs for name, runs in found.chosen_photographs.items() if name != NONE}
        where = "at the squared error of sharpening with a strength of 0.25, and each at its best"
        caption = f"{PHOTO_SHOWN} of CIFAR-10, {where}, {_counted(n)}"
        shown.append(_table(rows | best_rows, caption))
    if found.imagenet is not None:
        shown.append(imagenet.table(found.imagenet))
    return shown


def _counted(n: int) -> str:
    return f"{n} seeds; share that the target reads rightly after an attack on whom"


def _table(arms: dict[str, Runs], caption: str) -> Table:
    present = [key for key in _ATTACKERS if any(key in runs[0] for runs in arms.values())]
    rows: list[list[Any]] = []
    for name, runs in arms.items():
        error = runs.mean("error")
        row: list[Any] = [name, -10 * math.log10(error) if error > 0 else None]
        for key in present:
            row += [*runs.cells(key)] if key in runs[0] else [None, None, None]
        rows.append([*row, 1e3 * runs.mean("seconds"), runs.mean("met")])
    heads = columns(*(_ATTACKERS[key] for key in present))
    return Table(["published", "PSNR (dB)", *heads, "CPU ms a picture", "at the error that was asked"], rows, caption)


def _retrained(found: Found) -> Table:
    rows: list[list[Any]] = []
    for name, words in ((NONE, "left alone"), (OURS, "sharpened"), ("contrast", "contrast raised")):
        for target, way in (
            ("as it is", ()),
            ("trained anew on plain ones" if name == NONE else "trained on these", ("retrained",)),
        ):
            cells = [c for key in ("clean", "stranger", "white box") for c in found.at(name).cells(inside(*way, key))]
            rows.append([words, target, *cells])
    heads = columns("no attack", "stranger", "target itself")
    return Table(["pictures", "target", *heads], rows, f"{RETRAINED_SHOWN}, at the error of a strength of 0.25")


def _texture(found: Found) -> Table:
    runs = found.at(NONE)
    kinds = list(runs[0]["texture"])
    rows: list[list[Any]] = [[kind, *runs.cells(inside("texture", kind))] for kind in kinds]
    rows.append(["share left by an attack that stops at its first success", *runs.cells("first success")])
    rows.append(["networks and pictures drawn until all read 0.93", *runs.cells("drawn")])
    caption = "Waves: rank correlation of each picture's texture with the budget that fools the target, and two more"
    return Table(["what", *columns("value")], rows, caption)


def figures(found: Found) -> list[Figure]:
    """Share left after an attack on a stranger by strength, and each at its best under every attacker.

    Args:
        found: everything.
    """
    ways = (OURS, *PLAIN)
    tried = [setting for setting in SETTINGS[OURS] if (OURS, setting) in found.waves]
    lines = [banded(name, tried, [found.waves[(name, s)].values("stranger") for s in tried]) for name in ways]
    lines.append(banded(NONE, tried, [found.at(NONE).values("stranger")] * len(tried)))
    shown = [
        Figure(
            "line" if len(tried) > 1 else "bar",
            f"{STRENGTHS_SHOWN} whose error all have",
            lines,
            "strength of sharpening",
            "read rightly after an attack on a stranger",
        )
    ]
    keys = ["clean", "stranger", "surrogate", "white box"]
    bars = [
        banded(name, [_ATTACKERS[k] for k in keys], [found.best(name).values(k) for k in keys])
        for name in (NONE, OURS, "contrast", BILEVEL, FAST)
    ]
    shown.append(Figure("bar", "Waves: each at its best", bars, "attack on", "read rightly", y_range=(0, 1)))
    if found.has_photographs:
        keys = ["clean", "surrogate"]
        bars = [
            banded(name, [_ATTACKERS[k] for k in keys], [found.best_photo(name).values(k) for k in keys])
            for name in (NONE, OURS, "contrast", FAST)
        ]
        shown.append(Figure("bar", "Photographs: each at its best", bars, "attack on", "read rightly", y_range=(0, 1)))
    return shown


def summary(found: Found) -> str:
    """The sentence on top.

    Args:
        found: everything.
    """
    none, ours = found.at(NONE), found.at(OURS)
    contrast = found.at("contrast")
    left = ", ".join(
        f"{words} {found.best(name).mean('stranger'):.3f}"
        for name, words in (
            (OURS, "sharpening"),
            ("contrast", "contrast"),
            ("guided", "guided"),
            ("unsharp mask", "unsharp mask"),
            (FAST, "three gradient steps on a surrogate (fast preemption)"),
            (BILEVEL, "a bi-level search"),
            (NONE, "nothing at all"),
        )
    )
    said = (
        "After an attack on a network that nobody asked, the share of pictures of waves that are read rightly "
        f"changes by {_gap(ours, none, 'stranger')} if they are sharpened (strength 0.25), and differs by "
        f"{_gap(ours, contrast, 'stranger')} from that of pictures whose contrast is raised at the same squared error; "
        f"after an attack on the target itself sharpening changes it by {_gap(ours, none, 'white box')}, and without "
        f"an attack {ours.mean('clean'):.3f} are read rightly where {none.mean('clean'):.3f} were. "
        f"Each at its best setting leaves: {left}."
    )
    if found.has_photographs:
        plain, sharp = found.photo(NONE, AT), found.photo(OURS, AT)
        said += (
            f" Of photographs of CIFAR-10 {plain.mean('surrogate'):.3f} are read rightly after an attack on a surrogate"
            f", {sharp.mean('surrogate'):.3f} if they are sharpened with 0.25 ({_gap(sharp, plain, 'surrogate')}; "
            f"without an attack {sharp.mean('clean'):.3f} where {plain.mean('clean'):.3f} were), "
            f"{found.photo('contrast', AT).mean('surrogate'):.3f} with contrast of the same error, "
            f"{found.best_photo(FAST).mean('surrogate'):.3f} after fast preemption at its best."
        )
    if found.imagenet is not None:
        said += imagenet.sentence(found.imagenet)
    return said


def _gap(a: Runs, b: Runs, what: str) -> str:
    found: Interval = over_trials(gaps(a, b, what))
    ends = f" [{found.low:+.3f}, {found.high:+.3f}]" if found.known else ""
    return f"{found.value:+.3f}{ends}"
