"""What a network would cost on a machine that isn't here: an analytic estimate per layer, always called *estimated*.

A layer takes the longer of computing and moving data:

    t = sum_layers max( MACs / (rate_kind f), bytes_outer / (bandwidth_outer f) + bytes_inner / (bandwidth_inner f) ) +
    fixed

with rates in multiply-accumulates per cycle for each kind of layer and bandwidths in bytes per cycle.
GAP8's numbers: arXiv 2008.07127 (its deployment tool) and 2301.12175 (a detector on it, 1.6 frames a second at 134 mW).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn

from deepwright.compress.counting.operations import KINDS, Layer, layers
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_number, require_positive, require_whole


@dataclass(frozen=True)
class Estimate:
    """An *estimated* cost on a target.

    Attributes:
        target: whose.
        seconds: for one sample.
        joules: for one sample, where the target's power is known.
        by_layer: (name, seconds, whether moving data and not computing decides).
        violations: what doesn't fit, in words; empty where all does.
    """

    target: str
    seconds: float
    joules: float | None
    by_layer: tuple[tuple[str, float, bool], ...]
    violations: tuple[str, ...]

    def __str__(self) -> str:
        energy = f", {1e3 * self.joules:.3g} mJ" if self.joules is not None else ""
        fits = "" if not self.violations else f"; does not fit: {'; '.join(self.violations)}"
        return f"estimated on {self.target}: {1e3 * self.seconds:.4g} ms{energy}{fits}"


@dataclass(frozen=True)
class TargetProfile:
    """A machine's speeds and memories.

    Attributes:
        name: of the machine.
        clock_hz: cycles a second.
        macs_per_cycle: rate of each kind of layer ("conv" stands in for kinds that aren't named).
        mem_levels: (bytes, bytes per cycle) of each memory, the smallest first; weights live in the largest.
        power_w: drawn while it runs.
        element_bytes: of a weight or an activation.
        fixed_s: seconds a call that no layer explains.
    """

    name: str
    clock_hz: float
    macs_per_cycle: Mapping[str, float]
    mem_levels: tuple[tuple[int, float], ...] = ()
    power_w: float | None = None
    element_bytes: int = 1
    fixed_s: float = 0.0

    def __post_init__(self) -> None:
        require_number(0, power_w=0 if self.power_w is None else self.power_w, fixed_s=self.fixed_s)
        require_whole(1, element_bytes=self.element_bytes)
        for size, speed in self.mem_levels:
            level: dict[str, Any] = {"mem_levels: bytes": size, "mem_levels: bytes per cycle": speed}
            require_positive(**level)
        if (
            not self.clock_hz > 0
            or "conv" not in self.macs_per_cycle
            or not all(v > 0 for v in self.macs_per_cycle.values())
        ):
            raise InputError(
                f"target {self.name!r}",
                given=f"clock_hz={self.clock_hz}, macs_per_cycle={dict(self.macs_per_cycle)}",
                expected="numbers above 0, with a rate for 'conv' at least",
            )

    def estimate(self, model: nn.Module | Sequence[Layer], example: Any = None, peak: int | None = None) -> Estimate:
        """Seconds and energy of one sample.

        Args:
            model: a network with an `example` input, or its `layers`.
            example: a batch.
            peak: elements of activations alive at once (the largest layer's input and output where not given).
        """
        rows = layers(model, example) if isinstance(model, nn.Module) else list(model)
        times = [self._seconds(layer, rows) for layer in rows]
        seconds = sum(t for t, _ in times) + self.fixed_s
        alive = peak if peak is not None else max((x.inputs + x.outputs for x in rows), default=0)
        by_layer = tuple((x.name, t, moved) for x, (t, moved) in zip(rows, times))
        joules = None if self.power_w is None else self.power_w * seconds
        return Estimate(self.name, seconds, joules, by_layer, tuple(self._violations(rows, alive)))

    def _seconds(self, layer: Layer, rows: Sequence[Layer]) -> tuple[float, bool]:
        rate = self.macs_per_cycle.get(layer.kind, self.macs_per_cycle["conv"])
        compute = layer.macs / rate
        moved = 0.0
        size = self.element_bytes
        if self.mem_levels:
            moved += (
                size
                * (layer.inputs + layer.outputs + layer.weights)
                / self.mem_levels[min(1, len(self.mem_levels) - 1)][1]
            )
        if len(self.mem_levels) > 2:
            outer, speed = self.mem_levels[1][0], self.mem_levels[2][1]
            weights = sum(r.weights for r in rows) * size > outer
            spilled = size * (layer.inputs + layer.outputs) > outer
            moved += (
                size * ((layer.weights if weights else 0) + (layer.inputs + layer.outputs if spilled else 0)) / speed
            )
        return max(compute, moved) / self.clock_hz, moved > compute

    def _violations(self, rows: Sequence[Layer], alive: int) -> list[str]:
        found: list[str] = []
        if not self.mem_levels or not rows:
            return found
        size = self.element_bytes
        largest = max(rows, key=lambda r: r.tile)
        if largest.tile * size > self.mem_levels[0][0]:
            found.append(
                f"the smallest tile of {largest.name} ({largest.tile * size} bytes) in {self.mem_levels[0][0]} bytes"
            )
        if len(self.mem_levels) > 1 and alive * size > self.mem_levels[1][0]:
            widest = max(rows, key=lambda r: r.inputs + r.outputs)
            found.append(f"activations around {widest.name} ({alive * size} bytes) in {self.mem_levels[1][0]} bytes")
        weights = sum(r.weights for r in rows) * size
        if weights > self.mem_levels[-1][0]:
            found.append(f"weights ({weights} bytes) in {self.mem_levels[-1][0]} bytes")
        return found

    @classmethod
    def from_measurements(
        cls,
        name: str,
        clock_hz: float,
        measured: Sequence[tuple[Sequence[Layer], float]],
        *,
        mem_levels: tuple[tuple[int, float], ...] = (),
        power_w: float | None = None,
        element_bytes: int = 1,
    ) -> TargetProfile:
        """Rates per kind and a fixed time that explain measured seconds best (non-negative least squares).

        Args:
            name: of the machine.
            clock_hz: of the machine.
            measured: (layers of a network, its seconds); at least as many networks as kinds of layers.
            mem_levels: (bytes, bytes per cycle) of each memory, the smallest first.
            power_w: drawn while it runs.
            element_bytes: of a weight or an activation.

        Raises:
            InputError: too few measurements, or one that isn't positive.
        """
        from scipy.optimize import nnls

        kinds = [k for k in KINDS if any(x.kind == k for rows, _ in measured for x in rows)]
        if not kinds or len(measured) < len(kinds) or any(not s > 0 for _, s in measured):
            raise InputError(
                "measurements", given=f"{len(measured)}", expected=f"at least {max(len(kinds), 1)}, each above 0 s"
            )
        table = np.array(
            [[sum(x.macs for x in rows if x.kind == k) / clock_hz for k in kinds] + [1.0] for rows, _ in measured]
        )
        seconds = np.array([s for _, s in measured])
        weights = 1 / seconds  # relative errors count alike
        scale = np.maximum(np.abs(table * weights[:, None]).max(0), 1e-300)
        solution = nnls(table * weights[:, None] / scale, np.ones(len(seconds)))[0] / scale
        rates = {k: float(1 / max(c, 1e-12)) for k, c in zip(kinds, solution)}
        rates.setdefault("conv", next(iter(rates.values())))
        return cls(name, clock_hz, rates, mem_levels, power_w, element_bytes, float(solution[-1]))

    def at_clock(self, clock_hz: float) -> TargetProfile:
        """The same machine at another clock.

        Args:
            clock_hz: cycles a second.
        """
        return replace(self, clock_hz=clock_hz)


GAP8 = TargetProfile(
    "GAP8 (8 RISC-V cores, int8)",
    175e6,
    {"conv": 6.0, "pointwise": 6.0, "depthwise": 1.5, "linear": 6.0, "matmul": 6.0},
    ((52_736, 32.0), (250_000, 8.0), (8 * 2**20, 1.0)),  # less the stacks and what the runtime keeps
    power_w=0.134,
)


def expected_macs(paths: Sequence[int], probabilities: Sequence[float]) -> float:
    """MACs of a network with exits: the sum over its paths of MACs times the measured share of samples that take it.

    Args:
        paths: MACs of each.
        probabilities: the share of samples that take each; they sum to 1.

    Raises:
        InputError: shares that don't sum to 1, or as many paths as shares aren't given.
    """
    if len(paths) != len(probabilities) or not abs(sum(probabilities) - 1) <= 1e-6 or min(probabilities, default=0) < 0:
        raise InputError(
            "paths",
            given=f"{len(paths)} paths, shares {list(probabilities)}",
            expected="one share a path, summing to 1",
        )
    return float(sum(m * p for m, p in zip(paths, probabilities)))
