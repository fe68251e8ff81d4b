"""Lights Out: pressing a cell toggles it and its neighbours; all lights are to go out."""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.pathfinding.domains.domain import Children, Domain, DomainError


class LightsOut(Domain):
    """n x n lights, 1 is lit; action i presses cell i. The goal is darkness.

    The order of presses doesn't count. Of those that darken a board some toggle its first lit cell, and one of these
    may as well come first: with `commutative` no others are valid, at most five instead of n^2. Least costs stay as
    they are; but then actions can't be taken back, and the goal can't be another.

    Args:
        n: side of the board, 2 to 15.
        commutative: only presses that toggle the first lit cell.

    Raises:
        InputError: another side.
    """

    num_values = 2

    def __init__(self, n: int = 7, commutative: bool = False) -> None:
        if not 2 <= n <= 15:
            raise InputError("n", given=n, expected="a side of 2 to 15")
        self.n, self.name, self.state_shape, self.num_actions = n, f"lightsout.{n}", (n * n,), n * n
        self.commutative, self.always_valid = commutative, not commutative
        self.inverse = None if commutative else tuple(range(n * n))
        self.goal = torch.zeros(n * n, dtype=torch.uint8)
        self.presses = _presses(n)

    def expand(self, states: Tensor) -> Children:
        """See `Domain.expand`: every cell can be pressed, or with `commutative` those at the first lit cell.

        Args:
            states: (B, n^2).
        """
        if self.presses.device != states.device:
            self.presses = self.presses.to(states.device)
        costs = torch.ones(len(states), self.num_actions, device=states.device)
        valid = costs.bool()
        if self.commutative:  # presses is symmetric: its row of a cell says which presses toggle this
            valid = self.presses[states.argmax(1)].bool() & states.bool().any(1, keepdim=True)
        return Children(states[:, None] ^ self.presses, costs, valid)

    def step(self, states: Tensor, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `Domain.step`; no other child is made.

        Args:
            states: (B, n^2).
            actions: (B,).
        """
        if self.presses.device != states.device:
            self.presses = self.presses.to(states.device)
        cells, costs = self.presses[actions], torch.ones(len(states), device=states.device)
        valid = costs.bool()
        if self.commutative:
            first = states.argmax(1, keepdim=True)
            valid = cells.gather(1, first)[:, 0].bool() & states.bool().any(1)
        return torch.where(valid[:, None], states ^ cells, states), costs, valid

    def follow(self, states: Tensor, actions: Tensor) -> Tensor:
        """See `Domain.follow`: only how often each cell is pressed counts.

        Args:
            states: (B, n^2).
            actions: (B, T); `num_actions` is none.
        """
        if self.commutative or type(self).step is not LightsOut.step:
            return super().follow(states, actions)
        often = torch.zeros(len(states), self.num_actions + 1, device=states.device)
        often.scatter_add_(1, actions, torch.ones(actions.shape, device=states.device))
        toggled = often[:, :-1] @ self.presses.to(states.device).float() % 2
        return states ^ toggled.to(torch.uint8)

    def is_goal(self, states: Tensor, goals: Tensor) -> Bool[Tensor, " b"]:
        """Whether each board looks as its goal.

        Args:
            states: (B, n^2).
            goals: (B, n^2), dark with `commutative`.

        Raises:
            DomainError: goals with lights, and `commutative`.
        """
        if self.commutative and bool(goals.any()):
            raise DomainError(f"goals of {self.name}", given="lights", expected="darkness, or commutative=False")
        return super().is_goal(states, goals)

    def require_goals(self, goals: Tensor, what: str = "goals") -> None:
        """See `Domain.require_goals`: boards, dark with `commutative`.

        Args:
            goals: (B, n^2).
            what: what they are called in the error.
        """
        super().require_goals(goals, what)
        self.require_states(goals, what)
        self.is_goal(goals, goals)

    def sample_instances(self, steps: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """See `Domain.sample_instances`; any cell is pressed.

        Args:
            steps: how long each walk is.
            seed: of the walks.
        """
        if self.commutative:
            return LightsOut(self.n).sample_instances(steps, seed)
        return super().sample_instances(steps, seed)

    def lower_bound(self, states: Tensor, goals: Tensor) -> Tensor:
        """Lights that are wrong over five, rounded up: a press changes no more.

        Args:
            states: (B, n^2).
            goals: (B, n^2).
        """
        return ((states != goals).sum(1) / 5).ceil()

    def to_text(self, state: Tensor) -> str:
        """The board.

        Args:
            state: (n^2).
        """
        return "\n".join("".join("#" if v else "." for v in row) for row in state.view(self.n, self.n).tolist())


def _presses(n: int) -> Tensor:
    """(n^2, n^2): which cells each press toggles."""
    row, column = torch.arange(n * n) // n, torch.arange(n * n) % n
    apart = (row[:, None] - row).abs() + (column[:, None] - column).abs()
    return (apart <= 1).to(torch.uint8)


def fewest_presses(domain: LightsOut, state: Tensor) -> int | None:
    """How many presses darken a board at least, by linear algebra over GF(2); None where nothing does.

    The order of presses doesn't count, nor does pressing twice: a set of presses x solves A x = state. All solutions
    are one of them plus the null space of A, all of whose members are tried.

    Args:
        domain: the board's size.
        state: (n^2).
    """
    a, b = domain.presses.cpu().bool(), state.cpu().bool()
    m = a.shape[0]
    rows = torch.cat([a, b[:, None]], 1)
    pivots: list[int] = []
    for column in range(m):
        below = rows[len(pivots) :, column].nonzero()
        if not len(below):
            continue
        top, found = len(pivots), len(pivots) + int(below[0])
        rows[[top, found]] = rows[[found, top]]
        others = rows[:, column].clone()
        others[top] = False
        rows[others] ^= rows[top]
        pivots.append(column)
    if bool(rows[len(pivots) :, m].any()):
        return None
    free = [c for c in range(m) if c not in pivots]
    x = torch.zeros(m, dtype=torch.bool)
    x[pivots] = rows[: len(pivots), m]
    null = torch.zeros(len(free), m, dtype=torch.bool)
    for number, column in enumerate(free):
        null[number, column] = True
        null[number, pivots] = rows[: len(pivots), column]
    best = int(x.sum())
    for mask in range(1, 1 << len(free)):
        chosen = torch.tensor([mask >> i & 1 for i in range(len(free))], dtype=torch.bool)
        best = min(best, int((x ^ (null[chosen].sum(0) % 2).bool()).sum()))
    return best


def nullity(n: int) -> int:
    """The dimension of sets of presses that change nothing.

    Args:
        n: side of the board.
    """
    rows = _presses(n).bool()
    rank = 0
    for column in range(n * n):
        below = rows[rank:, column].nonzero()
        if len(below):
            found = rank + int(below[0])
            rows[[rank, found]] = rows[[found, rank]]
            others = rows[:, column].clone()
            others[rank] = False
            rows[others] ^= rows[rank]
            rank += 1
    return n * n - rank
