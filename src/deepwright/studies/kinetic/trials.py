"""Kinetic runs beside the mixtures: pairs on springs, a double well, a plasma with collisions."""

from __future__ import annotations

import math
import time
import warnings
from dataclasses import replace
from typing import Any

import torch

from deepwright.physics.kinetic import (
    DoubleWell,
    Free,
    GaussianMixture,
    KineticFokkerPlanck,
    KineticJKO,
    PlasmaWave,
    Poisson1d,
    PotentialVelocity,
    QuadraticInteraction,
    equilibrium,
    gaussian_flow,
    grid_solution,
    harmonic_matrices,
    langevin,
    sliced_w2,
)

OTHERS = ("interaction", "double well", "plasma")


def other_trial(what: str, seed: int, quick: bool) -> dict[str, Any]:
    """One run.

    Args:
        what: of `OTHERS`.
        seed: of everything.
        quick: fewer steps and iterations.
    """
    torch.set_num_threads(1)
    kinds = {"interaction": _interaction, "double well": _double_well, "plasma": _plasma}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kinds[what](seed, quick)


def _interaction(seed: int, quick: bool) -> dict[str, Any]:
    """Pairs pulled together by springs: the mean moves as a free particle with friction, whatever the rest does."""
    system = KineticFokkerPlanck(Free(), 1.0, 0.5, 1, QuadraticInteraction(1.0))
    start = GaussianMixture.gaussian(torch.tensor([0.0, 1.0]), torch.diag(torch.tensor([0.6, 0.3])))
    steps, tau = (3 if quick else 20), 0.05
    run = KineticJKO(
        system,
        start,
        step_size=tau,
        iterations=40 if quick else 100,
        first=150 if quick else 400,
        batch_size=512,
        seed=seed,
    )
    m0 = float(run.now.v.mean())
    begin = time.process_time()
    run.run(steps)
    seconds = time.process_time() - begin
    t = tau * steps
    cov = torch.cov(torch.cat([run.now.x, run.now.v], 1).T)
    _, exact = gaussian_flow(torch.zeros(2).double(), start.covariances[0], *harmonic_matrices(1.0, 1.0, 0.5), t)
    # the scheme's own mean: friction by implicit steps, (1 + tau)^-1 each, to first order
    return {
        "seconds": seconds,
        "mean": float(run.now.v.mean()),
        "implicit": m0 / (1 + tau) ** steps,
        "exact mean": m0 * math.exp(-t),
        "t": t,
        "covariance": float((cov - exact).norm() / exact.norm()),
        "energies": run.energies,
        "monotone": all(i.after < i.before for i in run.infos),
    }


def _double_well(seed: int, quick: bool) -> dict[str, Any]:
    """Two wells against the density on a grid of 512 x 512, and what the particles certify of the equilibrium."""
    system = KineticFokkerPlanck(DoubleWell(), 1.0, 0.5, 1)
    start = GaussianMixture.gaussian(torch.tensor([0.0, 0.0]), torch.diag(torch.tensor([0.3, 0.3])))
    end = 0.2 if quick else 1.0
    run = KineticJKO(
        system,
        start,
        step_size=0.05,
        substeps=2,
        iterations=40 if quick else 100,
        first=150 if quick else 400,
        batch_size=512,
        seed=seed,
    )
    begin = time.process_time()
    run.run(until=end)
    seconds = time.process_time() - begin
    points = 128 if quick else 512
    truth = grid_solution(system, start, run.times, x_span=(-3.5, 3.5), v_max=8.0, points=(points, points), step=0.01)
    exact = torch.cat(truth.sample(4096, seed=1000 + seed), 1)
    x, v = start.sample(4096, torch.Generator().manual_seed(2000 + seed))
    other = torch.cat(langevin(system, x, v, end, 0.005, torch.Generator().manual_seed(3000 + seed)), 1)
    mine = torch.cat([run.now.x, run.now.v], 1)
    late = grid_solution(system, start, [20.0], x_span=(-3.5, 3.5), v_max=8.0, points=(128, 128), step=0.05)
    certified = equilibrium(system, run.now)
    return {
        "seconds": seconds,
        "w2": sliced_w2(mine, exact),
        "sampler w2": sliced_w2(other, exact),
        "energies": run.energies,
        "truth": truth.free_energy,
        "monotone": all(i.after < i.before for i in run.infos),
        "times": run.times,
        "floor": late.free_energy[-1],
        "certified": certified.free_energy,
        "effective share": certified.share,
    }


def _plasma(seed: int, quick: bool) -> dict[str, Any]:
    """A wave of electrons with collisions on a ring (Vlasov, Poisson, Fokker, Planck), against the grid solver."""
    length, end = 4 * math.pi, 0.4 if quick else 4.0
    system = KineticFokkerPlanck(Free(), 0.1, 1.0, 1, Poisson1d(length))
    start = PlasmaWave(length, 0.3)
    begin = time.process_time()
    run = KineticJKO(
        system,
        start,
        step_size=0.1,
        iterations=60,
        first=120,
        batch_size=1024,
        particles=16_384,
        seed=seed,
        velocity=lambda: PotentialVelocity(1, ring=length, seed=seed),
    )
    field_energy = [float(Poisson1d(length).energy(run.now.x))]
    while run.times[-1] < end - 1e-9:
        run.step()
        field_energy.append(float(Poisson1d(length).energy(run.now.x)))
    seconds = time.process_time() - begin
    truth, free = (
        grid_solution(
            replace(system, friction=g), start, run.times, x_span=(0, length), v_max=7.0, points=(64, 512), step=0.02
        )
        for g in (0.1, 0.0)
    )
    gap = [a - b for a, b in zip(field_energy, truth.field_energy)]
    return {
        "seconds": seconds,
        "times": run.times,
        "field energy": field_energy,
        "grid": truth.field_energy,
        "no friction": free.field_energy,
        "energies": run.energies,
        "grid energies": truth.free_energy,
        "field gap": math.sqrt(sum(g * g for g in gap) / sum(t * t for t in truth.field_energy)),
        "free gap": max(abs(a - b) for a, b in zip(run.energies, truth.free_energy))
        / abs(truth.free_energy[0] - truth.free_energy[-1]),
        "monotone": all(i.after < i.before for i in run.infos),
    }
