"""Rotations, spans and pruned networks: what may change, and what must not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from deepwright.core.errors import InputError
from deepwright.interpret import (
    RepresentationNet,
    patch_groups,
    principal_angles,
    projection,
    prune_mlp,
    rotate_representation,
    subspace_distance,
)
from deepwright.interpret.deepin.choice import count_parameters, structure
from deepwright.interpret.deepin.stack import Stack


def _drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_span_is_what_is_measured() -> None:
    b, r = _drawn(8, 3), _drawn(3, 3, seed=1)
    assert subspace_distance(b, b @ r) < 1e-12
    torch.testing.assert_close(projection(b), projection(b @ r))
    assert subspace_distance(b, b[:, :2]) == 1.0
    assert float(principal_angles(b, b @ r).amax()) < 1e-6
    eye = torch.eye(4, dtype=torch.float64)
    turned = torch.tensor([1.0, 1.0, 0, 0], dtype=torch.float64)[:, None]
    assert float(principal_angles(eye[:, :1], turned)[0]) == pytest.approx(45.0)
    assert len(principal_angles(b, b[:, :0])) == 0


def test_rotation_keeps_the_function_and_the_span() -> None:
    torch.manual_seed(0)
    net = RepresentationNet(7, 3, (8, 8), 2).double()
    x = _drawn(200, 7)
    turned, values = rotate_representation(net, x)
    torch.testing.assert_close(turned(x), net(x), atol=1e-9, rtol=1e-9)
    assert subspace_distance(turned.representation.weight, net.representation.weight) < 1e-9
    assert bool((values[:-1] >= values[1:]).all())
    gram = turned.representation.weight.T @ turned.representation.weight
    torch.testing.assert_close(gram, torch.diag(values), atol=1e-9, rtol=1e-9)
    x.requires_grad_()
    gradients = torch.stack([torch.autograd.grad(net(x)[:, c].sum(), x)[0] for c in range(2)])
    expected = torch.einsum("cni,cnj->ij", gradients, gradients) / 200
    b = turned.representation.weight
    torch.testing.assert_close(b @ b.T, expected, atol=1e-9, rtol=1e-9)


def test_a_linear_function_has_one_direction() -> None:
    net = RepresentationNet(5, 3, (), 1).double()
    beta = (net.representation.weight @ net.head[0].weight.T).detach()
    turned, values = rotate_representation(net, _drawn(50, 5))
    assert float(values[1] / values[0]) < 1e-10
    direction = turned.representation.weight[:, 0] / turned.representation.weight[:, 0].norm()
    assert float((direction @ beta / beta.norm()).abs()) == pytest.approx(1.0)


def _with_zeros() -> RepresentationNet:
    torch.manual_seed(1)
    net = RepresentationNet(6, 4, (10, 9), 2)
    with torch.no_grad():
        net.representation.weight[:, 2] = 0
        net.head[0].weight[3] = 0
        net.head[0].weight[5] = 0
        net.head[2].weight[:, 7] = 0
        net.head[4].weight[:, 1] = 0
        net.head[2].weight[4] = 0
        net.head[2].bias[4] = 0.7
    return net


def test_pruned_networks_have_the_same_outputs() -> None:
    net, x = _with_zeros(), torch.randn(1000, 6)
    small = prune_mlp(net)
    torch.testing.assert_close(small(x), net(x), atol=1e-6, rtol=1e-6)
    assert [small.representation.weight.shape[1], small.head[0].out_features, small.head[2].out_features] == [3, 7, 7]
    assert sum(p.numel() for p in small.parameters()) == count_parameters(6, 3, (7, 7), 2)
    assert net.head[0].out_features == 10


def test_a_stack_gives_the_same_network_without_its_zeros() -> None:
    net = _with_zeros()
    linears = [net.head[0], net.head[2], net.head[4]]
    stack = Stack(
        net.representation.weight.detach()[None].clone(),
        [layer.weight.detach().T[None].clone() for layer in linears],
        [layer.bias.detach()[None, None].clone() for layer in linears],
    )
    x = torch.randn(100, 6)
    stack.kill_()
    torch.testing.assert_close(stack(x[None])[0], net(x), atol=1e-6, rtol=1e-6)
    variables, dims, widths, parameters = structure(stack)
    small = stack.network(0)
    assert (variables, dims, widths) == (6, 3, (7, 7))
    assert parameters == sum(p.numel() for p in small.parameters())
    torch.testing.assert_close(small(x), net(x), atol=1e-6, rtol=1e-6)


def test_a_chain_of_units_goes_at_once() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    with torch.no_grad():
        net[4].weight[0, 1:] = 0
        net[2].weight[0, 1:] = 0
    small = prune_mlp(net)
    assert (small[0].out_features, small[2].out_features) == (1, 1)
    x = torch.randn(20, 2)
    torch.testing.assert_close(small(x), net(x))


def test_what_cannot_be_pruned_is_refused() -> None:
    with pytest.raises(InputError, match="BatchNorm1d"):
        prune_mlp(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)))


def test_patches_are_groups_over_channels() -> None:
    groups = patch_groups(4, 6, 2, channels=3).view(3, 4, 6)
    assert groups.unique().tolist() == list(range(6))
    assert bool((groups[0] == groups[2]).all())
    assert groups[0, :2, 2:4].unique().tolist() == [1]
