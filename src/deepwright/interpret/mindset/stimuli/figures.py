"""Lines of set lengths, verniers among flankers, hidden figures, schematic faces, pairs that are the same or not."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from deepwright.core.errors import unknown_name
from deepwright.core.randomness import Streams
from deepwright.interpret.mindset.canvas import Canvas
from deepwright.interpret.mindset.scene import Factors, Scene, between
from deepwright.interpret.mindset.stimuli.shapes import SHAPES, blob, turned, unit_shape

Range = tuple[float, float]
_LENGTHS, _LEVELS = tuple(range(5, 50)), tuple(range(50, 255, 20))
WEBER_CELLS = len(_LENGTHS) * len(_LEVELS)
FLANKERS = ("square", "circle", "hexagon", "octagon", "diamond", "star")
STYLES = (
    *("regular", "irregular", "wider_line", "rnd_color", "filled", "open", "open_squares", "rectangles"),
    *("straight_lines", "closed_squares"),
)
_FIGURES = 5
_SKIN, _LIPS, _WHITE = (205.0, 165.0, 135.0), (160.0, 50.0, 50.0), (245.0, 245.0, 245.0)


def weber(scene: Scene, *, width: float = 2 / 224) -> tuple[Canvas, Factors]:
    """A horizontal line at the middle, of every length from 5 to 49 px of 224 and every grey from 50 to 250.

    Args:
        scene: what to draw; picture i is cell i of the grid, and then again.
        width: in canvas sides.
    """
    cell = scene.ids.to(scene.device) % WEBER_CELLS
    length = torch.tensor(_LENGTHS, device=scene.device)[cell // len(_LEVELS)].double() * scene.size / 224
    grey = torch.tensor(_LEVELS, device=scene.device)[cell % len(_LEVELS)].float()
    side = torch.stack([length / 2, torch.zeros_like(length)], 1)
    canvas, middle = scene.canvas(), scene.middle()
    canvas.segment(middle - side, middle + side, max(1.0, width * scene.size), grey[:, None])
    return canvas, {"LineLength": length, "Grey": grey}


def crowding(
    scene: Scene, *, flanker: str = "square", columns: int = 5, rows: int = 1, side: Range = (18 / 224, 25 / 224)
) -> tuple[Canvas, Factors]:
    """Two bars, one above the other and set off to the left or right, inside a row of shapes or outside of it.

    Args:
        scene: what to draw; pictures 2 k and 2 k + 1 are set off to the left and to the right.
        flanker: shape of all in the row.
        columns: shapes a row, odd.
        rows: of shapes, odd.
        side: of a shape, in canvas sides.
    """
    if flanker not in FLANKERS:
        raise unknown_name("flanker", flanker, FLANKERS)
    items, right = scene.paired()
    draws, size, canvas = items.draws(), scene.size, scene.canvas()
    extent = between(draws.uniform(), side[0] * size, side[1] * size).round()
    bar = (extent / 4).round().clamp_min(2)
    offset = 1 + (draws.uniform() * (bar / 2 - 1).clamp_min(0)).floor()
    place = scene.middle() + (draws.uniform(2) - 0.5) * 0.1 * size
    shape = unit_shape(flanker, scene.device)
    shape = shape / (shape.amax(0) - shape.amin(0)).amax()
    for r in range(rows):
        for c in range(columns):
            step = torch.tensor([c - (columns - 1) / 2, r - (rows - 1) / 2], device=scene.device)
            centre = place + 1.35 * extent[:, None] * step
            canvas.outline(centre[:, None] + extent[:, None, None] * shape, 1.0, scene.ink)
    away = 0.0 if scene.condition == "inside" else 1.6 * (rows + 1) / 2
    middle = place + torch.stack([torch.zeros_like(extent), away * extent], 1)
    sign = right.float() * 2 - 1
    for side_of, up in ((-1.0, -1.0), (1.0, 1.0)):
        x = side_of * sign * offset / 2
        near = middle + torch.stack([x, torch.full_like(x, up * 0.5)], 1)
        far = middle + torch.stack([x, up * (0.5 + bar)], 1)
        canvas.segment(near, far, 1.0, scene.ink)
    return canvas, {
        "Item": items.ids,
        "Offset": sign * offset,
        "Direction": ["right" if r else "left" for r in right.tolist()],
        "FlankerSize": extent,
        "Vernier": bar,
    }


def embedded(scene: Scene, *, side: float = 45 / 224, lines: int = 10) -> tuple[Canvas, Factors]:
    """One of five seven-cornered figures, alone or among the lines that its own sides extend to.

    Args:
        scene: what to draw.
        side: of a figure, in canvas sides.
        lines: shifted copies of sides, and as many random lines.
    """
    which = scene.ids.to(scene.device) % _FIGURES
    angle = torch.arange(7, device=scene.device) * (2 * math.pi / 7)
    reach = torch.tensor(
        [
            [1.0, 0.5, 0.9, 0.4, 1.0, 0.8, 0.5],
            [0.6, 1.0, 0.4, 1.0, 0.5, 0.9, 0.9],
            [1.0, 1.0, 0.45, 0.7, 0.45, 1.0, 0.6],
            [0.5, 0.8, 1.0, 0.5, 0.6, 0.4, 1.0],
            [0.9, 0.4, 0.8, 1.0, 0.9, 0.4, 0.7],
        ],
        device=scene.device,
    )
    figure = reach[which][..., None] * torch.stack([angle.cos(), angle.sin()], 1) * (side * scene.size / 1.8)
    draws, size, canvas = scene.draws(), scene.size, scene.canvas()
    place = scene.middle() + (draws.uniform(2) - 0.5) * 0.3 * size
    corners = figure + place[:, None]
    if scene.condition == "embedded":
        for k in range(7):
            _across(canvas, corners[:, k], corners[:, (k + 1) % 7], scene, torch.zeros_like(place))
        for _ in range(lines):
            side_of = draws.integers(0, 7)
            every = torch.arange(scene.n, device=scene.device)
            shift = (draws.uniform(2) - 0.5) * 0.6 * size
            _across(canvas, corners[every, side_of], corners[every, (side_of + 1) % 7], scene, shift)
        for _ in range(lines):
            ends = draws.uniform(2, 2, high=float(size))
            _across(canvas, ends[:, 0], ends[:, 1], scene, torch.zeros_like(place))
    canvas.outline(corners, scene.stroke, scene.ink)
    return canvas, {"Figure": which, "CentreX": place[:, 0], "CentreY": place[:, 1]}


def _across(canvas: Canvas, a: Tensor, b: Tensor, scene: Scene, shift: Tensor) -> None:
    """A line through two points over the whole canvas."""
    unit = (b - a) / (b - a).norm(dim=1, keepdim=True).clamp_min(1e-6)
    reach = 1.5 * scene.size * unit
    canvas.segment(a + shift - reach, a + shift + reach, scene.stroke, scene.ink)


def thatcher_face(scene: Scene) -> tuple[Canvas, Factors]:
    """A schematic face, upright or upside down, with eyes and mouth as they are or each turned upside down.

    Args:
        scene: what to draw; item i is one identity.
    """
    draws, size, canvas = scene.draws(), scene.size, scene.canvas()
    u = draws.uniform(8)
    down = scene.condition.endswith("inverted")
    flip = -1.0 if scene.condition.startswith("thatcherised") else 1.0
    head = unit_shape("circle", scene.device) / unit_shape("circle").amax()
    middle = scene.middle()
    tall, wide = between(u[:, 0], 0.36, 0.42) * size, between(u[:, 1], 0.27, 0.33) * size

    def put(corners: Tensor, x: Tensor | float, y: Tensor | float, sx: Tensor, sy: Tensor | float) -> Tensor:
        """Corners in units of their own, scaled and placed, turned with the face."""
        point, scale = (torch.stack([0 * wide + a, 0 * wide + b], 1) for a, b in ((x, y), (sx, sy)))
        placed = corners * scale[:, None] + point[:, None]
        return (-placed if down else placed) + middle[:, None]

    canvas.polygon(put(head, 0.0, 0.0, wide, tall), _SKIN)
    eye_x, eye_y = between(u[:, 2], 0.38, 0.48) * wide, -between(u[:, 3], 0.2, 0.3) * tall
    eye_w, eye_h = between(u[:, 4], 0.2, 0.26) * wide, between(u[:, 5], 0.06, 0.1) * tall
    brow = torch.tensor([[-1.2, 0.1], [0.0, -0.5], [1.2, 0.1], [0.0, -0.2]], device=scene.device)
    for side in (-1.0, 1.0):
        canvas.polygon(put(head, side * eye_x, eye_y, eye_w, eye_h), _WHITE)
        canvas.polygon(put(head, side * eye_x, eye_y - flip * 0.2 * eye_h, eye_h * 0.7, eye_h * 0.7), (60, 40, 20))
        canvas.polygon(put(brow, side * eye_x, eye_y - flip * 1.7 * eye_h, eye_w, flip * 1.3 * eye_h), (50, 30, 10))
    nose = torch.tensor([[0.0, -1.0], [0.5, 1.0], [-0.5, 1.0]], device=scene.device)
    canvas.polygon(put(nose, 0.0, 0.1 * tall, 0.2 * wide, 0.16 * tall), (180, 135, 105))
    t = torch.linspace(-1, 1, 13, device=scene.device)
    upper = torch.stack([t, -0.55 * (1 - t.square()) + 0.5 * torch.exp(-20 * t.square()) * 0.5], 1)
    lower = torch.stack([t.flip(0), 1.0 * (1 - t.square())], 1)
    mouth = torch.cat([upper, lower])
    mouth_w, mouth_h = between(u[:, 6], 0.34, 0.44) * wide, between(u[:, 7], 0.08, 0.12) * tall
    canvas.polygon(put(mouth, 0.0, 0.5 * tall, mouth_w, flip * mouth_h), _LIPS)
    return canvas, {"HeadHeight": 2 * tall, "HeadWidth": 2 * wide}


def same_different(scene: Scene, *, style: str = "irregular") -> tuple[Canvas, Factors]:
    """Two outlines that are the same, or not, at two places.

    Args:
        scene: what to draw.
        style: how they are drawn, one of `STYLES`.
    """
    if style not in STYLES:
        raise unknown_name("style", style, STYLES)
    draws, size, canvas = scene.draws(), scene.size, scene.canvas()
    first, other = (_outline(draws, style, scene) for _ in range(2))
    corners = (first, first if scene.condition == "same" else other)
    reach = between(draws.uniform(), 0.09, 0.14) * size
    up = between(draws.uniform(2), 0.25, 0.75) * size
    across = between(draws.uniform(2), 0.2, 0.3) * size
    tint = between(draws.uniform(3), 60.0, 255.0) if style == "rnd_color" else scene.ink
    for k, shape in enumerate(corners):
        x = across[:, 0] if k == 0 else size - across[:, 1]
        placed = shape * reach[:, None, None] + torch.stack([x, up[:, k]], 1)[:, None]
        if style == "filled":
            canvas.polygon(placed, tint)
        elif style in ("open", "open_squares", "straight_lines"):
            canvas.path(placed, scene.stroke, tint)
        else:
            canvas.outline(placed, scene.stroke * (3 if style == "wider_line" else 1), tint)
    return canvas, {"Label": torch.full((scene.n,), int(scene.condition == "same")), "Style": [style] * scene.n}


def _outline(draws: Streams, style: str, scene: Scene) -> Tensor:
    """(n, v, 2) corners of radius about 1."""
    numbers, turn = draws.normal(8), draws.uniform(high=2 * math.pi)
    u = draws.uniform(4)
    if style in ("regular", "rnd_color", "wider_line", "filled"):
        every = [torch.cat([s, s[-1:].expand(48 - len(s), 2)]) for s in map(unit_shape, SHAPES)]
        kinds = (u[:, 0] * len(every)).long().clamp(max=len(every) - 1)
        return turned(torch.stack(every).to(scene.device)[kinds], turn)
    if style in ("rectangles", "open_squares", "closed_squares"):
        tall = between(u[:, 0], 0.3, 1.0) if style == "rectangles" else torch.ones_like(turn)
        square = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]], device=scene.device)
        corners = square * torch.stack([torch.ones_like(tall), tall], 1)[:, None]
        moved = corners * (1.0 if style == "rectangles" else between(u[:, 1], 0.4, 1.0)[:, None, None])
        return turned(moved, turn)
    if style == "straight_lines":
        ends = torch.tensor([[-1.0, 0.0], [1.0, 0.0]], device=scene.device).expand(len(turn), -1, -1)
        return turned(ends * between(u[:, 0], 0.4, 1.0)[:, None, None], turn)
    return blob(numbers, 24) * 1.6
