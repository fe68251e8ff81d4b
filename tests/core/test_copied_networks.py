"""Copies of networks that keep tensors computed with gradients."""

import warnings

import pytest
import torch
from torch import nn

from deepwright.compress import ShrinkGraph, importance, plan, shrink
from deepwright.core.copies import copied


class Kept(nn.Module):
    """A weight that is no parameter, made from one."""

    def __init__(self, kept):
        super().__init__()
        self.first, self.second, self.last = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Linear(5, 2)
        self.kept = kept

    def forward(self, x):
        weight = self.kept[0] if isinstance(self.kept, list) else self.kept
        return self.last(self.second(self.first(x).relu()).mean((2, 3)) @ weight.detach())


def computed():
    return torch.randn(8, 5, requires_grad=True) * 2


@pytest.mark.parametrize("kept", [computed, lambda: [computed()]], ids=["itself", "in a list"])
def test_a_computed_tensor_is_copied_by_its_value(kept):
    model, x = Kept(kept()), torch.rand(2, 3, 9, 9)
    copy = copied(model)
    assert torch.equal(copy(x), model(x))
    mine, its = (m.kept[0] if isinstance(m.kept, list) else m.kept for m in (model, copy))
    assert (its.is_leaf, its.requires_grad, mine.is_leaf) == (True, True, False)
    assert its.data_ptr() != mine.data_ptr()


def test_a_layer_under_the_older_weight_norm_is_copied_after_it_was_run():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = nn.Sequential(nn.utils.weight_norm(nn.Linear(4, 3)))
    x = torch.rand(2, 4)
    copy = copied(model) if model(x).requires_grad else None
    assert torch.equal(copy(x), model(x))
    with torch.no_grad():
        copy[0].weight_g.mul_(2)
    assert not torch.equal(copy(x), model(x))  # its weight still follows from what is trained


def test_a_network_with_a_computed_tensor_is_shrunk():
    model, x = Kept(computed()), torch.rand(2, 3, 9, 9)
    graph = ShrinkGraph.from_module(model, x)
    small = shrink(model, plan(graph, importance(graph), target={"macs": 0.6})).model
    assert small.first.weight.shape[0] < 8
    assert small(x).shape == (2, 2)
