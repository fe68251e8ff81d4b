"""Timing side by side: peers and ours alternate in one run, medians and ratios are reported."""

from __future__ import annotations

import datetime
import platform
from typing import Any

import torch

from deepwright.core.timing import median_seconds as seconds

__all__ = ["machine", "seconds"]


def machine() -> dict[str, Any]:
    """What the numbers were measured on, and when."""
    model = platform.processor()
    try:
        with open("/proc/cpuinfo") as lines:
            model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {
        "cpu": model,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "on": datetime.date.today().isoformat(),
    }
