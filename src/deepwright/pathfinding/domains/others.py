"""Smaller domains: a room with walls, the towers of Hanoi."""

from __future__ import annotations

import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.identity import digest
from deepwright.core.requirements import require_whole
from deepwright.pathfinding.domains.domain import Children, Domain, DomainError


class GridWorld(Domain):
    """A robot on a rectangular map, state (row, column); actions U D L R. Walls can't be entered.

    Args:
        walls: (rows, columns), true where nobody can go.
        goal: row and column.

    Raises:
        InputError: no map of two dimensions, or a goal outside or in a wall.
    """

    names = ("U", "D", "L", "R")
    inverse = (1, 0, 3, 2)
    num_actions = 4
    state_shape = (2,)
    state_dtype = torch.int16

    def __init__(self, walls: Tensor, goal: tuple[int, int] = (0, 0)) -> None:
        if walls.ndim != 2 or walls.dtype != torch.bool or not walls.numel():
            raise InputError(
                "walls", given=f"{tuple(walls.shape)} of {walls.dtype}", expected="a map of true and false"
            )
        rows, columns = walls.shape
        if not (0 <= goal[0] < rows and 0 <= goal[1] < columns) or bool(walls[goal]):
            raise InputError("goal", given=goal, expected=f"a free cell of {rows} x {columns}")
        self.walls, self.name = walls, f"grid.{rows}x{columns}"
        self.num_values = max(rows, columns)
        self.goal = torch.tensor(goal, dtype=torch.int16)

    @classmethod
    def from_text(cls, text: str) -> tuple[GridWorld, Tensor]:
        """A map: `#` is a wall, `.` or a space free, `S` the start, `G` the goal; the map and the start, (2,).

        Args:
            text: rows; shorter ones end in walls.

        Raises:
            DomainError: another character, with line and column, or other than one start and one goal.
        """
        lines = text.strip("\n").splitlines()
        for i, line in enumerate(lines, 1):
            for j, c in enumerate(line, 1):
                if c not in "#. SG":
                    raise DomainError(f"line {i}, column {j}", given=repr(c), expected="one of # . S G and space")
        width = max(map(len, lines), default=0)
        drawn = [line.ljust(width, "#") for line in lines]
        marks = [[(i, line.index(c)) for i, line in enumerate(drawn) if c in line] for c in "SG"]
        if any("".join(drawn).count(c) != 1 for c in "SG"):
            raise DomainError("a map", given=f"{[text.count(c) for c in 'SG']} of S and G", expected="one each")
        walls = torch.tensor([[c == "#" for c in line] for line in drawn])
        return cls(walls, marks[1][0]), torch.tensor(marks[0][0], dtype=torch.int16)

    def to_text(self, state: Tensor) -> str:
        """The map, with S where the robot is.

        Args:
            state: (2,).
        """
        assert self.goal is not None
        rows = [["#" if wall else "." for wall in row] for row in self.walls.tolist()]
        for mark, (row, column) in (("G", self.goal.tolist()), ("S", state.tolist())):
            rows[row][column] = mark
        return "\n".join(map("".join, rows))

    def expand(self, states: Tensor) -> Children:
        """See `Domain.expand`.

        Args:
            states: (B, 2).
        """
        if self.walls.device != states.device:
            self.walls = self.walls.to(states.device)
        moves = torch.tensor([[-1, 0], [1, 0], [0, -1], [0, 1]], dtype=torch.int16, device=states.device)
        children = states[:, None] + moves
        rows, columns = self.walls.shape
        r, c = children[..., 0].long(), children[..., 1].long()
        inside = (r >= 0) & (r < rows) & (c >= 0) & (c < columns)
        valid = inside & ~self.walls[r.clamp(0, rows - 1), c.clamp(0, columns - 1)]
        return Children(
            torch.where(valid[..., None], children, states[:, None]), torch.ones_like(valid, dtype=torch.float32), valid
        )

    def fingerprint(self) -> str:
        """See `Domain.fingerprint`: of the map."""
        return str(digest({"walls": self.walls.cpu()}))

    def lower_bound(self, states: Tensor, goals: Tensor) -> Tensor:
        """Manhattan distance.

        Args:
            states: (B, 2).
            goals: (B, 2).
        """
        return (states - goals).abs().sum(1).float()

    def require_states(self, states: Tensor, what: str = "states") -> None:
        """See `Domain.require_states`; on the map and in no wall.

        Args:
            states: (B, 2).
            what: what they are called in the error.
        """
        super().require_states(states, what)
        r, c = states[:, 0].long().cpu(), states[:, 1].long().cpu()
        outside = (r >= self.walls.shape[0]) | (c >= self.walls.shape[1])
        walls = self.walls.cpu()
        wrong = outside | walls[r.clamp(max=walls.shape[0] - 1), c.clamp(max=walls.shape[1] - 1)]
        if bool(wrong.any()):
            row = int(wrong.nonzero()[0])
            raise DomainError(f"{what} of {self.name}", given=f"{states[row].tolist()}", expected="a free cell")


class Hanoi(Domain):
    """The towers of Hanoi: disc i, the smallest first, stands on peg state[i]. All discs are to be on the last peg.

    Args:
        discs: how many.
        pegs: how many, 3 or more.
    """

    def __init__(self, discs: int = 5, pegs: int = 3) -> None:
        require_whole(1, discs=discs)
        require_whole(3, pegs=pegs)
        self.name, self.state_shape, self.num_values = f"hanoi.{discs}.{pegs}", (discs,), pegs
        self.pairs = [(a, b) for a in range(pegs) for b in range(pegs) if a != b]
        self.num_actions = len(self.pairs)
        self.names = tuple(f"{a}>{b}" for a, b in self.pairs)
        self.inverse = tuple(self.pairs.index((b, a)) for a, b in self.pairs)
        self.goal = torch.full((discs,), pegs - 1, dtype=torch.uint8)

    def expand(self, states: Tensor) -> Children:
        """See `Domain.expand`: the upper disc of a peg goes to another, on nothing smaller.

        Args:
            states: (B, discs).
        """
        discs, pegs = self.state_shape[0], self.num_values
        on = (
            states[:, None] == torch.arange(pegs, device=states.device, dtype=states.dtype)[:, None]
        )  # (B, pegs, discs)
        top = torch.where(on.any(2), on.long().argmax(2), discs)  # discs where a peg is empty
        start, end = (torch.tensor(ends, device=states.device) for ends in zip(*self.pairs))
        moved, below = top[:, start], top[:, end]
        valid = moved < below
        children = states[:, None].expand(-1, self.num_actions, -1).clone()
        to = end.to(states.dtype).expand(len(states), -1)[..., None]
        place = moved.clamp(max=discs - 1)[..., None]
        children.scatter_(2, place, torch.where(valid[..., None], to, children.gather(2, place)))
        return Children(children, torch.ones(valid.shape, device=states.device), valid)
