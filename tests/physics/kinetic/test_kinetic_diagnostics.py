"""Entropy, equilibria and distances against closed forms; a sampler against the exact flow."""

import math

import pytest
import torch
from kinetic_cases import M0, S0, SYSTEM

from deepwright.core.errors import InputError
from deepwright.physics.kinetic import (
    CallablePotential,
    DoubleWell,
    Free,
    GaussianMixture,
    KineticFokkerPlanck,
    KineticJKO,
    PhaseSpaceParticles,
    QuadraticInteraction,
    equilibrium,
    harmonic_matrices,
    knn_entropy,
    langevin,
    sliced_w2,
)


def test_entropy_from_neighbours():
    draw = torch.Generator().manual_seed(0)
    for d in (1, 2, 4):
        z = 2.0 * torch.randn(8000, d, generator=draw, dtype=torch.float64)
        exact = d * (0.5 * math.log(2 * math.pi * math.e) + math.log(2))
        assert knn_entropy(z) == pytest.approx(exact, abs=0.05)
    with pytest.raises(InputError, match="one place"):
        knn_entropy(torch.zeros(10, 2))
    start = GaussianMixture.gaussian(M0, S0)
    run = KineticJKO(SYSTEM, start, velocity="affine", iterations=1, first=1, batch_size=64, particles=1000)
    run.run(9)
    wrong = run.now
    run.state.now = PhaseSpaceParticles(wrong.x, wrong.v, wrong.log_density + 1.0)
    with pytest.warns(UserWarning, match="entropy"):
        info = run.step()
    assert info.entropy_gap == pytest.approx(-1.0, abs=0.1)


def test_particles_certify_an_equilibrium():
    """A Gaussian that is a little off the equilibrium: every number in closed form."""
    cov = torch.diag(torch.tensor([0.6, 0.5])).double()
    start = GaussianMixture.gaussian(torch.tensor([0.1, 0.0]).double(), cov)
    p = PhaseSpaceParticles.of(start, 200_000, torch.Generator().manual_seed(0))
    found = equilibrium(SYSTEM, p)
    assert found.free_energy == pytest.approx(-0.57236494, abs=1e-2)
    kl = 0.5 * (0.6 / 0.5 - 1 - math.log(0.6 / 0.5) + 0.01 / 0.5)
    assert found.divergence == pytest.approx(kl, abs=3e-3)
    # E w^2 of N(0, 1/2) over N(m, s): with r = 1/2 / s, exp(m^2 / (2 s - 1/2)) / sqrt(r (2 - r))
    r = 0.5 / 0.6
    assert found.share == pytest.approx(math.sqrt(r * (2 - r)) * math.exp(-0.01 / (2 * 0.6 - 0.5)), abs=5e-3)
    assert found.mean(p.x[:, 0] ** 2) == pytest.approx(0.5, abs=0.01)
    assert found.mean(p.x[:, 0]) == pytest.approx(0.0, abs=0.01)
    assert 0 < found.tail < 1e-3
    with pytest.raises(InputError, match="temperature"):
        equilibrium(KineticFokkerPlanck(Free(), 1.0, 1.0, 1, QuadraticInteraction()), p)


def test_langevin_and_distances():
    a, q = harmonic_matrices(1.0, 1.0, 0.5)
    exact = GaussianMixture.gaussian(M0, S0).evolved(a, q, 1.0)
    x, v = GaussianMixture.gaussian(M0, S0).sample(20_000, torch.Generator().manual_seed(0))
    x, v = langevin(SYSTEM, x, v, 1.0, 0.02, torch.Generator().manual_seed(1))
    z = torch.cat([x, v], 1)
    assert torch.allclose(z.mean(0), exact.means[0], atol=0.03)
    assert torch.allclose(torch.cov(z.T), exact.covariances[0], atol=0.03)
    y = torch.cat(exact.sample(20_000, torch.Generator().manual_seed(2)), 1)
    assert sliced_w2(z, y) < 0.03
    assert sliced_w2(z, y + torch.tensor([1.0, 0.0])) == pytest.approx(math.sqrt(0.5), rel=0.15)
    potential = CallablePotential(lambda x: (x * x - 1).square().sum(1))
    assert torch.allclose(potential.grad(x), DoubleWell().grad(x))
