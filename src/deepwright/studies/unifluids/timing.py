"""What a training step and a forecast cost."""

from __future__ import annotations

import torch

from deepwright.physics.pde_data.corpus import line_corpus, unified
from deepwright.physics.unifluids.model import UniFluids
from deepwright.studies._clock import median_ms
from deepwright.studies.unifluids.trials import LINE, REGISTRY


def speeds(repeats: int) -> dict[str, float]:
    """CPU milliseconds on one thread: a training step of 32 trajectories of 16 tokens, forecasts of 32.

    Args:
        repeats: how often each is measured.
    """
    data = unified(line_corpus(32, 2), REGISTRY)["advection"][0]
    models = {
        "flow": UniFluids(REGISTRY, list(LINE), "nano"),
        "pass": UniFluids(REGISTRY, list(LINE), "nano", noise=0.0),
    }
    for m in models.values():
        m.fit_units([data])
    ways = {
        "training step": lambda: models["flow"].loss(data, torch.Generator().manual_seed(0)).backward(),
        "single pass": lambda: models["pass"].predict(data),
        "flow matching, 1 step": lambda: models["flow"].sample(data, steps=1),
        "flow matching, 10 steps": lambda: models["flow"].sample(data, steps=10),
    }
    return median_ms(ways, repeats)
