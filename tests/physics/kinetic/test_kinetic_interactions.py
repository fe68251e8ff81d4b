"""Interactions: momentum, means, pairs against springs."""

import pytest
import torch

from deepwright.physics.kinetic import (
    Free,
    GaussianMixture,
    KineticFokkerPlanck,
    KineticJKO,
    PairInteraction,
    QuadraticInteraction,
)


def test_quadratic_interaction_leaves_the_mean_free():
    system = KineticFokkerPlanck(Free(), 1.0, 0.5, 1, QuadraticInteraction(2.0))
    start = GaussianMixture.gaussian(torch.tensor([0.0, 1.0]), torch.diag(torch.tensor([0.5, 0.2])))
    run = KineticJKO(
        system,
        start,
        velocity="affine",
        step_size=0.05,
        iterations=150,
        first=400,
        batch_size=2048,
        particles=2048,
        lr=2e-2,
    )
    before = float(run.now.v.mean())
    run.run(4)
    assert float(run.now.v.mean()) == pytest.approx(before / 1.05**4, rel=0.02)  # friction by implicit steps
    p = run.now
    assert torch.allclose(run.log_prob(p.x, p.v), p.log_density, atol=1e-8)  # with the stored clouds


def test_pairs_keep_momentum():
    pair = PairInteraction(lambda r: torch.exp(-r.square().sum(1)))
    x = torch.randn(40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    force = pair.grad(x, x)
    assert float(force.sum(0).abs().max()) < 1e-12
    own = x.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(pair.energy(own), own)
    assert torch.allclose(slope * len(x), force, atol=1e-12)
    few = PairInteraction(lambda r: torch.exp(-r.square().sum(1)), batch=2000)
    assert torch.allclose(few.grad(x, torch.cat([x] * 100)), pair.grad(x.clone(), x), atol=0.1)
    quadratic = PairInteraction(lambda r: r.square().sum(1))
    assert torch.allclose(quadratic.grad(x.clone(), x), QuadraticInteraction(2.0).grad(x, x), atol=1e-12)
