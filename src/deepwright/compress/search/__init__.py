"""Two-phase evolutionary search for pruned networks: fronts of verified smaller networks (arXiv 2604.01076).

Example:
    >>> import torch
    >>> from deepwright.compress.search import EvolutionaryPruner, accuracy_on
    >>> x = torch.randn(120, 8, generator=torch.Generator().manual_seed(0))
    >>> network = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3)).eval()
    >>> y = network(x).argmax(1)
    >>> small = {"pop": 8, "gen": 2}
    >>> front = EvolutionaryPruner(network, x[:2], phase1=small, phase2=small).fit(accuracy_on(x, y))
    >>> float(front.F[:, 0].min())  # the dense network's own answers are the labels
    0.0
    >>> len(front.history)
    6
"""

from deepwright.compress.search.engines import Engine, Moead, PymooEngine
from deepwright.compress.search.front import ParetoResult, Picked
from deepwright.compress.search.generations import Candidate
from deepwright.compress.search.objectives import Accuracy, accuracy_on
from deepwright.compress.search.preparing import Preparation
from deepwright.compress.search.pruner import EvolutionaryPruner, SearchError
from deepwright.compress.search.space import Space
from deepwright.compress.search.state import SearchState
from deepwright.compress.search.units import UnitSpace
from deepwright.compress.search.weights import WeightSpace

__all__ = [
    "Accuracy",
    "Candidate",
    "Engine",
    "EvolutionaryPruner",
    "Moead",
    "ParetoResult",
    "Picked",
    "Preparation",
    "PymooEngine",
    "SearchError",
    "SearchState",
    "Space",
    "UnitSpace",
    "WeightSpace",
    "accuracy_on",
]
