"""Draw the pictures of an experiment."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.core.devices import resolve
from deepwright.core.errors import InputError, unknown_name
from deepwright.core.requirements import require_number, require_whole, require_within
from deepwright.interpret.mindset.catalogue import experiment_named
from deepwright.interpret.mindset.experiment import Experiment
from deepwright.interpret.mindset.scene import BLACK, STROKE, WHITE, Factors, Scene
from deepwright.interpret.mindset.stimulus_set import StimulusSet

_CHUNK = 128  # pictures that are drawn together


def make_stimuli(
    name: str,
    n: int | None = 100,
    *,
    conditions: tuple[str, ...] | list[str] | None = None,
    first: int = 0,
    size: int = 224,
    background: tuple[float, float, float] | str = BLACK,
    ink: tuple[float, float, float] | None = None,
    stroke: float | None = None,
    antialiasing: bool | str = True,
    matched: bool = True,
    seed: int = 0,
    device: torch.device | str = "cpu",
    **params: Any,
) -> StimulusSet:
    """The pictures of an experiment with the annotation of each.

    Picture i of a condition is a function of (name, params, seed, i) alone: asking for more, or for other conditions,
    changes none of them.

    Args:
        name: of the experiment; `list_experiments` has them all.
        n: pictures of each condition; None for the whole of an experiment that is a grid.
        conditions: which of them; None for all.
        first: number of the first picture: other numbers are other draws.
        size: side in pixels.
        background: colour, 0 to 255, or "rnd-uniform" for one a picture, at least 50 levels from what is drawn.
        ink: colour of strokes; white on black and black on white where None.
        stroke: width in pixels; 0.00893 sides, at least 1, where None.
        antialiasing: True for exact coverage, False for hard edges, "blur" as the published pictures are.
        matched: whether picture i of every condition shares position, size and angle, so that effects are within items.
        seed: of all draws.
        device: where to draw; the pictures stay there.
        params: of the experiment's generator, which documents them.

    Raises:
        InputError: a name or parameter that isn't there, geometry that doesn't fit the canvas, a stroke below 1 px.

    Source: "MindSet: Vision. A toolbox for testing DNNs on key psychological experiments", arXiv 2404.05290.
    """
    experiment = experiment_named(name)
    _require_params(experiment, params)
    require_whole(0, first=first, seed=seed)
    require_whole(16, size=size)
    n = _count(experiment, n)
    stroke = max(1.0, float(round(STROKE * size))) if stroke is None else stroke
    require_within(1.0, size / 4, stroke=stroke)
    chosen = experiment.conditions if conditions is None else tuple(conditions)
    if not chosen or len(set(chosen)) < len(chosen):
        raise InputError("conditions", given=chosen, expected="one or more, each once")
    for condition in chosen:
        if condition not in experiment.conditions:
            raise unknown_name(f"condition of {name}", condition, experiment.conditions)
    place = resolve(device, "device")
    scene = Scene(
        name,
        "",
        torch.arange(0),
        size,
        seed,
        stroke,
        _ink(background, ink),
        background,
        antialiasing,
        matched,
        place,
    )
    parts = [_drawn(experiment, scene, condition, first, n, params) for condition in chosen]
    images = torch.cat([image for image, _ in parts])
    factors = _joined([factors for _, factors in parts])
    settings = {"n": n, "first": first, "size": size, "background": background, "ink": scene.ink, "stroke": stroke}
    settings["thinnest"] = _thinnest(experiment, params, size, stroke)
    settings |= {"antialiasing": antialiasing, "matched": matched, "seed": seed, **params}
    return StimulusSet(images, factors, name, settings)


def _drawn(
    experiment: Experiment, scene: Scene, condition: str, first: int, n: int, params: dict[str, Any]
) -> tuple[Tensor, dict[str, np.ndarray]]:
    """One condition, drawn in chunks."""
    from dataclasses import replace

    images, parts = [], []
    for begin in range(first, first + n, _CHUNK):
        ids = torch.arange(begin, min(begin + _CHUNK, first + n))
        canvas, factors = experiment.draw(replace(scene, condition=condition, ids=ids), **params)
        images.append(canvas.images())
        parts.append(_plain({"Type": [condition] * len(ids), **({"Item": ids} | factors)}))
    return torch.cat(images), _joined(parts)


def _plain(factors: Factors) -> dict[str, np.ndarray]:
    return {k: v.cpu().numpy() if isinstance(v, Tensor) else np.array(v) for k, v in factors.items()}


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    for part in parts:
        if list(part) != list(parts[0]):
            raise InputError("factors of a condition", given=list(part), expected=list(parts[0]))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _count(experiment: Experiment, n: int | None) -> int:
    if n is None and experiment.cells == 0:
        raise InputError("n", given="None", expected=f"how many pictures: {experiment.name} is no grid")
    if n is None:
        return experiment.cells
    require_whole(1, n=n)
    return n


def _ink(
    background: tuple[float, float, float] | str, ink: tuple[float, float, float] | None
) -> tuple[float, float, float]:
    for name, colour in (("background", background), ("ink", ink)):
        if colour is not None and not isinstance(colour, str):
            _require_colour(colour, name)
    if ink is not None:
        if not isinstance(background, str) and tuple(ink) == tuple(background):
            raise InputError("ink", given=ink, expected="another colour than the background's")
        return (float(ink[0]), float(ink[1]), float(ink[2]))
    if isinstance(background, str) or tuple(background) == BLACK:
        return WHITE
    if tuple(background) == WHITE:
        return BLACK
    raise InputError("ink", given=f"None on a background of {background}", expected="a colour: ink=(r, g, b)")


def _require_params(experiment: Experiment, params: dict[str, Any]) -> None:
    known = [p.name for p in inspect.signature(experiment.draw).parameters.values() if p.kind is p.KEYWORD_ONLY]
    for name in params:
        if name not in known:
            raise unknown_name(f"parameter of {experiment.name}", name, known)
    for name, value in params.items():
        if isinstance(value, tuple | list) and len(value) == 2:
            for end in value:
                require_number(0.0, **{name: end})
            if value[0] > value[1]:
                raise InputError(name, given=value, expected="a range that rises")


def _require_colour(colour: Any, name: str) -> None:
    expected = "three numbers from 0 to 255"
    if len(colour) != 3 or not all(isinstance(v, int | float) and 0 <= v <= 255 for v in colour):
        raise InputError(name, given=colour, expected=expected)


def _thinnest(experiment: Experiment, params: dict[str, Any], size: int, stroke: float) -> float:
    """Pixels of the thinnest line: some experiments have a width of their own."""
    if experiment.name == "un_crowding":
        return 1.0
    width = inspect.signature(experiment.draw).parameters.get("width")
    if width is None:
        return stroke
    given = float(params.get("width", width.default))
    return max(1.0, given * size) if experiment.name == "weber_law" else given
