"""Which units of a network can only go together, read from its `torch.export` graph.

Example:
    >>> from deepwright.compress.coupling import ShrinkGraph
    >>> ShrinkGraph.from_module(model, x).groups  # doctest: +SKIP
"""

from deepwright.compress.coupling.graph import ShrinkGraph, Unsupported
from deepwright.compress.coupling.groups import Group, Member

__all__ = [
    "Group",
    "Member",
    "ShrinkGraph",
    "Unsupported",
]
