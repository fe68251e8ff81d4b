"""How long a call takes: in eager mode, and of the network's ONNX file in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.compress.exporting import export_program, quiet
from deepwright.compress.files import onnx_bytes, run, session
from deepwright.core.devices import to_model
from deepwright.core.errors import InputError
from deepwright.core.inference import evaluating


@dataclass(frozen=True)
class Latency:
    """Seconds per call.

    Attributes:
        median: of the repeats.
        low: their first quartile.
        high: their third quartile.
        batch: samples a call.
        threads: that one operation may use.
        device: where it ran.
        repeats: calls that were timed.
    """

    median: float
    low: float
    high: float
    batch: int
    threads: int
    device: str
    repeats: int

    def compare(self, other: Latency) -> str:
        """How this one stands to another, in words; no speed-up is claimed where the quartiles overlap.

        Args:
            other: what it is compared with.
        """
        if self.low <= other.high and other.low <= self.high:
            return "no measurable difference"
        ratio = other.median / self.median
        interval = f"{other.low / self.high:.2f}-{other.high / self.low:.2f}"
        return f"{ratio:.2f}x faster ({interval})" if ratio > 1 else f"{1 / ratio:.2f}x slower"


def measure_latency(
    model: Callable[[Tensor], Any], x: Tensor, *, threads: int | None = None, min_run_time: float = 1.0
) -> Latency:
    """Median and quartiles of a call's time, after five calls of warming up; CUDA is waited for.

    Args:
        model: a network (measured in eval mode, on its own device), or any function of `x`.
        x: an input batch.
        threads: pinned while measuring; the current number by default.
        min_run_time: seconds of measurement at least.
    """
    from torch.utils.benchmark import Timer

    threads = threads or torch.get_num_threads()
    if isinstance(model, nn.Module):
        x = to_model(x, model)
    with evaluating(model) if isinstance(model, nn.Module) else nullcontext(), torch.no_grad():
        for _ in range(5):
            model(x)
        timer = Timer("model(x)", globals={"model": model, "x": x}, num_threads=threads)
        measured = timer.blocked_autorange(min_run_time=min_run_time)
    times = torch.tensor(measured.times, dtype=torch.float64)
    low, middle, high = torch.quantile(times, torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)).tolist()
    return Latency(middle, low, high, len(x), threads, str(x.device), len(times) * measured.number_per_run)


def onnx_latency(
    model: nn.Module, x: Tensor, *, threads: int | None = None, min_run_time: float = 1.0
) -> Latency | None:
    """Latency of the network's ONNX file in ONNX Runtime on the CPU; None where that can't be had.

    Args:
        model: left as found.
        x: an input batch.
        threads: pinned while measuring; the current number by default.
        min_run_time: seconds of measurement at least.
    """
    threads = threads or torch.get_num_threads()
    try:
        with quiet():
            runtime = session(onnx_bytes(export_program(model, (x,))), threads)
    except (InputError, RuntimeError):
        return None
    return measure_latency(lambda batch: run(runtime, (batch,)), x.cpu(), threads=threads, min_run_time=min_run_time)
