"""An optimiser follows a cut by name, whatever the order of its parameters."""

import pytest
import torch
from networks import build
from torch import nn

from deepwright.compress import Plan, ShrinkGraph, shrink
from deepwright.core.errors import InputError


def prepared(order):
    model, x = build("mlp")
    optimiser = torch.optim.SGD(order(list(model.parameters())), lr=0.1, momentum=0.9)
    model(*x).square().sum().backward()
    optimiser.step()
    graph = ShrinkGraph.from_module(model, x)
    return model, optimiser, Plan.of(graph, {g.name: range(g.size // 2) for g in graph.groups})


@pytest.mark.parametrize("order", [list, lambda p: p[::-1]], ids=["in order", "reversed"])
def test_momenta_are_cut_with_their_parameters_in_place(order):
    model, optimiser, plan = prepared(order)
    whole = {n: optimiser.state[p]["momentum_buffer"].clone() for n, p in model.named_parameters()}
    index_map = shrink(model, plan, inplace=True, optimizer=optimiser).index_map
    for name, p in model.named_parameters():
        wanted = whole[name]
        for axis, kept in enumerate(index_map[name]):
            wanted = wanted if kept is None else wanted.index_select(axis, kept)
        assert torch.equal(optimiser.state[p]["momentum_buffer"], wanted)


def test_a_foreign_optimiser_is_refused_and_left():
    model, _, plan = prepared(list)
    optimiser = torch.optim.SGD([*model.parameters(), nn.Parameter(torch.zeros(1))], lr=0.1)
    before = list(optimiser.param_groups[0]["params"])
    with pytest.raises(InputError, match="its own optimiser"):
        shrink(model, plan, optimizer=optimiser)
    assert all(a is b for a, b in zip(before, optimiser.param_groups[0]["params"], strict=True))
