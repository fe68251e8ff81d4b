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


def test_leapfrog_reverses_and_keeps_energy():
    x, v = torch.randn(50, 2, dtype=torch.float64), torch.randn(50, 2, dtype=torch.float64)
    system = KineticFokkerPlanck(DoubleWell(), 1.0, 1.0, 2)

    def go(x, v, h, n):
        for _ in range(n):
            x, v, logdet, _, _ = substep(system, None, 0.0, h, x, v)
            assert not logdet.any()
        return x, v

    y, w = go(x, v, 0.01, 100)
    back, _ = go(y, -w, 0.01, 100)
    assert torch.allclose(back, x, atol=1e-10)

    def energy(x, v):
        return 0.5 * v.square().sum(1) + system.potential.value(x)

    small = 0.3 * x, 0.3 * v
    drifts = [float((energy(*go(*small, h, round(1 / h))) - energy(*small)).abs().mean()) for h in (0.02, 0.01)]
    assert drifts[0] / drifts[1] == pytest.approx(4, rel=0.15)


def test_log_density_follows_the_map():
    """The change is the determinant of the whole map, which automatic differentiation gives."""
    system = KineticFokkerPlanck(Harmonic(1.0), 1.0, 0.5, 2)
    start = GaussianMixture.gaussian(torch.zeros(4), torch.eye(4))
    draw = torch.Generator().manual_seed(0)
    for velocity in ("affine", "potential"):
        run = KineticJKO(system, start, velocity=velocity, substeps=3, step_size=0.2, particles=20)
        control = run.control()
        with torch.no_grad():
            for p in control.parameters():
                p.add_(0.1 * torch.randn(p.shape, generator=draw, dtype=p.dtype))

        def whole(z, run=run, control=control):
            after, _, _ = run.flow(control, PhaseSpaceParticles(z[None, :2], z[None, 2:], torch.zeros(1).double()))
            return torch.cat([after.x[0], after.v[0]])

        p = run.now
        after, _, _ = run.flow(control, p)
        for i in (0, 3):
            z = torch.cat([p.x[i], p.v[i]])
            jacobian = torch.autograd.functional.jacobian(whole, z)
            expected = -torch.linalg.slogdet(jacobian)[1]
            assert float((after.log_density[i] - p.log_density[i]).detach()) == pytest.approx(float(expected), abs=1e-9)


def test_particles_that_fold_are_left_out_where_asked():
    class Steep(nn.Module):
        """Folds where v > 1.5."""

        def forward(self, s, x, v):
            far = v > 1.5
            return torch.where(far, -30 * (v - 1.5), torch.zeros_like(v)), torch.where(far, -30.0, 0.0).double()[
                :, :, None
            ]

    run = KineticJKO(SYSTEM, GaussianMixture.gaussian(torch.zeros(2), torch.eye(2)), particles=64, step_size=0.1)
    run.state.now = PhaseSpaceParticles(*(t[run.now.v[:, 0] < 1] for t in (run.now.x, run.now.v, run.now.log_density)))
    run.take(Steep())
    p = PhaseSpaceParticles.of(run.start, 500, torch.Generator().manual_seed(0))
    with pytest.raises(FoldedError):
        run.push(p)
    kept = run.push(p, drop=True)
    assert len(kept) == int((p.v <= 1.5).sum()) < 500
    with pytest.warns(UserWarning, match="folded on the way"):
        assert len(run.sample(300)) == 300
