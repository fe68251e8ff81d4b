"""Interactions: momentum, means, pairs against springs."""

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.physics.kinetic import (
    Free,
    GaussianMixture,
    KineticFokkerPlanck,
    KineticJKO,
    PairInteraction,
    QuadraticInteraction,
)


def bump(r):
    return torch.exp(-r.square().sum(1))


@pytest.fixture
def x():
    return torch.randn(40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def springs():
    """(a run of particles that are pulled together, their mean velocity at the start)."""
    system = KineticFokkerPlanck(Free(), 1.0, 0.5, 1, QuadraticInteraction(2.0))
    start = GaussianMixture.gaussian(torch.tensor([0.0, 1.0]), torch.diag(torch.tensor([0.5, 0.2])))
    options = {"velocity": "affine", "step_size": 0.05, "iterations": 150, "first": 400, "lr": 2e-2}
    run = KineticJKO(system, start, **options, batch_size=2048, particles=2048)
    before = float(run.now.v.mean())
    run.run(4)
    return run, before


def test_springs_leave_the_mean_free(springs):
    """It moves as a free particle with friction, by implicit steps."""
    run, before = springs
    assert float(run.now.v.mean()) == pytest.approx(before / 1.05**4, rel=0.02)


def test_densities_go_back_through_maps_with_their_stored_clouds(springs):
    p = springs[0].now
    assert torch.allclose(springs[0].log_prob(p.x, p.v), p.log_density, atol=1e-8)


def test_pairs_keep_momentum(x):
    assert float(PairInteraction(bump).grad(x, x).sum(0).abs().max()) < 1e-12


def test_the_force_of_pairs_is_the_slope_of_their_energy(x):
    pair, own = PairInteraction(bump), x.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(pair.energy(own), own)
    assert torch.allclose(slope * len(x), pair.grad(x, x), atol=1e-12)


def test_many_random_partners_are_as_good_as_all(x):
    few, every = PairInteraction(bump, batch=2000), PairInteraction(bump)
    assert torch.allclose(few.grad(x, torch.cat([x] * 100)), every.grad(x.clone(), x), atol=0.1)


def test_springs_between_pairs_are_springs_to_the_mean(x):
    pairs = PairInteraction(lambda r: r.square().sum(1))
    assert torch.allclose(pairs.grad(x.clone(), x), QuadraticInteraction(2.0).grad(x, x), atol=1e-12)


def test_fewer_partners_than_none_are_refused():
    with pytest.raises(InputError, match="batch"):
        PairInteraction(bump, batch=-1)
