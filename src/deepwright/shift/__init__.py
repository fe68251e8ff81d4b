"""Last layers that hold where a shortcut fails: groups, their worst, and heads relearned on cached embeddings.

A trained network usually sees the right feature and weighs the wrong one. Here are the measures (`group_metrics`) and
eight ways to another last layer, from retraining to HSFM, each on embeddings that one forward pass gives
(`extract_features`). Begin with `compare_heads`.

Example:
    >>> import torch
    >>> from deepwright.shift import group_metrics, make_groups
    >>> y, attribute = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    >>> found = group_metrics(torch.tensor([0, 1, 1, 1]), y, make_groups(y, attribute))
    >>> found.worst_group, found.worst_name, found.average
    (0.0, 'group 1', 0.75)
"""

from deepwright.shift.comparison import ALL, HeadComparison, compare_heads
from deepwright.shift.features import Features, extract_features, replace_head
from deepwright.shift.groups import GroupMetrics, discover_groups, group_metrics, make_groups
from deepwright.shift.hsfm import HSFM, EditReport, Epoch, edit_report, fit_together, hard_set, hypergradient
from deepwright.shift.last_layer import (
    AFR,
    DFR,
    ERM,
    JTT,
    CVaRDRO,
    GroupDRO,
    GroupDROLoss,
    JTTSampler,
    LastLayerRetrain,
)
from deepwright.shift.methods import HeadMethod, LabelUse
from deepwright.shift.problems import ShiftWarning

__all__ = [
    "AFR",
    "ALL",
    "DFR",
    "ERM",
    "HSFM",
    "JTT",
    "CVaRDRO",
    "EditReport",
    "Epoch",
    "Features",
    "GroupDRO",
    "GroupDROLoss",
    "GroupMetrics",
    "HeadComparison",
    "HeadMethod",
    "JTTSampler",
    "LabelUse",
    "LastLayerRetrain",
    "ShiftWarning",
    "compare_heads",
    "discover_groups",
    "edit_report",
    "extract_features",
    "fit_together",
    "group_metrics",
    "hard_set",
    "hypergradient",
    "make_groups",
    "replace_head",
]
