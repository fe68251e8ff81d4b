"""Searches in batches, whose paths are replayed before they are believed."""

from deepwright.pathfinding.search.beams import beam, greedy
from deepwright.pathfinding.search.both_ways import bidirectional
from deepwright.pathfinding.search.deepening import idastar
from deepwright.pathfinding.search.edges import bwqs
from deepwright.pathfinding.search.paths import InvalidPathError, states_along, validate_path
from deepwright.pathfinding.search.q_values import q_estimates, q_from_v
from deepwright.pathfinding.search.result import Limits, Result
from deepwright.pathfinding.search.solving import ALGORITHMS, solve, solve_many
from deepwright.pathfinding.search.weighted import bwas

__all__ = [
    "ALGORITHMS",
    "InvalidPathError",
    "Limits",
    "Result",
    "beam",
    "bidirectional",
    "bwas",
    "bwqs",
    "greedy",
    "idastar",
    "q_estimates",
    "q_from_v",
    "solve",
    "solve_many",
    "states_along",
    "validate_path",
]
