"""Block discovery, Lipschitz constants, distances, determinants, the whole audit and the budget."""

from __future__ import annotations

import math

import pytest
import torch
from narrow_nets import one_block, random_net
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.interpret import (
    Ball,
    Box,
    EmbeddingBudget,
    VerdictLog,
    audit_embedding,
    channel_ratios,
    embedding_certificate,
    find_residual_blocks,
    lipschitz,
    scalar_map,
)
from deepwright.interpret.tunnel.distances import as_perceptron, distances, flow_values
from deepwright.interpret.tunnel.layers import Affine, run
from deepwright.interpret.tunnel.norms import convolution_norm
from deepwright.interpret.tunnel.singular import block_jacobians, jacobian_determinants, singular_layers
from deepwright.nets import NarrowResNet, cifar_resnet


class _Scaled(nn.Module):
    """A pre-activation block with LayerScale, and one without."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.a, self.b = nn.BatchNorm1d(4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.gamma = nn.Parameter(torch.tensor([0.1, 0.2, 0.3, 0.4]))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.gamma * self.a(torch.relu(self.norm(x)))
        return 0.5 * x + self.b(x) * 2.0


class _Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(8), nn.LayerNorm(8)])
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.feed = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norms[0](x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.feed(self.norms[1](x))


def test_blocks_of_five_kinds_of_networks() -> None:
    own = find_residual_blocks(NarrowResNet(2, 2, 3, skip=0.5, residual=2.0).eval(), torch.zeros(2, 2))
    assert [(b.name, b.epsilon, b.delta, b.in_shape) for b in own] == [
        (f"blocks.{i}", 0.5, 2.0, (2,)) for i in range(3)
    ]
    scaled = find_residual_blocks(_Scaled().eval(), torch.zeros(2, 4))
    assert len(scaled) == 2
    torch.testing.assert_close(scaled[0].delta, torch.tensor([0.1, 0.2, 0.3, 0.4]).double(), check_dtype=False)
    assert (scaled[1].epsilon, scaled[1].delta) == (0.5, 2.0)
    assert len(find_residual_blocks(_Transformer().eval(), torch.zeros(2, 4, 8))) == 2
    with pytest.warns(UserWarning, match="no residual blocks"):
        assert find_residual_blocks(nn.Sequential(nn.Linear(2, 2), nn.Tanh()).eval(), torch.zeros(2, 2)) == []


@pytest.mark.slow
def test_blocks_of_a_convolutional_network() -> None:
    net = cifar_resnet(20).eval()
    x = torch.rand(2, 3, 32, 32)
    blocks = find_residual_blocks(net, x)
    assert len(blocks) == 9
    assert [b.out_shape for b in blocks[::3]] == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]
    table = channel_ratios(net, x, blocks)
    assert len(table.rows) == 9
    assert all(row[1] > 0 for row in table.rows)


def test_blocks_rebuild_the_network() -> None:
    net = _Scaled().double().eval()
    x = torch.randn(3, 4, dtype=torch.float64)
    block = find_residual_blocks(net, x)[-1]
    assert block.source is not None
    at = block.source(x)
    torch.testing.assert_close(block.epsilon * block.skip(at) + block.delta * block.residual(at), net(x))


def test_channel_ratios_are_those_of_the_branches() -> None:
    net = one_block(0.0, skip=2.0, residual=3.0)
    with torch.no_grad():
        net.blocks[0].f[0].bias.fill_(20.0)  # tanh is 1
    row = channel_ratios(net, torch.tensor([[1.0], [-1.0]], dtype=torch.float64)).rows[0]
    assert row[1] == pytest.approx(1.5)
    assert row[3] == pytest.approx(1.5)


class _Untraceable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.f = NarrowResNet(2, 2, 2).blocks, nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inner(x)
        return x + self.f(x) if float(x.sum()) > -1e9 else x


def test_blocks_may_be_named_where_tracing_fails() -> None:
    net, x = _Untraceable().double().eval(), torch.randn(5, 2, dtype=torch.float64)
    with pytest.raises(InputError, match="traced"):
        find_residual_blocks(net, x)
    table = channel_ratios(net, x, ["inner.0", ("inner.1", "f")])
    with torch.no_grad():
        first = net.inner[0]
        wanted = float(first.f(x).square().mean().sqrt() / x.square().mean().sqrt())
    assert table.rows[0][1] == pytest.approx(wanted, rel=1e-6)
    with pytest.raises(InputError, match="a module"):
        channel_ratios(net, x, ["nowhere"])


def test_convolution_bound_is_above_the_exact_norm_and_near() -> None:
    torch.manual_seed(0)
    for stride, padding, groups, dilation in ((1, 1, 1, 1), (2, 1, 1, 1), (1, 0, 2, 1), (1, 2, 1, 2)):
        conv = nn.Conv2d(4, 6, 3, stride, padding, dilation, groups, bias=False).double()
        eye = torch.eye(4 * 64, dtype=torch.float64).view(-1, 4, 8, 8)
        exact = float(torch.linalg.matrix_norm(conv(eye).flatten(1).detach(), 2))
        bound = convolution_norm(conv, (8, 8))
        assert exact <= bound <= (1.6 if stride > 1 else 1.3) * exact


def test_lipschitz_methods_are_ordered() -> None:
    net = random_net(3, 3, 0.8, 0)
    x = torch.randn(64, 3, dtype=torch.float64).clamp(-1, 1)
    low = float(lipschitz(net, x, "local"))
    box = float(lipschitz(net, x, "interval", Box([-1.0] * 3, [1.0] * 3)))
    assert low <= box <= float(lipschitz(net, x)) * (1 + 1e-9)
    exact = torch.linalg.matrix_norm(torch.func.vmap(torch.func.jacrev(lambda z: net(z[None])[0]))(x), 2).max().detach()
    assert low == pytest.approx(float(exact), rel=1e-3)
    with pytest.raises(InputError, match="method"):
        lipschitz(net, x, "guess")


def test_distances_hold_and_shrink_in_proportion() -> None:
    x = torch.rand(200, 2, dtype=torch.float64) * 2 - 1
    box, seen = Box([-1.0, -1.0], [1.0, 1.0]), {}
    ends = Affine(torch.ones(1, 2, dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
    for kind, steps in (("perceptron", (1e-3, 1e-2)), ("flow", (0.05, 0.1))):
        for size in steps:
            kinds = {"skip": size} if kind == "perceptron" else {"residual": size}
            depth = 3 if kind == "perceptron" else round(1 / size)  # the flow's time is 1
            chain = scalar_map(random_net(2, depth, 0.7, 0, **kinds), torch.zeros(2, 2)).chain
            assert chain is not None
            if kind == "flow":  # the same field at every step
                block = next(e for e in chain if type(e).__name__ == "Residual")
                chain = (*(block if type(e).__name__ == "Residual" else e for e in chain[:-1]), ends)
            other = run(as_perceptron(chain), x) if kind == "perceptron" else flow_values(chain, x)
            gap = float((run(chain, x) - other).abs().max())
            assert gap <= getattr(distances(chain, box), kind)
            seen[kind, size] = gap
    assert math.log10(seen["perceptron", 1e-2] / seen["perceptron", 1e-3]) == pytest.approx(1, abs=0.1)
    assert math.log2(seen["flow", 0.1] / seen["flow", 0.05]) == pytest.approx(1, abs=0.1)


def test_determinants_against_autograd_and_where_they_vanish() -> None:
    fn = scalar_map(random_net(2, 3, 2.0, 1, residual=1.0), torch.zeros(2, 2))
    assert fn.chain is not None
    x = torch.randn(6, 2, dtype=torch.float64)
    found = jacobian_determinants(fn.chain, x)
    at = x
    for i, element in enumerate(e for e in fn.chain if type(e).__name__ != "Residual" or True):
        if type(element).__name__ == "Residual":
            j = torch.func.vmap(torch.func.jacrev(lambda z, e=element: e(z[None])[0]))(at)
            torch.testing.assert_close(found[:, i - 1], torch.linalg.det(j))
        at = run((element,), at)
    fold = scalar_map(one_block(-2.0), torch.zeros(2, 1))
    assert fold.chain is not None
    layer = singular_layers(fold.chain, Box([-3.0], [3.0]))[0]
    assert layer.proved
    assert layer.at is not None
    assert float(block_jacobians(fold.chain, layer.at[None])[0][1].abs()) < 1e-9


def test_audit_of_disc_and_ring() -> None:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(300, 2, generator=g)
    y = (x.norm(dim=1) < 0.8).long()
    report = audit_embedding(random_net(2, 3, 1.0, 0, skip=0.0), (x, y), Ball([0.0, 0.0], 4.0))
    assert report.verdict == "ABSENT"
    assert report.winding == 0
    assert report.accounted
    assert report.structure == "non-augmented"
    assert report.sample_floor is not None
    assert report.sample_floor.majority == 0.5
    assert report.witnesses
    assert all(w.reached_boundary for w in report.witnesses)
    assert report.figures
    assert report.table().rows
    assert report.to_dict()["verdict"] == "ABSENT"
    present = audit_embedding(random_net(2, 2, 2.0, 3, residual=10.0), domain=Box([-1.0, -1.0], [1.0, 1.0]), cells=256)
    assert (present.verdict == "PRESENT") == any(p.verified for p in present.points)


def test_dimension_of_the_domain_is_checked() -> None:
    with pytest.raises(InputError, match="features"):
        audit_embedding(NarrowResNet(2, 2, 1).eval(), torch.zeros(3, 2), Box([0.0], [1.0]))
    with pytest.raises(InputError, match="neither domain nor data"):
        audit_embedding(NarrowResNet(2, 2, 1).eval())


def test_budget_reaches_either_goal() -> None:
    for keep, verdict in (("fold-free", "ABSENT"), ("foldable", "UNDECIDED")):
        net = random_net(2, 2, 3.0 if keep == "fold-free" else 0.1, 0)
        budget = EmbeddingBudget(keep)
        optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
        for _ in range(200):
            loss = budget(net.blocks)
            if float(loss) == 0:
                break
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert float(budget(net.blocks)) == 0
        assert embedding_certificate(net, None).verdict == verdict
    with pytest.raises(InputError, match="skip"):
        EmbeddingBudget()(NarrowResNet(2, 2, 1, skip=0.0).blocks)


def test_verdicts_are_logged_and_the_model_is_left_alone() -> None:
    log, net = VerdictLog(Box([-3.0], [3.0]), cells=64), one_block(-2.0).train()
    log(net, {"epoch": 1})
    assert log.history == [{"epoch": 1, "verdict": "PRESENT", "points": 2}]
    assert net.training
    assert next(net.parameters()).requires_grad
