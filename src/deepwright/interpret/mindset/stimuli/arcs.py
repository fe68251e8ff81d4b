"""Jastrow's illusion: of two equal bent bars the lower one looks larger."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from deepwright.core.randomness import Streams
from deepwright.interpret.mindset.canvas import Canvas
from deepwright.interpret.mindset.scene import BLUE, RED, Factors, Scene, between, first_valid
from deepwright.interpret.mindset.stimuli.shapes import arc, turned

Range = tuple[float, float]
_GAP, _LINE, _ALIKE = 0.03, 8, 0.7


def jastrow(
    scene: Scene, *, angle: Range = (45, 60), thickness: Range = (0.03, 0.2), area: Range = (0.01, 0.06)
) -> tuple[Canvas, Factors]:
    """Two bent bars, red and blue; pictures 2 k and 2 k + 1 show item k with red on top and with blue on top.

    Illusory: one over the other, of one size. Aligned: side by side at one height, of one size. Random: anywhere,
    turned at random, of two sizes or of one, never touching, and never so near and so parallel that they are illusory.

    Args:
        scene: what to draw.
        angle: that a bar spans, in degrees.
        thickness: in canvas sides.
        area: of a bar, as a share of the canvas.
    """
    items, blue_top = scene.paired()
    random = scene.condition.startswith("random")
    draws = items.draws("shapes", shared=not random)
    bars = first_valid(
        draws,
        lambda d: _candidates(d, angle, thickness, area, one_size=scene.condition != "random"),
        lambda c: _fits(c, random),
        "two bars that fit",
    )
    if not random:
        bars = _placed(bars, scene.condition == "aligned")
    canvas, size = scene.canvas(), scene.size
    red, blue = (torch.tensor(colour, device=scene.device) for colour in (RED, BLUE))
    first = torch.where(blue_top[:, None] == 1, blue, red)
    for bar, colour in ((bars[:, 0], first), (bars[:, 1], red + blue - first)):
        canvas.polygon(_corners(bar) * size, colour)
    areas = bars[..., 1] * bars[..., 0] * bars[..., 2]
    swap = blue_top == 1
    red_size, blue_size = areas[:, 0].where(~swap, areas[:, 1]), areas[:, 1].where(~swap, areas[:, 0])
    return canvas, {
        "Item": items.ids,
        "Top": ["blue" if b else "red" for b in blue_top.tolist()],
        "RedSize": red_size,
        "BlueSize": blue_size,
        "SizeDifference": red_size - blue_size,
    }


def _candidates(draws: Streams, angle: Range, thickness: Range, area: Range, one_size: bool) -> Tensor:
    """(n, 32, 2 bars, 6): radius, thickness, angle, x, y, turn; lengths in canvas sides."""
    u = draws.uniform(32, 2, 6)
    span, thick = torch.deg2rad(between(u[..., 0], *angle)), between(u[..., 1], *thickness)
    size = between(u[..., 2], *area)
    if one_size:
        span, thick, size = (t[..., :1].expand(-1, -1, 2) for t in (span, thick, size))
    radius = size / (span * thick)
    return torch.stack([radius, thick, span, u[..., 3], u[..., 4], 2 * math.pi * u[..., 5]], -1)


def _fits(bars: Tensor, random: bool) -> Tensor:
    """Bars whose inner rim has a radius, and that lie on the canvas without touching."""
    radius, thick, span = bars[..., 0], bars[..., 1], bars[..., 2]
    width, height = 2 * (radius + thick / 2) * (span / 2).sin(), thick + radius * (1 - (span / 2).cos())
    real = (radius > thick) & (width < 0.9)
    if not random:  # both must fit above each other and beside each other
        return (real & (height + thick + 2 * _GAP < 0.9) & (2 * width + _GAP < 0.96)).all(-1)
    line = _middle_lines(bars)
    margin = thick[..., None, None] / 2 + 0.01
    inside = ((line > margin) & (line < 1 - margin)).all(-1).all(-1).all(-1)
    apart = (line[..., 0, :, None, :] - line[..., 1, None, :, :]).norm(dim=-1).amin((-1, -2))
    between_centres = (line[..., 0, :, :].mean(-2) - line[..., 1, :, :].mean(-2)).norm(dim=-1)
    parallel = (1 + (bars[..., 0, 5] - bars[..., 1, 5]).cos()) / 2
    alike = parallel * (1 - between_centres / math.sqrt(2)) > _ALIKE
    return real.all(-1) & inside & (apart > thick.mean(-1) + _GAP) & ~alike


def _middle_lines(bars: Tensor) -> Tensor:
    """(..., 8, 2) points along each bar's middle line."""
    along = torch.linspace(-0.5, 0.5, _LINE, device=bars.device) * bars[..., 2:3] - math.pi / 2
    radius = bars[..., 0:1]
    x, y = radius * along.cos(), radius * along.sin() + radius
    c, s = bars[..., 5:6].cos(), bars[..., 5:6].sin()
    return torch.stack([bars[..., 3:4] + c * x - s * y, bars[..., 4:5] + s * x + c * y], -1)


def _placed(bars: Tensor, aligned: bool) -> Tensor:
    """Upright bars about the canvas's middle, one below the other, or side by side."""
    radius, thick, span = bars[:, 0, 0], bars[:, 0, 1], bars[:, 0, 2]
    width = 2 * (radius + thick / 2) * (span / 2).sin()
    sag = radius * (1 - (span / 2).cos())
    out = bars.clone()
    out[..., 5] = 0.0
    for k, side in enumerate((-0.5, 0.5)):
        out[:, k, 3] = 0.5 + side * (width + _GAP) if aligned else 0.5
        out[:, k, 4] = (0.5 if aligned else 0.5 + side * (thick + _GAP)) - sag / 2
    return out


def _corners(bar: Tensor) -> Tensor:
    """(n, v, 2) in canvas sides."""
    return turned(arc(bar[:, 0], bar[:, 1], bar[:, 2]), bar[:, 5]) + bar[:, None, 3:5]
