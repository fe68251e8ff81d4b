"""Paths through huge graphs that are never written down: puzzles, plans, whatever has states and actions.

A domain is arrays in, arrays out; begin with `NPuzzle(3)` and `bwas`, or with a domain of your own: two methods, which
`check_domain` tries.

Example:
    >>> import torch
    >>> from deepwright.pathfinding import LowerBoundHeuristic, NPuzzle, bwas
    >>> puzzle = NPuzzle(3)
    >>> start = torch.tensor([2, 3, 6, 1, 7, 4, 8, 5, 0], dtype=torch.uint8)
    >>> found = bwas(puzzle, start, puzzle.goal, LowerBoundHeuristic(puzzle), batch_size=10)
    >>> found.cost, found.optimal, len(found.actions)
    (16.0, True, 16)
"""

from deepwright.pathfinding.domains import (
    Children,
    Domain,
    DomainError,
    GraphDomain,
    GridWorld,
    Hanoi,
    Level,
    LightsOut,
    NPuzzle,
    Pancakes,
    PermutationDomain,
    RubiksCube,
    Sokoban,
    check_domain,
    fewest_presses,
    nullity,
    read_cycles,
    read_levels,
)
from deepwright.pathfinding.heuristics import (
    AdditivePatterns,
    Heuristic,
    LinearConflict,
    LowerBoundHeuristic,
    MaxHeuristic,
    PatternDatabase,
    ProjectedTable,
    TableHeuristic,
    ZeroHeuristic,
    corner_stickers,
    estimates,
    growth,
    partition,
    sphere_sizes,
)
from deepwright.pathfinding.search import (
    InvalidPathError,
    Limits,
    Result,
    bwas,
    states_along,
    validate_path,
)

__all__ = [
    "AdditivePatterns",
    "Children",
    "Domain",
    "DomainError",
    "GraphDomain",
    "GridWorld",
    "Hanoi",
    "Heuristic",
    "InvalidPathError",
    "Level",
    "LightsOut",
    "Limits",
    "LinearConflict",
    "LowerBoundHeuristic",
    "MaxHeuristic",
    "NPuzzle",
    "Pancakes",
    "PatternDatabase",
    "PermutationDomain",
    "ProjectedTable",
    "Result",
    "RubiksCube",
    "Sokoban",
    "TableHeuristic",
    "ZeroHeuristic",
    "bwas",
    "check_domain",
    "corner_stickers",
    "estimates",
    "fewest_presses",
    "growth",
    "nullity",
    "partition",
    "read_cycles",
    "read_levels",
    "sphere_sizes",
    "states_along",
    "validate_path",
]
