"""Label in rounds: a selector chooses, a person or an oracle answers, and no answer is lost.

Example:
    >>> import torch
    >>> from deepwright.labels.loop import LabelingLoop, WholeSelector, default_trainer
    >>> pool = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
    >>> truth = (pool[:, 0] > 0).long()
    >>> selector = WholeSelector(torch.nn.Linear(4, 2))
    >>> loop = LabelingLoop(pool, selector, "margin", budget=30, round_size=10, trainer=default_trainer(2))
    >>> while not loop.done:
    ...     asked = loop.ask()
    ...     loop.tell(asked, truth[asked])
    >>> len(loop.labels)
    30
"""

from deepwright.labels.loop.labeling import LabelingLoop
from deepwright.labels.loop.records import LabelingResult, Round
from deepwright.labels.loop.selectors import Selector, WholeSelector
from deepwright.labels.loop.state import read_labels
from deepwright.labels.loop.training import default_trainer, train_fused

__all__ = [
    "LabelingLoop",
    "LabelingResult",
    "Round",
    "Selector",
    "WholeSelector",
    "default_trainer",
    "read_labels",
    "train_fused",
]
