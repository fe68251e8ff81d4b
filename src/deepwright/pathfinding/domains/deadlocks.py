"""What can't be mended in Sokoban: squares that lead to no target, boxes that hold each other fast."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def pushes_needed(
    walls: Bool[Tensor, "b n"], targets: Bool[Tensor, "b n"], around: Int[Tensor, "m 4"]
) -> Float[Tensor, "b n"]:
    """How many pushes a box alone in its room needs from each square to the nearest target; infinity where none do.

    A box goes from a square to the next one if the agent has a place on the other side: found backwards, by pulling,
    for all rooms at once.

    Args:
        walls: of each room.
        targets: of each room.
        around: (n + 1, 4) the cells above, below, left and right of each; n is outside.
    """
    blocked = torch.nn.functional.pad(walls, (0, 1), value=True)
    needed = torch.where(targets & ~walls, 0.0, torch.inf)
    opposite = around[:-1][:, [1, 0, 3, 2]]
    free = ~blocked[:, around[:-1]] & ~blocked[:, opposite] & ~walls[..., None]  # (B, n, 4): a push in this direction
    while True:
        beyond = torch.nn.functional.pad(needed, (0, 1), value=torch.inf)[:, around[:-1]]
        found = torch.minimum(needed, torch.where(free, beyond + 1, torch.inf).amin(2))
        if bool((found == needed).all()):
            return needed
        needed = found


def freezes(
    boxes: Bool[Tensor, "b n"], walls: Bool[Tensor, "b n"], dead: Bool[Tensor, "b n"], around: Int[Tensor, "m 4"]
) -> Bool[Tensor, "b n"]:
    """Which boxes can't be moved any more, or only onto dead squares.

    A box is held along an axis by a wall or a held box on either side, or by dead squares on both. The largest set of
    boxes that hold each other along both axes: the first of them to move would have to go to a dead square.

    Args:
        boxes: of each room.
        walls: of each room.
        dead: squares from which no target can be reached.
        around: (n + 1, 4) the cells above, below, left and right of each; n is outside.
    """
    sides = around[:-1]
    stone = torch.nn.functional.pad(walls, (0, 1), value=True)[:, sides].unflatten(2, (2, 2))  # (B, n, axis, side)
    lost = torch.nn.functional.pad(dead, (0, 1), value=True)[:, sides].unflatten(2, (2, 2)).all(3)
    held = boxes
    while True:
        other = torch.nn.functional.pad(held, (0, 1), value=False)[:, sides].unflatten(2, (2, 2))
        still = held & ((stone | other).any(3) | lost).all(2)
        if bool((still == held).all()):
            return held
        held = still
