"""Fields on one linear grid per axis: coordinates encoded by splines (arXiv 2603.22700), and what they are held
against.

Example:
    >>> import torch
    >>> from deepwright.physics import laplacian
    >>> u = CELG([(0, 1), (0, 1)], num_knots=9, num_features=4)
    >>> tuple(laplacian(u, torch.full((3, 2), 0.5).double()).shape)
    (3, 1)
"""

from deepwright.physics.linear_grids.alternating import als_polish
from deepwright.physics.linear_grids.baselines import CellGrid, Separable
from deepwright.physics.linear_grids.celg import CELG
from deepwright.physics.linear_grids.encoding import LinearGridEncoding, leave_one_out

__all__ = [
    "CELG",
    "CellGrid",
    "LinearGridEncoding",
    "Separable",
    "als_polish",
    "leave_one_out",
]
