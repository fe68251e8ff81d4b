"""Estimates of the cost to a goal: bounds that a domain knows, exact tables, networks."""

from deepwright.pathfinding.heuristics.heuristic import (
    Heuristic,
    LowerBoundHeuristic,
    MaxHeuristic,
    QHeuristic,
    ZeroHeuristic,
    estimates,
)
from deepwright.pathfinding.heuristics.learned import LearnedHeuristic
from deepwright.pathfinding.heuristics.networks import CellSum, QNet, ValueNet
from deepwright.pathfinding.heuristics.tables import TableHeuristic, sphere_sizes

__all__ = [
    "CellSum",
    "Heuristic",
    "LearnedHeuristic",
    "LowerBoundHeuristic",
    "MaxHeuristic",
    "QHeuristic",
    "QNet",
    "TableHeuristic",
    "ValueNet",
    "ZeroHeuristic",
    "estimates",
    "sphere_sizes",
]
