"""Estimates of the cost to a goal: bounds that a domain knows, exact tables, networks."""

from deepwright.pathfinding.heuristics.audit import HeuristicAudit, audit_heuristic
from deepwright.pathfinding.heuristics.conflicts import LinearConflict
from deepwright.pathfinding.heuristics.corners import CornerTable
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
from deepwright.pathfinding.heuristics.patterns import (
    AdditivePatterns,
    PatternDatabase,
    ProjectedTable,
    corner_stickers,
    partition,
)
from deepwright.pathfinding.heuristics.tables import TableHeuristic, growth, sphere_sizes, states_within

__all__ = [
    "AdditivePatterns",
    "CellSum",
    "CornerTable",
    "Heuristic",
    "HeuristicAudit",
    "LearnedHeuristic",
    "LinearConflict",
    "LowerBoundHeuristic",
    "MaxHeuristic",
    "PatternDatabase",
    "ProjectedTable",
    "QHeuristic",
    "QNet",
    "TableHeuristic",
    "ValueNet",
    "ZeroHeuristic",
    "audit_heuristic",
    "corner_stickers",
    "estimates",
    "growth",
    "partition",
    "sphere_sizes",
    "states_within",
]
