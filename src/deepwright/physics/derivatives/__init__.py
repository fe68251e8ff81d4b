"""Exact derivatives of networks: jets in one forward pass, and the operators built on them.

Example:
    >>> import torch
    >>> from deepwright.physics.derivatives import laplacian
    >>> laplacian(lambda x: (x**2).sum(1, keepdim=True), torch.zeros(1, 3)).tolist()
    [[6.0]]
"""

from deepwright.physics.derivatives.jets import Jet, concatenate, propagate
from deepwright.physics.derivatives.operators import curl2d, divergence, hessian_diag, jacobian, jet, laplacian

__all__ = [
    "Jet",
    "concatenate",
    "curl2d",
    "divergence",
    "hessian_diag",
    "jacobian",
    "jet",
    "laplacian",
    "propagate",
]
