"""How long a call takes: in eager mode, and of the network's ONNX file in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.compress.arguments import require_batch, running
from deepwright.compress.errors import ShapeError
from deepwright.compress.exporting import export_program, quiet
from deepwright.compress.files import onnx_bytes, run, session
from deepwright.core.devices import to_model
from deepwright.core.errors import InputError
from deepwright.core.inference import evaluating
from deepwright.core.requirements import require_positive, require_whole

LEAST_ROUNDS = 9


@dataclass(frozen=True)
class Latency:
    """Seconds per call.

    Attributes:
        median: of the repeats, or of the rounds.
        low: their first quartile; of several rounds the lower end of the median's 96 % interval.
        high: their third quartile, or the upper end.
        batch: samples a call.
        threads: that one operation may use.
        device: where it ran.
        repeats: calls that were timed.
        rounds: turns that it was measured in, others' between them; quartiles within one say nothing of how the
            machine changes from one to the next.
    """

    median: float
    low: float
    high: float
    batch: int
    threads: int
    device: str
    repeats: int
    rounds: int = 1

    def compare(self, other: Latency) -> str:
        """How this one stands to another, in words; no speed-up is claimed where the intervals overlap.

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

    Raises:
        InputError: no thread, or no time.
    """
    from torch.utils.benchmark import Timer

    require_positive(min_run_time=min_run_time)
    require_batch(x, "x")
    threads = require_threads(threads)
    if isinstance(model, nn.Module):
        x = to_model(x, model)
    with evaluating(model) if isinstance(model, nn.Module) else nullcontext(), torch.no_grad():
        with running("x", x):
            for _ in range(5):
                model(x)
        timer = Timer("model(x)", globals={"model": model, "x": x}, num_threads=threads)
        measured = timer.blocked_autorange(min_run_time=min_run_time)
    times = torch.tensor(measured.times, dtype=torch.float64)
    low, middle, high = torch.quantile(times, torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)).tolist()
    return Latency(middle, low, high, len(x), threads, str(x.device), len(times) * measured.number_per_run)


def measure_in_turns(
    calls: Mapping[str, Callable[[Tensor], Any]],
    x: Tensor,
    *,
    threads: int | None = None,
    min_run_time: float = 0.05,
    rounds: int = 9,
) -> dict[str, Latency]:
    """Latencies that can be compared: every call has its turn in every round.

    A machine is slower now and faster then. Medians of single rounds hold that noise; the second smallest and the
    second largest of nine hold their median with a probability of 1 - 2 (1 + 9) / 2^9 = 96 %.

    Args:
        calls: name -> a network (measured in eval mode, on its own device), or any function of `x`.
        x: an input batch.
        threads: pinned while measuring; the current number by default.
        min_run_time: seconds of each turn at least.
        rounds: 9 or more.

    Raises:
        InputError: fewer rounds.
    """
    require_whole(LEAST_ROUNDS, rounds=rounds)
    if not calls:
        raise InputError("calls", given="none", expected="a name and a network at least")
    turns: dict[str, list[Latency]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            turns[name].append(measure_latency(call, x, threads=threads, min_run_time=min_run_time))
    return {name: _over_rounds(measured) for name, measured in turns.items()}


def _over_rounds(turns: list[Latency]) -> Latency:
    medians = sorted(t.median for t in turns)
    middle = float(torch.tensor(medians, dtype=torch.float64).quantile(0.5))
    one = turns[0]
    repeats = sum(t.repeats for t in turns)
    return Latency(middle, medians[1], medians[-2], one.batch, one.threads, one.device, repeats, len(turns))


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
    threads = require_threads(threads)
    try:
        with quiet():
            runtime = session(onnx_bytes(export_program(model, (x,))), threads)
            run(runtime, (x.cpu(),))
    except ShapeError:
        raise  # no file has to do with an input that the network itself refuses
    except Exception:  # ONNX Runtime's own have no base in common: an operator that it lacks, or lacks in this dtype
        return None
    return measure_latency(lambda batch: run(runtime, (batch,)), x.cpu(), threads=threads, min_run_time=min_run_time)


def require_threads(threads: int | None) -> int:
    """The number asked for, or the current one.

    Args:
        threads: asked for.

    Raises:
        InputError: not a whole number above 0.
    """
    if threads is None:
        return torch.get_num_threads()
    require_whole(1, threads=threads)
    return threads
