"""Estimates of the cost to a goal: bounds that a domain knows, exact tables, pattern databases."""

from deepwright.pathfinding.heuristics.heuristic import (
    Heuristic,
    LowerBoundHeuristic,
    MaxHeuristic,
    QHeuristic,
    ZeroHeuristic,
    estimates,
)
from deepwright.pathfinding.heuristics.tables import TableHeuristic, sphere_sizes

__all__ = [
    "Heuristic",
    "LowerBoundHeuristic",
    "MaxHeuristic",
    "QHeuristic",
    "TableHeuristic",
    "ZeroHeuristic",
    "estimates",
    "sphere_sizes",
]
