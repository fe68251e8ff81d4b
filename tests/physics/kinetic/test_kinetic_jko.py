"""Runs: the energy law, inversion, resuming, steps that adapt, and what is refused."""

import itertools
import math

import pytest
import torch
from kinetic_cases import M0, S0, SYSTEM

from deepwright.core.errors import InputError
from deepwright.physics.kinetic import (
    AffineVelocity,
    FoldedError,
    Free,
    GaussianMixture,
    Harmonic,
    KineticFokkerPlanck,
    KineticJKO,
    PairInteraction,
    PhaseSpaceParticles,
    substep,
)


@pytest.mark.parametrize("scheme", ["constrained", "split"])
def test_a_run_keeps_the_energy_law_inverts_and_resumes(scheme, tmp_path):
    mixture = GaussianMixture(
        torch.tensor([0.5, 0.5]), torch.tensor([[1.0, 0.0], [-1.0, 0.5]]), 0.2 * torch.eye(2).expand(2, 2, 2)
    )
    options = dict(step_size=0.1, iterations=40, first=120, batch_size=256, particles=512, scheme=scheme, seed=1)
    run = KineticJKO(SYSTEM, mixture, **options)
    infos = run.run(3)
    assert all(i.slack > -1e-3 for i in infos)
    assert all(b < a for a, b in itertools.pairwise(run.energies))
    p = run.now
    assert torch.allclose(run.log_prob(p.x, p.v), p.log_density, atol=1e-8)
    axis = torch.linspace(-5, 5, 161, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis)
    mass = float(run.log_prob(z[:, :1], z[:, 1:]).exp().sum() * (axis[1] - axis[0]) ** 2)
    assert mass == pytest.approx(1.0, abs=1e-3)
    first = KineticJKO(SYSTEM, mixture, **options)
    first.run(2, checkpoint=tmp_path / "run.pt")
    again = KineticJKO(SYSTEM, mixture, **options)
    again.run(3, checkpoint=tmp_path / "run.pt")
    assert torch.equal(again.now.log_density, run.now.log_density)
    assert again.energies == run.energies
    with pytest.raises(InputError, match="another seed: 2, was 1"):
        KineticJKO(SYSTEM, mixture, **{**options, "seed": 2}).run(3, checkpoint=tmp_path / "run.pt")
    with pytest.raises(InputError, match=r"0\.\.3"):
        run.sample(5, 9)
    assert len(run.sample(10, 1)) == 10


def test_steps_adapt_to_the_energy_and_resume(tmp_path):
    options = dict(
        step_size=0.02,
        tolerance=0.02,
        velocity="affine",
        iterations=80,
        first=200,
        batch_size=512,
        particles=1024,
        lr=1e-2,
    )
    start = GaussianMixture.gaussian(M0, S0)
    run = KineticJKO(SYSTEM, start, **options)
    run.run(until=1.5)
    assert run.times[-1] == pytest.approx(1.5, abs=1e-12)
    taus = [i.tau for i in run.infos]
    assert taus[1] > taus[0]
    assert len(taus) < 20  # 75 steps of the first size
    assert all(i.mismatch <= 4 * 0.02 for i in run.infos)
    p = run.now
    assert torch.allclose(run.log_prob(p.x, p.v), p.log_density, atol=1e-8)
    KineticJKO(SYSTEM, start, **options).run(3, checkpoint=tmp_path / "run.pt")
    again = KineticJKO(SYSTEM, start, **options)
    again.run(until=1.5, checkpoint=tmp_path / "run.pt")
    assert [i.tau for i in again.infos] == taus
    assert torch.equal(again.now.v, run.now.v)
    capped = KineticJKO(SYSTEM, start, **options, largest=0.03)
    capped.run(4)
    assert max(i.tau for i in capped.infos) <= 0.03
    with pytest.warns(UserWarning, match="below the sampling noise"):
        KineticJKO(SYSTEM, start, **{**options, "tolerance": 1e-9, "iterations": 5, "first": 5}).run(1)
    with pytest.raises(InputError, match="no end"):
        run.run()
    with pytest.raises(InputError, match="tolerance"):
        KineticJKO(SYSTEM, start, tolerance=0.0)


def test_bad_input():
    start = GaussianMixture.gaussian(M0, S0)
    with pytest.raises(InputError, match="friction"):
        KineticFokkerPlanck(Free(), -1.0)
    with pytest.raises(InputError, match="constrained"):
        KineticJKO(SYSTEM, start, scheme="euler")
    with pytest.raises(InputError, match="velocity"):
        KineticJKO(SYSTEM, start, velocity="cubic")
    with pytest.warns(UserWarning, match="temperature 0"):
        KineticJKO(KineticFokkerPlanck(Harmonic(), 1.0, 0.0), start)
    with pytest.raises(InputError, match="finite"):
        PhaseSpaceParticles(torch.zeros(2, 1), torch.zeros(2, 1), torch.tensor([0.0, math.nan]))
    with pytest.raises(InputError, match="2 or more"):
        PairInteraction(lambda r: r.sum(1)).energy(torch.zeros(1, 1))
    folding = AffineVelocity(1)
    with torch.no_grad():
        folding.bv.fill_(-20.0)
    with pytest.raises(FoldedError, match="2 of 2"):
        substep(SYSTEM, folding, 0.0, 0.1, torch.zeros(2, 1).double(), torch.ones(2, 1).double())
