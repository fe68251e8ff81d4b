"""Searches: batches of nodes or edges, beams, deepening bounds, both ends at once; every path is replayed."""

from deepwright.pathfinding.search.beams import beam
from deepwright.pathfinding.search.both_ways import bidirectional
from deepwright.pathfinding.search.deepening import idastar
from deepwright.pathfinding.search.edges import ActionValues, bwqs
from deepwright.pathfinding.search.paths import InvalidPathError, states_along, validate_path
from deepwright.pathfinding.search.result import Limits, Result
from deepwright.pathfinding.search.solving import ALGORITHMS, solve, solve_many
from deepwright.pathfinding.search.weighted import bwas

__all__ = [
    "ALGORITHMS",
    "ActionValues",
    "InvalidPathError",
    "Limits",
    "Result",
    "beam",
    "bidirectional",
    "bwas",
    "bwqs",
    "idastar",
    "solve",
    "solve_many",
    "states_along",
    "validate_path",
]
