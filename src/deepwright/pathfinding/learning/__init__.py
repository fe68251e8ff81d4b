"""Training heuristics: walks from goals, small searches, targets, and a loop that can be killed and goes on.

Example:
    >>> from deepwright.pathfinding import NPuzzle, Trainer, ValueNet
    >>> puzzle = NPuzzle(2)
    >>> trainer = Trainer(puzzle, ValueNet(puzzle, 32, 1), k_max=10, batch_size=100)
    >>> h = trainer.fit(max_itrs=20)
    >>> float(h(puzzle.goal[None], puzzle.goal[None]))
    0.0
"""

from deepwright.pathfinding.learning.curriculum import Curriculum
from deepwright.pathfinding.learning.forests import Forest, grow
from deepwright.pathfinding.learning.learner import DivergedError
from deepwright.pathfinding.learning.relabelling import hindsight
from deepwright.pathfinding.learning.targets import action_targets, one_step_targets, path_bounds, tree_targets
from deepwright.pathfinding.learning.trainer import CollapseWarning, Trainer
from deepwright.pathfinding.learning.walks import Walks, backward_walks, forward_walks, goals_from

__all__ = [
    "CollapseWarning",
    "Curriculum",
    "DivergedError",
    "Forest",
    "Trainer",
    "Walks",
    "action_targets",
    "backward_walks",
    "forward_walks",
    "goals_from",
    "grow",
    "hindsight",
    "one_step_targets",
    "path_bounds",
    "tree_targets",
]
