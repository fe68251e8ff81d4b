"""Bounding-box anomaly scoring: which layer left which class's box, by how much (arXiv 2603.22660).

Example:
    >>> from deepwright.ood.bbas import BBAS
    >>> BBAS().fit(activations).score(others)  # doctest: +SKIP
"""

from deepwright.ood.bbas.boxes import Exceedance
from deepwright.ood.bbas.clustering import complete_linkage
from deepwright.ood.bbas.detector import BBAS
from deepwright.ood.bbas.outside import OutsideTheBox

__all__ = [
    "BBAS",
    "Exceedance",
    "OutsideTheBox",
    "complete_linkage",
]
