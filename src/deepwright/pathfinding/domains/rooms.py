"""Rooms for Sokoban: dug by random walks, played backwards."""

from __future__ import annotations

import torch
from torch import Tensor

from deepwright.core.randomness import generator
from deepwright.pathfinding.domains.domain import DomainError

_SHARE = 0.55  # of a room's inside is floor
_PULL = 3.0  # how much rather a box is pulled than left


def build_rooms(n: int, rows: int, columns: int, boxes: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Walls (n, cells), boxes on their targets (n, cells) and the agent's cell (n,), all rooms at once.

    An agent walks about inside and digs until enough is floor; boxes stand on cells at random, and the agent on
    another.

    Args:
        n: how many rooms.
        rows: of a room.
        columns: of a room.
        boxes: in a room.
        seed: of all this.
    """
    rng = generator(seed, "rooms", rows, columns, boxes)
    walls = torch.ones(n, rows, columns, dtype=torch.bool)
    row = torch.randint(1, rows - 1, (n,), generator=rng)
    column = torch.randint(1, columns - 1, (n,), generator=rng)
    room, wanted = torch.arange(n), max(round(_SHARE * (rows - 2) * (columns - 2)), 2 * boxes + 2)
    moves = torch.tensor([[-1, 0], [1, 0], [0, -1], [0, 1]])
    for _ in range(200 * rows * columns):
        walls[room, row, column] = False
        digging = (~walls).sum((1, 2)) < wanted
        if not bool(digging.any()):
            break
        step = moves[torch.randint(4, (n,), generator=rng)] * digging[:, None]
        row = (row + step[:, 0]).clamp(1, rows - 2)
        column = (column + step[:, 1]).clamp(1, columns - 2)
    else:
        raise DomainError("rooms", given=f"{rows} x {columns}", expected="more space")
    walls = walls.flatten(1)
    order = torch.rand(walls.shape, generator=rng).masked_fill(walls, -1).argsort(1, descending=True)
    placed = torch.zeros_like(walls).scatter_(1, order[:, :boxes], True)
    return walls, placed, order[:, boxes]


def walk_backwards(
    walls: Tensor, boxes: Tensor, agent: Tensor, steps: Tensor, around: Tensor, seed: int
) -> tuple[Tensor, Tensor]:
    """Boxes and agent after moves that take moves back: a step away, which pulls the box behind the agent along or not.

    A box that can be pulled is so three times as often as a step is taken; an agent that can't move stays.

    Args:
        walls: (B, cells).
        boxes: (B, cells).
        agent: (B,) its cell.
        steps: (B,) how many moves.
        around: (cells + 1, 4) the cells above, below, left and right of each; `cells` is outside.
        seed: of the moves.
    """
    rng = generator(seed, "rooms backwards")
    room, opposite = torch.arange(len(steps), device=steps.device), torch.tensor([1, 0, 3, 2], device=steps.device)
    outside = torch.nn.functional.pad(walls, (0, 1), value=True)
    boxes = torch.nn.functional.pad(boxes, (0, 1), value=False)
    for number in range(int(steps.max()) if len(steps) else 0):
        to = around[agent]  # (B, 4)
        free = ~outside.gather(1, to) & ~boxes.gather(1, to)
        behind = to[:, opposite]
        can_pull = free & boxes.gather(1, behind)
        weights = torch.cat([free.float(), _PULL * can_pull.float()], 1)
        drawn = torch.rand(weights.shape, generator=rng).to(steps.device).log() / weights
        action = drawn.masked_fill(weights == 0, -torch.inf).argmax(1)
        going = (steps > number) & (weights.sum(1) > 0)
        pulls, way = going & (action >= 4), action % 4
        from_cell, box = agent, behind[room, way]
        agent = torch.where(going, to[room, way], agent)
        boxes[room[pulls], box[pulls]] = False
        boxes[room[pulls], from_cell[pulls]] = True
    return boxes[:, :-1], agent
