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
    AtomSpace,
    Children,
    DeepXubeAdapter,
    Domain,
    DomainError,
    GraphDomain,
    GridWorld,
    Hanoi,
    Imported,
    Level,
    LightsOut,
    NPuzzle,
    Pancakes,
    PermutationDomain,
    RubiksCube,
    Sokoban,
    Symmetries,
    atoms_of,
    check_domain,
    fewest_presses,
    nullity,
    read_cycles,
    read_deepxube,
    read_levels,
    symmetries_of,
)
from deepwright.pathfinding.goals import (
    GoalProgram,
    PartialGoals,
    Pursuit,
    pursue,
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
    "AtomSpace",
    "Children",
    "DeepXubeAdapter",
    "Domain",
    "DomainError",
    "GoalProgram",
    "GraphDomain",
    "GridWorld",
    "Hanoi",
    "Heuristic",
    "Imported",
    "InvalidPathError",
    "Level",
    "LightsOut",
    "Limits",
    "LinearConflict",
    "LowerBoundHeuristic",
    "MaxHeuristic",
    "NPuzzle",
    "Pancakes",
    "PartialGoals",
    "PatternDatabase",
    "PermutationDomain",
    "ProjectedTable",
    "Pursuit",
    "Result",
    "RubiksCube",
    "Sokoban",
    "Symmetries",
    "TableHeuristic",
    "ZeroHeuristic",
    "atoms_of",
    "bwas",
    "check_domain",
    "corner_stickers",
    "estimates",
    "fewest_presses",
    "growth",
    "nullity",
    "partition",
    "pursue",
    "read_cycles",
    "read_deepxube",
    "read_levels",
    "sphere_sizes",
    "states_along",
    "symmetries_of",
    "validate_path",
]
