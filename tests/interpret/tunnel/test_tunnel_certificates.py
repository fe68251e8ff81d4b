"""Proofs and their margins against closed forms; what can't be proved isn't."""

from __future__ import annotations

import math

import pytest
import torch
from narrow_nets import one_block, random_net
from torch import nn

from deepwright.core.errors import InputError
from deepwright.interpret import (
    Box,
    audit_embedding,
    embedding_certificate,
    find_critical_points,
    scalar_map,
    verdict_of,
)
from deepwright.interpret.tunnel.cells import cell_certificate
from deepwright.interpret.tunnel.intervals import enclose
from deepwright.nets import NarrowResNet

LINE = Box([-3.0], [3.0])


def test_fold_of_one_block_is_found_where_it_is() -> None:
    points = find_critical_points(one_block(-2.0), LINE)
    at = sorted((float(p.x[0]), p.index) for p in points)
    where = math.acosh(math.sqrt(2)) / 2
    assert [round(x, 9) for x, _ in at] == [round(-where, 9), round(where, 9)]
    assert [index for _, index in at] == [1, 0]
    assert all(p.verified for p in points)


@pytest.mark.parametrize(("weight", "verdict"), [(-2.0, "PRESENT"), (-0.999, "ABSENT"), (-1.0, "UNDECIDED")])
def test_verdict_turns_where_the_slope_does(weight: float, verdict: str) -> None:
    found = verdict_of(scalar_map(one_block(weight), torch.zeros(2, 1)), LINE, cells=2**8)
    assert found.verdict == verdict
    if verdict == "UNDECIDED":
        assert "blocks.0" in found.reason
        assert "degenerate" in found.reason


class _Linear(nn.Module):
    """w (x - delta Q x)."""

    def __init__(self, q: torch.Tensor, delta: float, w: torch.Tensor) -> None:
        super().__init__()
        self.q, self.w = nn.Linear(len(q), len(q), bias=False), nn.Linear(len(q), 1)
        self.q.weight.data, self.w.weight.data = -q, w[None]
        self.delta = delta

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.w(x + self.delta * self.q(x))


def test_margin_is_tight_and_rounded_outward() -> None:
    w = torch.tensor([3.0, 4.0], dtype=torch.float64)
    net = _Linear(torch.eye(2, dtype=torch.float64), 0.7, w).double().eval()
    found = embedding_certificate(net, Box([-1.0, -1.0], [1.0, 1.0]))
    assert found.verdict == "ABSENT"
    assert (0.3 - 1e-6) * 5 <= 10**found.margin <= 0.3 * 5
    gradient = scalar_map(net, torch.zeros(2, 2)).gradient(torch.randn(9, 2, dtype=torch.float64))
    torch.testing.assert_close(gradient, (0.3 * w).expand(9, 2), atol=1e-10, rtol=0)


def test_margin_is_below_the_gradient_of_rotations() -> None:
    g = torch.Generator().manual_seed(0)
    q = torch.linalg.qr(torch.randn(3, 3, generator=g, dtype=torch.float64))[0]
    net = _Linear(q, 0.7, torch.randn(3, generator=g, dtype=torch.float64)).double().eval()
    fn = scalar_map(net, torch.zeros(2, 3))
    found = embedding_certificate(net, Box([-1.0] * 3, [1.0] * 3))
    assert found.verdict == "ABSENT"
    assert 10**found.margin <= float(fn.gradient(torch.zeros(1, 3, dtype=torch.float64)).norm())


def test_constant_map_is_undecided() -> None:
    net = _Linear(torch.eye(2, dtype=torch.float64), 1.0, torch.ones(2, dtype=torch.float64)).double().eval()
    report = audit_embedding(net, domain=Box([-1.0, -1.0], [1.0, 1.0]), cells=64)
    assert report.verdict == "UNDECIDED"
    assert "degenerate" in report.reason


def test_saturated_perceptrons_are_absent_by_structure_and_never_present() -> None:
    box, small = Box([-1.0, -1.0], [1.0, 1.0]), 0
    for seed in range(50):
        with torch.no_grad():
            net = random_net(2, 6, 20.0, seed, skip=0.0).float()
        found = embedding_certificate(net, box)
        assert found.verdict == "ABSENT", seed
        x = torch.rand(500, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1
        x.requires_grad_()
        (naive,) = torch.autograd.grad(net.double()(x).sum(), x)
        small += bool((naive.norm(dim=1) < 1e-4).any())
    assert small >= 45  # what a threshold on the gradient would call a critical point


def test_enclosures_hold_the_gradients_of_their_boxes() -> None:
    g = torch.Generator().manual_seed(1)
    for seed, kinds in enumerate(({}, {"residual": 10.0}, {"activation": "silu"}, {"activation": "relu"})):
        fn = scalar_map(random_net(2, 3, 1.0, seed, inner_affine=True, **kinds), torch.zeros(2, 2))
        centre = torch.rand(20, 2, generator=g, dtype=torch.float64) * 2 - 1
        radius = torch.full_like(centre, 0.1)
        value, jacobian = enclose(fn.chain, centre, radius)
        for _ in range(20):
            x = centre + radius * (torch.rand(20, 2, generator=g, dtype=torch.float64) * 2 - 1)
            assert bool(((fn(x)[:, None] - value[0]).abs() <= value[1]).all())
            assert bool(((fn.gradient(x) - jacobian[0][:, 0]).abs() <= jacobian[1][:, 0]).all())


def test_cells_prove_what_factors_cannot() -> None:
    proved = 0
    for seed in range(6):
        fn = scalar_map(random_net(2, 2, 0.5, seed, residual=10.0), torch.zeros(2, 2))
        box = Box([-1.0, -1.0], [1.0, 1.0])
        cells = cell_certificate(fn.chain, box, 2**12)
        if cells.absent:
            proved += 1
            x = torch.rand(500, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 2 - 1
            assert float(fn.gradient(x).norm(dim=1).min()) >= cells.least
    assert proved >= 1


def test_cells_never_clear_a_fold() -> None:
    fn = scalar_map(one_block(-2.0), torch.zeros(2, 1))
    cells = cell_certificate(fn.chain, LINE, 2**10)
    assert not cells.absent
    where = math.acosh(math.sqrt(2)) / 2
    assert float((cells.resisting.abs() - where).abs().max()) < 0.01


def test_relu_extremum_is_proved_by_its_walls() -> None:
    net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1)).double().eval()
    with torch.no_grad():  # |x| + |y|
        net[0].weight.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
        net[0].bias.zero_()
        net[2].weight.fill_(1.0)
    report = audit_embedding(net, domain=Box([-1.0, -1.1], [1.2, 1.0]), cells=256)
    assert report.verdict == "PRESENT"
    assert "minimum" in report.reason
    assert report.structure == "augmented"
    assert report.floor is None


def test_wider_networks_and_kinks_are_not_certified() -> None:
    wide = NarrowResNet(2, 3, 1, skip=0.0).eval()
    found = embedding_certificate(wide, Box([-1.0, -1.0], [1.0, 1.0]))
    assert found.verdict == "UNDECIDED"
    assert "augmented" in found.reason
    kinked = NarrowResNet(2, 2, 1, skip=0.0, activation="relu").eval()
    assert embedding_certificate(kinked, Box([-9.0, -9.0], [9.0, 9.0])).verdict == "UNDECIDED"


def test_bad_networks_are_refused() -> None:
    box = Box([-1.0, -1.0], [1.0, 1.0])
    with pytest.raises(InputError, match="eval"):
        embedding_certificate(NarrowResNet(2, 2, 1, batch_norm=True), box)
    with pytest.raises(InputError, match="outputs"):
        embedding_certificate(NarrowResNet(2, 2, 1, out_features=3).eval(), box)
    broken = NarrowResNet(2, 2, 1).eval()
    with torch.no_grad():
        broken.output.weight[0, 0] = math.nan
    with pytest.raises(InputError, match="finite"):
        embedding_certificate(broken, box)
    with pytest.raises(InputError, match="low < high"):
        Box([0.0, 0.0], [1.0, 0.0])
    flat = NarrowResNet(2, 2, 1, batch_norm=True).eval()
    flat.blocks[0].f[1].running_var.zero_()
    with pytest.raises(InputError, match="running variance"):
        embedding_certificate(flat, box)


def test_sigmoid_at_the_end_is_left_out() -> None:
    net = NarrowResNet(2, 2, 2, skip=0.0, final="sigmoid").eval()
    fn = scalar_map(net, torch.zeros(2, 2))
    assert fn.notes
    x = torch.randn(5, 2, dtype=torch.float64)
    torch.testing.assert_close(fn(x).sigmoid(), net.double()(x)[:, 0])


def test_margin_of_two_logits_is_their_difference() -> None:
    net = NarrowResNet(2, 2, 2, out_features=3).eval()
    x = torch.randn(5, 2, dtype=torch.float64)
    fn = scalar_map(net, x, outputs=(2, 0))
    out = net.double()(x)
    torch.testing.assert_close(fn(x), out[:, 2] - out[:, 0])
