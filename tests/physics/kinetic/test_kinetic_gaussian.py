"""Gaussians: exact flows against published numbers, the scheme on moments against an independent minimiser."""

import math

import numpy as np
import pytest
import torch
from kinetic_cases import M0, S0, SYSTEM
from scipy import linalg, optimize

from deepwright.core.errors import InputError
from deepwright.physics.kinetic import (
    Free,
    KineticFokkerPlanck,
    gaussian_flow,
    gaussian_free_energy,
    gaussian_jko,
    harmonic_matrices,
)


def test_the_flow_of_a_gaussian_is_as_published():
    m, s = gaussian_flow(M0, S0, *harmonic_matrices(1.0, 1.0, 0.5), 1.0)
    assert m.tolist() == pytest.approx([0.72279663, -0.86335727], abs=1e-8)
    expected = [[0.5569854, -0.06879849], [-0.06879849, 0.51181309]]
    assert s.tolist() == [pytest.approx(row, abs=1e-7) for row in expected]


@pytest.mark.parametrize(("t", "energy"), [(0.0, 0.72405068), (1.0, 0.06730984), (60.0, -0.57236494)])
def test_the_free_energy_along_the_flow_is_as_published(t, energy):
    moments = gaussian_flow(M0, S0, *harmonic_matrices(1.0, 1.0, 0.5), t)
    assert gaussian_free_energy(*moments, 1.0, 0.5) == pytest.approx(energy, abs=1e-7)


def test_critical_damping():
    """Friction 2, stiffness 1."""
    m, _ = gaussian_flow(torch.tensor([2.0, 0.0]).double(), S0, *harmonic_matrices(1.0, 2.0, 0.5), 0.7)
    assert m.tolist() == pytest.approx([1.68839003, -0.69521943], abs=1e-8)


def test_free_transport_spreads_as_an_ornstein_uhlenbeck_process():
    """Var v relaxes to T, Var x is the integral."""
    start = torch.diag(torch.tensor([0.5, 1.0])).double()
    _, s = gaussian_flow(torch.zeros(2).double(), start, *harmonic_matrices(0.0, 1.0, 1.0), 2.0)
    assert float(s[1, 1]) == pytest.approx(1.0)
    assert float(s[0, 0]) == pytest.approx(0.5 + 2 * (2 - 1 + math.exp(-2)))


def test_errors_of_first_order_as_published():
    a, q = harmonic_matrices(1.0, 1.0, 0.5)
    m, s = gaussian_flow(M0, S0, a, q, 1.0)
    for tau, expected in ((0.2, 4.87e-2), (0.1, 2.54e-2), (0.05, 1.30e-2), (0.025, 6.56e-3)):
        steps = gaussian_jko(SYSTEM, M0, S0, tau, round(1 / tau))
        gap = math.hypot(float((steps[-1][0] - m).norm()), float((steps[-1][1] - s).norm()))
        assert gap == pytest.approx(expected, rel=5e-3)
        energies = [
            gaussian_free_energy(M0, S0, 1.0, 0.5),
            *(gaussian_free_energy(x, y, 1.0, 0.5) for x, y, _ in steps),
        ]
        for before, after, (_, _, cost) in zip(energies, energies[1:], steps):
            assert after + cost <= before + 1e-9


def test_the_minimiser_is_scipys():
    """One step's moments from NumPy alone, minimised by BFGS."""
    tau = 0.1
    drift = np.array([[1, tau / 2], [0, 1]])
    m0, s0 = drift @ M0.numpy(), drift @ S0.numpy() @ drift.T

    def after(p):
        kick = np.array([[1, 0], [tau * (p[1] - 1), 1 + tau * p[2]]])
        return drift @ (kick @ m0 + [0, tau * p[0]]), drift @ kick @ s0 @ kick.T @ drift.T

    def objective(p):
        a = p[0] + p[1:] @ m0
        m, s = after(p)
        return 0.5 * tau * (a**2 + p[1:] @ s0 @ p[1:]) + 0.5 * (np.trace(s) + m @ m) - 0.25 * np.linalg.slogdet(s)[1]

    best = optimize.minimize(objective, np.zeros(3), method="BFGS", options={"gtol": 1e-10})
    m, s = after(best.x)
    ours = gaussian_jko(SYSTEM, M0, S0, tau, 1)[0]
    assert np.allclose(ours[0], m, atol=1e-6)
    assert np.allclose(ours[1], s, atol=1e-6)


@pytest.mark.parametrize("options", [{"tau": 0.0}, {"steps": 0}, {"substeps": 0}])
def test_a_scheme_without_steps_is_refused(options):
    with pytest.raises(InputError, match="gaussian_jko"):
        gaussian_jko(SYSTEM, M0, S0, **{"tau": 0.1, "steps": 1, **options})


def test_a_scheme_on_moments_needs_a_harmonic_potential():
    with pytest.raises(InputError, match="Free"):
        gaussian_jko(KineticFokkerPlanck(Free()), M0, S0, 0.1, 1)


@pytest.mark.parametrize(("friction", "t"), [(20.0, 2.0), (200.0, 5.0), (0.01, 50.0), (1.0, 1e-6), (1.0, 0.0)])
def test_the_flow_of_fast_and_slow_systems(friction, t):
    """Against Lyapunov's equation A S + S A^T + Q = 0: S(t) = S + F (S0 - S) F^T."""
    a, q = harmonic_matrices(1.0, friction, 0.5)
    still = torch.from_numpy(linalg.solve_continuous_lyapunov(a.numpy(), -q.numpy()))
    f = torch.from_numpy(linalg.expm(a.numpy() * t))
    _, s = gaussian_flow(M0, S0, a, q, t)
    torch.testing.assert_close(s, still + f @ (S0 - still) @ f.T, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("friction", [0.0, 1.0, 20.0, 1000.0])
def test_covariances_of_the_flow_are_symmetric_and_positive(friction):
    _, s = gaussian_flow(M0, S0, *harmonic_matrices(1.0, friction, 0.5), 3.0)
    assert torch.equal(s, s.T)
    assert float(torch.linalg.eigvalsh(s).min()) > 0


@pytest.mark.parametrize("t", [-1.0, math.nan, math.inf])
def test_times_that_cannot_be_are_refused(t):
    with pytest.raises(InputError, match="t >= 0"):
        gaussian_flow(M0, S0, *harmonic_matrices(1.0, 1.0, 0.5), t)
