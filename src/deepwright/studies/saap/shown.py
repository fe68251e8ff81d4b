"""Tables, figures and the sentence on top."""

from __future__ import annotations

from typing import Any

from deepwright.core.results import Figure, Table
from deepwright.studies._frame import Runs, banded, barred, cells, columns, inside, mean, over_trials
from deepwright.studies.saap.attacks import (
    BOTH,
    CHANGES,
    CONTROLS,
    GRADIENT,
    LEVELS,
    LONGER,
    LOOKS,
    LOOSE,
    LOSSES,
    OURS,
    OUT,
    PROJECTED,
    SIGN,
    TAU,
    WITHOUT,
)
from deepwright.studies.saap.claims import (
    ALIKE_SHOWN,
    CURVE,
    HARDENED_SHOWN,
    LOOSE_SHOWN,
    MAIN,
    MOVED_SHOWN,
    PARTS_SHOWN,
    PASTED_SHOWN,
    RECEIVER_SHOWN,
    TRANSFER_SHOWN,
    best_name,
    less,
)
from deepwright.studies.saap.detectors import CENTRE, KINDS
from deepwright.studies.saap.found import Found
from deepwright.studies.saap.hardening import AGAINST, DIMMED, PLAIN, WAYS
from deepwright.studies.saap.parts import PARTS
from deepwright.studies.saap.pictures import pictures, pictures_trial
from deepwright.studies.saap.receiver import CONTROLS as ON_CELLS
from deepwright.studies.saap.receiver import ERRORS, EXACT, SHARE

__all__ = ["LIMITS", "figures_of", "pictures_trial", "summary_of", "tables_of"]

LIMITS = (
    "Synthetic scenes of 64 x 64 pixels with one or two ships, and two small detectors that see 23 and 31 pixels: no "
    "real radar image, no YOLO, no detector that sees the whole scene.",
    "The paper's text couldn't be read: no number of it is compared. The released code's 5,000 steps on one ship at a "
    "time were not run; all arms have 60 steps, one row of sign steps 300.",
    "The attack knows the detector's weights; from one detector to the other is measured, an unknown one isn't.",
    "The receiver is a model of ours: point-spread function, phase errors and misplaced cells, with perfect knowledge "
    "of the scene's complex field.",
    "Step lengths at an end of what was tried were chosen in many seeds (projected gradients, sign steps, AdvPatch, "
    "DPatch, RobustDPatch): others may be better still.",
    "Trained detectors were attacked anew by the attack that they were trained on, at one share: by no other loss, no "
    "longer attack and none from another detector.",
    "Pasted patches hold no budget of amplitude and aren't compared with attenuation, but with noise in their place.",
)
_ALL = (*LEVELS, *LOSSES, LONGER, GRADIENT, LOOKS, *CONTROLS)


def _name(arm: str) -> str:
    return f"{OURS}, {arm}" if arm in LOSSES else arm


def tables_of(found: Found) -> list[Table]:
    """The main table first.

    Args:
        found: the trials.
    """
    return [
        _main(found),
        _transfer(found),
        _alike(found),
        *(_curve(found, kind) for kind in KINDS if len(found.shares(kind)) > 1),
        _loose(found),
        _moved(found),
        _parts(found),
        _receiver(found),
        _hardened(found),
        _pasted(found),
    ]


def _main(found: Found) -> Table:
    rows: list[list[Any]] = []
    for kind in KINDS:
        clean = [over_trials(found.hiding[kind].values(inside("clean", m))) for m in ("missed", "alarms", "ap50")]
        none = [None] * 3
        rows.append([kind, "untouched", *cells(clean[0]), *none, clean[1].value, clean[2].value, 0.0, 0.0, 0.0])
        arms = [arm for arm in _ALL if found.has(kind, arm)]
        for arm in sorted(arms, key=lambda arm: -mean(found.of(kind, arm))):
            missed = found.of(kind, arm)
            gap = none if arm == OURS else cells(over_trials(less(found.of(kind, OURS), missed)))
            rest = [mean(found.of(kind, arm, m)) for m in ("alarms", "ap50", "lost", "amplitude", "power")]
            rows.append([kind, _name(arm), *cells(over_trials(missed)), *gap, *rest])
    names = [
        "detector",
        "spent by",
        *columns("missed", f"{OURS} less it"),
        *("false alarms an image", "AP50", "lost", "amplitude", "power"),
    ]
    ships = found.hiding[CENTRE].mean("ships")
    caption = (
        f"{MAIN} of each ship's amplitude, {len(found.receiver)} seeds, {ships:.0f} ships each: missed (no claimed "
        "box overlaps by half); lost: of those found before, overlapped by no claimed box by a tenth; amplitude and "
        "power: the share that is missing; power: of the squares"
    )
    return Table(names, rows, caption)


def _transfer(found: Found) -> Table:
    rows: list[list[Any]] = []
    for tau in found.transfer:
        for name in (*KINDS, BOTH, *CONTROLS):
            seen = [found.seen(tau, name, kind) for kind in KINDS]
            rows.append([tau, name, *(cell for values in seen for cell in cells(over_trials(values)))])
    names = ["share", "found on, or filled", *columns(*(f"missed by {kind}" for kind in KINDS))]
    return Table(names, rows, f"{TRANSFER_SHOWN}: share of ships missed, patterns of Frank-Wolfe and model-free fills")


def _alike(found: Found) -> Table:
    rows: list[list[Any]] = [
        [tau, *runs.cells("alike"), *runs.cells("alike by chance")] for tau, runs in found.transfer.items()
    ]
    names = ["share", *columns("found on either detector", "two draws of random pixels")]
    return Table(
        names, rows, f"{ALIKE_SHOWN} are the same: share of one pattern that the other takes at the same pixel"
    )


def _curve(found: Found, kind: str) -> Table:
    rows: list[list[Any]] = [
        [tau, arm, *cells(over_trials(found.at_share(kind, tau, arm))), mean(found.at_share(kind, tau, arm, "alarms"))]
        for tau in found.shares(kind)
        for arm in (OURS, *CONTROLS)
    ]
    names = ["share", "spent by", "missed", "low", "high", "false alarms an image"]
    return Table(names, rows, f"{CURVE} of amplitude, {kind}: ships missed")


def _loose(found: Found) -> Table:
    rows: list[list[Any]] = []
    for tau, runs in found.loose.items():
        for name in LOOSE:
            taken, missed = (runs.interval(inside(name, m)) for m in ("amplitude", "missed"))
            rows.append([tau, name, *cells(taken), *cells(missed)])
        arms = [(OURS, "the exact bound, Frank-Wolfe")]
        rows += [
            [
                tau,
                name,
                *cells(over_trials(found.at_share(CENTRE, tau, arm, "amplitude"))),
                *cells(over_trials(found.at_share(CENTRE, tau, arm))),
            ]
            for arm, name in arms
            if tau in found.shares(CENTRE)
        ]
    names = ["told", "how", *columns("amplitude taken", "missed")]
    return Table(
        names, rows, f"{LOOSE_SHOWN} holds another share than it is told, and its sign walks downhill: {CENTRE}"
    )


def _moved(found: Found) -> Table:
    rows: list[list[Any]] = [
        [tau, how, name, *runs.cells(inside(name, how))]
        for tau, runs in found.moved.items()
        for how in CHANGES
        for name in runs[0]
    ]
    names = ["share", "changed by", "scenes", "missed", "low", "high"]
    return Table(names, rows, f"{MOVED_SHOWN}, under four draws that no attack was made under: ships missed, {CENTRE}")


def _parts(found: Found) -> Table:
    rows: list[list[Any]] = []
    for part in PARTS:
        each = (found.parts.cells(inside(n, part)) for n in (WITHOUT, OUT, "untouched"))
        rows.append([part, *(cell for cells_ in each for cell in cells_)])
    names = ["changed by", *columns(f"{OURS}, {WITHOUT}", OUT, "untouched")]
    return Table(names, rows, f"{PARTS_SHOWN} at a fifth, one draw: ships missed, {CENTRE}")


def _receiver(found: Found) -> Table:
    rows: list[list[Any]] = [["no error", "untouched", *found.receiver.cells(inside("clean", "missed")), None, None]]
    for error in ERRORS:
        for name in (OURS, *ON_CELLS):
            missed = found.receiver.cells(inside(error, name, "missed"))
            rest = [found.receiver.mean(inside(error, name, m)) for m in ("alarms", "amplitude")]
            rows.append([error, name, *missed, *rest])
    names = ["error", "spent by", "missed", "low", "high", "false alarms an image", "amplitude missing in the image"]
    return Table(names, rows, f"{RECEIVER_SHOWN}: {SHARE:g} of the amplitude of each ship's cells, {CENTRE}")


def _hardened(found: Found) -> Table:
    rows: list[list[Any]] = []
    for way in WAYS:
        runs = found.hardened[way]
        attacked, clean, ap50 = (
            runs.cells(inside(a, m)) for a, m in (("attacked", "missed"), ("clean", "missed"), ("clean", "ap50"))
        )
        rows.append([way, *attacked, *clean, *ap50])
    names = ["six epochs more", *columns("missed under attack", "missed without", "AP50 without")]
    return Table(names, rows, f"{HARDENED_SHOWN}, then attacked at a tenth by Frank-Wolfe anew: {CENTRE}")


def _pasted(found: Found) -> Table:
    rows: list[list[Any]] = []
    for (kind, name), runs in found.patches.items():
        for what in ("patch", "noise", "grey"):
            missed, ap50, untouched = (
                runs.cells(inside(m) if what == "patch" else inside(what, m)) for m in ("missed", "ap50", "untouched")
            )
            alarms = runs.mean(inside("alarms") if what == "patch" else inside(what, "alarms"))
            rows.append([kind, name, what, *missed, alarms, *ap50, *untouched])
    names = [
        *("detector", "patch", "what lies there", "missed", "low", "high", "false alarms an image"),
        *("AP50", "low ", "high ", "missed of those untouched", "low  ", "high  "),
    ]
    caption = (
        f"{PASTED_SHOWN}: patches at the step length chosen on validation, beside noise and grey at the same places; "
        "untouched: ships of which no pixel is covered"
    )
    return Table(names, rows, caption)


def figures_of(found: Found, drawn: Runs) -> list[Figure]:
    """Shares, ways of spending, the receiver and scenes.

    Args:
        found: the trials.
        drawn: of the pictures.
    """
    taus = found.shares(CENTRE)
    lines = [banded(a, taus, [found.at_share(CENTRE, t, a) for t in taus]) for a in (OURS, *CONTROLS)]
    arms = sorted(_ALL, key=lambda arm: -mean(found.of(CENTRE, arm)))
    bars = []
    for kind in KINDS:
        there = [arm for arm in arms if found.has(kind, arm)]
        bars.append(barred(kind, [_name(a) for a in there], [over_trials(found.of(kind, a)) for a in there]))
    behind = [
        banded(n, list(ERRORS), [found.receiver.values(inside(e, n, "missed")) for e in ERRORS])
        for n in (OURS, *ON_CELLS)
    ]
    return [
        Figure(
            "line",
            f"Ships missed by share of amplitude, {CENTRE}",
            lines,
            "share taken of each ship",
            "missed",
            y_range=(0, 1),
        ),
        Figure("bar", "Ships missed when a tenth is taken", bars, "", "missed", y_range=(0, 1)),
        Figure("bar", "Behind a receiver, a fifth of the cells' amplitude", behind, "", "missed", y_range=(0, 1)),
        pictures(drawn),
    ]


def summary_of(found: Found) -> str:
    """What the tables say.

    Args:
        found: the trials.
    """
    parts = []
    for kind in KINDS:
        rival = best_name(found, kind)
        ours, projected, sign, released, best = (
            mean(found.of(kind, arm)) for arm in (OURS, PROJECTED, SIGN, "released loss", rival)
        )
        parts.append(
            f"on {kind} Frank-Wolfe steps leave {ours:.3f} of the ships missed, projected gradients {projected:.3f}, "
            f"sign steps {sign:.3f}, the released loss {released:.3f}; of what needs no optimiser {rival} most, "
            f"{best:.3f}"
        )
    elsewhere = [mean(found.seen(TAU, a, b)) for a, b in (KINDS, KINDS[::-1])]
    both = [mean(found.seen(TAU, BOTH, kind)) for kind in KINDS]
    exact, slight, large = (
        found.receiver.mean(inside(e, OURS, "missed")) for e in (EXACT, "phase error 0.1", "phase error 1")
    )
    control = max(found.receiver.mean(inside(EXACT, a, "missed")) for a in ON_CELLS)
    hard = [found.hardened[way].mean(inside("attacked", "missed")) for way in (AGAINST, DIMMED, PLAIN)]
    told = max(found.loose)
    true, literal = (
        found.loose[told].mean(inside(n, "missed")) for n in ("loose bound, true sign", "loose bound, sign as released")
    )
    return (
        f"With {TAU:g} of each ship's amplitude taken away, {'; '.join(parts)}. What was found on one detector leaves "
        f"{elsewhere[0]:.3f} and {elsewhere[1]:.3f} missed by the other, what was found on both {both[0]:.3f} and "
        f"{both[1]:.3f}. Within the released bound the sign as "
        f"released leaves {literal:.3f} missed at {told:g}, the true one {true:.3f}. Behind a receiver, at {SHARE:g}, "
        f"{exact:.3f} are missed (the best control: {control:.3f}), {slight:.3f} with phase errors of 0.1 radians, "
        f"{large:.3f} with 1. After six epochs of training on attacked scenes a new attack leaves {hard[0]:.3f} "
        f"missed, after as many on random attenuation {hard[1]:.3f}, on plain scenes {hard[2]:.3f}."
    )
