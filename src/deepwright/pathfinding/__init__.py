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
    LightsOut,
    NPuzzle,
    Pancakes,
    PermutationDomain,
    RubiksCube,
    check_domain,
    fewest_presses,
    nullity,
)
from deepwright.pathfinding.heuristics import (
    Heuristic,
    LowerBoundHeuristic,
    MaxHeuristic,
    QHeuristic,
    TableHeuristic,
    ZeroHeuristic,
    estimates,
    sphere_sizes,
)
from deepwright.pathfinding.search import (
    ALGORITHMS,
    InvalidPathError,
    Limits,
    Result,
    beam,
    bidirectional,
    bwas,
    bwqs,
    greedy,
    q_estimates,
    q_from_v,
    solve,
    solve_many,
    states_along,
    validate_path,
)

__all__ = [
    "ALGORITHMS",
    "Children",
    "Domain",
    "DomainError",
    "GraphDomain",
    "GridWorld",
    "Hanoi",
    "Heuristic",
    "InvalidPathError",
    "LightsOut",
    "Limits",
    "LowerBoundHeuristic",
    "MaxHeuristic",
    "NPuzzle",
    "Pancakes",
    "PermutationDomain",
    "QHeuristic",
    "Result",
    "RubiksCube",
    "TableHeuristic",
    "ZeroHeuristic",
    "beam",
    "bidirectional",
    "bwas",
    "bwqs",
    "check_domain",
    "estimates",
    "fewest_presses",
    "greedy",
    "nullity",
    "q_estimates",
    "q_from_v",
    "solve",
    "solve_many",
    "sphere_sizes",
    "states_along",
    "validate_path",
]
