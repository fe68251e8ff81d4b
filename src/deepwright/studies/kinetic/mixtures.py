"""Mixtures of Gaussians in a harmonic potential, whose flow is exact: every scheme on the same fresh particles."""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from deepwright.physics.kinetic import (
    GaussianMixture,
    Harmonic,
    KineticFokkerPlanck,
    KineticJKO,
    PhaseSpaceParticles,
    harmonic_matrices,
    sliced_w2,
    train_shared,
)
from deepwright.studies.kinetic.rivals import take_score_steps
from deepwright.studies.kinetic.valleys import SmoothJKO, ValleyJKO

SYSTEM = KineticFokkerPlanck(Harmonic(1.0), 1.0, 0.5, 1)
TAU, JUDGED, DIRECTIONS = 0.05, 32_768, 50
RATES = (1e-3, 3e-3, 1e-2)
ASIDE = 700  # added to a seed: draws on which learning rates are chosen, and nothing else
TUNED = ("constrained", "split", "score")
VALLEYS: dict[str, Callable[..., KineticJKO]] = {
    "valleys weighted": functools.partial(ValleyJKO, strength=0.5),
    "smoothness penalty": functools.partial(SmoothJKO, strength=1e-2),
}
SCHEMES = ("constrained", "split", "adaptive", "one control")
HALVED = "half the step size"
SIDE, AXIS = 3.5, 120


def mixture() -> GaussianMixture:
    """Three components in phase space."""
    return GaussianMixture(
        torch.tensor([0.4, 0.35, 0.25]),
        torch.tensor([[1.5, -0.5], [-1.2, 0.8], [0.2, 1.8]]),
        torch.tensor([[[0.3, 0.05], [0.05, 0.2]], [[0.2, -0.05], [-0.05, 0.3]], [[0.15, 0.0], [0.0, 0.15]]]),
    )


def other_mixture() -> GaussianMixture:
    """Two components: what learning rates are chosen on."""
    return GaussianMixture(
        torch.tensor([0.6, 0.4]),
        torch.tensor([[-1.0, -1.0], [1.2, 0.6]]),
        torch.tensor([[[0.25, 0.0], [0.0, 0.2]], [[0.2, 0.06], [0.06, 0.3]]]),
    )


def tuning_trial(scheme: str, lr: float, seed: int, quick: bool) -> dict[str, Any]:
    """A scheme with a learning rate on the other mixture, up to t = 1 as in the study, on draws that nothing else uses.

    The whole time, since a rate that is good for the first steps may make maps that fold in later ones.

    Args:
        scheme: of `TUNED`.
        lr: Adam's.
        seed: of everything.
        quick: fewer iterations, up to t = 1/10.
    """
    torch.set_num_threads(1)
    own = seed + ASIDE
    run = _run(scheme, lr, other_mixture(), 0.1 if quick else 1.0, own, quick)
    return _judged(run, other_mixture(), own)


def mixture_trial(scheme: str, lr: float, seed: int, quick: bool, picture: bool) -> dict[str, Any]:
    """Up to t = 1 in twenty steps, in steps that adapt, or with one control for all of them.

    Args:
        scheme: "constrained", "split", "score", "adaptive", "one control", or one of the remedies for creases.
        lr: Adam's.
        seed: of everything.
        quick: fewer iterations, up to t = 1/4.
        picture: also the densities on a grid.
    """
    torch.set_num_threads(1)
    begin = time.process_time()
    run = _run(scheme, lr, mixture(), 0.25 if quick else 1.0, seed, quick)
    seconds = time.process_time() - begin
    out: dict[str, Any] = {"seconds": seconds, "steps": len(run.infos), "times": run.times, "energies": run.energies}
    out |= _judged(run, mixture(), seed)
    out |= {
        "slack": min(i.slack for i in run.infos),
        "monotone": all(i.after < i.before for i in run.infos),
        "entropy gap": max((abs(i.entropy_gap) for i in run.infos if i.entropy_gap is not None), default=0.0),
    }
    if scheme == "constrained":
        out["w2 of exact samples"] = _floor(seed, run.times[-1])
    if scheme == "score":  # a map that folds has no way back, and so no density at a given place
        return out
    out |= _on_grid(run, picture)
    if picture:
        p = run.now
        back = run.log_prob(p.x[:500], p.v[:500], drop=True) - p.log_density[:500]
        out["inverse"] = float(back[~back.isnan()].abs().max())
    return out


def _run(scheme: str, lr: float, start: GaussianMixture, end: float, seed: int, quick: bool) -> KineticJKO:
    """The scheme's run; all train on as many fresh particles, with as many iterations a step."""
    options: dict[str, Any] = {
        "step_size": TAU / 2 if scheme == HALVED else TAU,
        "scheme": "split" if scheme == "split" else "constrained",
        "tolerance": 0.005 if scheme == "adaptive" else None,
        "iterations": 40 if quick else 100,
        "first": 150 if quick else 400,
        "batch_size": 512,
        "lr": lr,
        "seed": seed,
    }
    make: Callable[..., KineticJKO] = VALLEYS.get(scheme, KineticJKO)
    run = make(SYSTEM, start, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of steps that are tried again, which the seconds count
        if scheme == "one control":
            train_shared(run, round(end / TAU), iterations=20 if quick else 200)
        elif scheme == "score":
            take_score_steps(run, round(end / TAU))
        else:
            run.run(until=end)
    return run


def _judged(run: KineticJKO, start: GaussianMixture, seed: int) -> dict[str, float]:
    """Fresh particles that no scheme was trained on, the same for all of them, against as many exact ones."""
    exact, rng = start.evolved(*harmonic_matrices(1.0, 1.0, 0.5), run.times[-1]), torch.Generator()
    with torch.no_grad():
        p = run.push(PhaseSpaceParticles.of(start, JUDGED, rng.manual_seed(1000 + seed)), drop=True)
    cloud = torch.cat(exact.sample(JUDGED, rng.manual_seed(2000 + seed)), 1)
    x, v = cloud[:, :1], cloud[:, 1:]
    kept = len(p)  # particles at which a map folds are left out, and counted
    return {
        "kl": float((p.log_density - exact.log_prob(p.x, p.v)).mean()),
        "w2": sliced_w2(torch.cat([p.x, p.v], 1), cloud[:kept], DIRECTIONS),
        "folded": 1 - kept / JUDGED,
        "free energy gap": float(SYSTEM.free_energy(p.x, p.v, p.log_density))
        - float(SYSTEM.free_energy(x, v, exact.log_prob(x, v))),
    }


def _floor(seed: int, t: float) -> float:
    """How far apart two samples of the exact density are."""
    exact, rng = mixture().evolved(*harmonic_matrices(1.0, 1.0, 0.5), t), torch.Generator()
    pair = [torch.cat(exact.sample(JUDGED, rng.manual_seed(k + seed)), 1) for k in (2000, 3000)]
    return sliced_w2(pair[0], pair[1], DIRECTIONS)


def _on_grid(run: KineticJKO, picture: bool) -> dict[str, Any]:
    """How far the density at the end is from the exact one, place by place."""
    axis = torch.linspace(-SIDE, SIDE, AXIS, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis)
    exact = mixture().evolved(*harmonic_matrices(1.0, 1.0, 0.5), run.times[-1])
    truth = exact.log_prob(z[:, :1], z[:, 1:]).exp()
    reached = truth > 1e-5 * truth.max()  # far out, where no particle was, a map need not have a way back
    ours = torch.zeros_like(truth)
    ours[reached] = run.log_prob(z[reached, :1], z[reached, 1:], drop=True).exp()
    area = (2 * SIDE / (AXIS - 1)) ** 2
    lost = ours.isnan()  # places from which the map has no way back count as empty, and are told
    ours = ours.masked_fill(lost, 0.0)
    inside = (truth > 0.05 * truth.max()) & ~lost
    found: dict[str, Any] = {
        "no way back": float(truth[lost].sum() * area),
        "variation": float(0.5 * (ours - truth).abs().sum() * area),
        "crease": float((ours - truth).max() / truth.max()),
        "log gap": float((ours[inside].log() - truth[inside].log()).square().mean().sqrt()),
    }
    if picture:
        found["picture"] = {"ours": _square(ours), "exact": _square(truth)}
    return found


def mixture_density() -> Tensor:
    """The start's density on the grid of the pictures."""
    axis = torch.linspace(-SIDE, SIDE, AXIS, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis)
    return _square(mixture().log_prob(z[:, :1], z[:, 1:]).exp())


def _square(values: Tensor) -> Tensor:
    return values.reshape(AXIS, AXIS)
