"""Patches of several sizes against shocks: Burgers' equation from fields as PDEBench draws them."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

from deepwright.physics.pde_data import PDEBatch, line_corpus, unified
from deepwright.physics.unifluids import UniFluids, relative_error, train_unifluids
from deepwright.studies.unifluids.trials import KINDS, REGISTRY, corpus

PATCHES = ((4, 16), (4, 8), (2, 8))
STEEPEST = 0.05  # share of the places that count as a shock


def shock_trial(patch: tuple[int, int], lr: float, steps: int, seed: int) -> dict[str, Any]:
    """A single pass with patches of one size, on Burgers alone; the number of steps is the same for all sizes.

    Args:
        patch: frames and places in a token.
        lr: the cycle's peak.
        steps: of the training.
        seed: of everything.
    """
    torch.set_num_threads(1)
    small = steps < 300
    train, test = corpus(small, seed, "pdebench")["burgers"]
    model = UniFluids(REGISTRY, ["burgers"], "tiny", noise=0.0, patch={1: (*patch, 1, 1)}, seed=seed)
    begin = time.process_time()
    best, _ = train_unifluids(model, [train], steps=steps, lr=lr, seed=seed)
    out: dict[str, Any] = {"seconds": time.process_time() - begin}
    out["all"] = relative_error(best.predict(test), test)
    for kind in KINDS:
        sizes = (4, 12) if small else (4, 60)
        data = unified(line_corpus(*sizes, seed=seed + 70, shape=kind), REGISTRY)["burgers"][1]
        out[kind] = relative_error(best.predict(data), data)
    return out | _parts(best.predict(test), test)


def _parts(found: Tensor, data: PDEBatch) -> dict[str, float]:
    """RMS errors at the steepest places of each frame and at the others, both over the field's RMS."""
    truth, guess = (u[:, 0, data.context :, :, 0, 0] for u in (data.u, found))
    slope = (truth.roll(-1, 2) - truth.roll(1, 2)).abs()
    steep = slope >= slope.quantile(1 - STEEPEST, dim=2, keepdim=True)
    wrong, size = (guess - truth).square(), truth.square().mean().sqrt()
    return {name: float(wrong[at].mean().sqrt() / size) for name, at in (("at shocks", steep), ("elsewhere", ~steep))}
