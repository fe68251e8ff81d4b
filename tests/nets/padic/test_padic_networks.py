"""Networks on trees: shapes, the executable approximation theorem, companions."""

import math

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.nets.padic import (
    PAdicCellularNetwork,
    PAdicNetwork,
    PAdicRBM,
    Tree,
    cell_means,
    move_parameters,
    network_from_function,
    side_by_side,
)


@pytest.mark.parametrize("operator", ["radial", "hierarchical", "convolution", "dense"])
@pytest.mark.parametrize(
    ("direction", "depths", "leaves"), [("refine", (1, 3), 27), ("coarsen", (3, 0), 1), ("u-net", (3, 1), 27)]
)
def test_any_direction_and_operator(operator, direction, depths, leaves):
    network = PAdicNetwork(Tree(3, 3), *depths, 4, operator, direction=direction, in_channels=2, out_channels=5)
    out = network(torch.randn(7, 2, 3 ** depths[0]))
    assert tuple(out.shape) == (7, 5, leaves)
    out.square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in network.parameters())


@pytest.mark.parametrize(("direction", "depths"), [("refine", (2, 3)), ("coarsen", (3, 0)), ("u-net", (3, 1))])
def test_absent_leaves_influence_nothing(direction, depths):
    """Neither by their values (NaN among them) nor by gradients; absent outputs are 0."""
    torch.manual_seed(0)
    mask = torch.rand(27) < 0.6
    mask[:3] = False
    network = PAdicNetwork(Tree(3, 3), *depths, 4, direction=direction, mask=mask).double()
    there = mask if depths[0] == 3 else mask.unflatten(0, (9, 3)).any(1)
    x = torch.randn(5, 1, len(there)).double()
    other = x.where(there, float("nan")).requires_grad_()
    out = network(other)
    assert torch.equal(out, network(x.where(there, 7.0)))
    out.square().sum().backward()
    assert bool((other.grad[..., ~there] == 0).all())
    if out.shape[-1] == 27:
        assert bool((out[..., ~mask] == 0).all())


def test_depths_that_dont_go_that_way_are_refused():
    for depths, direction in (((2, 2), "refine"), ((1, 2), "coarsen"), ((1, 4), "refine")):
        with pytest.raises(InputError, match="in_depth"):
            PAdicNetwork(Tree(3, 3), *depths, direction=direction)
    with pytest.raises(InputError, match="radial"):
        PAdicNetwork(Tree(3, 3), 1, 2, operator="radical")


@pytest.mark.parametrize(("q", "depth"), [(2, 6), (3, 4), (5, 2)])
def test_the_identity_is_met_as_far_as_cells_allow(q, depth):
    tree = Tree(q, depth)
    means, error = cell_means(lambda t: t, tree)
    assert error == pytest.approx(q**-depth / math.sqrt(12), abs=1e-6)
    assert torch.allclose(means, (torch.arange(tree.leaves) + 0.5).double() / tree.leaves, atol=1e-12)


def test_a_sine_is_met_within_its_slope_times_a_cell():
    tree = Tree(2, 7)
    means, _ = cell_means(lambda t: (2 * math.pi * t).sin(), tree)
    points = torch.rand(2000, dtype=torch.float64)
    error = ((2 * math.pi * points).sin() - means[(points * 128).long()]).abs().max()
    assert float(error) <= 2 * math.pi * 2**-7


@pytest.mark.parametrize("function", [lambda t: t, lambda t: (2 * math.pi * t).sin()])
def test_weights_that_move_by_the_radius_stay_within_epsilon(function):
    tree, epsilon = Tree(2, 7), 0.05
    network, radius = network_from_function(function, tree, epsilon=epsilon)
    means, error = cell_means(function, tree)
    state = {k: v.clone() for k, v in network.state_dict().items()}
    g = torch.Generator().manual_seed(0)
    bound = network.layers[0].activation.bound
    for _ in range(100):
        network.load_state_dict(state)
        x = torch.rand(1, 64, generator=g, dtype=torch.float64) * 2 * bound - bound
        assert torch.allclose(network(x)[0], means, atol=1e-9)
        move_parameters(network, radius, g)
        moved = (network(x)[0] - means).square().mean()
        assert math.sqrt(float(moved.detach()) + error**2) <= epsilon
    assert radius > 0


def test_functions_side_by_side_are_each_on_a_ball_of_its_own():
    functions = [lambda t: t, lambda t: t.square(), lambda t: 1 - t]
    whole, m = side_by_side(functions, 2)
    means, _ = cell_means(whole, Tree(2, 5))
    assert m == 2
    for ball, f in enumerate(functions):
        assert torch.allclose(means[8 * ball : 8 * ball + 8], cell_means(f, Tree(2, 3))[0], atol=1e-12)
    assert float(means[24:].abs().max()) == 0.0


def test_an_error_that_the_depth_cant_reach_names_one_that_can():
    with pytest.raises(InputError, match=r"Tree\(2, 7\)"):
        network_from_function(lambda t: t, Tree(2, 3), epsilon=0.003)
    with pytest.raises(InputError, match="largest"):
        network_from_function(lambda t: t, Tree(2, 5), epsilon=0.1, bound=0.9)


def test_the_machine_is_its_matrix_and_its_partition_a_sum():
    torch.manual_seed(0)
    machine = PAdicRBM(Tree(3, 2), scale=0.5).double()
    machine.visible_bias.data.normal_()
    machine.hidden_bias.data.normal_()
    w = machine.matrix()
    v, h = torch.randn(4, 9, dtype=torch.float64), torch.randn(4, 9, dtype=torch.float64)
    assert torch.allclose(machine.hidden_field(v), v @ w + machine.hidden_bias, atol=1e-12)
    assert torch.allclose(machine.visible_field(h), h @ w.T + machine.visible_bias, atol=1e-12)
    states = (torch.arange(512)[:, None] >> torch.arange(9) & 1).double()
    energy = states @ machine.visible_bias[:, None] + states @ w @ states.T + (states @ machine.hidden_bias)[None]
    assert float(machine.log_partition()) == pytest.approx(float(energy.flatten().logsumexp(0)), abs=1e-9)


def test_chains_reach_the_machines_own_means():
    torch.manual_seed(0)
    machine = PAdicRBM(Tree(2, 2), scale=0.8).double()
    states = (torch.arange(16)[:, None] >> torch.arange(4) & 1).double()
    p = (-machine.free_energy(states)).softmax(0)
    chains = machine.gibbs(torch.zeros(20_000, 4, dtype=torch.float64), 30, torch.Generator().manual_seed(1))
    assert torch.allclose(chains.mean(0), p @ states, atol=0.02)


def test_cells_come_to_rest_and_two_states_approach():
    tree = Tree(2, 3)
    network = PAdicCellularNetwork(tree, torch.tensor([0.1, 0.1, 0.2, 0.4]).double(), torch.ones(4).double())
    assert network.contraction() < 1
    u = torch.randn(8, dtype=torch.float64)
    rest = network.stationary(torch.zeros(8, dtype=torch.float64), u)
    assert float(network.rate(rest, u).abs().max()) <= 1e-9
    assert torch.allclose(network.stationary(torch.full((8,), 5.0).double(), u), rest, atol=1e-7)
