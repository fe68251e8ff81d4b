"""Networks with a weight norm, whose weight is no leaf once they were run: copied wherever the rooms copy."""

import warnings

import pytest
import torch
from torch import nn

from deepwright.labels import DistillLoss
from deepwright.labels.loop.selectors import WholeSelector
from deepwright.shift import replace_head


@pytest.fixture
def network():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = nn.Sequential(torch.nn.utils.weight_norm(nn.Linear(3, 4)), nn.ReLU(), nn.Linear(4, 2)).eval()
    model(torch.rand(2, 3))  # now the first weight was computed with gradients
    return model


def test_selectors_teachers_and_heads_copy_it(network):
    x = torch.rand(5, 3)
    fresh = WholeSelector(network).fresh()
    assert torch.equal(fresh(x), network(x))
    assert fresh is not network
    teacher = DistillLoss(teacher=network).teacher
    assert torch.equal(teacher(x), network(x))
    head = nn.Linear(4, 2)
    changed = replace_head(network, head)
    assert torch.equal(changed(x), head(network[1](network[0](x))))
