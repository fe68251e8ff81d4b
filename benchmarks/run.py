"""Run all benchmarks in one go: `make bench`. Ratios above 1 mean that ours is faster; absolute times depend on the machine."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent))

import attacks
import others
from common import machine

import corruptions

PARTS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "attacks": attacks.run,
    "corruptions": corruptions.run,
    "ood": others.ood,
    "fragility": others.fragility,
    "profile": others.profile,
}


def main() -> None:
    """Measure the chosen parts, print them, and write benchmarks/results.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=[], help=", ".join(PARTS))
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    path = Path(__file__).parent / "results.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    results["machine"] = machine()
    for name in options.parts or PARTS:
        rows = PARTS[name]()
        results[name] = rows
        print(f"\n{name}")
        for row in rows:
            print(
                "  "
                + "  ".join(
                    f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in row.items() if v is not None
                )
            )
        path.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
