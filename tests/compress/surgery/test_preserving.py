"""Growing a small network without changing what it computes, whatever sums over its channels."""

import pytest
import torch
from networks import Transformer, Written, trained_like
from torch import nn
from torch.nn import functional as F

from deepwright.compress import FusionError, ShrinkGraph, check_fusion, embed, importance, plan, shrink
from deepwright.core.errors import InputError


class Raw(nn.Module):
    """Weights that no module of torch owns, one of them read the other way round."""

    def __init__(self):
        super().__init__()
        self.w, self.b = nn.Parameter(torch.randn(16, 6)), nn.Parameter(torch.randn(16))
        self.v = nn.Parameter(torch.randn(16, 3))

    def forward(self, x):
        return torch.addmm(x.new_ones(3), F.relu(F.linear(x, self.w, self.b)), self.v)


class TiedAutoencoder(nn.Module):
    """The decoder is the encoder's weight, transposed."""

    def __init__(self):
        super().__init__()
        self.encode = nn.Linear(6, 12)

    def forward(self, x):
        return F.linear(F.gelu(self.encode(x)), self.encode.weight.t())


class Mixed(nn.Module):
    """A matrix whose two axes are both summed over at once."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(5, 8), nn.Linear(5, 6)
        self.m = nn.Parameter(torch.randn(8, 6, 4))

    def forward(self, x):
        return torch.einsum("bi,ijo->bjo", self.a(x).tanh(), self.m).mul(self.b(x)[..., None]).sum(1)


class Block(nn.Module):
    """A decoder block whose layers keep their weights as (in, out), as GPT-2's do."""

    def __init__(self):
        super().__init__()
        self.norm, self.qkv = nn.LayerNorm(12), nn.Parameter(0.4 * torch.randn(12, 36))
        self.out, self.up = nn.Parameter(torch.randn(12, 12)), nn.Parameter(torch.randn(12, 20))
        self.down = nn.Parameter(torch.randn(20, 12))

    def forward(self, x):
        b, n, _ = x.shape
        q, k, v = (y.view(b, n, -1, 3).transpose(1, 2) for y in (self.norm(x) @ self.qkv).chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + y.transpose(1, 2).reshape(b, n, -1) @ self.out
        return x + F.gelu(x @ self.up) @ self.down


def grown(model, x, seed=0, **options):
    graph = ShrinkGraph.from_module(trained_like(model), x, **options)
    assert graph.groups
    result = shrink(model, plan(graph, importance(graph), ratio=0.5))
    rng = torch.Generator().manual_seed(seed)
    big = embed(result.model, model, result.index_map, rest="function_preserving", generator=rng, graph=graph)
    return result, big


@pytest.mark.parametrize(
    ("kind", "shape"), [(Raw, (4, 6)), (TiedAutoencoder, (4, 6)), (Mixed, (4, 5)), (Block, (2, 5, 12))]
)
def test_the_function_is_kept(kind, shape):
    torch.manual_seed(0)
    model, x = kind(), torch.randn(shape)
    result, big = grown(model, x)
    assert sum(p.numel() for p in result.model.parameters()) < sum(p.numel() for p in big.parameters())
    assert check_fusion(result.model.double(), big.double(), x.double()) <= 1e-12


@pytest.mark.parametrize(
    ("make", "shape", "options", "named"),
    [
        (Transformer, (2, 5, 4), {}, "layer_norm in norms.0"),
        (lambda: Written(silent=True), (2, 7, 10), {"attention": "head_dim"}, "scaled_dot_product_attention"),
    ],
    ids=["norm", "inner width"],
)
def test_what_no_zero_can_silence_is_refused(make, shape, options, named):
    torch.manual_seed(0)
    with pytest.raises(FusionError, match=named):
        grown(make(), torch.randn(shape), **options)


def test_the_graph_goes_with_this_rest_alone():
    torch.manual_seed(0)
    result, _ = grown(model := Raw(), torch.randn(4, 6))
    for options in ({"rest": "function_preserving"}, {"rest": "keep", "graph": result.graph}):
        with pytest.raises(InputError, match=r"graph=result\.graph"):
            embed(result.model, model, result.index_map, **options)


def test_a_map_of_another_graph_is_refused():
    torch.manual_seed(0)
    model = Raw()
    result, _ = grown(model, torch.randn(4, 6))
    frozen = ShrinkGraph.from_module(model, torch.randn(4, 6), frozen=["v"])
    with pytest.raises(FusionError, match="units of this graph"):
        embed(result.model, model, result.index_map, rest="function_preserving", graph=frozen)
