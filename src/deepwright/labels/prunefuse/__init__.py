"""PruneFuse: a pruned copy of the network selects, and is then fused into it (arXiv 2603.26138).

Example:
    >>> import torch
    >>> from deepwright.labels.prunefuse import PrunedSelector
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> selector = PrunedSelector(model, torch.zeros(2, 4), removed=0.5)
    >>> selector.network[0].out_features
    4
"""

from deepwright.labels.prunefuse.selector import DistillLoss, PrunedSelector, fuse

__all__ = [
    "DistillLoss",
    "PrunedSelector",
    "fuse",
]
