"""Label in rounds: a selector chooses, a person or an oracle answers, and no answer is lost.

Example:
    >>> from deepwright.labels.loop import LabelingLoop
    >>> loop = LabelingLoop(pool, selector, budget=500, round_size=100)  # doctest: +SKIP
"""

from deepwright.labels.loop.rounds import (
    LabelingLoop,
    LabelingResult,
    Round,
    WholeSelector,
    default_trainer,
    train_fused,
)

__all__ = ["LabelingLoop", "LabelingResult", "Round", "WholeSelector", "default_trainer", "train_fused"]
