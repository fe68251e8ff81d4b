"""Two-phase evolutionary search for pruned networks: fronts of verified smaller networks (arXiv 2604.01076).

Example:
    >>> from deepwright.compress.search import EvolutionaryPruner, accuracy_on
    >>> front = EvolutionaryPruner(model, x).fit(accuracy_on(x, y))  # doctest: +SKIP
"""

from deepwright.compress.search.engines import Engine, PymooEngine
from deepwright.compress.search.front import ParetoResult, Picked
from deepwright.compress.search.pruner import Candidate, EvolutionaryPruner, SearchError
from deepwright.compress.search.spaces import Accuracy, UnitSpace, WeightSpace, accuracy_on
from deepwright.compress.search.state import StateMismatchError

__all__ = [
    "Accuracy",
    "Candidate",
    "Engine",
    "EvolutionaryPruner",
    "ParetoResult",
    "Picked",
    "PymooEngine",
    "SearchError",
    "StateMismatchError",
    "UnitSpace",
    "WeightSpace",
    "accuracy_on",
]
