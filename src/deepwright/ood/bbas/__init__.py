"""Bounding-box anomaly scoring: which layer left which class's box, by how much (arXiv 2603.22660).

Example:
    >>> from deepwright.ood.bbas import BBAS
    >>> BBAS().fit(activations).score(others)  # doctest: +SKIP
"""

from deepwright.ood.bbas.boxes import BBAS, Exceedance, OutsideTheBox, complete_linkage

__all__ = [
    "BBAS",
    "Exceedance",
    "OutsideTheBox",
    "complete_linkage",
]
