"""A Gaussian in ten dimensions by three controls: a network, one with an affine part, and the affine part alone."""

from __future__ import annotations

import itertools
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.physics.kinetic import (
    AffineVelocity,
    GaussianMixture,
    Harmonic,
    KineticFokkerPlanck,
    KineticJKO,
    PhaseSpaceParticles,
    PotentialVelocity,
    gaussian_flow,
    gaussian_free_energy,
    gaussian_jko,
    harmonic_matrices,
)

D, TAU = 10, 0.02
CONTROLS = ("network", "network with affine part", "affine part alone")
STEPS = {True: 3, False: 25}
"""How many, of a quick run and of a full one."""


def ten_problem(d: int = D) -> tuple[KineticFokkerPlanck, Tensor, Tensor, Tensor]:
    """(system, stiffness, mean, covariance).

    Args:
        d: axes of space.
    """
    k = torch.linspace(0.5, 2, d, dtype=torch.float64)
    mean = torch.cat([torch.full((d,), 1.0), torch.full((d,), -0.5)]).double()
    cov = torch.diag(torch.cat([torch.full((d,), 0.6), torch.full((d,), 0.3)]).double())
    return KineticFokkerPlanck(Harmonic(k), 1.0, 0.5, d), k, mean, cov


def ten_trial(control: str, seed: int, quick: bool) -> dict[str, Any]:
    """Stiffness 0.5 to 2, up to t = 1/2; at tau = 0.05 the scheme itself would be off by 8 %.

    Args:
        control: of `CONTROLS`.
        seed: of everything.
        quick: three steps, fewer iterations.
    """
    torch.set_num_threads(1)
    make: dict[str, Callable[[], nn.Module]] = {
        "network": lambda: PotentialVelocity(D, rank=2 * D + 1, seed=seed),
        "network with affine part": lambda: PotentialVelocity(D, affine=True, seed=seed),
        "affine part alone": lambda: AffineVelocity(D),
    }
    system, k, mean, cov = ten_problem()
    begin = time.process_time()
    run = KineticJKO(
        system,
        GaussianMixture.gaussian(mean, cov),
        step_size=TAU,
        iterations=40 if quick else 120,
        first=100 if quick else 400,
        batch_size=512,
        particles=4096,
        seed=seed,
        velocity=make[control],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of steps that are tried again, which the seconds count
        run.run(STEPS[quick])
    seconds = time.process_time() - begin
    last = gaussian_flow(mean, cov, *harmonic_matrices(k, 1.0, 0.5, D), TAU * STEPS[quick])[1]
    energies, pushed = _many(run, 4096 if quick else 32_768, seed)
    truth = exact_energies(quick)
    return {
        "seconds": seconds,
        "covariance": float((torch.cov(torch.cat([pushed.x, pushed.v], 1).T) - last).norm() / last.norm()),
        "free energy": fall_gap(energies, truth),
        "to the scheme": fall_gap(energies, scheme_energies(quick)),
        "monotone": all(after < before for before, after in itertools.pairwise(run.energies)),
        "energies": energies,
    }


def fall_gap(energies: list[float], truth: list[float]) -> float:
    """The largest gap between two falls since the start, over the whole fall of the second.

    F itself has no zero to be relative to, and the start's sampling error isn't the scheme's.

    Args:
        energies: at the start and after every step.
        truth: likewise.
    """
    gaps = [abs((e - energies[0]) - (t - truth[0])) for e, t in zip(energies, truth)]
    return max(gaps) / (truth[0] - truth[-1])


def exact_energies(quick: bool) -> list[float]:
    """Free energies of the exact flow, at the start and after every step.

    Args:
        quick: as in `ten_trial`.
    """
    _, k, mean, cov = ten_problem()
    a, q = harmonic_matrices(k, 1.0, 0.5, D)
    flow = [gaussian_flow(mean, cov, a, q, TAU * i) for i in range(STEPS[quick] + 1)]
    return [gaussian_free_energy(m, s, k, 0.5) for m, s in flow]


def scheme_energies(quick: bool) -> list[float]:
    """Free energies of the scheme's own exact minimisers, at the start and after every step.

    Args:
        quick: as in `ten_trial`.
    """
    system, k, mean, cov = ten_problem()
    steps = gaussian_jko(system, mean, cov, TAU, STEPS[quick])
    return [exact_energies(True)[0], *(gaussian_free_energy(m, c, k, 0.5) for m, c, _ in steps)]


def _many(run: KineticJKO, n: int, seed: int) -> tuple[list[float], PhaseSpaceParticles]:
    """Energies of many fresh particles through the stored steps: thousands can't tell 5 % in ten dimensions."""
    with torch.no_grad():
        p = PhaseSpaceParticles.of(run.start, n, torch.Generator().manual_seed(9000 + seed))
        found = [float(run.system.free_energy(p.x, p.v, p.log_density))]
        for k in range(len(run.controls)):
            p = run.push(p, k + 1, begin=k, drop=True)
            found.append(float(run.system.free_energy(p.x, p.v, p.log_density)))
    return found, p
