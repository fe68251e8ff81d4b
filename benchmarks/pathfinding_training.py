"""States trained on per CPU second, beside deepxube 0.3.2 in the same run.

    python -m venv .venv-paths && .venv-paths/bin/pip install deepxube==0.3.2
    python benchmarks/pathfinding_training.py .venv-paths/bin/python

Residual networks of the same width and blocks with batch normalisation, batches of
200, ten search steps an instance, walks of up to 20 steps. Processor time of all processes; what starting takes is
measured by a run of few iterations and taken off. Without another environment only our own half is printed.
"""

from __future__ import annotations

import importlib.util
import json
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any

BATCH, SEARCH, LONGEST = 200, 10, 20
CASES = {"lightsout.5": (100, 2), "cube3": (300, 2)}  # domain: width and blocks
FEW, MANY = 100, 400  # iterations of the peer's two runs: it makes the data of a hundred at once


def ours(name: str, iterations: int = 200) -> float:
    """States a second.

    Args:
        name: of the domain.
        iterations: that count, after some that don't.
    """
    import torch

    from deepwright.pathfinding import Trainer, ValueNet, named_domain

    torch.set_num_threads(1)
    domain, (width, blocks) = named_domain(name), CASES[name]
    net = ValueNet(domain, width, blocks, norm="batch")
    words = {"k_max": LONGEST, "balance": False, "search_itrs": SEARCH, "batch_size": BATCH, "check_every": 10**6}
    trainer = Trainer(domain, net, "davi", **words)
    trainer.fit(max_itrs=20)
    before, begin = trainer.states_seen, time.process_time()
    trainer.fit(max_itrs=20 + iterations)
    return (trainer.states_seen - before) / (time.process_time() - begin)


def peer(python: str, name: str) -> float:
    """The same of deepxube, in its own environment.

    Args:
        python: of that environment.
        name: of the domain.
    """
    few, many = (_seconds(python, name, n) for n in (FEW, MANY))
    return (MANY - FEW) * BATCH / (many - few)


def _seconds(python: str, name: str, iterations: int) -> float:
    """Of processors, children's children too."""
    width, blocks = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        line = [
            *(python, "-m", "deepxube", "train", "--domain", name, "--heur", f"resnet_fc.{width}H_{blocks}B_bn"),
            *("--heur_type", "V", "--pathfind", "graph_v.1B_1.0W", "--dir", folder, "--batch_size", str(BATCH)),
            *("--max_itrs", str(iterations), "--step_max", str(LONGEST), "--search_itrs", str(SEARCH)),
            *("--procs", "1", "--display", "0"),
        ]
        begin = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(line, check=True, capture_output=True)
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
    return end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime


def run() -> list[dict[str, Any]]:
    """Rows for `make bench`, where deepxube is at hand in this environment."""
    rows = []
    there = importlib.util.find_spec("deepxube") is not None
    for name, (width, blocks) in CASES.items():
        own, theirs = ours(name), peer(sys.executable, name) if there else None
        row = {"what": f"training on {name}, 10,000 states", "ours_s": 1e4 / own, "peer": "deepxube 0.3.2"}
        note = f"CPU seconds of all processes; {width} wide, {blocks} blocks, batches of {BATCH}, {SEARCH} search steps"
        row |= {"peer_s": None if theirs is None else 1e4 / theirs, "ratio": None if theirs is None else own / theirs}
        rows.append({**row, "note": note})
    return rows


def main() -> None:
    """Print both sides by domain."""
    rows = []
    for name in CASES:
        own, theirs = ours(name), peer(sys.argv[1], name) if len(sys.argv) > 1 else None
        row = {"domain": name, "ours": round(own), "deepxube": None if theirs is None else round(theirs)}
        rows.append({**row, "times": None if theirs is None else round(own / theirs, 1)})
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
