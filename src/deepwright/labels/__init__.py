"""Which data to label, with as little work as can be.

Holds PruneFuse (a pruned copy of the network selects, and is then fused into it), the usual strategies, and a loop that a
person or an oracle answers. Begin with `LabelingLoop`.

Example:
    >>> loop = LabelingLoop(pool, PrunedSelector(model, pool[:2]), budget=500, round_size=100)  # doctest: +SKIP
    >>> loop.tell(asked := loop.ask(), labels_of(asked))  # doctest: +SKIP
"""

from deepwright.labels.loop import (
    LabelingLoop,
    LabelingResult,
    Round,
    Selector,
    WholeSelector,
    default_trainer,
    read_labels,
    train_fused,
)
from deepwright.labels.prunefuse import DistillLoss, PrunedSelector, fuse
from deepwright.labels.strategies import (
    STRATEGIES,
    Strategy,
    View,
    as_skactiveml,
    badge,
    bald,
    entropy,
    from_skactiveml,
    k_center_greedy,
    least_confidence,
    margin,
    named,
    subsampled,
    typiclust,
)

__all__ = [
    "STRATEGIES",
    "DistillLoss",
    "LabelingLoop",
    "LabelingResult",
    "PrunedSelector",
    "Round",
    "Selector",
    "Strategy",
    "View",
    "WholeSelector",
    "as_skactiveml",
    "badge",
    "bald",
    "default_trainer",
    "entropy",
    "from_skactiveml",
    "fuse",
    "k_center_greedy",
    "least_confidence",
    "margin",
    "named",
    "read_labels",
    "subsampled",
    "train_fused",
    "typiclust",
]
