"""One colour for one method in every figure of the house: ours is blue, what it is held against grey, the truth ink."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

COLORS = ("#2563eb", "#d97706", "#059669", "#dc2626", "#7c3aed", "#0891b2", "#be185d", "#65a30d")
OURS, BASELINE, TRUTH = COLORS[0], "#7f8896", "currentColor"
_ORANGE, _GREEN, _RED, _VIOLET, _CYAN, _ROSE, _LIME = COLORS[1:]
_MARKS = "osD^vPX*<>"


def light(color: str) -> str:
    """The same colour, half as deep: a variant of the same method.

    Args:
        color: as "#rrggbb".
    """
    parts = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{(part + 255) // 2:02x}" for part in parts)


# Told apart where colours aren't printed: variants, which are lighter, have marks and hatches of their own.
_LIGHT = tuple(map(light, (OURS, BASELINE, _VIOLET, _GREEN)))
_MARKERS = dict(zip((OURS, BASELINE, *COLORS[1:], TRUTH, *_LIGHT), [*_MARKS, "x", "+", "1", "2"]))
_HATCHES = dict(zip((*COLORS[1:], *_LIGHT), ("//", "\\\\", "xx", "..", "--", "++", "oo", "||", "O", "*", "\\\\\\\\")))

METHODS = {
    # fragility-index
    "erm": BASELINE,
    "fragility": OURS,
    "fragility, targets from 0.6": OURS,
    "fragility, penalty": light(OURS),
    "label smoothing": _ORANGE,
    "focal": _GREEN,
    "cvar": _RED,
    "tilted": _VIOLET,
    "chi2-dro": _CYAN,
    # bbas
    "AggBBAS": OURS,
    "MSP": BASELINE,
    "KNN": _ORANGE,
    "RMDS": _GREEN,
    "MDS": _RED,
    "Energy": _CYAN,
    "OutsideTheBox": _VIOLET,
    # saap
    "centre cells": _ROSE,
    "anchors": _LIME,
    "Frank-Wolfe": OURS,
    "evenly": BASELINE,
    "random noise": light(BASELINE),
    "random pixels": _CYAN,
    "random cells": _CYAN,
    "brightest pixels": _ORANGE,
    "brightest cells": _ORANGE,
    "darkest pixels": _VIOLET,
    "from the centre out": _GREEN,
    # model-surgery, early-exit, evolutionary-pruning, prunefuse
    "taylor": OURS,
    "random": BASELINE,
    "l2": _ORANGE,
    "random skip, same rate": BASELINE,
    "exit, 5 %": OURS,
    "exit after features.stage0": light(OURS),
    "exit after features.stage1": OURS,
    "exit after features.stage2": _VIOLET,
    "static, half width": BASELINE,
    "static, 0.75 of the width": light(BASELINE),
    "phase 1 + 2": OURS,
    "phase 1": light(OURS),
    "global magnitude": BASELINE,
    "flat binary": _ORANGE,
    "LAMP": _GREEN,
    "best of the searches": OURS,
    "best of the one-shot cuts": _ORANGE,
    "random units": BASELINE,
    "search, as cut": OURS,
    "L2": _ORANGE,
    "l1": _GREEN,
    "bn_scale": _RED,
    "hessian_diag": _CYAN,
    "torch-pruning, l2": _VIOLET,
    "fused": OURS,
    "fused, random labels": light(OURS),
    "scratch": BASELINE,
    "scratch, random labels": light(BASELINE),
    # sciml-core
    "Levenberg-Marquardt": OURS,
    "Levenberg-Marquardt, float32": light(OURS),
    "Adam": BASELINE,
    "L-BFGS": _ORANGE,
    "BFGS": _GREEN,
    "unscaled BFGS": light(_GREEN),
    "SSBroyden": _VIOLET,
    "SSBroyden, float32": light(_VIOLET),
    # spline-grid-pinn
    "CELG": OURS,
    "CELG, three levels": light(OURS),
    "PINN": BASELINE,
    "PINN, Fourier features": _ORANGE,
    "SPINN": _GREEN,
    "PIXEL": _RED,
    "CELG, linear": BASELINE,
    "CELG, cosine": _ORANGE,
    "CELG, hermite": _GREEN,
    "CELG, bspline3": _VIOLET,
    # two-phase-pinn
    "a network per phase": OURS,
    "a network per phase, stream function": light(OURS),
    "one network": BASELINE,
    "one network, smeared interface": light(BASELINE),
    "one network, |phi| as input": _ORANGE,
    "one network, the phase as input": light(_VIOLET),
    "one network, the phase as input, width 18": _VIOLET,
    "a network per phase, Adam": _GREEN,
    "a network per phase, L-BFGS": _RED,
    # kinetic-jko
    "constrained": OURS,
    "kinetic JKO": OURS,
    "split": _ORANGE,
    "adaptive": light(OURS),
    "score": BASELINE,
    "score matching": BASELINE,
    "network with affine part": OURS,
    "network": light(OURS),
    "affine part alone": _ORANGE,
    "exact": TRUTH,
    "grid": TRUTH,
    "grid of 512 x 512": TRUTH,
    "grid, no collisions": BASELINE,
    # unifluids
    "flow matching": OURS,
    "flow matching, PDEBench's fields": light(OURS),
    "flow matching, sensors": _LIME,
    "single pass": BASELINE,
    "single pass in blocks": light(BASELINE),
    "x, v-loss, logit-normal (JiT)": _RED,
    "FNO": _VIOLET,
    "U-Net": _CYAN,
    # sharpening
    "Laplacian": OURS,
    "none": BASELINE,
    "contrast": _ORANGE,
    "unsharp mask": _GREEN,
    "guided": _LIME,
    "noise": _ROSE,
    "blur": _CYAN,
    "bi-level": _RED,
    "fast preemption": _VIOLET,
    # what is measured, of whichever method: colours that no method of its page has
    "unknown digits": _ROSE,
    "other photographs": _LIME,
    "hypervolume": _ROSE,
    "on test digits": _LIME,
    "eager": _ROSE,
    "ONNX Runtime": _LIME,
    "velocity": _ROSE,
    "pressure": _LIME,
}


@dataclass(frozen=True)
class Look:
    """How a series is drawn: its colour, and what tells it apart where colours aren't printed.

    Attributes:
        color: "#rrggbb", or "currentColor" for the ink of the page.
        marker: of points, as matplotlib names it.
        hatch: of bars, as matplotlib names it.
    """

    color: str
    marker: str
    hatch: str


def looks(series: Sequence[dict[str, Any]]) -> list[Look]:
    """How each series of a figure is drawn: a method of the house as everywhere, the others in turn.

    A dashed series whose name goes on from another's ("advection, interpolated") has that one's colour.

    Args:
        series: of a figure.
    """
    names = [str(s.get("name", "")) for s in series]
    colors = {n: METHODS[_method(n)] for n in names if _method(n) in METHODS}
    free = [c for c in COLORS if c not in colors.values()] or list(COLORS)
    others = [n for n, s in zip(names, series) if n not in colors and _stem(n, names, s) is None]
    colors |= {n: free[i % len(free)] for i, n in enumerate(dict.fromkeys(others))}
    found = []
    for i, (name, one) in enumerate(zip(names, series)):
        color = colors[name] if name in colors else colors[str(_stem(name, names, one))]
        found.append(Look(color, _MARKERS.get(color, _MARKS[i % len(_MARKS)]), _HATCHES.get(color, "")))
    return found


def _method(name: str) -> str:
    """A gap to a method is drawn as the method is."""
    return name.removeprefix("minus ")


def _stem(name: str, names: Sequence[str], series: dict[str, Any]) -> str | None:
    if not series.get("dashed"):
        return None
    return next((n for n in names if n != name and name.startswith(f"{n},")), None)
