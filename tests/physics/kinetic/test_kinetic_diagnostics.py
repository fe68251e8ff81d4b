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


@pytest.mark.parametrize("d", [1, 2, 4])
def test_the_entropy_of_a_gaussian(d):
    z = 2.0 * torch.randn(8000, d, generator=torch.Generator().manual_seed(d), dtype=torch.float64)
    exact = d * (0.5 * math.log(2 * math.pi * math.e) + math.log(2))
    assert knn_entropy(z) == pytest.approx(exact, abs=0.05)


@pytest.mark.parametrize(
    ("z", "words"),
    [
        (torch.zeros(10, 2), "one place"),
        (torch.full((10, 2), math.nan), "finite"),
        (torch.arange(4.0).reshape(2, 2), "neighbours"),
    ],
)
def test_particles_without_an_entropy_are_refused(z, words):
    with pytest.raises(InputError, match=words):
        knn_entropy(z)


def test_a_run_warns_where_log_densities_leave_the_particles():
    start = GaussianMixture.gaussian(M0, S0)
    options = {"velocity": "affine", "iterations": 1, "first": 1, "batch_size": 64, "particles": 1000}
    run = KineticJKO(SYSTEM, start, **options)
    run.run(9)
    true = run.now
    run.state.now = PhaseSpaceParticles(true.x, true.v, true.log_density + 1.0)
    with pytest.warns(UserWarning, match="entropy"):
        info = run.step()
    assert info.entropy_gap == pytest.approx(-1.0, abs=0.1)


@pytest.fixture(scope="module")
def near():
    """Particles of a Gaussian that is a little off the equilibrium, so that every number is known in closed form."""
    cov = torch.diag(torch.tensor([0.6, 0.5])).double()
    start = GaussianMixture.gaussian(torch.tensor([0.1, 0.0]).double(), cov)
    return PhaseSpaceParticles.of(start, 200_000, torch.Generator().manual_seed(0))


def test_particles_certify_the_free_energy_of_the_equilibrium(near):
    assert equilibrium(SYSTEM, near).free_energy == pytest.approx(-0.57236494, abs=1e-2)


def test_particles_certify_the_divergence_from_the_equilibrium(near):
    kl = 0.5 * (0.6 / 0.5 - 1 - math.log(0.6 / 0.5) + 0.01 / 0.5)
    assert equilibrium(SYSTEM, near).divergence == pytest.approx(kl, abs=3e-3)


def test_the_effective_share_of_particles(near):
    """E w^2 of N(0, 1/2) over N(m, s): with r = 1/2 / s, exp(m^2 / (2 s - 1/2)) / sqrt(r (2 - r))."""
    found, r = equilibrium(SYSTEM, near), 0.5 / 0.6
    assert found.share == pytest.approx(math.sqrt(r * (2 - r)) * math.exp(-0.01 / (2 * 0.6 - 0.5)), abs=5e-3)
    assert 0 < found.tail < 1e-3


def test_weighted_particles_have_the_moments_of_the_equilibrium(near):
    found = equilibrium(SYSTEM, near)
    assert found.mean(near.x[:, 0]) == pytest.approx(0.0, abs=0.01)
    assert found.mean(near.x[:, 0] ** 2) == pytest.approx(0.5, abs=0.01)


def test_an_interaction_has_no_certificate(near):
    with pytest.raises(InputError, match="temperature"):
        equilibrium(KineticFokkerPlanck(Free(), 1.0, 1.0, 1, QuadraticInteraction()), near)


@pytest.fixture(scope="module")
def exact():
    return GaussianMixture.gaussian(M0, S0).evolved(*harmonic_matrices(1.0, 1.0, 0.5), 1.0)


def test_a_sampler_has_the_moments_of_the_exact_flow(exact):
    start = GaussianMixture.gaussian(M0, S0).sample(20_000, torch.Generator().manual_seed(0))
    z = torch.cat(langevin(SYSTEM, *start, 1.0, 0.02, torch.Generator().manual_seed(1)), 1)
    assert torch.allclose(z.mean(0), exact.means[0], atol=0.03)
    assert torch.allclose(torch.cov(z.T), exact.covariances[0], atol=0.03)


def test_two_samples_of_one_density_are_near(exact):
    a, b = (torch.cat(exact.sample(20_000, torch.Generator().manual_seed(i)), 1) for i in (1, 2))
    assert sliced_w2(a, b) < 0.03


def test_a_shift_is_as_far_as_its_projections(exact):
    """The mean square of a unit vector's projections is 1 / 2 in the plane."""
    z = torch.cat(exact.sample(500, torch.Generator().manual_seed(1)), 1)
    assert sliced_w2(z, z + torch.tensor([1.0, 0.0]), 4000) == pytest.approx(math.sqrt(0.5), rel=0.03)


def test_samples_of_different_sizes_are_refused():
    with pytest.raises(InputError, match="equal shapes"):
        sliced_w2(torch.zeros(4, 2), torch.zeros(5, 2))


def test_slopes_of_a_function_of_ones_own():
    potential = CallablePotential(lambda x: (x * x - 1).square().sum(1))
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(potential.grad(x), DoubleWell().grad(x))
