"""A fleet of machines whose vibration is recorded: some run at one load, some at changing ones."""

from __future__ import annotations

import numpy as np
import torch

from deepwright.core.randomness import derive_seed
from deepwright.core.requirements import require_whole
from deepwright.data.windows import Stream

CHANNELS = ("vibration", "load", "temperature")
_SHIFT = 240  # samples that a load lasts, on average
_LEVELS = (0.4, 0.7, 1.0, 1.3)


def make_machine_fleet(n_steady: int = 5, n_changing: int = 5, samples: int = 4032, seed: int = 0) -> dict[str, Stream]:
    """Machines by name: vibration (mm/s), load (of the rated one) and temperature (K above the room).

    Vibration is an autoregression of second order around what its load causes, v[t] = 1.6 v[t-1] - 0.65 v[t-2] + e with
    a pole of each machine's own; a load's step is the `event` of a stream.

    Args:
        n_steady: machines ("steady 1", ...) at one load.
        n_changing: machines ("changing 1", ...) whose load steps between four levels.
        samples: of each.
        seed: of everything that is drawn.

    Raises:
        InputError: no machine, too few samples.
    """
    require_whole(0, n_steady=n_steady, n_changing=n_changing, seed=seed)
    require_whole(1, machines=n_steady + n_changing)
    require_whole(3, samples=samples)
    draws = np.random.default_rng(derive_seed("machine fleet", seed=seed))
    n = n_steady + n_changing
    steps = draws.random((samples, n)) < 1 / _SHIFT
    steps[:, :n_steady] = False
    drawn = np.asarray(_LEVELS)[draws.integers(len(_LEVELS), size=(samples, n))]
    last = np.maximum.accumulate(np.where(steps, np.arange(samples)[:, None], 0), 0)
    load = np.take_along_axis(drawn, last, 0)
    load[:, :n_steady] = 1.0
    radius, angle = draws.uniform(0.78, 0.84, n), draws.uniform(0.02, 0.08, n)
    first, second = 2 * radius * np.cos(angle), -(radius**2)
    shocks = draws.normal(0, 0.1, (samples, n)) * (0.6 + 0.8 * load**2)
    around = np.zeros((samples, n))
    for t in range(2, samples):
        around[t] = first * around[t - 1] + second * around[t - 2] + shocks[t]
    warm = np.empty((samples, n))
    warm[0] = 20 * load[0]
    for t in range(1, samples):
        warm[t] = warm[t - 1] + (20 * load[t] - warm[t - 1]) / 60
    vibration = 2 + 1.5 * load**2 + around
    values = torch.from_numpy(np.stack([vibration, load, warm], -1).astype(np.float32))
    names = [f"steady {i + 1}" for i in range(n_steady)] + [f"changing {i + 1}" for i in range(n_changing)]
    moved = torch.from_numpy(steps)
    return {name: Stream(values[:, i], CHANNELS, 0, moved[:, i], name.split()[0]) for i, name in enumerate(names)}
