"""Levels of Sokoban as text, in the format of XSB."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from deepwright.pathfinding.domains.domain import DomainError

FLOOR, BOX, AGENT, WALL = 0, 1, 2, 3
_CELLS = {
    "#": (WALL, 0),
    " ": (FLOOR, 0),
    "-": (FLOOR, 0),
    "_": (FLOOR, 0),
    ".": (FLOOR, 1),
    "$": (BOX, 0),
    "*": (BOX, 1),
    "@": (AGENT, 0),
    "+": (AGENT, 1),
}
_LONGEST, _MOST_LEVELS, _WIDEST = 4_000_000, 20_000, 64


@dataclass(frozen=True)
class Level:
    """One level.

    Attributes:
        cells: (rows, columns) uint8: 0 floor, 1 box, 2 agent, 3 wall.
        targets: (rows, columns) uint8: 1 where a box belongs.
        title: what the text calls it, "" where nothing.
    """

    cells: Tensor
    targets: Tensor
    title: str = ""


def read_levels(text: str) -> list[Level]:
    """Levels from text: `#` wall, `@` agent, `+` agent on a target, `$` box, `*` box on a target, `.` target.

    Floor is a space, `-` or `_`. Lines that begin with `;`, and those that begin with a letter or a digit, are titles
    and comments; they and empty lines stand between levels. What isn't drawn is wall.

    Args:
        text: at most 4 million characters, 20,000 levels, each at most 64 x 64.

    Raises:
        DomainError: a character that isn't one of these, a level without exactly one agent, without boxes, or with
            other than as many targets, or what is too large; line and column are named, counted from 1.
    """
    if len(text) > _LONGEST:
        raise DomainError("levels", given=f"{len(text)} characters", expected=f"at most {_LONGEST}")
    levels: list[Level] = []
    title, block = "", []
    for number, raw in enumerate([*text.splitlines(), ""], 1):
        line = raw.rstrip()
        if line and not line[0].isalnum() and line[0] != ";":
            block.append((number, line))
            continue
        if block:
            levels.append(_level(block, title))
            title, block = "", []
        if len(levels) > _MOST_LEVELS:
            raise DomainError("levels", given=f"more than {_MOST_LEVELS}", expected="fewer")
        title = line.lstrip("; ")[:200] or title
    if not levels:
        raise DomainError("levels", given="none", expected="rows of # @ + $ * . and floor")
    return levels


def _level(block: list[tuple[int, str]], title: str) -> Level:
    first, width = block[0][0], max(len(line) for _, line in block)
    if len(block) > _WIDEST or width > _WIDEST:
        raise DomainError(
            f"the level from line {first}", given=f"{len(block)} x {width}", expected=f"at most {_WIDEST} x {_WIDEST}"
        )
    rows = [[_cell(number, column, c) for column, c in enumerate(line, 1)] for number, line in block]
    pairs = torch.tensor([row + [(WALL, 0)] * (width - len(row)) for row in rows], dtype=torch.uint8)
    level = Level(pairs[..., 0].contiguous(), pairs[..., 1].contiguous(), title)
    _check(level, block)
    return level


def _cell(line: int, column: int, c: str) -> tuple[int, int]:
    if c not in _CELLS:
        raise DomainError(f"line {line}, column {column}", given=repr(c), expected="one of # @ + $ * . - _ and space")
    return _CELLS[c]


def _check(level: Level, block: list[tuple[int, str]]) -> None:
    first = block[0][0]
    agents = (level.cells == AGENT).nonzero().tolist()
    if len(agents) != 1:
        where = [f"line {block[r][0]}, column {c + 1}" for r, c in agents[:3]]
        raise DomainError(
            f"the level from line {first}", given=f"{len(agents)} agents: {'; '.join(where) or 'none'}", expected="one"
        )
    boxes, targets = int((level.cells == BOX).sum()), int(level.targets.sum())
    if not boxes or boxes != targets:
        raise DomainError(
            f"the level from line {first}", given=f"{boxes} boxes and {targets} targets", expected="as many, 1 or more"
        )
