"""Draw the pictures of an experiment."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.core.devices import resolve
from deepwright.core.errors import InputError, unknown_name
from deepwright.core.requirements import require_whole, require_within
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
    if ink is not None:
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
