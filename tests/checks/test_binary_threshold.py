"""A threshold moves what a binary network predicts, and not how well its probabilities are calibrated."""

import torch
from torch import nn

from deepwright.checks import Subject
from deepwright.core.tasks import Binary
from deepwright.data import Data, Split


def test_logits_of_a_subject_are_the_networks_own_at_any_threshold():
    x = torch.linspace(-3, 3, 60)[:, None]
    part = Split(x, (x[:, 0] > 0).long())
    subjects = [
        Subject(nn.Identity(), Data("line", "tabular", ("no", "yes"), part, part, part), task=Binary(threshold=t))
        for t in (0.5, 0.9)
    ]
    assert torch.equal(subjects[0].logits(), subjects[1].logits())
    assert int(subjects[1].right.sum()) < int(subjects[0].right.sum())
