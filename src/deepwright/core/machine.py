"""What machine a number was measured on."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path
from typing import Any

import torch

from deepwright.core.version import __version__


def this_machine(device: torch.device | str = "cpu") -> dict[str, Any]:
    """Processor, cores, threads, device and versions, as words and numbers.

    Args:
        device: on which the numbers were computed, whatever else this machine has.
    """
    device = torch.device(device)
    return {
        "cpu": _processor(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "deepwright": __version__,
    }


@cache
def _processor() -> str:
    """The processor's name: Linux says it in a file, other systems to Python."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.lower().startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
