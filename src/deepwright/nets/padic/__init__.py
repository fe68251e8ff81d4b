"""Networks on a tree (arXiv 2402.00094): operators in O(N), and what codes with a hierarchy need.

Begin with `TreeGPRegressor` or `TreeEncoder` for codes as those of diagnoses, with `PAdicNetwork` for signals.

Example:
    >>> import torch
    >>> from deepwright.nets.padic import RadialOperator, Tree
    >>> operator = RadialOperator(Tree(3, 5))  # 6 weights on 243 leaves, where a dense layer has 59,049
    >>> tuple(operator(torch.zeros(8, 1, 243)).shape)
    (8, 1, 243)
"""

import importlib
from typing import Any

from deepwright.nets.padic.approximation import cell_means, move_parameters, network_from_function, side_by_side
from deepwright.nets.padic.codes import TreeIndex, code_paths
from deepwright.nets.padic.companions import PAdicCellularNetwork, PAdicRBM
from deepwright.nets.padic.convolutions import TreeConvolution
from deepwright.nets.padic.encoder import TreeEncoder
from deepwright.nets.padic.gaussian_process import TreeGaussianProcess
from deepwright.nets.padic.hierarchical import HierarchicalOperator
from deepwright.nets.padic.network import BoundedTanh, PAdicNetwork
from deepwright.nets.padic.operators import DenseOperator, TreeOperator
from deepwright.nets.padic.radial import RadialOperator, heat, resolvent, vladimirov
from deepwright.nets.padic.topology import padic_tree
from deepwright.nets.padic.trees import Tree

LAZY = {"TreeGPRegressor": "columns", "TreeTargetEncoder": "columns"}  # which need scikit-learn

__all__ = [
    "BoundedTanh",
    "DenseOperator",
    "HierarchicalOperator",
    "PAdicCellularNetwork",
    "PAdicNetwork",
    "PAdicRBM",
    "RadialOperator",
    "Tree",
    "TreeConvolution",
    "TreeEncoder",
    "TreeGPRegressor",
    "TreeGaussianProcess",
    "TreeIndex",
    "TreeOperator",
    "TreeTargetEncoder",
    "cell_means",
    "code_paths",
    "heat",
    "move_parameters",
    "network_from_function",
    "padic_tree",
    "resolvent",
    "side_by_side",
    "vladimirov",
]


def __getattr__(name: str) -> Any:
    if name in LAZY:
        return getattr(importlib.import_module(f"{__name__}.{LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
