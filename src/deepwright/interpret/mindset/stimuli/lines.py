"""Non-accidental against metric changes of line drawings, at equal change of pixels."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from deepwright.interpret.mindset.canvas import Canvas
from deepwright.interpret.mindset.scene import Factors, Scene, between

FAMILIES = ("parallelism", "collinearity", "co-termination", "curvature", "alignment")
_POINTS = 13
_HALVINGS = 12

Drawing = Callable[[Tensor], list[Tensor]]
"""Metric value (n,) -> strokes, each (n, v, 2) in canvas sides about the middle."""


def nap_mp_lines(scene: Scene) -> tuple[Canvas, Factors]:
    """Two-stroke figures in turn from five families, as reference, with a non-accidental and with a metric change.

    The reference has a middling value v of one metric. "NAP" makes it singular (parallel, collinear, meeting, straight,
    aligned: the value 0). "MP" moves it the other way, to the value at which the pixels have changed as much as they
    have for NAP, found by bisection.

    Args:
        scene: what to draw.
    """
    draws = scene.draws()
    u, turn = draws.uniform(4), draws.uniform(high=6.2832)
    family = scene.ids.to(scene.device) % len(FAMILIES)
    value = between(u[:, 0], 0.06, 0.1)

    def strokes(v: Tensor) -> list[Tensor]:
        every = [_DRAWN[name](v, u) for name in FAMILIES]
        return [torch.stack([drawn[k] for drawn in every])[family, torch.arange(len(v))] for k in range(2)]

    def canvas_of(v: Tensor) -> Canvas:
        canvas = scene.canvas()
        for stroke in strokes(v):
            placed = _turned(stroke, turn) * scene.size + scene.middle()[:, None]
            canvas.path(placed, scene.stroke, scene.ink)
        return canvas

    metric = value
    if scene.condition == "NAP":
        metric = torch.zeros_like(value)
    elif scene.condition == "MP":
        metric = _matched(canvas_of, value)
    canvas = canvas_of(metric)
    return canvas, {"Family": [FAMILIES[k] for k in family.tolist()], "Value": metric, "Reference": value}


def _matched(canvas_of: Callable[[Tensor], Canvas], value: Tensor) -> Tensor:
    """The value beyond the reference's at which as much of the picture has changed as it does at 0."""

    def changed(v: Tensor) -> Tensor:
        return (canvas_of(v).images().float() - reference).square().sum((1, 2, 3)).sqrt()

    reference = canvas_of(value).images().float()
    wanted = changed(torch.zeros_like(value))
    low, high = value, 3.0 * value
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        beyond = changed(middle) > wanted
        low, high = low.where(beyond, middle), middle.where(beyond, high)
    return (low + high) / 2


def _turned(stroke: Tensor, angle: Tensor) -> Tensor:
    c, s = angle.cos()[:, None], angle.sin()[:, None]
    x, y = stroke[..., 0], stroke[..., 1]
    return torch.stack([c * x - s * y, s * x + c * y], -1)


def _line(x0: Tensor, y0: Tensor, x1: Tensor, y1: Tensor) -> Tensor:
    """(n, points, 2) along a straight line."""
    t = torch.linspace(0, 1, _POINTS, device=x0.device)
    return torch.stack([x0[:, None] + t * (x1 - x0)[:, None], y0[:, None] + t * (y1 - y0)[:, None]], -1)


def _parallelism(v: Tensor, u: Tensor) -> list[Tensor]:
    length, gap = 0.18 + 0.08 * u[:, 1], 0.06 + 0.06 * u[:, 2]
    return [_line(-length, -gap, length, -gap), _line(-length, gap - v, length, gap + v)]


def _collinearity(v: Tensor, u: Tensor) -> list[Tensor]:
    length, gap = 0.16 + 0.08 * u[:, 1], 0.03 + 0.02 * u[:, 2]
    zero = torch.zeros_like(v)
    return [_line(-gap - length, zero, -gap, zero), _line(gap, zero, gap + length, 2 * v)]


def _co_termination(v: Tensor, u: Tensor) -> list[Tensor]:
    length, slant = 0.2 + 0.1 * u[:, 1], 0.1 * u[:, 2]
    zero = torch.zeros_like(v)
    return [_line(zero, -length, zero, length), _line(v, length, v + length, length - slant)]


def _curvature(v: Tensor, u: Tensor) -> list[Tensor]:
    length, gap = 0.18 + 0.08 * u[:, 1], 0.06 + 0.06 * u[:, 2]
    t = torch.linspace(-1, 1, _POINTS, device=v.device)
    bow = torch.stack([length[:, None] * t, gap[:, None] - v[:, None] * (1 - t * t)], -1)
    return [_line(-length, -gap, length, -gap), bow]


def _alignment(v: Tensor, u: Tensor) -> list[Tensor]:
    length, gap = 0.18 + 0.08 * u[:, 1], 0.06 + 0.06 * u[:, 2]
    return [_line(-length, -gap, length, -gap), _line(v - length, gap, v + length, gap)]


_DRAWN: dict[str, Callable[[Tensor, Tensor], list[Tensor]]] = {
    "parallelism": _parallelism,
    "collinearity": _collinearity,
    "co-termination": _co_termination,
    "curvature": _curvature,
    "alignment": _alignment,
}
