"""Sokoban: an agent pushes boxes onto targets and can't pull them back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from deepwright.core.requirements import require_whole
from deepwright.pathfinding.domains.deadlocks import freezes, pushes_needed
from deepwright.pathfinding.domains.domain import Children, Domain, DomainError
from deepwright.pathfinding.domains.levels import AGENT, BOX, FLOOR, WALL, Level, read_levels
from deepwright.pathfinding.domains.rooms import build_rooms, walk_backwards

_COLOURS = torch.tensor([[222, 214, 196], [176, 116, 52], [52, 110, 190], [84, 80, 78]], dtype=torch.uint8)


class Sokoban(Domain):
    """Rooms of one size, state (rows * columns): 0 floor, 1 box, 2 agent, 3 wall. A goal has 1 where boxes belong.

    Actions U D L R move the agent by a cell, which pushes a box that stands there if the cell behind it is free. Walls
    are part of the state, so one domain serves all levels, and a network sees them.

    Args:
        rows: of a room, 3 to 64.
        columns: of a room, 3 to 64.
        boxes: how many there are in rooms that `sample_instances` makes.

    Raises:
        InputError: another size.
    """

    names = ("U", "D", "L", "R")
    num_actions, num_values = 4, 4

    def __init__(self, rows: int = 10, columns: int = 10, boxes: int = 4) -> None:
        require_whole(3, rows=rows, columns=columns)
        require_whole(1, boxes=boxes)
        if max(rows, columns) > 64:
            raise DomainError("a room", given=f"{rows} x {columns}", expected="at most 64 x 64")
        self.rows, self.columns, self.boxes = rows, columns, boxes
        self.name, self.state_shape = f"sokoban.{rows}x{columns}", (rows * columns,)
        self._next = neighbours(rows, columns)
        self._known: dict[bytes, Tensor] = {}

    @classmethod
    def from_text(cls, text: str) -> tuple[Sokoban, Tensor, Tensor]:
        """Levels in the format of XSB: a domain that is large enough, their states and goals.

        Args:
            text: see `read_levels`.

        Raises:
            DomainError: what isn't a level, with line and column.
        """
        levels = read_levels(text)
        rows, columns = (max(3, *(level.cells.shape[i] for level in levels)) for i in (0, 1))
        domain = cls(rows, columns, boxes=1)
        states, goals = domain.instances(levels)
        return domain, states, goals

    def instances(self, levels: Sequence[Level]) -> tuple[Tensor, Tensor]:
        """States and goals of levels, with walls around those that are smaller.

        Args:
            levels: of at most this domain's size.

        Raises:
            DomainError: a larger one.
        """
        states = torch.full((len(levels), self.rows, self.columns), WALL, dtype=torch.uint8)
        goals = torch.zeros_like(states)
        for i, level in enumerate(levels):
            rows, columns = level.cells.shape
            if rows > self.rows or columns > self.columns:
                raise DomainError(
                    f"level {i}", given=f"{rows} x {columns}", expected=f"at most {self.rows} x {self.columns}"
                )
            states[i, :rows, :columns], goals[i, :rows, :columns] = level.cells, level.targets
        return states.flatten(1), goals.flatten(1)

    def expand(self, states: Tensor) -> Children:
        """See `Domain.expand`.

        Args:
            states: (B, rows * columns).
        """
        if self._next.device != states.device:
            self._next = self._next.to(states.device)
        padded = torch.nn.functional.pad(states, (0, 1), value=WALL)
        agent = (states == AGENT).long().argmax(1)
        to = self._next[agent]  # (B, 4)
        behind = self._next[to, torch.arange(4, device=states.device)]
        there, after = padded.gather(1, to), padded.gather(1, behind)
        pushing = there == BOX
        valid = (there == FLOOR) | (pushing & (after == FLOOR))
        children = padded[:, None].expand(-1, 4, -1).clone()
        children.scatter_(2, behind[..., None], torch.where(pushing & valid, BOX, after).to(states.dtype)[..., None])
        children.scatter_(2, to[..., None], AGENT)
        children.scatter_(2, agent[:, None, None].expand(-1, 4, 1), FLOOR)
        children = torch.where(valid[..., None], children[..., :-1], states[:, None])
        return Children(children, torch.ones(valid.shape, device=states.device), valid)

    def is_goal(self, states: Tensor, goals: Tensor) -> Bool[Tensor, " b"]:
        """Whether the boxes stand where they belong, wherever the agent is.

        Args:
            states: (B, rows * columns).
            goals: (B, rows * columns), 1 on targets.
        """
        return ((states == BOX) == (goals == BOX)).all(1)

    def lower_bound(self, states: Tensor, goals: Tensor) -> Float[Tensor, " b"]:
        """Pushes that each box needs to the nearest target if it were alone, and moves to the nearest box.

        Infinity where a box off its target can never be brought home: none of the targets can be reached from its
        square, or it is frozen, with others that block each other.

        Args:
            states: (B, rows * columns).
            goals: (B, rows * columns), 1 on targets.
        """
        needed = self._pushes(states == WALL, goals == BOX)
        boxes, home = states == BOX, goals == BOX
        pushes = torch.where(boxes, needed, 0.0).sum(1)
        frozen = freezes(boxes, states == WALL, needed.isinf(), self._next)
        dead = (frozen & ~home).any(1)
        walk = torch.where(pushes > 0, self._to_nearest_box(states, boxes), 0.0)
        return (pushes + walk).masked_fill(dead, torch.inf)

    def _to_nearest_box(self, states: Tensor, boxes: Tensor) -> Tensor:
        cell = torch.arange(self.rows * self.columns, device=states.device)
        agent = (states == AGENT).long().argmax(1)[:, None]
        row, column = cell // self.columns, cell % self.columns
        away = (row - agent // self.columns).abs() + (column - agent % self.columns).abs()
        return away.masked_fill(~boxes, self.rows + self.columns).amin(1).float() - 1

    def _pushes(self, walls: Tensor, targets: Tensor) -> Tensor:
        """(B, cells) for each room: pushes from a square to the nearest target. A search asks for one room again."""
        if self._next.device != walls.device:
            self._next = self._next.to(walls.device)
        if not len(walls):
            return walls.float()
        room = torch.stack([walls, targets], 1)
        if bool((room == room[0]).all()):
            key = room[0].cpu().numpy().tobytes()
            if key not in self._known:
                self._known = {key: pushes_needed(walls[:1], targets[:1], self._next)}
            return self._known[key].to(walls.device).expand(len(walls), -1)
        return pushes_needed(walls, targets, self._next)

    def sample_instances(self, steps: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Rooms that are dug by random walks, played backwards from boxes on their targets by pulling.

        Args:
            steps: moves backwards, which is as many as a way to the goal takes at most.
            seed: of rooms and moves.

        Raises:
            DomainError: more boxes than a quarter of the inside.
        """
        if 4 * self.boxes > (self.rows - 2) * (self.columns - 2):
            given = f"{self.boxes} boxes in {self.rows} x {self.columns}"
            raise DomainError("rooms to make", given=given, expected="at most a quarter of the inside")
        walls, boxes, agent = build_rooms(len(steps), self.rows, self.columns, self.boxes, seed)
        walls, boxes, agent = (t.to(steps.device) for t in (walls, boxes, agent))
        if self._next.device != steps.device:
            self._next = self._next.to(steps.device)
        pulled, agent = walk_backwards(walls, boxes, agent, steps, self._next, seed)
        states = (walls * WALL + pulled * BOX).to(torch.uint8)
        states.scatter_(1, agent[:, None], AGENT)
        return states, boxes.to(torch.uint8)

    def require_states(self, states: Tensor, what: str = "states") -> None:
        """See `Domain.require_states`; one agent. Goals have none, and no walls: 0 and 1.

        Args:
            states: (B, rows * columns).
            what: what they are called in the error.
        """
        super().require_states(states, what)
        agents = (states == AGENT).sum(1)
        wrong = (states > BOX).any(1) if what == "goals" else agents != 1
        if bool(wrong.any()):
            row = int(wrong.nonzero()[0])
            expected = "0 and 1, where boxes belong" if what == "goals" else "one agent"
            raise DomainError(
                f"{what} of {self.name}", given=f"{int(agents[row])} agents in row {row}", expected=expected
            )

    def to_text(self, state: Tensor, goal: Tensor | None = None) -> str:
        """The room in the format of XSB.

        Args:
            state: (rows * columns).
            goal: (rows * columns), 1 on targets.
        """
        targets = [0] * len(state) if goal is None else goal.tolist()
        drawn = [(" $@#", ".*+#")[t][v] for v, t in zip(state.tolist(), targets)]
        lines = ["".join(drawn[i : i + self.columns]).rstrip() for i in range(0, len(drawn), self.columns)]
        return "\n".join(lines)

    def picture(self, state: Tensor, goal: Tensor | None = None, cell: int = 16) -> Tensor:
        """(rows * cell, columns * cell, 3) uint8: walls dark, boxes brown squares, the agent a blue disc.

        Targets are red in the middle, on boxes too.

        Args:
            state: (rows * columns).
            goal: (rows * columns), 1 on targets.
            cell: pixels of a side, 8 or more.
        """
        require_whole(8, cell=cell)
        value = state.cpu().long().view(self.rows, self.columns)
        at = (torch.arange(cell) + 0.5) / cell * 2 - 1
        y, x = at[:, None], at[None]
        shapes = torch.stack(
            [
                torch.zeros(cell, cell).bool(),
                (x.abs() < 0.8) & (y.abs() < 0.8),
                x**2 + y**2 < 0.6,
                x.abs() + y.abs() < 9,
            ]
        )
        picture = torch.where(shapes[value][..., None], _COLOURS[value][:, :, None, None], _COLOURS[0])
        if goal is not None:
            spot = (goal.cpu().view(self.rows, self.columns) == BOX)[..., None, None] & (x**2 + y**2 < 0.12)
            picture = torch.where(spot[..., None], torch.tensor([200, 40, 40], dtype=torch.uint8), picture)
        return picture.permute(0, 2, 1, 3, 4).reshape(self.rows * cell, self.columns * cell, 3).to(state.device)


def neighbours(rows: int, columns: int) -> Tensor:
    """(cells + 1, 4): the cell above, below, left and right of each; `cells`, a wall, where there is none.

    Args:
        rows: of a room.
        columns: of a room.
    """
    cell = torch.arange(rows * columns)
    r = cell[:, None] // columns + torch.tensor([-1, 1, 0, 0])
    c = cell[:, None] % columns + torch.tensor([0, 0, -1, 1])
    inside = (r >= 0) & (r < rows) & (c >= 0) & (c < columns)
    found = torch.where(inside, r * columns + c, rows * columns)
    return torch.cat([found, torch.full((1, 4), rows * columns)])
