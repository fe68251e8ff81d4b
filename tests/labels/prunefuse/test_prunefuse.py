"""Selectors that are a part of the network, fusion, and what the selector teaches."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.tasks import Binary, Regression
from deepwright.labels import DistillLoss, PrunedSelector, default_trainer, train_fused
from deepwright.nets import cifar_resnet, mlp
from labels.small_loops import POOL, TRUTH, network


@pytest.mark.slow
def test_selector_is_a_subset_of_the_network():
    torch.manual_seed(0)
    for depth, small, whole in ((20, 68_786, 272_474), (56, 215_282, 855_770)):
        model = cifar_resnet(depth)
        selector = PrunedSelector(model, torch.rand(1, 3, 32, 32), rescale=False)
        assert selector.params == (small, whole)
        assert selector.macs[0] / selector.macs[1] < 0.25 * 1.35
    kept = selector.index_map["layer1.0.conv1.weight"]
    assert torch.equal(selector.network.layer1[0].conv1.weight, model.layer1[0].conv1.weight[kept[0]][:, kept[1]])
    scaled = PrunedSelector(model, torch.rand(1, 3, 32, 32))
    assert torch.allclose(
        scaled.network.layer1[0].conv1.weight, selector.network.layer1[0].conv1.weight * 2**0.5
    )  # half the fan-in
    assert PrunedSelector(mlp(4, 2, (7,)), torch.rand(1, 4), removed=0.9).network[0].out_features == 1
    with pytest.raises(InputError, match="removed"):
        PrunedSelector(model, torch.rand(1, 3, 32, 32), removed=1.0)


def test_distillation():
    z, y = torch.randn(8, 4), torch.arange(8) % 4
    teacher = nn.Linear(5, 4)
    x = torch.randn(8, 5)
    loss = DistillLoss(teacher, 0.3, 4.0)
    p, q = (teacher(x) / 4).softmax(1), (z / 4).softmax(1)
    kl = (p * (p / q).log()).sum(1).mean()
    expected = 0.7 * F.cross_entropy(z, y) + 0.3 * 16 * kl
    assert loss(z, x, y).item() == pytest.approx(expected.item(), rel=1e-5)
    assert DistillLoss(None, 1.0)(z, z, y).item() == pytest.approx(0, abs=1e-6)
    loss.train()
    assert not loss.teacher.training


def test_fused_network_learns_on():
    selector = PrunedSelector(network(), POOL[:2])
    small = default_trainer(20, 0.05)(selector.fresh(), POOL, TRUTH, 0, 0)
    same = selector.fuse(small, rest="function_preserving")
    with torch.no_grad():
        assert torch.allclose(same(POOL), small(POOL), atol=1e-5)
    fused = train_fused(selector, small, POOL, TRUTH, epochs=5, lr=0.05)
    with torch.no_grad():
        assert float((fused(POOL).argmax(1) == TRUTH).double().mean()) > 0.9


class OneLogit(nn.Module):
    """The last of two logits minus the first: the same probabilities in one column."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        z = self.inner(x)
        return z[:, 1:] - z[:, :1]


def test_distillation_reads_one_logit():
    torch.manual_seed(0)
    teacher, student = mlp(6, 2, (8,)), mlp(6, 2, (8,))
    y = (POOL[:, 0] > 0).long()
    two = DistillLoss(teacher, 0.4)(student(POOL), POOL, y)
    one = DistillLoss(OneLogit(teacher), 0.4, task=Binary())(OneLogit(student)(POOL), POOL, y)
    assert one.item() == pytest.approx(two.item(), rel=1e-5)


def test_distillation_refuses_a_task_without_classes():
    with pytest.raises(InputError, match="one class"):
        DistillLoss(None, task=Regression(2))(torch.randn(3, 2), torch.randn(3, 2), torch.zeros(3, dtype=torch.long))


@pytest.mark.parametrize("distill", [0.0, 0.3])
def test_a_network_of_one_logit_is_fused_and_learns(distill):
    torch.manual_seed(0)
    y = (POOL[:, 0] > 0).long()
    selector = PrunedSelector(mlp(6, 1, (16,)), POOL[:2])
    small = default_trainer(10, 0.1, task=Binary())(selector.fresh(), POOL, y, 0, 0)
    whole = train_fused(selector, small, POOL, y, epochs=10, lr=0.1, distill=distill, task=Binary())
    with torch.no_grad():
        assert float(((whole(POOL)[:, 0] > 0) == y).double().mean()) > 0.9
