"""Searches in batches, whose paths are replayed before they are believed."""

from deepwright.pathfinding.search.paths import InvalidPathError, states_along, validate_path
from deepwright.pathfinding.search.result import Limits, Result
from deepwright.pathfinding.search.edges import bwqs
from deepwright.pathfinding.search.weighted import bwas

__all__ = ["InvalidPathError", "Limits", "Result", "bwas", "states_along", "validate_path"]
