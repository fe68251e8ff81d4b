"""Estimates of the cost to a goal: bounds that a domain knows, exact tables, pattern databases."""

from deepwright.pathfinding.heuristics.conflicts import LinearConflict
from deepwright.pathfinding.heuristics.heuristic import (
    Heuristic,
    LowerBoundHeuristic,
    MaxHeuristic,
    ZeroHeuristic,
    estimates,
)
from deepwright.pathfinding.heuristics.patterns import (
    AdditivePatterns,
    PatternDatabase,
    ProjectedTable,
    corner_stickers,
    partition,
)
from deepwright.pathfinding.heuristics.tables import TableHeuristic, growth, sphere_sizes

__all__ = [
    "AdditivePatterns",
    "Heuristic",
    "LinearConflict",
    "LowerBoundHeuristic",
    "MaxHeuristic",
    "PatternDatabase",
    "ProjectedTable",
    "TableHeuristic",
    "ZeroHeuristic",
    "corner_stickers",
    "estimates",
    "growth",
    "partition",
    "sphere_sizes",
]
