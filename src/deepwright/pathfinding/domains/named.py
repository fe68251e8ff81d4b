"""Domains by name, as they are typed: `npuzzle.4`, `cube3`, `lightsout.7`."""

from __future__ import annotations

from collections.abc import Callable

from deepwright.core.errors import InputError, unknown_name
from deepwright.pathfinding.domains.cubes import RubiksCube
from deepwright.pathfinding.domains.domain import Domain
from deepwright.pathfinding.domains.lightsout import LightsOut
from deepwright.pathfinding.domains.npuzzle import NPuzzle
from deepwright.pathfinding.domains.others import Hanoi
from deepwright.pathfinding.domains.permutations import Pancakes

_MADE: dict[str, tuple[Callable[..., Domain], tuple[int, ...]]] = {
    "npuzzle": (NPuzzle, (4,)),
    "cube2": (lambda: RubiksCube(2), ()),
    "cube3": (lambda: RubiksCube(3), ()),
    "lightsout": (LightsOut, (7,)),
    "pancake": (Pancakes, (8,)),
    "hanoi": (Hanoi, (5, 3)),
}
DOMAINS = {
    "npuzzle": "sliding tiles on n x n: npuzzle.3 is the 8-puzzle",
    "cube2": "the 2 x 2 x 2 cube in quarter turns",
    "cube3": "Rubik's cube in quarter turns",
    "lightsout": "n x n lights, a press turns five over: lightsout.7",
    "pancake": "n pancakes that are flipped from the top: pancake.8",
    "hanoi": "discs and pegs: hanoi.5.3",
}


def named_domain(name: str) -> Domain:
    """A bundled domain: its name, and behind dots its sizes where they aren't the usual ones.

    Args:
        name: as `npuzzle.3`.

    Raises:
        InputError: no such name, or sizes that it doesn't have.
    """
    word, *sizes = name.split(".")
    if word not in _MADE:
        raise unknown_name("domain", word, list(_MADE))
    make, usual = _MADE[word]
    if len(sizes) > len(usual) or not all(_is_plain(size) for size in sizes):
        example = ".".join([word, *map(str, usual)])
        raise InputError("domain", given=repr(name), expected=f"{example}, or fewer or other whole numbers")
    given = tuple(map(int, sizes))
    return make(*given, *usual[len(given) :])


def _is_plain(size: str) -> bool:
    """Whether a number is written in the one way that names it."""
    return size.isascii() and size.isdecimal() and len(size) < 4 and str(int(size)) == size
