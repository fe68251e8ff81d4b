"""Fields on one linear grid per axis: coordinates encoded by splines (arXiv 2603.22700), and what they are held against.

Example:
    >>> from deepwright.physics.linear_grids import CELG
    >>> u = CELG([(0, 1), (0, 1)])  # doctest: +SKIP
"""

from deepwright.physics.linear_grids.baselines import CellGrid, Separable
from deepwright.physics.linear_grids.celg import CELG, LinearGridEncoding, als_polish, leave_one_out

__all__ = [
    "CELG",
    "CellGrid",
    "LinearGridEncoding",
    "Separable",
    "als_polish",
    "leave_one_out",
]
