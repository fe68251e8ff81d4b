"""Tables, figures, arms and the sentence on top."""

from __future__ import annotations

import math
from typing import Any

from deepwright.core.results import Arm, Figure, Table
from deepwright.core.statistics import mean_interval
from deepwright.studies._frame import Runs, barred, ends
from deepwright.studies.sharpening.claims import FRONT, PHOTOGRAPHS, TEXTURE, WAVES, gain, of, right
from deepwright.studies.sharpening.trials import OURS, STRENGTH

LIMITS = (
    "The paper's kernel, strength and tables could not be read: strength and stencil are our reading, chosen on other "
    "seeds, and no number here repeats one of the paper's.",
    "The attackers are MI-FGSM from one network of their own, PGD of ten steps on the target, and the inverse filter: "
    "none is said to be the strongest, so that shares under attack are upper bounds.",
    "Photographs are of 32 x 32 pixels, 30 a seed, with one target network and small attackers' networks; nothing here "
    "speaks of large pictures, on which the paper's networks were.",
    "Bi-level takes 10 rounds of five steps here, not the 100 of twenty of its authors; fast is our reading of an "
    "abstract.",
)
_KINDS = ("transfer", "grey box", "white box", "reversion")
_FRONT = {
    "none": "nothing in front, attacked",
    "clean": "sharpening in front, not attacked",
    "forgotten": "sharpening in front, attacked without it",
    "through": "sharpening in front, attacked through it",
}


def tables_of(waves: Runs, photographs: Runs | None) -> list[Table]:
    """The main table first.

    Args:
        waves: trials of that world.
        photographs: of the other, where there are some.
    """
    worlds = {"waves": waves} | ({} if photographs is None else {"photographs": photographs})
    tables = [_attacked(waves, WAVES)]
    if photographs is not None:
        tables.append(_attacked(photographs, PHOTOGRAPHS))
    return [*tables, _in_front(worlds), _texture(waves)]


def _attacked(runs: Runs, words: str) -> Table:
    rows: list[list[Any]] = []
    for arm in runs[0]["rows"]:
        error, met, seconds = (runs.mean(of(arm, word)) for word in ("error", "met", "seconds"))
        mark = "" if met >= 0.95 else " (not at that error)"
        decibels = None if error < 1e-11 else -10 * math.log10(error)
        row: list[Any] = [arm + mark, decibels, runs.mean(right(arm, "none"))]
        for kind in ("transfer", "white box"):
            gap = mean_interval(gain(runs, arm, kind)) if arm != "none" else None
            row += [runs.mean(right(arm, kind)), *(("", "", "") if gap is None else (gap.value, *ends(gap)))]
        for kind in ("grey box", "reversion"):
            known = all(kind in r["rows"][arm]["right"] for r in runs)
            row.append(runs.mean(right(arm, kind)) if known else None)
        row.append(1e3 * seconds)
        rows.append(row)
    minus, asked = ["minus none", "low", "high"], runs.mean(lambda r: r["accuracy"]["surrogate"])
    columns = ["published", "PSNR (dB)", "not attacked", "transfer", *minus, "white box", *(f"{c} " for c in minus)]
    caption = (
        f"{words}, means over {len(runs)} seeds, differences with 95 % intervals over them; contrast, unsharp mask, "
        f"noise and blur at the squared error of {OURS}, picture by picture; transfer from a third network, grey box "
        f"from the one that bi-level and fast asked, which is right on {asked:.1%}"
    )
    return Table([*columns, "grey box", "reversion", "ms a picture"], rows, caption)


def _in_front(worlds: dict[str, Runs]) -> Table:
    columns, rows = ["what is right", *(c for world in worlds for c in (world, *_low_high(world)))], []
    for key, words in _FRONT.items():
        row: list[Any] = [words]
        for runs in worlds.values():
            found = runs.interval(lambda r, k=key: r["front"][k])
            row += [found.value, *ends(found)]
        rows.append(row)
    seeds = len(next(iter(worlds.values())))
    return Table(columns, rows, f"{FRONT}, strength {STRENGTH:g}, means over {seeds} seeds; ten steps of PGD")


def _low_high(world: str) -> tuple[str, str]:
    space = "" if world == "waves" else " "
    return f"low{space}", f"high{space}"


def _texture(runs: Runs) -> Table:
    words = {
        "laplacian": "mean |Laplacian|",
        "gradient": "mean |gradient|",
        "deviation": "local deviation",
        "contrast": "contrast",
    }
    rows: list[list[Any]] = []
    for key, told in words.items():
        if not all(key in r["texture"] for r in runs):
            continue
        found = runs.interval(lambda r, k=key: r["texture"][k])
        rows.append([told, found.value, *ends(found)])
    caption = f"{TEXTURE} that fools the target: Spearman's correlation on waves, {len(runs)} seeds"
    return Table(["of the picture", "correlation", "low", "high"], rows, caption)


def figures_of(waves: Runs, photographs: Runs | None) -> list[Figure]:
    """What each way gains over none, by attacker.

    Args:
        waves: trials of that world.
        photographs: of the other, where there are some.
    """
    figures = [_gains(waves, "Waves")]
    return figures if photographs is None else [*figures, _gains(photographs, "Photographs")]


def _gains(runs: Runs, world: str) -> Figure:
    arms = [arm for arm in runs[0]["rows"] if arm != "none"]
    arms.sort(key=lambda arm: -runs.mean(right(arm)))
    series = [
        barred(kind, arms, [mean_interval(gain(runs, arm, kind)) for arm in arms]) for kind in ("transfer", "white box")
    ]
    return Figure("bar", f"{world}: right under attack, minus none", series, "", "share, 95 % intervals over seeds")


def arms_of() -> list[Arm]:
    """How each way was selected: none was, on these seeds."""
    fixed, strength = (
        "fixed before these seeds were run",
        f"one strength ({STRENGTH:g}, or the error of it), no network",
    )
    plain = [
        Arm(name, fixed, budget=strength, group="without a network")
        for name in (OURS, "contrast", "unsharp mask", "noise", "blur")
    ]
    quality = Arm(
        "JPEG of quality 75 and 5 bits",
        fixed,
        budget="one quality, no network",
        group="without a network",
        why="they have no strength that could be put at an error",
    )
    changed = "each pixel by the attackers' budget at most, one network"
    asking = [
        Arm("bi-level", fixed, budget=f"{changed}; 10 rounds of 5 steps", group="with a network"),
        Arm(
            "fast",
            fixed,
            budget=f"{changed}; 3 rounds of 4 copies",
            group="with a network",
            why="it is the cheaper of the two by its nature",
        ),
    ]
    return [*plain, quality, *asking]


def summary_of(waves: Runs, photographs: Runs | None) -> str:
    """What the tables say, with what speaks against sharpening.

    Args:
        waves: trials of that world.
        photographs: of the other, where there are some.
    """
    text = _told(waves, "On waves in noise", ("contrast", "bi-level", "fast"))
    if photographs is None:
        return f"{text} Without its files, nothing was measured on photographs."
    return f"{text} {_told(photographs, 'On photographs (CIFAR-10, ResNet-20)', ('contrast', 'fast'))}"


def _told(runs: Runs, where: str, others: tuple[str, ...]) -> str:
    plain, known = runs.mean(right("none")), runs.mean(right("none", "white box"))
    transfer, white = (mean_interval(gain(runs, OURS, kind)) for kind in ("transfer", "white box"))
    rest = ", ".join(f"{arm} {mean_interval(gain(runs, arm)).value:+.3f}" for arm in others)
    through, bare, forgot = (runs.mean(lambda r, k=k: r["front"][k]) for k in ("through", "none", "forgotten"))
    return (
        f"{where} {plain:.3f} of the pictures stay right under transfer as they are; sharpening changes that by "
        f"{transfer.value:+.3f} ({_ends(transfer)}), {rest}. In the white box it changes {known:.3f} by "
        f"{white.value:+.3f} ({_ends(white)}). As a part of the network it seems to leave {forgot:.3f} where the "
        f"attacker forgets it, and leaves {through:.3f} where the attacker differentiates through it; without it "
        f"{bare:.3f} are left."
    )


def _ends(interval: Any) -> str:
    return f"{interval.low:+.3f} to {interval.high:+.3f}" if interval.known else "one seed"
