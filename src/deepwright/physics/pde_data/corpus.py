"""Small corpora of trajectories for operators: three equations on a line, two in the plane, one in space."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepwright.physics.pde_data.batches import PDEBatch, to_unified
from deepwright.physics.pde_data.channels import ChannelRegistry
from deepwright.physics.pde_data.generators_1d import advection1d, burgers1d, diffusion_reaction1d
from deepwright.physics.pde_data.generators_nd import advection_diffusion3d, navier_stokes2d, shallow_water2d
from deepwright.physics.pde_data.trajectories import PDEDataset


def line_corpus(
    train: int = 500, test: int = 60, points: int = 64, frames: int = 16, seed: int = 0, shape: str = "plain"
) -> dict[str, tuple[PDEDataset, PDEDataset]]:
    """Advection, Burgers and reaction-diffusion: name -> (training set, test set).

    Speeds U(0.2, 1), viscosities log-uniform in 10^[-3.3, -2.5], wave numbers up to 2, frames 0.05 apart.

    Args:
        train: trajectories for training.
        test: others.
        points: of each field.
        frames: of each trajectory.
        seed: of everything.
        shape: of initial fields: see `RandomWaves`; "pdebench" is as the benchmark draws them.
    """
    rng = np.random.default_rng(seed)
    n, end = train + test, 0.05 * (frames - 1)
    nu = 10 ** rng.uniform(-3.3, -2.5, (2, n))
    options: dict[str, Any] = {"t": end, "dt_save": 0.05, "waves": 2, "shape": shape}
    finer = 4  # shocks are solved on a finer grid than is kept
    sets = {
        "advection": advection1d(n, rng.uniform(0.2, 1, n), nx=points, seed=seed, **options),
        "burgers": burgers1d(n, nu[0], nx=finer * points, seed=seed + 1, **options).thinned(finer),
        "reaction-diffusion": diffusion_reaction1d(n, nu[1], nx=points, seed=seed + 2, **options),
    }
    return {k: (s[:train].single(), s[train:].single()) for k, s in sets.items()}


def plane_corpus(
    train: int = 200, test: int = 20, points: int = 32, frames: int = 12, seed: int = 0
) -> dict[str, tuple[PDEDataset, PDEDataset]]:
    """Broken dams and vorticity: name -> (training set, test set).

    Args:
        train: trajectories for training.
        test: others.
        points: a side.
        frames: of each trajectory.
        seed: of everything.
    """
    n = train + test
    sets = {
        "shallow-water": shallow_water2d(n, nx=points, t=0.06 * (frames - 1), dt_save=0.06, seed=seed),
        "navier-stokes": navier_stokes2d(n, 1e-3, nx=points, t=1.0 * (frames - 1), dt_save=1.0, dt=0.05, seed=seed),
    }
    return {k: (s[:train].single(), s[train:].single()) for k, s in sets.items()}


def space_corpus(
    train: int = 100, test: int = 10, points: int = 16, frames: int = 8, seed: int = 0
) -> dict[str, tuple[PDEDataset, PDEDataset]]:
    """A scalar that is carried and spreads: name -> (training set, test set).

    Args:
        train: trajectories for training.
        test: others.
        points: a side.
        frames: of each trajectory.
        seed: of everything.
    """
    data = advection_diffusion3d(
        train + test, nx=points, t=0.05 * (frames - 1), dt_save=0.05, smallest=2, speed=0.5, seed=seed
    )
    return {"advection-diffusion-3d": (data[:train].single(), data[train:].single())}


def unified(
    sets: dict[str, tuple[PDEDataset, PDEDataset]], registry: ChannelRegistry, context: int = 4
) -> dict[str, tuple[PDEBatch, PDEBatch]]:
    """A corpus as batches.

    Args:
        sets: name -> (training set, test set).
        registry: of channels.
        context: frames that are given.
    """
    return {k: (to_unified(a, registry, context), to_unified(b, registry, context)) for k, (a, b) in sets.items()}
