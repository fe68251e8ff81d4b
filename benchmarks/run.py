"""Run all benchmarks in one go: `make bench`. Ratios above 1 mean that ours is faster; times depend on the machine."""

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
import frames_beside
import graph_speed
import ordinal
import others
import padic_speed
import patching
import pathfinding_training
import prequential
import sharpening
import shrinking
import solvers
import streams_speed
import toolbox
import tunnel
import weightless_speed
from common import machine

import corruptions
import physics

PARTS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "attacks": attacks.run,
    "attacks, against ART": toolbox.run,
    "patches, against ART": patching.run,
    "corruptions": corruptions.run,
    "ordinal": ordinal.run,
    "sharpening": sharpening.run,
    "frames": corruptions.frames,
    "frames beside peers": frames_beside.run,
    "shrinking": shrinking.run,
    "physics": physics.run,
    "solvers": solvers.run,
    "ood": others.ood,
    "graphs": graph_speed.run,
    "streams": streams_speed.run,
    "fragility": others.fragility,
    "profile": others.profile,
    "tunnel": tunnel.run,
    "prequential codes": prequential.run,
    "weightless": weightless_speed.run,
    "networks on trees": padic_speed.run,
    "training for paths": pathfinding_training.run,
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
    for name in options.parts or PARTS:
        rows = PARTS[name]()
        results[name] = rows
        results.setdefault("measured", {})[name] = machine()
        print(f"\n{name}")
        for row in rows:
            print(
                "  "
                + "  ".join(
                    f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in row.items() if v is not None
                )
            )
        path.write_text(json.dumps(results, indent=1) + "\n")
    write_page(results, path.parent.parent / "docs" / "benchmarks.md")


def write_page(results: dict[str, Any], path: Path) -> None:
    """The documentation's page of what was measured."""
    lines = ["# Benchmarks", "", "Measured by `make bench`; peers and ours of a part in one run.", ""]
    lines.append(
        "A ratio above 1 means that ours is faster (or smaller); the rows that say *over* or *share* are what they say."
    )
    for name in PARTS:
        rows = results.get(name)
        if not rows:
            continue
        columns = list(rows[0])
        facts = ", ".join(f"{k} {v}" for k, v in results["measured"][name].items())
        lines += ["", f"## {name}", "", f"Measured with {facts}.", ""]
        lines += ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
        lines += ["| " + " | ".join(_cell(row.get(c)) for c in columns) + " |" for row in rows]
    path.write_text("\n".join(lines) + "\n")


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
