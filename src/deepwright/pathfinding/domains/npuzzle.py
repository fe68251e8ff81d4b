"""The sliding-tile puzzle: n^2 - 1 tiles and a blank."""

from __future__ import annotations

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.pathfinding.domains.domain import Children, Domain


class NPuzzle(Domain):
    """Tiles 1..n^2-1 and the blank, 0, on an n x n board, row by row; the goal is 1, 2, ..., n^2-1, 0.

    Actions U D L R name the way that a tile moves: U moves the tile below the blank up.

    Args:
        n: side of the board, 2 to 15.
        strict_actions: a tile that isn't there can't be moved; else moving it costs 1 and changes nothing.

    Raises:
        InputError: another side.
    """

    names = ("U", "D", "L", "R")
    inverse = (1, 0, 3, 2)
    num_actions = 4

    def __init__(self, n: int = 4, strict_actions: bool = True) -> None:
        if not 2 <= n <= 15:
            raise InputError("n", given=n, expected="a side of 2 to 15")
        self.n, self.strict_actions = n, strict_actions
        self.name, self.state_shape, self.num_values = f"npuzzle.{n}", (n * n,), n * n
        self.goal = torch.tensor([*range(1, n * n), 0], dtype=torch.uint8)
        self._next, self._valid = _moves(n)

    def expand(self, states: Tensor) -> Children:
        """See `Domain.expand`.

        Args:
            states: (B, n^2).
        """
        blank = (states == 0).long().argmax(1)
        other, valid = self.neighbours(blank)
        children = states[:, None].expand(-1, 4, -1).clone()
        tile = states.gather(1, other)
        children.scatter_(2, blank[:, None, None].expand(-1, 4, 1), tile[:, :, None])
        children.scatter_(2, other[:, :, None], 0)
        stays = states[:, None]
        children = torch.where(valid[:, :, None], children, stays)
        costs = torch.ones(valid.shape, device=states.device)
        return Children(children, costs, valid if self.strict_actions else torch.ones_like(valid))

    def step(self, states: Tensor, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `Domain.step`; no other child is made.

        Args:
            states: (B, n^2).
            actions: (B,).
        """
        blank = (states == 0).long().argmax(1)
        other, valid = (found.gather(1, actions[:, None].long()) for found in self.neighbours(blank))
        after = states.scatter(1, blank[:, None], states.gather(1, other)).scatter_(1, other, 0)
        costs = torch.ones(len(states), device=states.device)
        return torch.where(valid, after, states), costs, valid[:, 0] if self.strict_actions else costs.bool()

    def neighbours(self, blank: Tensor) -> tuple[Tensor, Tensor]:
        """By action, the cell whose tile moves into the blank, and whether there is one: (B, 4) both.

        Args:
            blank: (B,) its cell.
        """
        if self._next.device != blank.device:
            self._next, self._valid = self._next.to(blank.device), self._valid.to(blank.device)
        return self._next[blank], self._valid[blank]

    def lower_bound(self, states: Tensor, goals: Tensor) -> Tensor:
        """Manhattan distance: how far each tile is from its place.

        Args:
            states: (B, n^2).
            goals: (B, n^2).
        """
        at, to = states.long().argsort(1)[:, 1:], goals.long().argsort(1)[:, 1:]
        return ((at // self.n - to // self.n).abs() + (at % self.n - to % self.n).abs()).sum(1).float()

    def is_solvable(self, states: Tensor, goals: Tensor) -> Tensor:
        """Whether there is a way at all: the parity of the permutation is that of the blank's distance.

        Args:
            states: (B, n^2).
            goals: (B, n^2).
        """
        place = goals.long().argsort(1).gather(1, states.long())
        later = torch.triu(torch.ones(self.n**2, self.n**2, dtype=torch.bool, device=states.device), 1)
        inversions = ((place[:, :, None] > place[:, None, :]) & later).sum((1, 2))
        at, to = ((x == 0).long().argmax(1) for x in (states, goals))
        distance = (at // self.n - to // self.n).abs() + (at % self.n - to % self.n).abs()
        return (inversions + distance) % 2 == 0

    def require_states(self, states: Tensor, what: str = "states") -> None:
        """See `Domain.require_states`; each number once.

        Args:
            states: (B, n^2).
            what: what they are called in the error.
        """
        super().require_states(states, what)
        wrong = (states.sort(1).values.long() != torch.arange(self.n**2, device=states.device)).any(1)
        if bool(wrong.any()):
            row = int(wrong.nonzero()[0])
            given = f"{states[row].tolist()} in row {row}"
            raise InputError(f"{what} of {self.name}", given=given, expected=f"each of 0..{self.n**2 - 1} once")

    def to_text(self, state: Tensor) -> str:
        """The board.

        Args:
            state: (n^2).
        """
        width = len(str(self.n**2 - 1))
        rows = state.view(self.n, self.n).tolist()
        return "\n".join(" ".join(f"{v or '.':>{width}}" for v in row) for row in rows)


def _moves(n: int) -> tuple[Tensor, Tensor]:
    """By place of the blank and action: the cell whose tile moves, and whether there is one."""
    row, column = torch.arange(n * n) // n, torch.arange(n * n) % n
    down, right = torch.tensor([1, -1, 0, 0]), torch.tensor([0, 0, 1, -1])
    r, c = row[:, None] + down, column[:, None] + right
    valid = (r >= 0) & (r < n) & (c >= 0) & (c < n)
    return torch.where(valid, r * n + c, torch.arange(n * n)[:, None]), valid
