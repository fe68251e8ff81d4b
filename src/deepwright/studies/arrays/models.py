"""The closed form on language models: every array, length and condition that the page shows, without a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from deepwright.hardware import ARRAYS, HBM, MODELS, SISA, TPU_V4, Conditions, Sweep, SystolicArray, redas_like, sweep

LENGTHS = (1, 5, 8, 12, 16, 24, 32, 48, 64, 65, 96, 128, 129, 160, 256, 512, 1024, 2048)
BUFFERS = 1152.0
OURS, BASE = "SISA", "monolithic OS"
RIVALS = tuple(name for name in ARRAYS if name != OURS)
_PIPELINED = {
    BASE: replace(TPU_V4, drain="pipelined"),
    OURS: replace(SISA, drain="pipelined"),
    "redas-like": redas_like(drain="pipelined"),
}
_PRELOADED = {BASE: SystolicArray(dataflow="ws", drain="pipelined"), OURS: SISA}
_SERIAL = {BASE: replace(TPU_V4, drain="serial"), OURS: replace(SISA, drain="serial")}


@dataclass(frozen=True)
class Models:
    """Sweeps by model, under each condition.

    Attributes:
        names: of the models.
        free: as the paper has it: nothing binds, fused by height.
        best: each array at its least energy x delay, all with buffers of 1,152 bytes a cycle.
        unbound: the same with buffers that never bind.
        fast: slabs fused for the fewest cycles.
        fair: by height, all with buffers of 1,152 bytes a cycle.
        memory: by height, two bytes an element, 1.2e12 bytes a second of DRAM.
        remainder: rows beyond full blocks have a fusion of their own.
        concurrent: products without dependence share the lanes, at 16 rows.
        pipelined: all without a pause between tiles.
        preloaded: slabs against weights that are loaded behind compute.
        serial: all with results that leave first.
    """

    names: tuple[str, ...]
    free: dict[str, Sweep]
    best: dict[str, Sweep]
    unbound: dict[str, Sweep]
    fast: dict[str, Sweep]
    fair: dict[str, Sweep]
    memory: dict[str, Sweep]
    remainder: dict[str, Sweep]
    concurrent: dict[str, Sweep]
    pipelined: dict[str, Sweep]
    preloaded: dict[str, Sweep]
    serial: dict[str, Sweep]

    def speedups(self, of: dict[str, Sweep], M: int, name: str = OURS, over: str = BASE) -> dict[str, float]:
        """By model.

        Args:
            of: the sweeps of a condition.
            M: rows.
            name: of an array.
            over: of another.
        """
        return {m: float(of[m].speedup(name, over)[of[m].tokens.index(M)]) for m in self.names}

    def edp_over(self, of: dict[str, Sweep], M: int, name: str, over: str = OURS) -> dict[str, float]:
        """An array's energy x delay in those of another, by model.

        Args:
            of: the sweeps of a condition.
            M: rows.
            name: of the array.
            over: of the other.
        """
        return {m: float((of[m].edp(name) / of[m].edp(over))[of[m].tokens.index(M)]) for m in self.names}


def swept(names: tuple[str, ...] = tuple(MODELS)) -> Models:
    """All sweeps: less than a second of whole numbers.

    Args:
        names: of the models.
    """
    pair = {BASE: ARRAYS[BASE], OURS: ARRAYS[OURS]}

    def all_of(given: Conditions, arrays: object = ARRAYS, lengths: tuple[int, ...] = LENGTHS) -> dict[str, Sweep]:
        return {m: sweep(m, lengths, arrays, given) for m in names}  # type: ignore[arg-type]

    plain = Conditions()
    return Models(
        names,
        free=all_of(plain),
        best=all_of(Conditions("min_edp", buffer_bandwidth=BUFFERS)),
        unbound=all_of(Conditions("min_edp")),
        fast=all_of(Conditions("min_cycles"), pair),
        fair=all_of(Conditions(buffer_bandwidth=BUFFERS)),
        memory=all_of(Conditions(bandwidth=HBM, bytes_per_element=2), pair),
        remainder=all_of(Conditions(remainder=True), pair, (65, 129, 160)),
        concurrent=all_of(Conditions(concurrent=True), pair, (16,)),
        pipelined=all_of(plain, _PIPELINED, (16,)),
        preloaded=all_of(plain, _PRELOADED, (16,)),
        serial=all_of(plain, _SERIAL, (16,)),
    )


def worst(values: dict[str, float]) -> tuple[str, float]:
    """The smallest, and whose it is.

    Args:
        values: by name.
    """
    name = min(values, key=lambda n: values[n])
    return name, values[name]


def stops(of: dict[str, Sweep], model: str, gain: float = 1.1) -> int:
    """The shortest length from which on slabs are never that many times as fast.

    Args:
        of: the sweeps of a condition.
        model: by name.
        gain: that counts.
    """
    speed = of[model].speedup(OURS)
    above = np.flatnonzero(speed >= gain)
    after = int(above[-1]) + 1 if len(above) else 0
    return of[model].tokens[min(after, len(speed) - 1)]
