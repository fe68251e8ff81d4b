"""Exact distances of all 88,179,840 positions of a cube's corners."""

from __future__ import annotations

from functools import cache
from itertools import permutations
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.files import read_sealed, write_sealed
from deepwright.pathfinding.domains.cubes import RubiksCube, sticker_places

ORDERS, TWISTS = 40_320, 2_187  # of eight corners; of seven, as the eighth follows
_UNSEEN = 255
_FORMAT = "corners of a cube, quarter turns, 1"
_ROWS = 2_000_000  # positions moved at once


class CornerTable:
    """The least number of quarter turns that bring a 3 x 3 x 3 cube's corners home, whatever the edges do.

    One byte a position, 84 MiB, made by breadth in some ten seconds of one core; a file keeps it for the next time.

    Args:
        cube: `RubiksCube(3)`.
        file: where the table is kept: read where it exists, written where it doesn't.

    Attributes:
        sizes: how many positions are 0, 1, ..., 14 turns away.

    Raises:
        InputError: another domain; a file of something else, or one that is damaged.

    Source: R. Korf, "Finding optimal solutions to Rubik's cube using pattern databases", AAAI 1997.
    """

    admissible = True

    def __init__(self, cube: RubiksCube, file: Path | str | None = None) -> None:
        if not isinstance(cube, RubiksCube) or cube.name != "cube3":
            raise InputError("cube", given=getattr(cube, "name", type(cube).__name__), expected="RubiksCube(3)")
        assert cube.goal is not None
        self.domain, self.goal = cube, cube.goal
        self.table = _kept(cube, None if file is None else Path(file))
        counts = torch.bincount(self.table, minlength=1)
        self.sizes: list[int] = counts.tolist()

    def __call__(self, states: Tensor, goals: Tensor) -> Float[Tensor, " b"]:
        """The table's, of the corners alone; infinity where these can't come home, as one is twisted.

        Args:
            states: (B, 54).
            goals: (B, 54), all of them the cube's own.

        Raises:
            InputError: another goal, states of another shape, or corners that no cube has.
        """
        if not bool((goals == self.goal.to(goals.device)).all()):
            raise InputError("goals", given="another than the table's", expected=f"{self.goal.tolist()}")
        if self.table.device != states.device:
            self.table = self.table.to(states.device)
        corner, twist = _read_corners(states)
        found = self.table[_index(corner, twist)].float()
        return found.masked_fill(twist.sum(1) % 3 != 0, torch.inf)  # a twisted corner: no turns bring it home


def corner_index(states: Tensor) -> Tensor:
    """The number of a cube's corners among all of their positions: (B,) in 0..88,179,839; that of the goal is 0.

    The twist of the last corner follows from the others', and isn't looked at.

    Args:
        states: (B, 54) in the goal's colours.

    Raises:
        InputError: another shape, three colours in a corner that none of the eight has, or a corner twice.
    """
    return _index(*_read_corners(states))


def _index(corner: Tensor, twist: Tensor) -> Tensor:
    powers = 3 ** torch.arange(6, -1, -1, device=twist.device)
    return _order_number(corner) * TWISTS + (twist[:, :7] * powers).sum(1)


def _read_corners(states: Tensor) -> tuple[Tensor, Tensor]:
    """Which corner is in each place, and how it is twisted: (B, 8) each."""
    if states.shape[1:] != (54,):
        raise InputError("states", given=f"shape {tuple(states.shape)}", expected="(B, 54)")
    places, known = (x.to(states.device) for x in _corners())
    colours = states[:, places].long()  # (B, 8, 3)
    outside = ((colours < 0) | (colours > 5)).any(2)
    of_three = (colours[..., 0] * 36 + colours[..., 1] * 6 + colours[..., 2]).masked_fill(outside, 0)
    found = known[of_three]  # 0: three times one colour, which no corner has
    wrong = ((found // 3).sort(1).values != torch.arange(8, device=states.device)).any(1)
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0])
        raise InputError("state", given=f"{states[row].tolist()}", expected="the eight corners of a cube")
    return found // 3, found % 3


def _order_number(order: Tensor) -> Tensor:
    """The place of permutations of 0..7 in the dictionary: (B,)."""
    number = torch.zeros(len(order), dtype=torch.long, device=order.device)
    for i in range(7):
        number = number * (8 - i) + (order[:, i + 1 :] < order[:, i : i + 1]).sum(1)
    return number


@cache
def _corners() -> tuple[Tensor, Tensor]:
    """Three stickers of each of the eight corners, that of U or D first and the others clockwise; and by three colours
    3 * corner + twist, -1 where no corner has these: (8, 3) and (216,)."""
    places, normals = sticker_places(3)
    # A sticker lies on its face, in units of half a small cube: 3 along its normal, 2 along the others.
    cubes = np.sign(places)
    corner = np.abs(places).min(1) == 2
    found = []
    for one in sorted({tuple(c) for c in cubes[corner].tolist()}):
        own = [i for i in np.flatnonzero(corner) if tuple(cubes[i].tolist()) == one]
        first = next(i for i in own if normals[i][1] != 0)
        rest = [i for i in own if i != first]
        turn = np.dot(np.cross(normals[first], normals[rest[0]]), np.array(one))
        found.append([first, *(rest if turn < 0 else rest[::-1])])
    by_colours = torch.full((216,), -1)
    for number, stickers in enumerate(found):
        faces = [i // 9 for i in stickers]
        for twist in range(3):  # the sticker of U or D is in this place of the corner
            a, b, c = (faces[(i - twist) % 3] for i in range(3))
            by_colours[a * 36 + b * 6 + c] = 3 * number + twist
    return torch.tensor(found), by_colours


def _kept(cube: RubiksCube, file: Path | None) -> Tensor:
    """The table: of the file, or made and written there."""
    if file is None or not file.exists():
        table = _by_breadth(*_moves(cube))
        if file is not None:
            write_sealed(file, {"format": _FORMAT}, {"table": table})
        return table
    header, state = read_sealed(file)
    if header.get("format") != _FORMAT:
        raise InputError(str(file), given=f"{header.get('format')}", expected=_FORMAT)
    return state["table"]  # type: ignore[no-any-return]


def _moves(cube: RubiksCube) -> tuple[np.ndarray, np.ndarray]:
    """By action and order of corners the order after it, by action and twists those after it: (12, 40320), (12, 2187).

    Corner s of the new cube was corner source[s]; its first sticker was number shift[s] there, so that a twist r
    becomes r - shift[s].
    """
    stickers = _corners()[0].numpy()
    where = {sticker: (s, j) for s, three in enumerate(stickers.tolist()) for j, sticker in enumerate(three)}
    orders = torch.tensor(list(permutations(range(8))))
    digits = np.indices((3,) * 7).reshape(7, -1).T
    twists = np.concatenate([digits, -digits.sum(1, keepdims=True) % 3], 1)
    powers = 3 ** np.arange(6, -1, -1)
    after_order, after_twist = [], []
    for generator in cube.generators.cpu().numpy():
        source, shift = np.array([where[generator[three[0]]] for three in stickers]).T
        after_order.append(_order_number(orders[:, torch.from_numpy(source)]).numpy())
        after_twist.append(((twists[:, source] - shift) % 3)[:, :7] @ powers)
    return np.array(after_order, dtype=np.int32), np.array(after_twist, dtype=np.int32)


def _by_breadth(after_order: np.ndarray, after_twist: np.ndarray) -> Tensor:
    """Least numbers of turns. Where fewer positions are left than the last layer has, these ask their neighbours: every
    turn can be taken back."""
    table = np.full(ORDERS * TWISTS, _UNSEEN, dtype=np.uint8)
    table[0] = 0
    layer, depth, left = np.zeros(1, dtype=np.int32), 0, len(table) - 1
    while len(layer):
        depth += 1
        if left < len(layer):
            rest = np.flatnonzero(table == _UNSEEN).astype(np.int32)
            layer = _beside(table, rest, depth - 1, after_order, after_twist)
            table[layer] = depth
        else:
            _enter(table, layer, depth, after_order, after_twist)
            layer = np.flatnonzero(table == depth).astype(np.int32)
        left -= len(layer)
    return torch.from_numpy(table)


def _enter(table: np.ndarray, layer: np.ndarray, depth: int, after_order: np.ndarray, after_twist: np.ndarray) -> None:
    """Mark the neighbours that nobody has met."""
    for part in np.array_split(layer, max(1, len(layer) // _ROWS)):
        order, twist = part // TWISTS, part % TWISTS
        for orders, twists in zip(after_order, after_twist):
            to = orders[order] * TWISTS + twists[twist]
            table[to[table[to] == _UNSEEN]] = depth


def _beside(
    table: np.ndarray, rest: np.ndarray, depth: int, after_order: np.ndarray, after_twist: np.ndarray
) -> np.ndarray:
    """Those of the rest that have a neighbour of this depth."""
    found = [rest[:0]]
    for part in np.array_split(rest, max(1, len(rest) // _ROWS)):
        order, twist = part // TWISTS, part % TWISTS
        near = np.zeros(len(part), dtype=bool)
        for orders, twists in zip(after_order, after_twist):
            near |= table[orders[order] * TWISTS + twists[twist]] == depth
        found.append(part[near])
    return np.concatenate(found)
