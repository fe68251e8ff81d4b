"""Networks that nobody here wrote, from configurations with random weights."""

import logging

import pytest
import torch
from networks import trained_like
from torch import nn

from deepwright.compress import ShrinkGraph, importance, plan, shrink
from deepwright.nets import load

logging.getLogger("transformers").setLevel(logging.ERROR)


class Logits(nn.Module):
    """The logits of a model that returns a container."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x).logits


def vit(t):
    c = t.ViTConfig(
        hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96, image_size=32, patch_size=8
    )
    return t.ViTForImageClassification(c), torch.rand(2, 3, 32, 32)


def bert(t):
    c = t.BertConfig(vocab_size=100, hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96)
    return t.BertForSequenceClassification(c), torch.randint(0, 100, (2, 9))


def resnet(t):
    c = t.ResNetConfig(embedding_size=16, hidden_sizes=[16, 32], depths=[2, 2], layer_type="bottleneck")
    return t.ResNetForImageClassification(c), torch.rand(2, 3, 32, 32)


def gpt2(t):
    c = t.GPT2Config(vocab_size=100, n_embd=48, n_layer=2, n_head=4, n_positions=32, bos_token_id=1, eos_token_id=1)
    return t.GPT2LMHeadModel(c), torch.randint(0, 100, (2, 9))


def llama(t):
    c = t.LlamaConfig(
        vocab_size=100,
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=96,
    )
    return t.LlamaForCausalLM(c), torch.randint(0, 100, (2, 9))


# heads, feed-forward widths, and where no mean-free norm forbids it the residual width
GROUPS = {
    vit: [48, 4, 96, 4, 96],
    bert: [48, 4, 96, 4, 96, 48],
    gpt2: [48, 4, 192, 4, 192],
    llama: [2, 96, 2, 96],
}


@pytest.mark.slow
@pytest.mark.parametrize("make", [vit, bert, gpt2, llama, resnet], ids=lambda f: f.__name__)
def test_half_of_the_macs(make):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    network, x = make(transformers)
    model = trained_like(Logits(network))
    graph = ShrinkGraph.from_module(model, x)
    if make is not resnet:
        assert [g.size for g in graph.groups] == GROUPS[make]
    result = shrink(model, plan(graph, importance(graph), target={"macs": 0.6}))
    assert result.verification.error <= 1e-5 * max(1.0, result.verification.scale)
    assert bool(result.repaired) == (make is gpt2)  # its split sizes are numbers kept in the modules


def test_pretrained_photograph_network_at_half_its_macs():
    model = load("efficientnet-lite0")
    graph = ShrinkGraph.from_module(model, torch.rand(1, 3, 64, 64))
    assert (len(graph.groups), graph.unsupported) == (24, [])
    result = shrink(model, plan(graph, importance(graph), target={"macs": 0.5}))
    assert result.verification.error <= 1e-9
