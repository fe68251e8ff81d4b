"""One path as an animated picture: its states, one after another, as cells of colour with their numbers."""

from __future__ import annotations

import base64
import colorsys
import math
from html import escape
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepwright.core.files import write_atomic
from deepwright.pathfinding import Domain, RubiksCube, states_along

_CELL, _WIDTH = 36, 1200  # pixels of a cell, of a picture: cells are smaller where there are many
_PAUSE, _LAST = 350, 1500  # milliseconds of a frame, and of the last one
_FRAMES = 200  # of a longer path the last ones are left out
_STICKERS = ("#ffffff", "#ffd500", "#ff5800", "#c41e3a", "#0051ba", "#009e60")
_NET = ((0, 1), (2, 1), (1, 0), (1, 2), (1, 3), (1, 1))  # where U D L R B F lie in the cube's net


def path_film(domain: Domain, start: Tensor, actions: list[int], path: Path) -> str:
    """Write a GIF of a path; and it and its actions as HTML for a page.

    Args:
        domain: whose path.
        start: (*state_shape).
        actions: of the path, which can all be taken.
        path: of the file.
    """
    states = states_along(domain, start, actions)[:_FRAMES].cpu()
    frames = [_picture(domain, state) for state in states]
    pauses = [_PAUSE] * (len(frames) - 1) + [_LAST]

    def save(stream: Any) -> None:
        frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:], duration=pauses, loop=0)

    write_atomic(path, save)
    names = getattr(domain, "names", None)
    told = " ".join(str(names[a]) if names else str(a) for a in actions)
    data = base64.b64encode(path.read_bytes()).decode()
    alt = escape(f"a path of {len(actions)} actions through {domain.name}, state by state", quote=True)
    picture = f'<img alt="{alt}" src="data:image/gif;base64,{data}">'
    return f"<h2>The longest path</h2>{picture}<p>{len(actions)} actions: {escape(told)}</p>"


def _picture(domain: Domain, state: Tensor) -> Any:
    """One state."""
    from PIL import Image, ImageDraw

    cells, numbered = _cells(domain, state)
    rows, columns = cells.shape
    size = max(1, min(_CELL, _WIDTH // max(rows, columns)))
    numbered = numbered and size == _CELL
    image = Image.new("RGB", (columns * size, rows * size), "#f4f4f4")
    draw = ImageDraw.Draw(image)
    for row in range(rows):
        for column in range(columns):
            value = int(cells[row, column])
            if value >= 0:
                _draw_cell(draw, (column * size, row * size), size, value, _colour(domain, value), numbered)
    return image


def _draw_cell(draw: Any, at: tuple[int, int], size: int, value: int, colour: str, numbered: bool) -> None:
    (x, y), edge = at, size == _CELL
    draw.rectangle(
        (x + edge, y + edge, x + size - 1 - edge, y + size - 1 - edge),
        fill=colour,
        outline="#555555" if edge else None,
    )
    if numbered and value:
        draw.text((x + size / 2, y + size / 2), str(value), fill="#111111", anchor="mm")


def _cells(domain: Domain, state: Tensor) -> tuple[Tensor, bool]:
    """(rows, columns) of values, -1 where nothing is drawn; and whether values are written into the cells."""
    if isinstance(domain, RubiksCube):
        return _net(state), False
    if state.ndim == 2:
        return state.long(), True
    flat = state.flatten().long()
    side = math.isqrt(len(flat))
    return (flat.view(side, side) if side**2 == len(flat) and side > 1 else flat[None]), True


def _net(state: Tensor) -> Tensor:
    """The six faces of a cube, unfolded."""
    size = math.isqrt(state.numel() // 6)
    faces = state.view(6, size, size).long()
    out = torch.full((3 * size, 4 * size), -1)
    for face, (row, column) in zip(faces, _NET):
        out[row * size : (row + 1) * size, column * size : (column + 1) * size] = face
    return out


def _colour(domain: Domain, value: int) -> str:
    if isinstance(domain, RubiksCube):
        return _STICKERS[value]
    if value == 0:
        return "#e6e6e6"
    red, green, blue = colorsys.hls_to_rgb(0.6 * (value - 1) / max(domain.num_values - 1, 1), 0.78, 0.65)
    return f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"
