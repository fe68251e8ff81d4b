"""One run of a kinetic scheme, measured against an exact flow or a density on a grid."""

from __future__ import annotations

import itertools
import math
import time
import warnings
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from deepwright.physics.kinetic import (
    DoubleWell,
    Free,
    GaussianMixture,
    Harmonic,
    KineticFokkerPlanck,
    KineticJKO,
    PhaseSpaceParticles,
    PlasmaWave,
    Poisson1d,
    PotentialVelocity,
    QuadraticInteraction,
    equilibrium,
    gaussian_flow,
    gaussian_free_energy,
    grid_solution,
    harmonic_matrices,
    langevin,
    sliced_w2,
    train_shared,
)

SYSTEM = KineticFokkerPlanck(Harmonic(1.0), 1.0, 0.5, 1)
TEN_STEP = 0.02


def mixture() -> GaussianMixture:
    """Three components in phase space."""
    return GaussianMixture(
        torch.tensor([0.4, 0.35, 0.25]),
        torch.tensor([[1.5, -0.5], [-1.2, 0.8], [0.2, 1.8]]),
        torch.tensor([[[0.3, 0.05], [0.05, 0.2]], [[0.2, -0.05], [-0.05, 0.3]], [[0.15, 0.0], [0.0, 0.15]]]),
    )


def trial(what: str, seed: int, quick: bool, picture: bool) -> dict[str, Any]:
    """One run; the score baseline gets the CPU seconds that a constrained run takes."""
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if what == "ten dimensions":
            return _ten(seed, quick)
        if what == "interaction":
            return _interaction(seed, quick)
        if what == "double well":
            return _double_well(seed, quick)
        if what == "plasma":
            return _plasma(seed, quick)
        return _score(seed, quick) if what == "score" else _mixture(what, seed, quick, picture)


def _mixture(scheme: str, seed: int, quick: bool, picture: bool) -> dict[str, Any]:
    """Up to t = 1 in twenty steps, in steps that adapt, or with one control for all of them."""
    begin = time.process_time()
    end = 0.25 if quick else 1.0
    run = KineticJKO(
        SYSTEM,
        mixture(),
        step_size=0.05,
        scheme="split" if scheme == "split" else "constrained",
        tolerance=0.005 if scheme == "adaptive" else None,
        iterations=60 if quick else 150,
        first=200 if quick else 500,
        batch_size=1024,
        seed=seed,
    )
    if scheme == "one control":
        train_shared(run, round(end / 0.05), iterations=20 if quick else 300)
    else:
        run.run(until=end)
    infos = run.infos
    out: dict[str, Any] = {"seconds": time.process_time() - begin, "steps": len(infos), "times": run.times}
    out |= _against_exact(run.now, end, seed)
    out |= {
        "slack": min(i.slack for i in infos),
        "energies": run.energies,
        "monotone": all(i.after < i.before for i in infos),
        "entropy gap": max((abs(i.entropy_gap) for i in infos if i.entropy_gap is not None), default=0.0),
    }
    if picture:
        out["picture"] = _densities(run, end)
        p = run.now
        out["inverse"] = float((run.log_prob(p.x[:500], p.v[:500]) - p.log_density[:500]).abs().max())
    return out


def _against_exact(p: PhaseSpaceParticles, t: float, seed: int) -> dict[str, float]:
    exact = mixture().evolved(*harmonic_matrices(1.0, 1.0, 0.5), t)
    x, v = exact.sample(len(p), torch.Generator().manual_seed(1000 + seed))
    truth = float(SYSTEM.free_energy(x, v, exact.log_prob(x, v)))
    return {
        "kl": float((p.log_density - exact.log_prob(p.x, p.v)).mean()),
        "w2": sliced_w2(torch.cat([p.x, p.v], 1), torch.cat([x, v], 1)),
        "free energy gap": float(SYSTEM.free_energy(p.x, p.v, p.log_density)) - truth,
    }


def _score(seed: int, quick: bool) -> dict[str, Any]:
    """Friction and diffusion by a score that is matched to the particles before every step, applied by the same map."""
    begin = time.process_time()
    steps, tau = (5 if quick else 20), 0.05
    rng = torch.Generator().manual_seed(seed)
    p = PhaseSpaceParticles.of(mixture(), 4096, rng)
    net = PotentialVelocity(1, seed=seed)
    energies = [float(SYSTEM.free_energy(p.x, p.v, p.log_density))]
    for k in range(steps):
        iterations = (200 if quick else 500) if k == 0 else (60 if quick else 150)
        adam = torch.optim.Adam(net.parameters(), 3e-3, betas=(0.5, 0.999))
        x = (
            p.x + tau / 2 * p.v
        )  # the score is matched where the kick is given: the map's determinant is then that of the kick
        for _ in range(iterations):
            rows = torch.randint(len(p), (1024,), generator=rng)
            s, slope = net(0.0, x[rows], p.v[rows])
            loss = (0.5 * s.square().sum(1) + slope.diagonal(dim1=1, dim2=2).sum(1)).mean()  # implicit score matching
            adam.zero_grad()
            loss.backward()
            adam.step()
        with torch.no_grad():
            s, slope = net(0.0, x, p.v)
            det = 1 + tau * (-1 - SYSTEM.temperature * slope[:, 0, 0])
            v = p.v + tau * (SYSTEM.force(x, x) - p.v - SYSTEM.temperature * s)
            p = PhaseSpaceParticles(x + tau / 2 * v, v, p.log_density - det.clamp_min(1e-3).log())
        energies.append(float(SYSTEM.free_energy(p.x, p.v, p.log_density)))
    out: dict[str, Any] = {"seconds": time.process_time() - begin, "energies": energies}
    out |= _against_exact(p, tau * steps, seed)
    return out | {"monotone": all(b < a for a, b in itertools.pairwise(energies))}


def _densities(run: KineticJKO, t: float, n: int = 90) -> dict[str, Tensor]:
    axis = torch.linspace(-3.5, 3.5, n, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis)
    exact = mixture().evolved(*harmonic_matrices(1.0, 1.0, 0.5), t)
    return {
        "start": mixture().log_prob(z[:, :1], z[:, 1:]).exp().reshape(n, n),
        "ours": run.log_prob(z[:, :1], z[:, 1:]).exp().reshape(n, n),
        "exact": exact.log_prob(z[:, :1], z[:, 1:]).exp().reshape(n, n),
    }


def ten_problem(d: int = 10) -> tuple[KineticFokkerPlanck, Tensor, Tensor, Tensor]:
    """(system, stiffness, mean, covariance)."""
    k = torch.linspace(0.5, 2, d, dtype=torch.float64)
    mean = torch.cat([torch.full((d,), 1.0), torch.full((d,), -0.5)]).double()
    cov = torch.diag(torch.cat([torch.full((d,), 0.6), torch.full((d,), 0.3)]).double())
    return KineticFokkerPlanck(Harmonic(k), 1.0, 0.5, d), k, mean, cov


def _ten(seed: int, quick: bool) -> dict[str, Any]:
    """Ten dimensions, stiffness 0.5 to 2, up to t = 1/2; at tau = 0.05 the scheme itself would be off by 8 %."""
    d, tau, steps = 10, TEN_STEP, 3 if quick else 25
    system, k, mean, cov = ten_problem()
    begin = time.process_time()
    run = KineticJKO(
        system,
        GaussianMixture.gaussian(mean, cov),
        step_size=tau,
        iterations=40 if quick else 120,
        first=100 if quick else 400,
        batch_size=512,
        particles=4096,
        seed=seed,
        velocity=lambda: PotentialVelocity(d, rank=2 * d + 1, seed=seed),
    )
    run.run(steps)
    a, q = harmonic_matrices(k, 1.0, 0.5, d)
    exact = [gaussian_flow(mean, cov, a, q, tau * i) for i in range(steps + 1)]
    truth = [gaussian_free_energy(m, s, k, 0.5) for m, s in exact]
    z = torch.cat([run.now.x, run.now.v], 1)
    energies = _many_energies(run, 4096 if quick else 65_536)
    return {
        "covariance": float((torch.cov(z.T) - exact[-1][1]).norm() / exact[-1][1].norm()),
        "sampling": float(
            torch.cov(
                torch.cat(GaussianMixture.gaussian(*exact[-1]).sample(4096, torch.Generator().manual_seed(seed)), 1).T
            )
            .sub(exact[-1][1])
            .norm()
            / exact[-1][1].norm()
        ),
        "free energy": fall_gap(energies, truth),
        "monotone": all(b < c for c, b in itertools.pairwise(run.energies)),
        "energies": energies,
        "truth": truth,
        "seconds": time.process_time() - begin,
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


def _many_energies(run: KineticJKO, n: int) -> list[float]:
    """Free energies of many fresh particles through the stored steps: thousands can't tell 5 % in ten dimensions."""
    with torch.no_grad():
        p = PhaseSpaceParticles.of(run.start, n, torch.Generator().manual_seed(99))
        found = [float(run.system.free_energy(p.x, p.v, p.log_density))]
        for k in range(len(run.controls)):
            p = run.push(p, k + 1, begin=k, drop=True)
            found.append(float(run.system.free_energy(p.x, p.v, p.log_density)))
    return found


def _interaction(seed: int, quick: bool) -> dict[str, Any]:
    """Pairs pulled together by springs: the mean moves as a free particle with friction, whatever the rest does."""
    system = KineticFokkerPlanck(Free(), 1.0, 0.5, 1, QuadraticInteraction(1.0))
    start = GaussianMixture.gaussian(torch.tensor([0.0, 1.0]), torch.diag(torch.tensor([0.6, 0.3])))
    steps, tau = (3 if quick else 20), 0.05
    run = KineticJKO(
        system,
        start,
        step_size=tau,
        iterations=60 if quick else 120,
        first=200 if quick else 400,
        batch_size=1024,
        seed=seed,
    )
    m0 = float(run.now.v.mean())
    run.run(steps)
    t = tau * steps
    cov = torch.cov(torch.cat([run.now.x, run.now.v], 1).T)
    _, exact = gaussian_flow(torch.zeros(2).double(), start.covariances[0], *harmonic_matrices(1.0, 1.0, 0.5), t)
    # the scheme's own mean: friction by implicit steps, (1 + tau)^-1 each, to first order
    return {
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
        iterations=80 if quick else 150,
        first=300 if quick else 500,
        batch_size=1024,
        seed=seed,
    )
    run.run(until=end)
    points = 128 if quick else 512
    truth = grid_solution(system, start, run.times, x_span=(-3.5, 3.5), v_max=8.0, points=(points, points), step=0.01)
    exact = torch.cat(truth.sample(4096, seed=7), 1)
    x, v = start.sample(4096, torch.Generator().manual_seed(7))
    other = torch.cat(langevin(system, x, v, end, 0.005, torch.Generator().manual_seed(8)), 1)
    mine = torch.cat([run.now.x, run.now.v], 1)
    late = grid_solution(system, start, [20.0], x_span=(-3.5, 3.5), v_max=8.0, points=(128, 128), step=0.05)
    certified = equilibrium(system, run.now)
    return {
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
        batch_size=2048,
        particles=16_384,
        seed=seed,
        velocity=lambda: PotentialVelocity(1, ring=length, seed=seed),
    )
    field_energy = [float(Poisson1d(length).energy(run.now.x))]
    while run.times[-1] < end - 1e-9:
        run.step()
        field_energy.append(float(Poisson1d(length).energy(run.now.x)))
    truth, free = (
        grid_solution(
            replace(system, friction=g), start, run.times, x_span=(0, length), v_max=7.0, points=(64, 512), step=0.02
        )
        for g in (0.1, 0.0)
    )
    gap = [a - b for a, b in zip(field_energy, truth.field_energy)]
    return {
        "seconds": time.process_time() - begin,
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
