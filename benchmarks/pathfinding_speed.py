"""Nodes generated per CPU second without a heuristic, beside deepxube 0.3.2 in the same run.

    python -m venv .venv-paths && .venv-paths/bin/pip install deepxube==0.3.2
    python benchmarks/pathfinding_speed.py .venv-paths/bin/python

One thread each, batch weighted A* with weight 1 from walks of 60 steps; the first search of ours, which compiles, isn't
counted. Without another environment only our own half is printed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

SECONDS = 3.0  # of each search of the peer
_PEER = """
import json, sys, time
import torch
torch.set_num_threads(1)
from deepxube.factories.pathfinding_factory import get_pathfind_functions
from deepxube.heuristics.utils.heur_utils import get_zero_heur
from deepxube.utils.command_line_utils import get_domain_from_arg, get_pathfind_from_arg, get_pathfind_name_kwargs

found = {}
for name in ("cube3", "npuzzle.4", "lightsout.7"):
    domain, _ = get_domain_from_arg(name)
    states, goals = domain.sample_problem_instances([60])
    for batch in (1, 1000):
        words = f"graph_v.{batch}B_1.0W"
        functions = get_pathfind_functions(get_pathfind_name_kwargs(words)[0], get_zero_heur("V"), None)
        search = get_pathfind_from_arg(domain, functions, words)[0]
        instance = search.make_instances(states, goals, None, True)[0]
        search.add_instances([instance])
        begin = time.process_time()
        while time.process_time() - begin < float(sys.argv[1]) and not instance.finished():
            search.step()
        seconds = time.process_time() - begin
        found[f"{name}, {batch}"] = search.instances[0].num_nodes_generated / seconds
print(json.dumps(found))
"""


def ours(nodes: int = 3_000_000) -> dict[str, float]:
    """By domain and batch."""
    import torch

    from deepwright.pathfinding import LightsOut, Limits, NPuzzle, RubiksCube, ZeroHeuristic, bwas

    torch.set_num_threads(1)
    found: dict[str, float] = {}
    for domain in (RubiksCube(3), NPuzzle(4), LightsOut(7)):
        start = domain.sample_instances(torch.tensor([60]), 1)[0][0]
        for batch in (1, 1000):
            bwas(domain, start, domain.goal, ZeroHeuristic(), batch_size=batch, limits=Limits(nodes=1000))
            begin = time.process_time()
            got = bwas(domain, start, domain.goal, ZeroHeuristic(), batch_size=batch, limits=Limits(nodes=nodes))
            found[f"{domain.name}, {batch}"] = got.nodes_generated / (time.process_time() - begin)
    return found


def peer(python: str) -> dict[str, float]:
    """The same of deepxube, in its own environment.

    Args:
        python: of that environment.
    """
    done = subprocess.run([python, "-c", _PEER, str(SECONDS)], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print both sides by domain and batch."""
    theirs = peer(sys.argv[1]) if len(sys.argv) > 1 else {}
    rows = [
        {
            "domain, batch": name,
            "ours": round(speed),
            "deepxube": round(theirs[name]) if name in theirs else None,
            "times": round(speed / theirs[name], 1) if name in theirs else None,
        }
        for name, speed in ours().items()
    ]
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
