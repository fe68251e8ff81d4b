"""Post-hoc detectors: on logits, on features, and Gaussian ones.

Example:
    >>> from deepwright.ood.scores import KNN
    >>> KNN().fit(activations).score(others)  # doctest: +SKIP
"""

from deepwright.ood.scores.features import ASH, DICE, KNN, SCALE, SHE, ReAct, ViM
from deepwright.ood.scores.gaussian import MDS, RMDS
from deepwright.ood.scores.logits import GEN, MSP, ODIN, Energy, Entropy, MaxLogit

__all__ = [
    "ASH",
    "DICE",
    "GEN",
    "KNN",
    "MDS",
    "MSP",
    "ODIN",
    "RMDS",
    "SCALE",
    "SHE",
    "Energy",
    "Entropy",
    "MaxLogit",
    "ReAct",
    "ViM",
]
