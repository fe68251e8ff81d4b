"""Attention that reads the width of a head off its input: whole heads go with their share of the input."""

import pytest
import torch
from networks import Entangled, trained_like
from torch import nn

from deepwright.compress import Plan, ShrinkGraph, SurgeryError, freeze_unsafe, importance, plan, shrink
from deepwright.core.errors import InputError


class Attention(nn.Module):
    """As vision transformers have it: reshape(b, n, 3, heads, c // heads)."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        weights = (q * self.scale @ k.transpose(-2, -1)).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(b, n, c))


class Vision(nn.Module):
    """Two blocks over four patches."""

    def __init__(self, width=24, heads=4):
        super().__init__()
        self.embed, self.place = nn.Linear(5, width), nn.Parameter(torch.randn(1, 4, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.attention = nn.ModuleList(Attention(width, heads) for _ in range(2))
        self.up, self.down, self.head = nn.Linear(width, 32), nn.Linear(32, width), nn.Linear(width, 3)

    def forward(self, x):
        x = self.embed(x) + self.place
        for norm, attention in zip(self.norms, self.attention):
            x = x + attention(norm(x))
        x = x + self.down(self.up(x).relu())
        return self.head(self.norms[2](x).mean(1))


def test_heads_go_with_their_channels():
    torch.manual_seed(0)
    model, x = trained_like(Vision()), torch.randn(2, 4, 5)
    graph = ShrinkGraph.from_module(model, x)
    with pytest.raises(SurgeryError):
        shrink(model, Plan.of(graph, {"attention.0.qkv": [0, 1, 2]}))
    safe, frozen = freeze_unsafe(graph)
    assert frozen == {}
    assert sorted(g.size for g in safe.groups) == [4, 32]  # heads of both blocks with their channels; the feed-forward
    result = shrink(model, plan(safe, importance(safe), ratio={g.name: 0.25 for g in safe.groups}))
    assert result.verification.error <= 1e-9
    assert result.verification.random_error <= 1e-9
    assert [a.heads for a in result.model.attention] == [3, 3]
    assert result.model.embed.out_features == 18
    assert result.model.attention[0].qkv.weight.shape == (54, 18)


def test_heads_by_hand():
    torch.manual_seed(0)
    model, x = trained_like(Vision()), torch.randn(2, 4, 5)
    pairs = [("embed.weight[0]", f"attention.{i}.qkv.weight[0]") for i in range(2)]
    graph = ShrinkGraph.from_module(model, x, together=pairs)
    assert sorted(g.size for g in graph.groups) == [4, 32]


@pytest.mark.parametrize(("round_to", "heads"), [(1, 3), (2, 3), (4, 4), (6, 3), (12, 4)])
def test_widths_are_rounded_in_channels(round_to, heads):
    """A head is six channels: three heads are 18, which is no multiple of 4; 3 / 4 of 24 is asked for."""
    torch.manual_seed(0)
    pairs = [("embed.weight[0]", f"attention.{i}.qkv.weight[0]") for i in range(2)]
    graph = ShrinkGraph.from_module(Vision(), torch.randn(2, 4, 5), together=pairs)
    chosen = plan(graph, importance(graph), ratio=0.25, global_=False, round_to=round_to)
    (kept,) = (kept for kept, size in chosen.widths().values() if size == 4)
    assert kept == heads


def test_a_number_of_heads_in_the_code_stays():
    """c // 4 with four heads written out: no share of the heads is right, so both widths stay."""
    safe, frozen = freeze_unsafe(ShrinkGraph.from_module(trained_like(Entangled()), torch.rand(2, 3, 4, 4)))
    assert {g.name for g in frozen} == {"b", "attn"}
    assert [g.name for g in safe.groups] == ["stem"]


@pytest.mark.parametrize(
    ("pair", "said"),
    [(("embed.weight[0]", "nothing[0]"), "nothing"), (("embed.weight[0]", "up.weight[0]"), "axes of 24 and 32")],
)
def test_pairs_that_cannot_go_together(pair, said):
    with pytest.raises(InputError, match=f"together.*{said}"):
        ShrinkGraph.from_module(Vision(), torch.randn(2, 4, 5), together=[pair])
