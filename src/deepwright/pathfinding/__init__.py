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

from deepwright.pathfinding.domains import (AtomSpace, Children, DOMAINS, Domain, DomainError, GraphDomain, GridWorld, Hanoi, Level, LightsOut, NPuzzle, Pancakes, PermutationDomain, RubiksCube, Sokoban, atoms_of, check_domain, fewest_presses, named_domain, nullity, read_cycles, read_levels)
from deepwright.pathfinding.goals import (GoalProgram, PartialGoals, Pursuit, pursue)
from deepwright.pathfinding.heuristics import (AdditivePatterns, Heuristic, HeuristicAudit, LearnedHeuristic, LinearConflict, LowerBoundHeuristic, MaxHeuristic, PatternDatabase, ProjectedTable, QHeuristic, QNet, TableHeuristic, ValueNet, ZeroHeuristic, audit_heuristic, corner_stickers, estimates, growth, partition, sphere_sizes, states_within)
from deepwright.pathfinding.learning import (CollapseWarning, DivergedError, Trainer)
from deepwright.pathfinding.search import (ALGORITHMS, ActionValues, InvalidPathError, Limits, Result, beam, bidirectional, bwas, bwqs, idastar, solve, solve_many, states_along, validate_path)

__all__ = ["ALGORITHMS", "ActionValues", "AdditivePatterns", "AtomSpace", "Children", "CollapseWarning", "DOMAINS", "DivergedError", "Domain", "DomainError", "GoalProgram", "GraphDomain", "GridWorld", "Hanoi", "Heuristic", "HeuristicAudit", "InvalidPathError", "LearnedHeuristic", "Level", "LightsOut", "Limits", "LinearConflict", "LowerBoundHeuristic", "MaxHeuristic", "NPuzzle", "Pancakes", "PartialGoals", "PatternDatabase", "PermutationDomain", "ProjectedTable", "Pursuit", "QHeuristic", "QNet", "Result", "RubiksCube", "Sokoban", "TableHeuristic", "Trainer", "ValueNet", "ZeroHeuristic", "atoms_of", "audit_heuristic", "beam", "bidirectional", "bwas", "bwqs", "check_domain", "corner_stickers", "estimates", "fewest_presses", "growth", "idastar", "named_domain", "nullity", "partition", "pursue", "read_cycles", "read_levels", "solve", "solve_many", "sphere_sizes", "states_along", "states_within", "validate_path"]
