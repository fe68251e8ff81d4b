"""The map of a step: reversal, determinants against whole Jacobians, folds."""

import pytest
import torch
from kinetic_cases import SYSTEM
from torch import nn

from deepwright.physics.kinetic import (
    DoubleWell,
    FoldedError,
    GaussianMixture,
    Harmonic,
    KineticFokkerPlanck,
    KineticJKO,
    PhaseSpaceParticles,
    substep,
)

WELL = KineticFokkerPlanck(DoubleWell(), 1.0, 1.0, 2)


def cloud():
    draw = torch.Generator().manual_seed(0)
    return [torch.randn(50, 2, dtype=torch.float64, generator=draw) for _ in range(2)]


def leapfrog(x, v, h, n):
    """n steps without a control, which keep volumes."""
    for _ in range(n):
        x, v, logdet, _, _ = substep(WELL, None, 0.0, h, x, v)
        assert not logdet.any()
    return x, v


def test_leapfrog_reverses():
    x, v = cloud()
    y, w = leapfrog(x, v, 0.01, 100)
    assert torch.allclose(leapfrog(y, -w, 0.01, 100)[0], x, atol=1e-10)


def test_leapfrog_keeps_energy_to_second_order():
    def energy(x, v):
        return 0.5 * v.square().sum(1) + WELL.potential.value(x)

    small = [0.3 * t for t in cloud()]
    drifts = [(energy(*leapfrog(*small, h, round(1 / h))) - energy(*small)).abs().mean() for h in (0.02, 0.01)]
    assert float(drifts[0] / drifts[1]) == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize("velocity", ["affine", "potential"])
def test_log_density_follows_the_map(velocity):
    """The change is the determinant of the whole map, which automatic differentiation gives."""
    system = KineticFokkerPlanck(Harmonic(1.0), 1.0, 0.5, 2)
    start = GaussianMixture.gaussian(torch.zeros(4), torch.eye(4))
    run = KineticJKO(system, start, velocity=velocity, substeps=3, step_size=0.2, particles=20)
    control, draw = run.control(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in control.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=draw, dtype=p.dtype))

    def whole(z):
        after, _, _ = run.flow(control, PhaseSpaceParticles(z[None, :2], z[None, 2:], torch.zeros(1).double()))
        return torch.cat([after.x[0], after.v[0]])

    p = run.now
    after, _, _ = run.flow(control, p)
    for i in (0, 3):
        jacobian = torch.autograd.functional.jacobian(whole, torch.cat([p.x[i], p.v[i]]))
        expected = -torch.linalg.slogdet(jacobian)[1]
        assert float((after.log_density[i] - p.log_density[i]).detach()) == pytest.approx(float(expected), abs=1e-9)


class Steep(nn.Module):
    """Folds where v > 1.5."""

    def forward(self, s, x, v):
        far = v > 1.5
        slope = torch.where(far, -30.0, 0.0).double()[:, :, None]
        return torch.where(far, -30 * (v - 1.5), torch.zeros_like(v)), slope


@pytest.fixture
def steep():
    """A run with a step that folds far out, where none of its own particles are."""
    run = KineticJKO(SYSTEM, GaussianMixture.gaussian(torch.zeros(2), torch.eye(2)), particles=64, step_size=0.1)
    run.state.now = run.now.rows(run.now.v[:, 0] < 1)
    run.take(Steep())
    return run


def test_particles_that_fold_are_refused(steep):
    p = PhaseSpaceParticles.of(steep.start, 500, torch.Generator().manual_seed(0))
    with pytest.raises(FoldedError):
        steep.push(p)


def test_particles_that_fold_are_left_out_where_asked(steep):
    p = PhaseSpaceParticles.of(steep.start, 500, torch.Generator().manual_seed(0))
    assert len(steep.push(p, drop=True)) == int((p.v <= 1.5).sum()) < 500


def test_samples_that_fold_are_drawn_anew_and_told(steep):
    with pytest.warns(UserWarning, match="folded on the way"):
        assert len(steep.sample(300)) == 300
