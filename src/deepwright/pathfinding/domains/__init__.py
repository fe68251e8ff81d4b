"""Problems to find paths in: puzzles, rooms, graphs, and the protocol for one of your own.

Example:
    >>> import torch
    >>> from deepwright.pathfinding.domains import NPuzzle
    >>> puzzle = NPuzzle(3)
    >>> states, goals = puzzle.sample_instances(torch.tensor([10, 20]), seed=0)
    >>> puzzle.lower_bound(states, goals).le(torch.tensor([10, 20])).all().item()
    True
"""

from deepwright.pathfinding.domains.atoms import AtomSpace, atoms_of
from deepwright.pathfinding.domains.checking import check_domain
from deepwright.pathfinding.domains.cubes import RubiksCube
from deepwright.pathfinding.domains.cycles import read_cycles
from deepwright.pathfinding.domains.domain import Children, Domain, DomainError
from deepwright.pathfinding.domains.foreign import DeepXubeAdapter
from deepwright.pathfinding.domains.graphs import GraphDomain
from deepwright.pathfinding.domains.levels import Level, read_levels
from deepwright.pathfinding.domains.lightsout import LightsOut, fewest_presses, nullity
from deepwright.pathfinding.domains.named import DOMAINS, named_domain
from deepwright.pathfinding.domains.npuzzle import NPuzzle
from deepwright.pathfinding.domains.others import GridWorld, Hanoi
from deepwright.pathfinding.domains.pddl import Task, read_task
from deepwright.pathfinding.domains.permutations import Pancakes, PermutationDomain
from deepwright.pathfinding.domains.pickles import Imported, read_deepxube
from deepwright.pathfinding.domains.sokoban import Sokoban
from deepwright.pathfinding.domains.strips import Strips
from deepwright.pathfinding.domains.symmetries import Symmetries, symmetries_of

__all__ = [
    "DOMAINS",
    "AtomSpace",
    "Children",
    "DeepXubeAdapter",
    "Domain",
    "DomainError",
    "GraphDomain",
    "GridWorld",
    "Hanoi",
    "Imported",
    "Level",
    "LightsOut",
    "NPuzzle",
    "Pancakes",
    "PermutationDomain",
    "RubiksCube",
    "Sokoban",
    "Strips",
    "Symmetries",
    "Task",
    "atoms_of",
    "check_domain",
    "fewest_presses",
    "named_domain",
    "nullity",
    "read_cycles",
    "read_deepxube",
    "read_levels",
    "read_task",
    "symmetries_of",
]
