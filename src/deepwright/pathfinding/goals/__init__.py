"""Goals that are more than one state: partial assignments, and logic programs that derive them.

Begin with `GoalProgram(atoms_of(domain), text)` and `pursue`; programs need clingo, the extra `asp`.
"""

from deepwright.pathfinding.goals.partial import PartialGoals
from deepwright.pathfinding.goals.program import GoalProgram
from deepwright.pathfinding.goals.pursuit import Pursuit, pursue

__all__ = ["GoalProgram", "PartialGoals", "Pursuit", "pursue"]
