"""Tables, figures and the sentence on top."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deepwright.core.results import Figure, Table
from deepwright.studies._frame import Runs, banded, columns, gaps, inside, over_trials
from deepwright.studies.semantic.trials import FUSED, OURS, SQUEEZING

AT = "4/255"
SCENES_SHOWN = "Detectors on drawn scenes"
ALARMS_SHOWN = "Alarms on drawn scenes"
KNOWING_SHOWN = "Who is seen by whom"
NETWORK_SHOWN = "What the attacks do to the network"
FILM_SHOWN = "Frames until evidence adds up to an alarm"
PHOTOS_SHOWN = "Photographs"
NOISE, PGD, SEGPGD = "noise", f"PGD, {AT}", f"SegPGD, {AT}"
UNCERTAINTY, SUPERVISED, JPEG = "uncertainty", "supervised on attacked", "JPEG difference"


@dataclass(frozen=True)
class Found:
    """All that was run.

    Attributes:
        scenes: detector -> its trials at the chosen setting.
        knowing: known detector, or "" -> trials of its attacker.
        photographs: detector -> its trials; None without data.
    """

    scenes: dict[Any, Runs]
    knowing: dict[Any, Runs]
    photographs: dict[Any, Runs] | None

    def ours(self) -> Runs:
        """Image features on scenes."""
        return self.scenes[OURS]


def auroc(attack: str) -> Any:
    """Reads it from a trial.

    Args:
        attack: by name.
    """
    return inside("auroc", attack)


def alarmed(attack: str) -> Any:
    """Reads the share of alarms from a trial.

    Args:
        attack: by name.
    """
    return inside("alarmed", attack)


def score(attack: str) -> Any:
    """Reads what the network is worth from a trial.

    Args:
        attack: by name, or "clean".
    """
    return inside("score", attack)


def tables(found: Found) -> list[Table]:
    """AUROC, alarms, the network, attackers who know, films, photographs.

    Args:
        found: everything.
    """
    n = len(found.ours())
    attacks = list(found.ours()[0]["auroc"])
    shown = [
        _per_detector(found.scenes, attacks, auroc, f"{SCENES_SHOWN}: AUROC of attacked against clean ones, {n} seeds"),
        _alarms(found, attacks, n),
        _network(found, attacks, n),
        _knowing(found, n),
        _films(found, attacks, n),
    ]
    if found.photographs is not None:
        ours = found.photographs[OURS]
        seen = list(ours[0]["auroc"])
        caption = (
            f"{PHOTOS_SHOWN} of CIFAR-10 beside ResNet-20, settings as on the scenes: AUROC, {len(ours)} choices of "
            "photographs, one network"
        )
        shown.append(_per_detector(found.photographs, seen, auroc, caption))
    return shown


def _per_detector(arms: dict[Any, Runs], attacks: list[str], read: Any, caption: str) -> Table:
    rows = [[name, *(c for a in attacks for c in runs.cells(read(a)))] for name, runs in arms.items()]
    return Table(["detector", *columns(*attacks)], rows, caption)


def _alarms(found: Found, attacks: list[str], n: int) -> Table:
    rows: list[list[Any]] = []
    for name, runs in found.scenes.items():
        cells = [c for a in attacks for c in runs.cells(alarmed(a))]
        rows.append([name, *runs.cells("false alarms"), *cells, runs.mean("as promised")])
    heads = columns("clean", *attacks)
    caption = f"{ALARMS_SHOWN}: share that alarms at a rate of 0.05, {n} seeds; last: seeds within the bound of chance"
    return Table(["detector", *heads, "as promised"], rows, caption)


def _network(found: Found, attacks: list[str], n: int) -> Table:
    rows = [[name, *found.ours().cells(score(name))] for name in ("clean", *attacks)]
    return Table(["attack", *columns("mean IoU")], rows, f"{NETWORK_SHOWN} of drawn scenes, {n} seeds")


def _knowing(found: Found, n: int) -> Table:
    looking = list(next(iter(found.knowing.values()))[0]["alarmed"])
    rows: list[list[Any]] = []
    for known, runs in found.knowing.items():
        cells = [c for name in looking for c in runs.cells(inside("alarmed", name))]
        areas = [c for name in looking for c in runs.cells(inside("auroc", name))]
        rows.append([known or "none", *runs.cells("score"), *cells, *areas])
    heads = columns("mean IoU left", *(f"alarms, {name}" for name in looking), *(f"AUROC, {name}" for name in looking))
    caption = f"{KNOWING_SHOWN}: 40 steps at {AT} by attackers who know one detector, seen by both, {n} seeds"
    return Table(["known", *heads], rows, caption)


def _films(found: Found, attacks: list[str], n: int) -> Table:
    rows = [[name, *found.ours().cells(inside("frames until an alarm", name))] for name in ("clean", *attacks)]
    caption = (
        f"{FILM_SHOWN}: image features, films of the test scenes in their order (all of them: no alarm), {n} seeds"
    )
    return Table(["film", *columns("frames")], rows, caption)


def figures(found: Found) -> list[Figure]:
    """AUROC by budget, and who is seen by whom.

    Args:
        found: everything.
    """
    budgets = [2, 4, 8]
    shown = []
    for attack in ("PGD", "SegPGD"):
        lines = [
            banded(name, budgets, [found.scenes[name].values(auroc(f"{attack}, {b}/255")) for b in budgets])
            for name in (OURS, FUSED, SQUEEZING, JPEG, UNCERTAINTY, SUPERVISED)
            if name in found.scenes
        ]
        shown.append(Figure("line", f"{attack} on drawn scenes", lines, "budget in 255ths", "AUROC"))
    bars = [
        banded(
            f"seen by {name}",
            [k or "nobody" for k in found.knowing],
            [runs.values(inside("alarmed", name)) for runs in found.knowing.values()],
        )
        for name in next(iter(found.knowing.values()))[0]["alarmed"]
    ]
    shown.append(Figure("bar", KNOWING_SHOWN, bars, "the attacker knows", "share that alarms", y_range=(0, 1)))
    return shown


def summary(found: Found) -> str:
    """The sentence on top.

    Args:
        found: everything.
    """
    ours = found.ours()
    plain, knows = found.knowing[""], found.knowing[OURS]
    best = max((n for n in found.scenes if n != SUPERVISED), key=lambda n: found.scenes[n].mean(auroc(PGD)))
    under = {name: [found.scenes[name].mean(auroc(attack)) for attack in (PGD, SEGPGD)] for name in found.scenes}
    caught = knows.mean(inside("alarmed", OURS))
    left, usual = knows.mean("score"), plain.mean("score")
    said = (
        f"Of scenes attacked at {AT} by one who knows image features {caught:.2f} alarm, and the network is left a "
        f"mean IoU of {left:.2f} ({usual:.2f} by one who doesn't care). Against attackers who don't know, image "
        f"features have an AUROC of {_both(under[OURS])} (PGD, SegPGD), feature squeezing, at three passes, "
        f"{_both(under[SQUEEZING])}"
    )
    if UNCERTAINTY in under:
        gains = " and ".join(_gap(ours, found.scenes[UNCERTAINTY], attack) for attack in (PGD, SEGPGD))
        said += f", uncertainty {_both(under[UNCERTAINTY])} (image features less it: {gains})"
    of_noise = [found.scenes[name].mean(auroc(NOISE)) for name in (OURS, SQUEEZING)]
    said += (
        f". Ahead of all that weren't shown attacks under PGD is {best} with {under[best][0]:.3f}. Noise of the same "
        f"size leaves image features at {of_noise[0]:.3f}, squeezing at {of_noise[1]:.3f}; "
        f"{ours.mean('false alarms'):.3f} of clean scenes alarm at a rate of 0.05."
    )
    if found.photographs is not None:
        photos = found.photographs
        attack = next(a for a in photos[OURS][0]["auroc"] if a != NOISE)
        values = [photos[name].mean(auroc(attack)) for name in (OURS, SQUEEZING)]
        first = max((n for n in photos if n != SUPERVISED), key=lambda n: photos[n].mean(auroc(attack)))
        said += (
            f" Beside ResNet-20 on photographs, under {attack}, image features have {values[0]:.3f}, squeezing "
            f"{values[1]:.3f}, and the best, {first}, {photos[first].mean(auroc(attack)):.3f}."
        )
    return said


def _both(values: list[float]) -> str:
    return " and ".join(f"{value:.3f}" for value in values)


def _gap(a: Runs, b: Runs, attack: str) -> str:
    found = over_trials(gaps(a, b, auroc(attack)))
    ends = f" [{found.low:+.3f}, {found.high:+.3f}]" if found.known else ""
    return f"{found.value:+.3f}{ends}"
