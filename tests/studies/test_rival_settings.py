"""Rivals of the physics studies: as many settings and as much CPU time for each, and closed forms that explain them."""

import math

import pytest
import torch

from deepwright.studies import linear_grids
from deepwright.studies._frame import Runs, geometric_mean
from deepwright.studies.linear_grids import WITHOUT_SMOOTH
from deepwright.studies.linear_grids.methods import BUDGET, MAIN, MILLISECONDS, NETWORKS, PROBLEMS, RATES, steps_in
from deepwright.studies.linear_grids.products import products_needed
from deepwright.studies.two_phase.ways import WAYS, settings_of, solver_for


def test_a_geometric_mean_lies_between_the_ends_of_its_interval():
    found = geometric_mean([1e-3, 1e-1])
    assert found.value == pytest.approx(1e-2)
    assert 0 < found.low < found.value < found.high
    assert found.low * found.high == pytest.approx(1e-4)


def test_equal_errors_have_no_spread():
    found = geometric_mean([0.02] * 5)
    assert found.low == pytest.approx(0.02)
    assert found.high == pytest.approx(0.02)


def test_every_network_has_two_settings_of_its_own():
    assert {len(settings) for settings in NETWORKS.values()} == {2}


def test_three_bands_without_the_smooth_one_have_the_error_that_the_page_states():
    stated = PROBLEMS["three bands"]()
    x = stated.domain.sample(4096, "sobol", generator=torch.Generator().manual_seed(0))
    exact, smooth = stated.exact(x)[:, 0], torch.sin(math.pi * x).prod(1)
    assert float(smooth.norm() / exact.norm()) == pytest.approx(WITHOUT_SMOOTH, rel=0.02)


def test_the_plain_network_says_which_rates_were_tried():
    grid = linear_grids._tuning_grid(("one band",), 1.0, RATES)
    tuned = Runs(tuple(grid), tuple({"validation": 1 - spec["setting"]["lr"]} for spec in grid))
    (arm,) = linear_grids._picked_plain(tuned).arms
    assert (arm.tried, arm.chosen, arm.at_edge) == (3, {f"lr = {RATES[-1]:g}, network = tanh": 1}, 1)


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", MAIN)
def test_steps_cost_the_budget(problem, name):
    costs = MILLISECONDS.get(problem, MILLISECONDS["plane"])[name]
    for network, cost in zip(NETWORKS[name], costs):
        assert steps_in(problem, name, network) * cost / 1e3 == pytest.approx(BUDGET[problem], rel=0.01)


def test_a_product_is_one_product_and_three_bands_are_three():
    """Each band is a product of sines, orthogonal to the others: amplitudes 1, 1/2 and 1/4."""
    left = products_needed(96)
    assert left["one band"][0] < 1e-12
    assert left["three bands"][0] == pytest.approx(math.sqrt((1 / 4 + 1 / 16) / (1 + 1 / 4 + 1 / 16)), abs=5e-3)
    assert left["three bands"][1] == pytest.approx(math.sqrt((1 / 16) / (1 + 1 / 4 + 1 / 16)), abs=5e-3)
    assert left["three bands"][2] < 1e-12


@pytest.mark.parametrize("what", WAYS)
def test_every_way_has_eight_settings(what):
    settings = settings_of(what)
    assert len({tuple(s.items()) for s in settings}) == 8


def parameters(model):
    """How many numbers are fitted."""
    return sum(p.numel() for p in model.parameters())


def test_the_larger_networks_of_all_ways_are_of_a_size():
    sizes = [parameters(solver_for(what, settings_of(what)[-1], 0).model) for what in WAYS]
    assert max(sizes) < 1.1 * min(sizes)
