"""PruneFuse: a pruned copy of the network selects, and is then fused into it (arXiv 2603.26138).

Example:
    >>> from deepwright.labels.prunefuse import PrunedSelector
    >>> selector = PrunedSelector(model, pool[:2])  # doctest: +SKIP
"""

from deepwright.labels.prunefuse.selector import DistillLoss, PrunedSelector, fuse

__all__ = [
    "DistillLoss",
    "PrunedSelector",
    "fuse",
]
