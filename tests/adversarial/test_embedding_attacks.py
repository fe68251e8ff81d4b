"""A network from its embedding on: the same outputs, closed forms of linear ones, padding that stays."""

import math

import pytest
import torch
from torch import nn

from deepwright.adversarial import APGD, FGSM
from deepwright.adversarial.text import FromEmbeddings
from deepwright.core.errors import InputError
from deepwright.core.tasks import Classification
from deepwright.nets.texts import text_cnn

FREE = {"bounds": (-math.inf, math.inf), "task": Classification(2)}


class Linear(nn.Module):
    """The sum of all tokens' embeddings, then a linear map: padding counts too, and must not be moved."""

    def __init__(self, words=300, d=4):
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.head = nn.Embedding(words, d), nn.Linear(d, 2)

    def forward(self, ids):
        return self.head(self.embedding(ids).sum(1))


IDS = torch.tensor([[299, 5, 17, 0, 0], [3, 200, 9, 131, 2]])
REAL = IDS != 0


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_outputs_are_those_of_the_network(norm, dtype):
    for network in (Linear(), text_cnn(20_000, 2)):
        network = network.eval().to(dtype)
        ids = IDS if isinstance(network, Linear) else IDS * 60
        inner = FromEmbeddings(network, ids, ids != 0, norm)
        x = inner.embed(ids).x.to(dtype)
        assert torch.allclose(inner(x).float(), network(ids).float(), atol=1e-5 if dtype != torch.bfloat16 else 0.1)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_the_margin_falls_by_its_closed_form(norm):
    """margin = w . sum_t e_t + b: moving k real tokens by delta costs at most eps ||(w, ..., w)||_q in units r."""
    network = Linear().eval()
    y = network(IDS).argmax(1)
    inner = FromEmbeddings(network, IDS, REAL, norm)
    embedded = inner.embed(IDS, REAL)
    w = network.head.weight[y] - network.head.weight[1 - y]
    margin = (w * network.embedding(IDS).sum(1)).sum(1) + network.head.bias[y] - network.head.bias[1 - y]
    k = REAL.sum(1)
    slope = w.norm(dim=1) * k.sqrt() if norm == "l2" else w.abs().sum(1) * k
    needed = margin / (slope * inner.unit)
    lengths = network.embedding(IDS)[REAL].norm(dim=1).mean().detach()
    assert float(inner.unit) == pytest.approx(float(lengths) / (1 if norm == "l2" else 2), rel=1e-5)
    for factor, fooled in ((0.98, False), (1.02, True)):
        for attack in (FGSM(1.0, norm, **FREE), APGD(1.0, norm, **FREE)):
            found = attack(inner, embedded.x, y, eps=(factor * needed).detach(), mask=embedded.mask)
            assert found.success.tolist() == [fooled] * 2
            moved = (found.x_adv - embedded.x)[..., :-3].abs().sum(-1)
            assert float(moved[~REAL].max()) == 0
            assert torch.equal(found.x_adv[..., -3:], embedded.x[..., -3:])


def test_the_network_is_left_as_it_was():
    network = text_cnn(50, 2).eval()
    before = network(IDS.clamp_max(49))
    FromEmbeddings(network, IDS.clamp_max(49))
    assert not network.embedding._forward_hooks
    assert torch.equal(network(IDS.clamp_max(49)), before)


def test_networks_without_such_an_embedding_are_refused():
    class Bags(nn.Module):
        def __init__(self):
            super().__init__()
            self.bag = nn.EmbeddingBag(300, 2)

        def forward(self, ids):
            return self.bag(ids)

    with pytest.raises(InputError, match="embedding"):
        FromEmbeddings(Bags(), IDS)
    with pytest.raises(InputError, match="norm"):
        FromEmbeddings(Linear(), IDS, norm="l1")
