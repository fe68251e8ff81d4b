"""What a mask left dead goes for real, constants and all; what a norm runs over stays."""

import pytest
import torch
from networks import NETWORKS, build, trained_like
from torch import nn
from torch.nn import functional as F

from deepwright.compress import ShrinkGraph, mask, mask_weights, plan


def masked_rows(model, names, rows=3):
    """Masks that switch the first rows of some weights off."""
    parameters = dict(model.named_parameters())
    masks = {n: torch.ones_like(parameters[n], dtype=torch.bool) for n in names}
    for keep in masks.values():
        keep[:rows] = False
    return masks


def compacted(model, x, masks, while_worn=True):
    graph = ShrinkGraph.from_module(model, x)
    handle = mask_weights(model, masks)
    with torch.no_grad():
        expected = model(x)
    if not while_worn:
        handle.remove()
    result = handle.compact(graph)
    with torch.no_grad():
        assert torch.allclose(result.model(x), expected, rtol=1e-4, atol=1e-5)
    return result


@pytest.mark.parametrize("while_worn", [True, False])
def test_constants_go_into_the_next_bias(while_worn):
    """ReLU(bias) of the dead rows is what the next layer's bias gains; by hand."""
    torch.manual_seed(0)
    model, x = trained_like(nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))), torch.randn(4, 6)
    bias, reads = model[2].bias.detach().clone(), model[2].weight[:, :5].detach() @ model[0].bias[:5].detach().relu()
    result = compacted(model, x, masked_rows(model, ["0.weight"], 5), while_worn)
    assert result.model[0].out_features == 11
    assert torch.allclose(result.model[2].bias, bias + reads, atol=1e-6)


def test_the_model_keeps_its_masks():
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
    compacted(model, torch.randn(4, 6), masked_rows(model, ["0.weight"]))
    assert nn.utils.parametrize.is_parametrized(model[0], "weight")


def test_a_graph_of_the_masked_model_will_do():
    model, x = trained_like(nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))), torch.randn(4, 6)
    handle = mask_weights(model, masked_rows(model, ["0.weight"]))
    assert handle.compact(ShrinkGraph.from_module(model, x)).model[0].out_features == 13


@pytest.mark.parametrize("name", ["mlp", "resnet20", "squeeze-excite", "dense", "grouped", "flattened", "shared"])
def test_masks_of_a_plan_compact_to_its_widths(name):
    model, example = build(name)
    graph = ShrinkGraph.from_module(model, example)
    scores = {g.name: torch.arange(g.size).double() for g in graph.groups}
    chosen = plan(graph, scores, ratio=0.4, global_=False)
    result = mask(model, chosen).compact(graph)
    assert all(kept <= chosen.widths()[n][0] for n, (kept, _) in _widths(result).items())


def _widths(result):
    shapes = dict(result.model.named_parameters())
    return {
        g.name: (shapes[g.producers[0][0]].shape[g.producers[0][1]], g.size)
        for g in result.graph.groups
        if g.producers and g.size == result.graph.shapes[g.producers[0][0]][g.producers[0][1]]
    }


class Convs(nn.Module):
    """A constant through a norm and an activation into a convolution with or without padding."""

    def __init__(self, padding, activation=F.silu, bias=True):
        super().__init__()
        self.a, self.n = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.b, self.activation = nn.Conv2d(8, 4, 3, padding=padding, bias=bias), activation

    def forward(self, x):
        return self.b(self.activation(self.n(self.a(x)))).mean((2, 3))


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ((0,), 5),  # folded
        ((1,), 8),  # zeros at the border differ from the constant inside
        ((0, F.silu, False), 8),  # no bias to take it up
        ((1, lambda x: F.relu(x - 100)), 5),  # the constant is zero
        ((1, lambda x: F.hardtanh(x, 2.0, 3.0)), 8),
        ((0, lambda x: F.gelu(x) * torch.sigmoid(x)), 5),
        ((0, lambda x: (x > 0).float()), 5),
        ((0, lambda x: F.dropout(F.max_pool2d(x, 2), training=False)), 5),
        ((0, lambda x: F.avg_pool2d(x, 3, padding=1)), 8),
    ],
)
def test_constants_through_convolutions(options, kept):
    torch.manual_seed(1)
    model = trained_like(Convs(*options))
    result = compacted(model, torch.rand(2, 3, 8, 8), masked_rows(model, ["a.weight"]))
    assert result.model.a.out_channels == kept


def test_comparisons_of_what_varies_are_not_constant():
    """A comparison makes a definite number of an unknown one."""
    torch.manual_seed(0)

    class Gate(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 3)

        def forward(self, x):
            return self.b(torch.nan_to_num((self.a(x) > 0).float()))

    model, x = trained_like(Gate()), torch.randn(20, 6)
    assert compacted(model, x, masked_rows(model, ["a.weight"])).model.a.out_features == 5


def test_units_under_a_norm_stay():
    """Nobody reads them, and yet the norm's statistics hold them."""
    torch.manual_seed(0)
    model = trained_like(nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 3)))
    masks = {"2.weight": torch.ones(3, 8, dtype=torch.bool)}
    masks["2.weight"][:, :3] = False
    assert compacted(model, torch.randn(4, 6), masks).model[0].out_features == 8


def test_the_inner_width_of_attention_stays():
    """Queries and keys are read by each other, by no weight."""

    class Scores(nn.Module):
        def __init__(self):
            super().__init__()
            self.q, self.k = nn.Linear(6, 8), nn.Linear(6, 8)

        def forward(self, x):
            return (self.q(x) @ self.k(x).transpose(1, 2)).softmax(-1) @ x

    torch.manual_seed(0)
    model = trained_like(Scores())
    assert compacted(model, torch.randn(2, 5, 6), {}).model.q.out_features == 8


def test_a_shared_reader_keeps_its_constant():
    """One bias behind two sums can't take up what only one of them reads."""

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 8)

        def forward(self, x):
            return self.b(F.relu(self.b(F.relu(self.a(x))))).sum(1, keepdim=True)

    torch.manual_seed(0)
    model = trained_like(Twice())
    compacted(model, torch.randn(4, 6), masked_rows(model, ["a.weight", "b.weight"]))


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_nothing_goes_without_masks(name):
    model, example = build(name)
    result = mask_weights(model, {}).compact(ShrinkGraph.from_module(model, example))
    before, after = (sum(p.numel() for p in m.parameters()) for m in (model, result.model))
    assert after == before
