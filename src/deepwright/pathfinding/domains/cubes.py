"""Rubik's cubes: 54 or 24 stickers, quarter turns of faces."""

from __future__ import annotations

from functools import cache

import numpy as np

from deepwright.core.errors import InputError
from deepwright.pathfinding.domains.permutations import PermutationDomain

# Faces U D L R B F: outward normal, then the directions in which a face's x and y grow.
FACES: dict[str, tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]]] = {
    "U": ((0, 1, 0), (1, 0, 0), (0, 0, -1)),
    "D": ((0, -1, 0), (1, 0, 0), (0, 0, 1)),
    "L": ((-1, 0, 0), (0, 0, 1), (0, 1, 0)),
    "R": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "B": ((0, 0, -1), (-1, 0, 0), (0, 1, 0)),
    "F": ((0, 0, 1), (1, 0, 0), (0, 1, 0)),
}


class RubiksCube(PermutationDomain):
    """A cube of stickers, index face * size^2 + size * x + y with faces in the order U D L R B F.

    Actions are quarter turns, U-1 U1 D-1 D1 and so on: a turn by -1 is counter-clockwise, seen from outside. The goal
    is every face of one colour. The 2 x 2 x 2 cube turns U, R and F alone, so that one corner stays where it is.

    Args:
        size: 3 or 2.

    Raises:
        InputError: another size.
    """

    def __init__(self, size: int = 3) -> None:
        if size not in (2, 3):
            raise InputError("size", given=size, expected="2 or 3")
        names = [f"{face}{turn}" for face in (FACES if size == 3 else "URF") for turn in (-1, 1)]
        generators = [_turn(size, name[0], int(name[1:])).tolist() for name in names]
        goal = [face for face in range(6) for _ in range(size * size)]
        super().__init__(generators, goal, name=f"cube{size}", names=names)


@cache
def sticker_places(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions and normals of the stickers, in units of half a small cube."""
    places, normals = [], []
    for normal, right, up in FACES.values():
        for x in range(size):
            for y in range(size):
                across = (2 * x - size + 1) * np.array(right) + (2 * y - size + 1) * np.array(up)
                places.append(size * np.array(normal) + across)
                normals.append(normal)
    return np.array(places), np.array(normals)


def _turn(size: int, face: str, direction: int) -> np.ndarray:
    """Which sticker comes to each place when a face turns by a quarter."""
    places, normals = sticker_places(size)
    axis = np.array(FACES[face][0])
    # A rotation by 90 degrees clockwise, seen from outside: v -> a (a.v) - a x v
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    rotation = np.outer(axis, axis) - direction * cross
    moving = places @ axis >= size - 1  # the layer of the face: its stickers and those at its rim
    to = np.where(moving[:, None], places @ rotation.T, places)
    facing = np.where(moving[:, None], normals @ rotation.T, normals)
    known = {(*p, *n): i for i, (p, n) in enumerate(zip(places.tolist(), normals.tolist()))}
    source = np.empty(len(places), dtype=np.int64)
    for sticker, (p, n) in enumerate(zip(to.tolist(), facing.tolist())):
        source[known[(*p, *n)]] = sticker
    return source
