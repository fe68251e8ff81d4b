"""What once gave a wrong ABSENT, a wrong floor or a changed input: hooks, memory, chance, gaps and relatives."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.interpret import (
    Box,
    EmbeddingBudget,
    approximation_floor,
    approximation_floor_from_samples,
    audit_embedding,
    embedding_certificate,
    find_residual_blocks,
    scalar_map,
    winding_number,
)
from deepwright.interpret.tunnel.distances import distances
from deepwright.interpret.tunnel.norms import pooled_norm
from deepwright.interpret.tunnel.singular import singular_layers
from deepwright.nets import NarrowResNet

SQUARE = Box([-1.0, -1.0], [1.0, 1.0])


class _Wrapped(nn.Module):
    """Some Python before a last layer."""

    def __init__(self, body: Any, width: int = 2) -> None:
        super().__init__()
        self.body, self.act, self.last = body, nn.ReLU(inplace=True), nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.body(self, x))


def _bowl(x: Tensor) -> Tensor:
    return x.square().sum(1)


@pytest.mark.slow
def test_hooks_of_the_whole_are_not_overlooked() -> None:
    whole = nn.Sequential(nn.Linear(2, 1)).eval()
    whole.register_forward_hook(lambda module, args, out: args[0].square().sum(1, keepdim=True))
    assert audit_embedding(whole, domain=SQUARE, cells=64).verdict == "PRESENT"


def test_hooks_of_leaves_are_not_overlooked() -> None:
    for leaf in (nn.Tanh(), nn.Identity()):
        net = nn.Sequential(nn.Linear(2, 2), leaf, nn.Linear(2, 1)).eval()
        leaf.register_forward_hook(lambda module, args, out: torch.where(args[0].abs() > 2.0, -out, out))
        found = embedding_certificate(net, Box([-9.0, -9.0], [9.0, 9.0]))
        assert found.verdict == "UNDECIDED"


@pytest.mark.slow
def test_what_is_overwritten_is_not_read_as_it_was() -> None:
    def body(net: _Wrapped, x: Tensor) -> Tensor:
        h = x * 1.0
        return net.act(h) + h  # h is relu(h) by then

    net, x = _Wrapped(body).eval(), torch.rand(40, 2) + 0.05  # where relu(x) = x
    assert audit_embedding(net, x, SQUARE, cells=64).verdict != "ABSENT"


def test_inputs_are_left_as_they_are() -> None:
    x = torch.randn(20, 2, dtype=torch.float64)
    before = x.clone()
    audit_embedding(nn.Sequential(nn.ReLU(inplace=True), nn.Linear(2, 1)).eval(), x, cells=16)
    assert torch.equal(x, before)


@pytest.mark.slow
def test_chance_and_neighbours_are_refused() -> None:
    for body in (
        lambda net, x: x + torch.randn(2),
        lambda net, x: x + torch.randn_like(x),
        lambda net, x: x - x.mean(0),
    ):
        with pytest.raises(InputError, match=r"draws numbers|one input"):
            scalar_map(_Wrapped(body).eval(), torch.randn(4, 2))
    computed = nn.Sequential(nn.utils.weight_norm(nn.Linear(2, 2)), nn.Linear(2, 1)).eval()
    computed(torch.zeros(1, 2))
    with pytest.raises(InputError, match="parametrizations"):
        scalar_map(computed, torch.zeros(2, 2))


def test_near_floor_needs_an_obstructed_relative() -> None:
    wide = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1)).eval()
    for net in (wide, NarrowResNet(2, 3, 1, skip=1e-6).eval(), NarrowResNet(2, 3, 1, residual=1e-6).eval()):
        assert audit_embedding(net, domain=SQUARE, target=_bowl, resolution=21, cells=16, n_starts=8).near_floor is None
    for kinds in ({"skip": 1e-6}, {"residual": 1e-6}):
        narrow = NarrowResNet(2, 2, 1, **kinds).eval()  # type: ignore[arg-type]
        found = audit_embedding(narrow, domain=SQUARE, target=_bowl, resolution=21, cells=16, n_starts=8)
        assert found.near_floor == pytest.approx(0.5, abs=1e-3)


def test_advice_does_not_ask_for_the_width_that_is_there() -> None:
    wide = NarrowResNet(2, 3, 1, skip=1e-6).eval()
    said = " ".join(audit_embedding(wide, domain=SQUARE, cells=16, n_starts=8).advice)
    assert "A width of 3" not in said
    assert "already wider" in said
    narrow = audit_embedding(NarrowResNet(2, 2, 1, skip=0.0).eval(), domain=SQUARE, cells=16, n_starts=8)
    assert "A width of 3" in narrow.advice[0]


def test_a_skip_that_shifts_is_no_multiple() -> None:
    class Shifted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.f, self.last = nn.Sequential(nn.Linear(2, 2), nn.Tanh()), nn.Linear(2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.last((x + 1.0) + self.f(x))

    chain = scalar_map(Shifted().eval(), torch.randn(2, 2)).chain
    assert chain is not None
    away = distances(chain, SQUARE)
    assert math.isinf(away.perceptron)
    assert math.isinf(away.flow)


def test_a_determinant_that_jumps_does_not_vanish() -> None:
    net = _Wrapped(lambda net, x: x + (-2.0) * torch.relu(x), 1).eval()
    chain = scalar_map(net, torch.tensor([[0.5], [-0.7]])).chain
    assert chain is not None
    assert not any(layer.proved for layer in singular_layers(chain, Box([-1.0], [1.0])))


def test_budget_counts_what_bends_and_refuses_what_it_cannot() -> None:
    bent = NarrowResNet(2, 2, 1, activation="gelu").double().eval()
    with torch.no_grad():
        bent.blocks[0].f[0].weight.copy_(-0.94 * torch.eye(2))
    assert float(EmbeddingBudget("fold-free")(bent.blocks).detach()) > 0
    with pytest.raises(InputError, match="BatchNorm"):
        EmbeddingBudget("fold-free")(NarrowResNet(2, 2, 1, batch_norm=True).blocks)


def test_a_class_behind_a_gap_is_enclosed() -> None:
    g = torch.Generator().manual_seed(0)
    angle = 2 * math.pi * torch.rand(240, generator=g)
    radius = torch.cat((0.2 * torch.rand(80, generator=g), 0.8 + 0.2 * torch.rand(160, generator=g)))
    x = radius[:, None] * torch.stack((angle.cos(), angle.sin()), 1)
    y = (radius < 0.5).long()
    assert approximation_floor_from_samples(x, y).majority == 0.5
    assert approximation_floor_from_samples(x, y.double()).majority == 0.5


def test_small_loops_and_targets_of_another_size_are_refused() -> None:
    with pytest.raises(InputError, match="points"):
        winding_number(_bowl, [0.0, 0.0], 1.0, points=2)
    with pytest.raises(InputError, match="not empty"):
        audit_embedding(NarrowResNet(2, 2, 1).eval(), torch.zeros(0, 2))
    with pytest.raises(InputError, match="target"):
        approximation_floor(lambda x: x[:5, 0], SQUARE, 11)


def test_multipliers_and_windows() -> None:
    class Halved(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.f = nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return torch.add(x, 2.0 * self.f(x), alpha=0.5)  # type: ignore[call-overload, no-any-return]

    block = find_residual_blocks(Halved().eval(), torch.randn(2, 2))[0]
    assert (block.epsilon, block.delta) == (1.0, 1.0)
    assert math.isinf(pooled_norm(nn.MaxPool2d(2, 2, dilation=2)))  # windows overlap
    assert pooled_norm(nn.MaxPool2d(2)) == 1.0
