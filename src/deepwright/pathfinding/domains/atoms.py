"""States as sets of ground atoms: what logic programs can speak about."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.pathfinding.domains.cubes import RubiksCube
from deepwright.pathfinding.domains.domain import Domain, DomainError
from deepwright.pathfinding.domains.lightsout import LightsOut
from deepwright.pathfinding.domains.npuzzle import NPuzzle
from deepwright.pathfinding.domains.others import GridWorld
from deepwright.pathfinding.domains.permutations import Pancakes

COLOURS = ("white", "yellow", "orange", "red", "blue", "green")


@dataclass(frozen=True)
class AtomSpace:
    """One atom for each value that a cell of a state can have.

    A set of atoms is a partial assignment, and stands for all states in which they hold: (cells) of int16 with -1 where
    anything will do.

    Attributes:
        domain: whose states.
        names: of the atoms, names[cell][value].
        background: a logic program that every state keeps to: facts, and rules of what can't be together.
        changes: how many cells an action changes at most.
    """

    domain: Domain
    names: tuple[tuple[str, ...], ...]
    background: str
    changes: int

    @property
    def atoms(self) -> tuple[str, ...]:
        """All of them, cell by cell."""
        return tuple(name for cell in self.names for name in cell)

    def holds(self, states: Tensor) -> Bool[Tensor, "b atoms"]:
        """Which atoms hold in which state.

        Args:
            states: (B, cells).
        """
        values = torch.arange(len(self.names[0]), device=states.device)
        return (states.flatten(1)[..., None] == values).flatten(1)

    def of_state(self, state: Tensor) -> list[str]:
        """The atoms that hold in one state.

        Args:
            state: (cells).
        """
        return [names[value] for names, value in zip(self.names, state.flatten().tolist(), strict=True)]

    def partial(self, atoms: Iterable[str]) -> Int[Tensor, " cells"]:
        """Atoms as a partial assignment.

        Args:
            atoms: some of this space's, one a cell at most.

        Raises:
            InputError: another, or two of one cell.
        """
        place = {name: (i, v) for i, cell in enumerate(self.names) for v, name in enumerate(cell)}
        found = torch.full((len(self.names),), -1, dtype=torch.int16)
        for atom in atoms:
            if atom not in place:
                raise InputError("atom", given=atom[:80], expected=f"one as {self.names[0][0]}")
            cell, value = place[atom]
            if int(found[cell]) not in (-1, value):
                raise InputError("atoms", given=f"{atom} beside {self.names[cell][int(found[cell])]}", expected="one")
            found[cell] = value
        return found

    def complete(self, partial: Tensor) -> Tensor | None:
        """A state in which a partial assignment holds, None where there is none; of boards and stacks that can be made.

        Args:
            partial: (cells) int16.

        Raises:
            DomainError: a domain of which it isn't known which states can be reached.
        """
        if isinstance(self.domain, LightsOut):
            return partial.clamp(min=0).to(torch.uint8)
        if isinstance(self.domain, (GridWorld, NPuzzle, Pancakes)):
            make: Callable[..., Tensor | None] = _free_cell if isinstance(self.domain, GridWorld) else _arrangement
            state = make(self.domain, partial.cpu())
            return None if state is None else state.to(partial.device)
        raise DomainError(f"{self.domain.name}", given="a partial assignment", expected="a search for a state of it")


def _free_cell(domain: GridWorld, partial: Tensor) -> Tensor | None:
    free = (~domain.walls.cpu()).nonzero().to(torch.int16)
    fits = ((partial < 0) | (free == partial)).all(1)
    return free[fits][0] if bool(fits.any()) else None


def _arrangement(domain: NPuzzle | Pancakes, partial: Tensor) -> Tensor | None:
    """Missing numbers in their order; of a board's two orders of the last two the one that moves can make."""
    named = partial[partial >= 0].tolist()
    if len(set(named)) < len(named):
        return None
    free = (partial < 0).nonzero()[:, 0]
    missing = [v for v in range(len(partial)) if v not in named]
    state = partial.clone()
    state[free] = torch.tensor(missing, dtype=torch.int16)
    state = state.to(torch.uint8)
    if isinstance(domain, Pancakes):
        return state
    assert domain.goal is not None
    goal = domain.goal.cpu()[None]
    for _ in range(2):
        if bool(domain.is_solvable(state[None], goal)):
            return state
        if len(free) < 2:
            return None
        state[free[-2:]] = state[free[-2:].flip(0)]
    return None


def atoms_of(domain: Domain) -> AtomSpace:
    """The atoms of a domain; rows, columns and places count from 0.

    Boards: `at(Tile,Row,Column)`. Lights: `dark(Row,Column)`, `lit(Row,Column)`. Maps: `row(R)`, `column(C)`, with
    `wall(R,C)` in the background. Cubes: `sticker(Face,X,Y,Colour)`, faces u d l r b f, colours white yellow orange red
    blue green. Stacks of pancakes: `at(Pancake,Place)`.

    Args:
        domain: one of these.

    Raises:
        DomainError: another.
    """
    for kind, make in _SPACES:
        if isinstance(domain, kind):
            return make(domain)
    raise DomainError(f"{domain.name} has no atoms", expected="an `AtomSpace` of your own")


def _board(domain: NPuzzle) -> AtomSpace:
    n = domain.n
    names = tuple(tuple(f"at({t},{i // n},{i % n})" for t in range(n * n)) for i in range(n * n))
    lines = (
        f"tile(0..{n * n - 1}). place(0..{n - 1}).",
        ":- at(T,R,C), at(U,R,C), T < U.",
        ":- at(T,R,C), at(T,S,D), (R,C) < (S,D).",
    )
    return AtomSpace(domain, names, "\n".join(lines), 2)


def _lights(domain: LightsOut) -> AtomSpace:
    n = domain.n
    names = tuple((f"dark({i // n},{i % n})", f"lit({i // n},{i % n})") for i in range(n * n))
    return AtomSpace(domain, names, f"place(0..{n - 1}).\n:- dark(R,C), lit(R,C).", 5)


def _map(domain: GridWorld) -> AtomSpace:
    rows, columns = domain.walls.shape
    most = max(rows, columns)
    names = (tuple(f"row({r})" for r in range(most)), tuple(f"column({c})" for c in range(most)))
    walls = " ".join(f"wall({r},{c})." for r, c in domain.walls.nonzero().tolist())
    lines = (
        walls,
        ":- row(R), row(S), R < S.",
        ":- column(C), column(D), C < D.",
        f":- row(R), R >= {rows}.",
        f":- column(C), C >= {columns}.",
        ":- row(R), column(C), wall(R,C)." if walls else "",
    )
    return AtomSpace(domain, names, "\n".join(lines), 1)


def _cube(domain: RubiksCube) -> AtomSpace:
    size = 3 if domain.name == "cube3" else 2
    places = [f"{face},{x},{y}" for face, x, y in product("udlrbf", range(size), range(size))]
    names = tuple(tuple(f"sticker({place},{colour})" for colour in COLOURS) for place in places)
    most = size * size
    lines = (
        f"face({';'.join('udlrbf')}). colour({';'.join(COLOURS)}). place(0..{size - 1}).",
        ":- sticker(F,X,Y,K), sticker(F,X,Y,L), K < L.",
        f":- colour(K), {most + 1} {{ sticker(F,X,Y,K) }}.",
    )
    turned = int((domain.generators != torch.arange(len(places), device=domain.generators.device)).sum(1).max())
    return AtomSpace(domain, names, "\n".join(lines), turned)


def _stack(domain: Pancakes) -> AtomSpace:
    n = domain.num_actions + 1
    names = tuple(tuple(f"at({v},{i})" for v in range(n)) for i in range(n))
    lines = (f"place(0..{n - 1}).", ":- at(V,I), at(W,I), V < W.", ":- at(V,I), at(V,J), I < J.")
    return AtomSpace(domain, names, "\n".join(lines), n)


_SPACES: tuple[tuple[type[Domain], Callable[..., AtomSpace]], ...] = (
    (NPuzzle, _board),
    (LightsOut, _lights),
    (GridWorld, _map),
    (RubiksCube, _cube),
    (Pancakes, _stack),
)
