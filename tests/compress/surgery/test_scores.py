"""Importance against its definitions: independent of batches, of the global generator, and of each other."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import prune

from deepwright.compress import ShrinkGraph, gradient_scores, importance, plan, shrink, verify
from deepwright.compress.surgery import CRITERIA, GRADIENT_CRITERIA
from deepwright.core.errors import InputError


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3)).eval()


@pytest.fixture
def data():
    g = torch.Generator().manual_seed(1)
    return torch.randn(37, 5, generator=g), torch.randint(3, (37,), generator=g)


def batches(data, size):
    x, y = data
    return list(zip(x.split(size), y.split(size)))


class Looked(nn.Module):
    """A network that `vmap` can't batch: it looks at a value."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x) if float(x.detach().sum()) < 1e9 else -self.inner(x)


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("size", [1, 8, 36])
def test_gradient_scores_do_not_depend_on_the_batches(net, data, size, squared):
    cut = gradient_scores(net, batches(data, size), F.cross_entropy, squared)
    whole = gradient_scores(net, batches(data, 37), F.cross_entropy, squared)
    torch.testing.assert_close(cut, whole)


@pytest.mark.parametrize("wrap", [nn.Identity(), Looked], ids=["batched", "one by one"])
def test_the_empirical_fisher_is_the_mean_of_squared_gradients(net, data, wrap):
    model = Looked(net) if wrap is Looked else net
    expected = {k: torch.zeros_like(p) for k, p in model.named_parameters()}
    for x, y in batches(data, 1):
        gradients = torch.autograd.grad(F.cross_entropy(model(x), y), list(model.parameters()))
        for k, g in zip(expected, gradients):
            expected[k] += g.square() / 37
    expected = {k: p.detach().square() * expected[k] / 2 for k, p in model.named_parameters()}
    torch.testing.assert_close(gradient_scores(model, batches(data, 16), F.cross_entropy, squared=True), expected)


def test_no_sample_scores_nothing(net):
    with pytest.raises(InputError, match="no sample"):
        gradient_scores(net, [(torch.zeros(0, 5), torch.zeros(0, dtype=torch.long))], F.cross_entropy)


def test_random_scores_leave_the_global_generator_alone(net, data):
    graph = ShrinkGraph.from_module(net, (data[0][:2],))
    before = torch.random.get_rng_state()
    importance(graph, "random")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_no_two_criteria_are_the_same_by_accident(net, data):
    graph = ShrinkGraph.from_module(net, (data[0][:2],))
    with torch.no_grad():
        net[1].weight.uniform_(0.5, 2, generator=torch.Generator().manual_seed(2))
    found = {c: importance(graph, c, batches(data, 16) if c in GRADIENT_CRITERIA else None) for c in CRITERIA}
    rows = torch.stack([torch.cat(list(v.values())) for v in found.values()])
    assert len(torch.unique(rows, dim=0)) == len(CRITERIA)


@pytest.mark.parametrize("count", [0, -1])
def test_a_proof_over_nothing_is_refused(net, data, count):
    graph = ShrinkGraph.from_module(net, (data[0][:2],))
    chosen = plan(graph, importance(graph), ratio=0.5)
    small = shrink(net, chosen).model
    with pytest.raises(InputError, match="batches"):
        verify(chosen, small, batches=count)


def test_a_pruned_weight_must_be_made_permanent_first(net):
    prune.l1_unstructured(net[0], "weight", 0.5)
    example = torch.randn(2, 5)
    with pytest.raises(InputError, match=r"prune\.remove\(model\.get_submodule\('0'\), 'weight'\)"):
        importance(ShrinkGraph.from_module(net, example), "l1")
    prune.remove(net.get_submodule("0"), "weight")
    assert importance(ShrinkGraph.from_module(net, example), "l1")
