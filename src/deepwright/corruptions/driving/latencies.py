"""How long an agent takes for a step, measured without waiting for an accelerator at each of them."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

import torch
from torch import Tensor


class Latencies:
    """Seconds of each block of this context; use it once around each call of the agent.

    On the CPU it is the wall clock; on CUDA events are put before and behind the call, and read once at the end. Other
    accelerators return before they are done, and have no such events here: NaN.

    Args:
        device: where the agent works.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self.kind = device, device.type
        self._begun: list[Any] = []
        self._ended: list[Any] = []

    def __enter__(self) -> Latencies:
        self._begun.append(self._now())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.append(self._now())

    def seconds(self) -> Tensor:
        """(t,) one a block."""
        if self.kind == "cuda":
            torch.cuda.synchronize(self.device)
            found = [begun.elapsed_time(ended) / 1000 for begun, ended in zip(self._begun, self._ended)]
        else:
            found = [ended - begun for begun, ended in zip(self._begun, self._ended)]
        return torch.tensor(found)

    def _now(self) -> Any:
        if self.kind == "cuda":
            event = torch.cuda.Event(enable_timing=True)
            with torch.cuda.device(self.device):
                event.record()
            return event
        return time.perf_counter() if self.kind == "cpu" else float("nan")
