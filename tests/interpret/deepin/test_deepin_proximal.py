"""Proximal maps against their closed form and against a solver; penalties in a loop of one's own."""

from __future__ import annotations

import pytest
import torch
from scipy.optimize import minimize
from torch import nn

from deepwright.core.errors import InputError
from deepwright.interpret import DeepInPenalty, RepresentationLayer, group_prox_, row_column_prox


def _drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_prox_is_the_closed_form(dim: int) -> None:
    b, limits = _drawn(5, 5), torch.linspace(0.1, 3.0, 5, dtype=torch.float64)
    other = 1 if dim == 0 else 0
    norms = b.norm(dim=other)
    factor = (1 - limits / norms).clamp(min=0)
    expected = b * (factor[:, None] if dim == 0 else factor)
    got = group_prox_(b.clone(), dim, limits)
    torch.testing.assert_close(got, expected)
    assert bool((got.norm(dim=other)[norms <= limits] == 0).all())


def test_prox_of_a_vector_is_soft_thresholding() -> None:
    torch.testing.assert_close(group_prox_(torch.tensor([2.0, -0.5]), 0, 1.0), torch.tensor([1.0, 0.0]))


@pytest.mark.parametrize("scale", [0.01, 0.3, 0.8])
def test_sum_of_rows_and_columns_agrees_with_a_solver(scale: float) -> None:
    v = _drawn(5, 3, seed=3)
    rows, columns = scale * (0.5 + torch.rand(5).double()), scale * (0.5 + torch.rand(3).double())

    def value(flat: object) -> float:
        b = torch.as_tensor(flat).reshape(5, 3)
        smooth = (b.square().sum(1) + 1e-20).sqrt(), (b.square().sum(0) + 1e-20).sqrt()
        return float(0.5 * (b - v).square().sum() + (rows * smooth[0]).sum() + (columns * smooth[1]).sum())

    got = row_column_prox(v, rows, columns)
    solved = minimize(value, got.flatten().numpy(), method="BFGS", options={"gtol": 1e-9})
    assert value(got.flatten().numpy()) <= solved.fun + 1e-9
    far = minimize(value, v.flatten().numpy(), method="BFGS", options={"gtol": 1e-9, "maxiter": 2000})
    assert float((got - torch.as_tensor(far.x).reshape(5, 3)).abs().amax()) < 2e-4


def test_sum_is_stationary_where_nothing_is_zero() -> None:
    v = 3 * _drawn(6, 4, seed=1)
    got = row_column_prox(v, 0.3, 0.2)
    residual = got - v + 0.3 * got / got.norm(dim=1, keepdim=True) + 0.2 * got / got.norm(dim=0)
    assert float(residual.abs().amax()) < 1e-5


def test_everything_becomes_exactly_zero() -> None:
    assert not bool(row_column_prox(_drawn(4, 3), 10.0, 10.0).any())


@pytest.mark.parametrize("bad", [torch.ones(3), -1.0, torch.tensor([float("nan")] * 5)])
def test_bad_thresholds(bad: object) -> None:
    with pytest.raises(InputError, match="thresholds"):
        group_prox_(_drawn(5, 2), 0, bad)  # type: ignore[arg-type]


def test_penalty_zeroes_what_has_no_part_in_the_target() -> None:
    x = _drawn(400, 6, seed=2).float()
    y = (x[:, :1] + x[:, 1:2]).sin()
    torch.manual_seed(0)
    net = nn.Sequential(RepresentationLayer(6, 3), nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 1))
    penalty = DeepInPenalty(net[0], variables=0.05, dimensions=0.01, hidden=[(net[1], net[3])], units=0.001, gamma=0.0)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 300)
    for _ in range(300):
        optimizer.zero_grad()
        (net(x) - y).square().mean().backward()
        optimizer.step()
        penalty.prox_(schedule.get_last_lr()[0])
        schedule.step()
    zero = (net[0].weight == 0).all(1)
    assert zero.tolist() == [False, False, True, True, True, True]
    assert float((net(x) - y).square().mean()) < 0.2 * float(y.var())


def test_penalty_value_and_its_refusals() -> None:
    layer = nn.Linear(3, 2)
    penalty = DeepInPenalty(layer, variables=2.0, dimensions=0.5, gamma=0.0)
    expected = 2 * layer.weight.norm(dim=0).sum() + 0.5 * layer.weight.norm(dim=1).sum()
    torch.testing.assert_close(penalty(), expected)
    assert penalty().requires_grad
    with pytest.raises(InputError, match="rate"):
        penalty.prox_(0.0)
    with pytest.raises(InputError, match="hidden"):
        DeepInPenalty(layer, hidden=[(nn.Linear(2, 4), nn.Linear(5, 1))])
    with pytest.raises(InputError, match="groups"):
        DeepInPenalty(layer, groups=torch.zeros(2, dtype=torch.long))


def test_groups_vanish_together() -> None:
    layer = RepresentationLayer(4, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 0], [0.01, 0], [0.2, 0], [0.2, 0]]))
    DeepInPenalty(layer, variables=0.5, gamma=0.0, groups=torch.tensor([0, 0, 1, 1])).prox_(1.0)
    assert bool((layer.weight[:2, 0] > 0).all())
    assert not bool(layer.weight[2:].any())
