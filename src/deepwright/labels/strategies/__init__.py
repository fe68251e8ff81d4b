"""Which samples to label next: scores of one sample, choices of a set, strategies by name, and other libraries' ones.

Example:
    >>> import torch
    >>> from deepwright.labels.strategies import least_confidence
    >>> least_confidence(torch.tensor([[2.0, 0.0], [0.1, 0.0], [-3.0, 0.0]])).argmax()
    tensor(1)
"""

from deepwright.labels.strategies.adapters import as_skactiveml, from_skactiveml
from deepwright.labels.strategies.catalogue import STRATEGIES, Strategy, View, named, subsampled
from deepwright.labels.strategies.diversity import badge, k_center_greedy, typiclust
from deepwright.labels.strategies.scores import bald, entropy, least_confidence, margin

__all__ = [
    "STRATEGIES",
    "Strategy",
    "View",
    "as_skactiveml",
    "badge",
    "bald",
    "entropy",
    "from_skactiveml",
    "k_center_greedy",
    "least_confidence",
    "margin",
    "named",
    "subsampled",
    "typiclust",
]
