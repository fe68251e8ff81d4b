"""What a seed draws: networks of random widths, and the prompts of a service."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from deepwright.hardware import (
    ARRAYS,
    GEMM,
    SISA,
    TPU_V4,
    Conditions,
    SystolicArray,
    functional_gemm,
    serving,
    simulate,
)
from deepwright.hardware.arrays.many import totals

ROWS = (1, 16, 48, 128)
TOGETHER = (1, 2, 4, 8, 16)
_PRODUCTS, _LEAST, _MOST = 7, 64, 16384


def networks_trial(seed: int, networks: int) -> dict[str, Any]:
    """Means over networks of seven products, whose K and N are log-uniform, on each array at its least energy x delay.

    Args:
        seed: of the widths.
        networks: that are drawn.
    """
    rng = np.random.default_rng(seed)
    low, high = math.log(_LEAST), math.log(_MOST)
    widths = np.rint(np.exp(rng.uniform(low, high, (networks, _PRODUCTS, 2)))).astype(int)
    given = Conditions("min_edp", buffer_bandwidth=1152)
    found: dict[str, Any] = {}
    for M in ROWS:
        work = [[GEMM(M, int(K), int(N)) for K, N in net] for net in widths]
        each = {name: totals(work, array, given) for name, array in ARRAYS.items()}
        delay = {name: np.array(t.cycles, float) for name, t in each.items()}
        ours = delay["SISA"] * each["SISA"].joules
        for name, t in each.items():
            found[f"{name}, EDP at {M}"] = float(np.exp(np.log(delay[name] * t.joules / ours).mean()))
            found[f"{name}, delay at {M}"] = float(np.exp(np.log(delay[name] / delay["SISA"]).mean()))
    return found


def requests_trial(seed: int, model: str, batches: int) -> dict[str, Any]:
    """How many times as many requests slabs serve, by how many are computed together.

    Args:
        seed: of the prompts.
        model: by name.
        batches: that are drawn.
    """
    arrays = {"monolithic OS": TPU_V4, "SISA": SISA}
    found: dict[str, Any] = {}
    for n in TOGETHER:
        for policy in ("by_height", "min_edp"):
            served = serving(model, arrays, n, batches=batches, seed=seed, conditions=Conditions(policy))
            found[f"{policy}, {n}"] = served.speedup("SISA")
        found[f"tokens, {n}"] = served.tokens
    return found


def drawn_against_closed_form(seed: int, products: int) -> dict[str, Any]:
    """Products event by event and in closed form: by how many cycles, and by how much of the result, they differ.

    Args:
        seed: of sizes and values.
        products: that are drawn.
    """
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    cycles, error = 0, 0.0
    for _ in range(products):
        array = SystolicArray(8, int(rng.choice([4, 8])), slabs=int(rng.choice([1, 2, 4])))
        M, K, N = (int(n) for n in rng.integers(1, (12, 8, 16)))
        A = torch.randn(M, K, dtype=torch.float64, generator=generator)
        B = torch.randn(K, N, dtype=torch.float64, generator=generator)
        report = simulate(GEMM(M, K, N), array)
        C, counted = functional_gemm(A, B, array, report.rows[0].fused)
        cycles = max(cycles, abs(counted - report.cycles))
        error = max(error, float((C - A @ B).abs().max()))
    return {"cycles": float(cycles), "error": error}
