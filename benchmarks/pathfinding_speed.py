"""Nodes generated per CPU second without a heuristic, beside deepxube 0.3.2, which needs an environment of its own.

    python -m venv .venv-paths && .venv-paths/bin/pip install deepxube==0.3.2
    python benchmarks/pathfinding_speed.py [.venv-paths/bin/python]

One thread; the first search, which compiles, isn't counted. Without the other environment its half is what was measured
once on one core of a shared machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

MEASURED = {  # deepxube 0.3.2 by batch: nodes generated per CPU second
    "cube3": {1: 19_300, 1000: 54_300},
    "npuzzle.4": {1: 13_000, 1000: 56_300},
    "lightsout.7": {1: 43_600, 1000: 77_900},
}


def ours(nodes: int = 1_000_000) -> dict[str, dict[int, float]]:
    """By domain and batch."""
    import torch

    from deepwright.pathfinding import LightsOut, Limits, NPuzzle, RubiksCube, ZeroHeuristic, bwas

    torch.set_num_threads(1)
    found: dict[str, dict[int, float]] = {}
    for domain in (RubiksCube(3), NPuzzle(4), LightsOut(7)):
        start = domain.sample_instances(torch.tensor([60]), 1)[0][0]
        for batch in (1, 1000):
            bwas(domain, start, domain.goal, ZeroHeuristic(), batch_size=batch, limits=Limits(nodes=1000))
            begin = time.process_time()
            got = bwas(domain, start, domain.goal, ZeroHeuristic(), batch_size=batch, limits=Limits(nodes=nodes))
            seconds = time.process_time() - begin
            found.setdefault(domain.name, {})[batch] = got.nodes_generated / seconds
    return found


def installed(python: str) -> bool:
    """Whether the other environment has it."""
    return subprocess.run([python, "-c", "import deepxube"], capture_output=True).returncode == 0


def main() -> None:
    """Print both sides by domain and batch."""
    other = len(sys.argv) > 1 and installed(sys.argv[1])
    peer = "installed, its numbers measured before" if other else "not installed, its numbers measured before"
    rows = [
        {"domain": name, "batch": batch, "ours": round(speed), "deepxube": MEASURED[name][batch],
         "times": round(speed / MEASURED[name][batch], 1)}
        for name, speeds in ours().items() for batch, speed in speeds.items()
    ]  # fmt: skip
    print(json.dumps({"deepxube": peer, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
