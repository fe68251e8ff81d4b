"""Pattern databases: exact costs of a smaller puzzle, in which all but a few things look alike."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.pathfinding.domains.npuzzle import NPuzzle
from deepwright.pathfinding.domains.permutations import PermutationDomain
from deepwright.pathfinding.heuristics.tables import TableHeuristic

_UNSEEN = 255
_CHUNK = 1_000_000  # abstract states expanded at once


class PatternDatabase:
    """What it costs to bring some tiles home when all the others look alike.

    Two ways to count. "all": every move counts, the blank's place may be one of the pattern, and of several databases
    the largest is admissible (`MaxHeuristic`). "own": only moves of the pattern's tiles count, and databases
    of disjoint patterns may be summed (`AdditivePatterns`). The table has n^2 to the power of the pattern's size bytes.

    Args:
        puzzle: whose tiles.
        pattern: numbers of tiles; 0, the blank, where all moves count.
        count: "all" or "own" moves.
        goal: (n^2); the puzzle's own where not given.
        max_entries: more than these, the blank's place included, are refused.

    Raises:
        InputError: numbers that aren't tiles, twice the same, another way to count, or too large a table.

    Source: J. Culberson and J. Schaeffer, "Pattern databases", Computational Intelligence 14, 1998; R. Korf and A.
    Felner, "Disjoint pattern database heuristics", Artificial Intelligence 134, 2002.
    """

    admissible = True

    def __init__(
        self,
        puzzle: NPuzzle,
        pattern: Sequence[int],
        count: str = "all",
        goal: Tensor | None = None,
        max_entries: int = 300_000_000,
    ) -> None:
        cells = puzzle.n**2
        own = count == "own"
        if count not in ("all", "own"):
            raise InputError("count", given=repr(count), expected='"all" or "own"')
        least = 1 if own else 0
        if not pattern or len(set(pattern)) < len(pattern) or not all(least <= p < cells for p in pattern):
            raise InputError("pattern", given=list(pattern), expected=f"different numbers of {least}..{cells - 1}")
        tiles = [p for p in pattern if p]
        if cells ** (len(tiles) + 1) > max_entries:
            raise InputError(
                "pattern", given=f"{cells ** (len(tiles) + 1)} entries", expected=f"at most {max_entries}: fewer tiles"
            )
        self.puzzle, self.pattern, self.count = puzzle, (*tiles, *([0] if 0 in pattern else [])), count
        self.goal = _centre(puzzle, goal)
        home = self.goal.cpu().long().argsort()
        table = _costs(puzzle, home[tiles], home[:1], own)  # the blank is the last digit of the index
        self.table = table if 0 in pattern else table.view(-1, cells).amin(1)

    def __call__(self, states: Tensor, goals: Tensor) -> Float[Tensor, " b"]:
        """The table's.

        Args:
            states: (B, n^2).
            goals: (B, n^2), all of them the table's.

        Raises:
            InputError: another goal.
        """
        _require_goal(self.goal, goals)
        return self.look_up(states.long().argsort(1))

    def look_up(self, places: Tensor) -> Float[Tensor, " b"]:
        """The table's, of the places of all tiles; infinity where nothing leads home.

        Args:
            places: (B, n^2), where each number is.
        """
        if self.table.device != places.device:
            self.table = self.table.to(places.device)
        found = self.table[_index(places[:, list(self.pattern)], self.puzzle.n**2)]
        return found.float().masked_fill(found == _UNSEEN, torch.inf)


class AdditivePatterns:
    """The sum of databases of disjoint patterns: each move counts in one of them.

    Args:
        puzzle: whose tiles.
        patterns: tiles, none of them in two; `partition(puzzle.n, 5)` where not given, of 3 for boards above 4 x 4.
        goal: (n^2); the puzzle's own where not given.

    Raises:
        InputError: a tile in two patterns, or what `PatternDatabase` refuses.
    """

    admissible = True

    def __init__(
        self, puzzle: NPuzzle, patterns: Sequence[Sequence[int]] | None = None, goal: Tensor | None = None
    ) -> None:
        chosen = partition(puzzle.n, 5 if puzzle.n <= 4 else 3) if patterns is None else patterns
        tiles = [tile for pattern in chosen for tile in pattern]
        if not tiles or len(set(tiles)) < len(tiles):
            raise InputError("patterns", given=[list(p) for p in chosen], expected="one or more without common tiles")
        self.goal = _centre(puzzle, goal)
        self.parts = tuple(PatternDatabase(puzzle, pattern, "own", self.goal) for pattern in chosen)

    def __call__(self, states: Tensor, goals: Tensor) -> Float[Tensor, " b"]:
        """The sum.

        Args:
            states: (B, n^2).
            goals: (B, n^2), all of them the tables'.

        Raises:
            InputError: another goal.
        """
        _require_goal(self.goal, goals)
        places = states.long().argsort(1)
        return torch.stack([part.look_up(places) for part in self.parts]).sum(0)


def partition(n: int, size: int) -> list[tuple[int, ...]]:
    """The tiles of a board in patterns of equal size, as nearly as it goes, in the order of their numbers.

    Args:
        n: side of the board.
        size: how many tiles a pattern has at most.
    """
    require_whole(1, size=size)
    parts = torch.arange(1, n * n).tensor_split(math.ceil((n * n - 1) / size))
    return [tuple(part.tolist()) for part in parts]


class ProjectedTable:
    """Exact distances in a group of permutations, of which some places are hidden, or some numbers look alike.

    Places must be such that what is in one of them stays among them, as the corners of a cube do. On a 3 x 3 x 3 cube
    `places=corner_stickers(cube), alike=[(0, 1), (2, 3), (4, 5)]` tells opposite faces' colours apart no more.

    Args:
        domain: whose states.
        places: those that are seen, all where not given.
        alike: groups of numbers that look alike.
        goal: (n); the domain's own where not given.
        max_states: more than these are refused.

    Raises:
        InputError: places that actions exchange with others, numbers in two groups, more states than `max_states`.
        DomainError: actions without inverses.
    """

    admissible = True

    def __init__(
        self,
        domain: PermutationDomain,
        places: Iterable[int] | None = None,
        alike: Sequence[Iterable[int]] = (),
        goal: Tensor | None = None,
        max_states: int = 20_000_000,
    ) -> None:
        centre = _centre(domain, goal).cpu()
        seen = torch.tensor(sorted(range(len(centre)) if places is None else set(places)))
        if not len(seen) or int(seen[0]) < 0 or int(seen[-1]) >= len(centre):
            raise InputError("places", given=seen.tolist(), expected=f"some of 0..{len(centre) - 1}")
        generators = domain.generators.cpu()[:, seen]
        number = torch.full((len(centre),), -1)
        number[seen] = torch.arange(len(seen))
        if bool((number[generators] < 0).any()):
            raise InputError("places", given=seen.tolist(), expected="places whose contents stay among them")
        self.places, self.colours = seen, _merged(alike, domain.num_values)
        abstract = self.colours[centre[seen].long()]
        self.domain = PermutationDomain(number[generators].tolist(), abstract.tolist(), name=f"{domain.name} projected")
        self.table = TableHeuristic(self.domain, max_states=max_states)

    def __call__(self, states: Tensor, goals: Tensor) -> Float[Tensor, " b"]:
        """The table's, of what is seen of the states.

        Args:
            states: (B, n).
            goals: (B, n), all of which look as the table's.

        Raises:
            InputError: another goal.
        """
        if self.places.device != states.device:
            self.places, self.colours = self.places.to(states.device), self.colours.to(states.device)
        found = [self.colours[x[:, self.places].long()].to(torch.uint8) for x in (states, goals)]
        return self.table(*found)


def corner_stickers(cube: PermutationDomain) -> list[int]:
    """The 24 stickers of a 3 x 3 x 3 cube's corners.

    Args:
        cube: `RubiksCube(3)`.
    """
    if cube.name != "cube3":
        raise InputError("cube", given=cube.name, expected="cube3")
    return [9 * face + 3 * x + y for face in range(6) for x in (0, 2) for y in (0, 2)]


def _merged(alike: Sequence[Iterable[int]], values: int) -> Tensor:
    """For each number what it looks like."""
    colours = torch.arange(values)
    groups = [sorted(set(group)) for group in alike]
    named = [number for group in groups for number in group]
    if len(set(named)) < len(named) or not all(0 <= number < values for number in named):
        raise InputError("alike", given=groups, expected=f"groups of 0..{values - 1} without common numbers")
    for group in groups:
        colours[group] = group[0]
    return colours


def _centre(domain: NPuzzle | PermutationDomain, goal: Tensor | None) -> Tensor:
    centre = domain.goal if goal is None else goal
    assert centre is not None
    domain.require_states(centre[None], "goal")
    return centre


def _require_goal(goal: Tensor, goals: Tensor) -> None:
    if not bool((goals == goal.to(goals.device)).all()):
        raise InputError("goals", given="another than the table's", expected=f"{goal.tolist()}")


def _index(places: Tensor, cells: int) -> Tensor:
    """Mixed radix: the last place counts ones."""
    index = torch.zeros(len(places), dtype=torch.long, device=places.device)
    for place in places.unbind(1):
        index = index * cells + place
    return index


def _costs(puzzle: NPuzzle, tiles: Tensor, blank: Tensor, own: bool) -> Tensor:
    """Least costs backwards from the goal, by places of the tiles and the blank; `_UNSEEN` where nothing can be.

    Layer by layer; where a move without one of the tiles is free, a layer is first closed under such moves.
    """
    cells = puzzle.n**2
    table = torch.full((cells ** (len(tiles) + 1),), _UNSEEN, dtype=torch.uint8)
    layer = _index(torch.cat([tiles, blank])[None], cells)
    table[layer] = 0
    for depth in range(_UNSEEN - 1):
        reached, paid, fresh = [layer], [layer[:0]], layer
        while len(fresh):
            free, cost = _moves_of(puzzle, fresh, len(tiles))
            paid.append(cost if own else torch.cat([free, cost]).unique())
            fresh = _enter(table, free, depth) if own else fresh[:0]
            reached.append(fresh)
        layer = _enter(table, torch.cat(paid), depth + 1)
        if not len(layer):
            return table
    raise InputError("pattern", given="costs above 253", expected="fewer tiles: a table holds bytes")


def _enter(table: Tensor, index: Tensor, depth: int) -> Tensor:
    """Those that are new, each once."""
    new = index[table[index] == _UNSEEN].unique()
    table[new] = depth
    return new


def _moves_of(puzzle: NPuzzle, index: Tensor, tiles: int) -> tuple[Tensor, Tensor]:
    """Neighbours: those that the blank comes to alone, and those for which one of the tiles moves."""
    free, paid = zip(*(_moves_of_some(puzzle, part, tiles) for part in index.split(_CHUNK)))
    return torch.cat(free), torch.cat(paid)


def _moves_of_some(puzzle: NPuzzle, index: Tensor, tiles: int) -> tuple[Tensor, Tensor]:
    cells = puzzle.n**2
    blank = index % cells
    other, valid = puzzle.neighbours(blank)  # (B, 4)
    change = other - blank[:, None]
    target = index[:, None] + change
    moved = torch.zeros_like(valid)
    stride = cells
    for _ in range(tiles):
        hit = (index // stride % cells)[:, None] == other
        target = target - torch.where(hit, change * stride, 0)
        moved |= hit
        stride *= cells
    return target[valid & ~moved], target[valid & moved]
