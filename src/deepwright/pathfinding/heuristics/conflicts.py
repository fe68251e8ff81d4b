"""Linear conflict: tiles of one line that must pass each other."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.pathfinding.domains.npuzzle import NPuzzle


class LinearConflict:
    """Manhattan distance, and two moves more for each tile that must leave its line to let others pass.

    Of the tiles that are in the row where they belong, those that may stay are in the order of their places there: at
    most as many as the longest increasing subsequence has. Each of the others leaves the row and comes back. Columns
    likewise. Any goal will do.

    Args:
        puzzle: whose boards.

    Source: O. Hansson, A. Mayer and M. Yung, "Criticizing solutions to relaxed models yields powerful admissible
    heuristics", Information Sciences 63, 1992.
    """

    admissible = True

    def __init__(self, puzzle: NPuzzle) -> None:
        self.puzzle = puzzle

    def __call__(self, states: Tensor, goals: Tensor) -> Float[Tensor, " b"]:
        """The sum.

        Args:
            states: (B, n^2).
            goals: (B, n^2).
        """
        n = self.puzzle.n
        place = goals.long().argsort(1).gather(1, states.long()).view(-1, n, n)  # where what is here belongs
        tile = (states != 0).view(-1, n, n)
        line = torch.arange(n, device=states.device)
        rows = torch.where(tile & (place // n == line[:, None]), place % n, -1)
        columns = torch.where(tile & (place % n == line), place // n, -1).transpose(1, 2)
        passing = _passing(torch.cat([rows, columns], 1)).sum(1)
        return self.puzzle.lower_bound(states, goals) + 2.0 * passing


def _passing(order: Tensor) -> Tensor:
    """(..., n) places in a line, -1 where no tile of it is: how many aren't in a longest increasing subsequence."""
    here = order >= 0
    length: list[Tensor] = []
    for j in range(order.shape[-1]):
        best = torch.zeros_like(order[..., 0])
        for i in range(j):
            longer = here[..., i] & (order[..., i] < order[..., j])
            best = torch.maximum(best, torch.where(longer, length[i], 0))
        length.append(torch.where(here[..., j], best + 1, 0))
    return here.sum(-1) - torch.stack(length, -1).amax(-1)
