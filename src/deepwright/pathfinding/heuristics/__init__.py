"""Estimates of the cost to a goal: bounds that a domain knows, exact tables, networks."""

from deepwright.pathfinding.heuristics.audit import HeuristicAudit, audit_heuristic
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
from deepwright.pathfinding.heuristics.tables import TableHeuristic, sphere_sizes, states_within

__all__ = [
    "CellSum",
    "Heuristic",
    "HeuristicAudit",
    "LearnedHeuristic",
    "LowerBoundHeuristic",
    "MaxHeuristic",
    "QHeuristic",
    "QNet",
    "TableHeuristic",
    "ValueNet",
    "ZeroHeuristic",
    "audit_heuristic",
    "estimates",
    "sphere_sizes",
    "states_within",
]
