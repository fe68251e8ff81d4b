"""Operations that used to freeze what they touch: each is cut through and proved on a network of its own."""

import pytest
import torch
from networks import trained_like
from torch import nn
from torch.nn import functional as F

from deepwright.compress import Plan, ShrinkGraph, cost, shrink
from deepwright.core.errors import InputError


class Finer(nn.Module):
    """Sub-pixel convolution: four channels become one."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 24, 1), nn.Conv2d(6, 2, 1)

    def forward(self, x):
        return self.c(F.pixel_shuffle(F.hardswish(self.b(F.mish(self.a(x)))), 2))


class Coarser(nn.Module):
    """Space to depth: every channel becomes four."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(24, 2, 1)

    def forward(self, x):
        return self.b(F.relu6(F.pixel_unshuffle(F.hardsigmoid(self.a(x)), 2)))


class Dealt(nn.Module):
    """PyTorch's own shuffle of channels."""

    def __init__(self):
        super().__init__()
        self.a, self.shuffle, self.b = nn.Conv2d(3, 12, 1), nn.ChannelShuffle(3), nn.Conv2d(12, 2, 1)

    def forward(self, x):
        return self.b(self.shuffle(self.a(x)).relu())


class Turned(nn.Module):
    """Products with .mT and .T, of weights and of activations."""

    def __init__(self):
        super().__init__()
        self.w, self.v = nn.Parameter(torch.randn(10, 4)), nn.Parameter(torch.randn(3, 10))

    def forward(self, x):
        h = torch.tanh(x @ self.w.mT)
        return (self.v @ h.mT).mT


class Attends(nn.Module):
    """PyTorch's attention between two linear maps, so that its width can go too."""

    def __init__(self, batch_first=True, **options):
        super().__init__()
        wide = options.get("kdim", 12)
        self.a, self.memory = nn.Linear(4, 12), nn.Linear(4, wide)
        self.attn = nn.MultiheadAttention(12, 3, batch_first=batch_first, **options)
        self.b, self.first, self.cross = nn.Linear(12, 2), batch_first, "kdim" in options

    def forward(self, x):
        x = x if self.first else x.transpose(0, 1)
        q = self.a(x).tanh()
        k = self.memory(x) if self.cross else q
        y = self.b(self.attn(q, k, k, need_weights=False)[0])
        return y if self.first else y.transpose(0, 1)


class Masked(nn.Module):
    """Padding and causality as masks."""

    def __init__(self):
        super().__init__()
        self.a, self.attn = nn.Linear(4, 12), nn.MultiheadAttention(12, 3, batch_first=True)
        self.b = nn.Linear(12, 2)

    def forward(self, x):
        q = self.a(x)
        causal = torch.ones(5, 5, dtype=torch.bool, device=x.device).triu(1)
        padded = torch.zeros(x.shape[0], 5, dtype=torch.bool, device=x.device)
        padded[:, -1] = True
        return self.b(self.attn(q, q, q, key_padding_mask=padded, attn_mask=causal, need_weights=False)[0])


class Packed(nn.Module):
    """Query, key and value in one product; the width is read off it, the heads are a number in the module."""

    def __init__(self):
        super().__init__()
        self.heads, self.qkv, self.out = 4, nn.Linear(10, 72), nn.Linear(24, 5)

    def forward(self, x):
        qkv = self.qkv(x)
        b, n, c = qkv.shape
        c, h = c // 3, self.heads
        q, k, v = qkv.reshape(b, n, 3, h, c // h).permute(2, 0, 3, 1, 4)
        y = ((q @ k.mT) * 0.4).softmax(-1) @ v
        return self.out(y.transpose(1, 2).reshape(b, n, c))


CASES = {
    "pixel shuffle": (Finer, (2, 3, 6, 6), {"a": 8, "b": 6}),
    "pixel unshuffle": (Coarser, (2, 3, 6, 6), {"a": 6}),
    "channel shuffle": (Dealt, (2, 3, 4, 4), {"a": 4}),
    "mT": (Turned, (2, 5, 4), {"w": 10}),
    "multi-head attention": (Attends, (2, 5, 4), {"a": 12, "attn": 3, "out": 12}),
    "length first": (lambda: Attends(batch_first=False), (2, 5, 4), {"a": 12, "attn": 3, "out": 12}),
    "without bias": (lambda: Attends(bias=False), (2, 5, 4), {"a": 12, "attn": 3, "out": 12}),
    "other widths": (lambda: Attends(kdim=8, vdim=8), (2, 5, 4), {"a": 12, "memory": 8, "attn": 3, "out": 12}),
    "masks": (Masked, (2, 5, 4), {"a": 12, "attn": 3, "out": 12}),
    "packed": (Packed, (2, 5, 10), {"qkv": 4}),
}


@pytest.mark.parametrize("name", CASES)
def test_cut_and_proved(name):
    make, shape, sizes = CASES[name]
    torch.manual_seed(0)
    model, x = trained_like(make()), torch.randn(shape)
    graph = ShrinkGraph.from_module(model, x)
    assert graph.unsupported == []
    assert sorted(g.size for g in graph.groups) == sorted(sizes.values())
    for kept in (1, 2):
        chosen = Plan.of(graph, {g.name: range(g.size - kept, g.size) for g in graph.groups})
        result = shrink(model, chosen)
        assert result.verification.error <= 1e-9
        assert result.verification.random_error <= 1e-9
        real = cost(result.model, x)
        assert (real.params, real.macs) == (chosen.cost()["params"], chosen.cost()["macs"])


def test_attention_of_whole_heads_is_pytorchs():
    """With all heads kept: the same outputs and the same attention, with masks and without a batch."""
    from deepwright.compress.whole_heads import WholeHeads

    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(12, 3, batch_first=True).eval()
    ours = nn.MultiheadAttention(12, 3, batch_first=True).eval()
    ours.load_state_dict(theirs.state_dict())
    ours.__class__ = WholeHeads
    x, m = torch.randn(2, 5, 12), torch.randn(2, 7, 12)
    added, hidden = torch.randn(5, 7), torch.arange(7).expand(2, 7) > 4
    per_head = torch.rand(6, 5, 7) > 0.7
    per_head[..., 0] = False
    for options in ({}, {"attn_mask": added, "key_padding_mask": hidden.float()}, {"key_padding_mask": hidden}):
        for average in (True, False):
            a = theirs(x, m, m, average_attn_weights=average, **options)
            b = ours(x, m, m, average_attn_weights=average, **options)
            assert all(torch.allclose(p, q, atol=1e-6) for p, q in zip(a, b))
    assert torch.allclose(theirs(x, m, m, attn_mask=per_head)[0], ours(x, m, m, attn_mask=per_head)[0], atol=1e-6)
    assert torch.allclose(theirs(x[0], m[0], m[0])[0], ours(x[0], m[0], m[0])[0], atol=1e-6)


X2, M2 = torch.randn(2, 5, 12), torch.randn(2, 7, 12)
UNFIT = {
    "a mask of the heads that were": ((X2[:1], M2[:1], M2[:1]), {"attn_mask": torch.zeros(6, 5, 7)}),
    "a mask for each sample": ((X2, M2, M2), {"attn_mask": torch.zeros(2, 5, 7)}),
    "a mask for one query": ((X2, M2, M2), {"attn_mask": torch.zeros(1, 7)}),
    "a mask of one axis": ((X2, M2, M2), {"attn_mask": torch.zeros(7)}),
    "a mask of whole numbers": ((X2, M2, M2), {"attn_mask": torch.zeros(5, 7, dtype=torch.long)}),
    "keys of one sample": ((X2, M2[:1], M2[:1]), {}),
    "values of one sample": ((X2, M2, M2[:1]), {}),
    "padding of one sample": ((X2, M2, M2), {"key_padding_mask": torch.zeros(1, 7, dtype=torch.bool)}),
    "a hint without a mask": ((X2, M2, M2), {"is_causal": True}),
    "no batch for the keys": ((X2[0], M2, M2), {}),
}


@pytest.mark.parametrize(("inputs", "options"), UNFIT.values(), ids=UNFIT)
def test_attention_of_whole_heads_refuses_what_pytorchs_does(inputs, options):
    from deepwright.compress.whole_heads import WholeHeads

    module = nn.MultiheadAttention(12, 3, batch_first=True).eval()
    with pytest.raises((AssertionError, RuntimeError)):
        module(*inputs, **options)
    module.__class__ = WholeHeads
    with pytest.raises(InputError):
        module(*inputs, **options)


def test_a_mask_of_removed_heads_is_refused_with_words():
    """Two heads of three stay: PyTorch's own mask for a batch of 2 would pass for one of 3."""
    from deepwright.compress.whole_heads import follow_widths

    module = nn.MultiheadAttention(12, 3, batch_first=True).eval()
    kept = torch.cat([torch.arange(8) + 12 * k for k in range(3)])
    module.in_proj_weight = nn.Parameter(module.in_proj_weight.detach()[kept])
    module.in_proj_bias = nn.Parameter(module.in_proj_bias.detach()[kept])
    module.out_proj.weight = nn.Parameter(module.out_proj.weight.detach()[:, :8])
    follow_widths(module)
    assert module(X2, M2, M2, attn_mask=torch.zeros(4, 5, 7))[0].shape == (2, 5, 12)
    with pytest.raises(InputError, match=r"given: shape \(6, 5, 7\); expected: .*2 heads; to do: .*removed"):
        module(X2, M2, M2, attn_mask=torch.zeros(6, 5, 7))


def test_a_stock_transformer_loses_heads_in_place():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    model, x = trained_like(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)), torch.randn(2, 5, 16)
    graph = ShrinkGraph.from_module(model, x)
    assert sorted(g.size for g in graph.groups) == [4, 4, 32, 32]
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    chosen = Plan.of(graph, {g.name: range(g.size // 2) for g in graph.groups})
    small = shrink(model, chosen).model
    shrink(model, chosen, inplace=True, optimizer=optimizer)
    with torch.no_grad():  # eval mode, where PyTorch would take its fused kernel
        assert torch.allclose(model.eval()(x), small.eval()(x), atol=1e-6)
    assert model.layers[0].self_attn.num_heads == 2
    assert model.layers[0].self_attn.in_proj_weight.shape == (24, 16)
    model.train()(x).square().sum().backward()
    optimizer.step()


@pytest.mark.parametrize("options", [{"add_bias_kv": True}, {"add_zero_attn": True}])
def test_attention_with_keys_of_its_own_stays(options):
    graph = ShrinkGraph.from_module(Attends(**options), torch.randn(2, 5, 4))
    assert [g.name for g in graph.groups if g.name.startswith("attn")] == []
    assert graph.why_frozen("attn.in_proj_weight", 0)
