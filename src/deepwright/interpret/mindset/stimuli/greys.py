"""Lightness: a square before light and dark, a board in a shadow, and the shapes that its read-out learns from."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from deepwright.core.randomness import Streams
from deepwright.interpret.mindset.canvas import Canvas
from deepwright.interpret.mindset.scene import Factors, Scene, between
from deepwright.interpret.mindset.stimuli.shapes import turned

_BACKGROUNDS = tuple(range(0, 255, 20))
_LATTICE = 3  # arrow tips a side of the square
_SQUARE, _GREY = 80 / 224, 200.0
_ARROW = 9 / 224
_SHAPES, _CORNERS, _TIPS = 20, 24, 64
LIGHTNESS_CELLS = _LATTICE**2 * len(_BACKGROUNDS)
CHECKER_CELLS = 16


def arrow(canvas: Canvas, tip: Tensor, side: float) -> None:
    """A small white arrow head that points at a place from below right.

    Args:
        canvas: to paint on.
        tip: (n, 2).
        side: its length in pixels.
    """
    shape = torch.tensor([[0.0, 0.0], [1.0, 0.35], [0.35, 1.0]], device=canvas.device) * side
    canvas.polygon(tip[:, None] + shape, 255.0)


def lightness(scene: Scene) -> tuple[Canvas, Factors]:
    """A square of grey 200 before each of 13 backgrounds, with an arrow at each of nine places in it.

    Pictures of one place are paired across backgrounds b and 240 - b as one item: "dark" and "light".

    Args:
        scene: what to draw; picture i is cell i of the grid.
    """
    cell = scene.ids.to(scene.device) % LIGHTNESS_CELLS
    place, step = cell // len(_BACKGROUNDS), cell % len(_BACKGROUNDS)
    ground = torch.tensor(_BACKGROUNDS, device=scene.device)[step].float()
    size, half = scene.size, _SQUARE * scene.size / 2
    canvas = Canvas(scene.n, size, ground[:, None].expand(-1, 3), scene.antialiasing, scene.device)
    middle = scene.middle()
    square = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]], device=scene.device) * half
    canvas.polygon(middle[:, None] + square, _GREY)
    lattice = torch.stack([place % _LATTICE, place // _LATTICE], 1) - (_LATTICE - 1) / 2
    tip = middle + lattice * (30 / 224 * size) - _ARROW * size / 2
    arrow(canvas, tip, _ARROW * size)
    last = len(_BACKGROUNDS) - 1
    mirrored = torch.minimum(step, last - step)
    words = ["dark" if s < last / 2 else "light" if s > last / 2 else "middle" for s in step.tolist()]
    return canvas, {
        "Item": place * len(_BACKGROUNDS) + mirrored,
        "Background": ground,
        "Surround": words,
        "TargetGrey": torch.full((scene.n,), _GREY, device=scene.device),
        "TipX": tip[:, 0],
        "TipY": tip[:, 1],
    }


def checkerboard(scene: Scene, *, squares: int = 8, shadow: float = 0.5) -> tuple[Canvas, Factors]:
    """A board of reflectances 0.3 and 0.6, half of it in a soft shadow, with an arrow in one cell after another.

    The shadow halves the light, so that a light cell in it sends as much as a dark cell outside. Pictures 2 k and
    2 k + 1 point to a cell of either kind.

    Args:
        scene: what to draw; picture i is cell i of the grid.
        squares: a side, even, 4 or more.
        shadow: light that is left in it.
    """
    items, lit = scene.paired()
    size = scene.size
    x, y = canvas_grid(scene)
    cell = size / squares
    column, row = (x / cell).floor(), (y / cell).floor()
    light = torch.where((column + row) % 2 == 0, 0.6, 0.3)
    dim = shadow + (1 - shadow) * torch.sigmoid((x - size / 2) / (0.01 * size))
    picture = (255 * light * dim)[None, None].expand(scene.n, 1, -1, -1)
    canvas = scene.canvas()
    canvas.field(picture)
    half = squares // 2
    line = items.ids.to(scene.device) % squares
    first = items.ids.to(scene.device) // squares % max(1, (half - 1) // 2) * 2 + torch.where(lit == 1, half + 1, 0)
    at = first + ((first + line) % 2 != lit)  # light cells where the sum is even, dark ones where it is odd
    tip = torch.stack([(at + 0.35) * cell, (line + 0.35) * cell], 1)
    arrow(canvas, tip, 0.4 * cell)
    return canvas, {
        "Item": items.ids,
        "Cell": ["lit dark" if b else "shadowed light" for b in lit.tolist()],
        "TargetGrey": torch.full((scene.n,), 255 * 0.3, device=scene.device),
        "TipX": tip[:, 0],
        "TipY": tip[:, 1],
    }


def canvas_grid(scene: Scene) -> tuple[Tensor, Tensor]:
    """x and y of every pixel's middle, (size, size).

    Args:
        scene: of the size.
    """
    middle = torch.arange(scene.size, device=scene.device) + 0.5
    y, x = torch.meshgrid(middle, middle, indexing="ij")
    return x, y


def grey_shapes(scene: Scene) -> tuple[Canvas, Factors]:
    """Twenty random filled shapes of random greys, and an arrow at a point around which there is one grey.

    Args:
        scene: what to draw.
    """
    draws, size, canvas = scene.draws(), scene.size, scene.canvas()
    for _ in range(_SHAPES):
        corners = _random_shape(draws, scene.device) * between(draws.uniform(), 0.06, 0.25)[:, None, None]
        place = draws.uniform(2)
        grey = between(draws.uniform(), 1.0, 253.0).round()
        canvas.polygon((corners + place[:, None]) * size, grey[:, None])
    tips = between(draws.uniform(_TIPS, 2), 0.1, 0.9) * size
    near = int(max(2, round(_ARROW * size / 2)))
    images = canvas.images()[:, 0]
    spots = torch.arange(-near, near + 1, device=scene.device)
    at = tips.long()
    around = images[
        torch.arange(scene.n, device=scene.device)[:, None, None, None],
        (at[..., 1, None, None] + spots[:, None]).clamp(0, size - 1),
        (at[..., 0, None, None] + spots).clamp(0, size - 1),
    ].flatten(2)
    even = (around.amax(2).int() - around.amin(2).int()).argmin(1)  # 0 for nearly every picture
    rows = torch.arange(scene.n, device=scene.device)
    tip = tips[rows, even]
    grey = around[rows, even].float().mean(1)
    arrow(canvas, tip, _ARROW * size)
    return canvas, {"TargetGrey": grey, "TipX": tip[:, 0], "TipY": tip[:, 1]}


def _random_shape(draws: Streams, device: torch.device | str) -> Tensor:
    """(n, v, 2) ellipses, pies, chords, regular and irregular polygons, and (rounded) rectangles, of radius 1."""
    kind, sides = draws.integers(0, 7), draws.integers(3, 10)
    stretch, span, turn = between(draws.uniform(), 0.4, 1.0), draws.uniform(), draws.uniform(high=2 * math.pi)
    rough = between(draws.uniform(_CORNERS), 0.4, 1.0)
    t = torch.arange(_CORNERS, device=device, dtype=torch.float64) / _CORNERS
    circle = 2 * math.pi * t.expand(draws.n, -1)
    part = circle * between(span, 0.2, 0.8)[:, None]
    stepped = 2 * math.pi * (t * sides[:, None]).floor() / sides[:, None]
    angle = torch.where(
        kind[:, None] >= 5, stepped, torch.where((kind[:, None] == 1) | (kind[:, None] == 2), part, circle)
    )
    radius = torch.ones_like(angle)
    radius[:, -1] = torch.where(kind == 1, 0.0, radius[:, -1])  # a pie comes back to the middle
    radius = torch.where(kind[:, None] == 6, rough, radius)
    power = torch.where(kind == 3, 0.25, torch.where(kind == 4, 0.5, 1.0))[:, None]
    c, s = angle.cos(), angle.sin()
    corners = radius[..., None] * torch.stack([c.sign() * c.abs() ** power, s.sign() * s.abs() ** power], -1)
    flat = torch.stack([torch.ones_like(stretch), torch.where(kind == 5, 1.0, stretch)], 1)
    return turned(corners * flat[:, None], turn)
