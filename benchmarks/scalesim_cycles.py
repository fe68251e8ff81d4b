"""Cycles and seconds beside SCALE-Sim 3.0.0, which needs an environment of its own (numpy below 2).

    python -m venv .venv-scalesim && .venv-scalesim/bin/pip install scalesim==3.0.0 "numpy<2"
    python benchmarks/scalesim_cycles.py .venv-scalesim/bin/python

Random products on 8 x 8 with all three dataflows, and two layers of Qwen2-0.5B at 16 rows on 128 x 128. Its cycles are
one less, as it prints the index of the last one. Seconds are CPU seconds of one thread: its are those of `run_scale`,
with traces kept off the disk; ours those of `simulate`, the mean of many calls.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SMALL, LARGE = (8, 8), (128, 128)
LAYERS = ((16, 896, 896), (16, 896, 4864))  # M, K, N
_CONFIG = """[general]
run_name = beside
[architecture_presets]
ArrayHeight: {rows}
ArrayWidth: {cols}
IfmapSramSzkB: 16384
FilterSramSzkB: 16384
OfmapSramSzkB: 16384
IfmapOffset: 0
FilterOffset: 100000000
OfmapOffset: 200000000
Dataflow : {dataflow}
Bandwidth : 100
ReadRequestBuffer: 32
WriteRequestBuffer: 32
[layout]
IfmapCustomLayout: False
IfmapSRAMBankBandwidth: 10
IfmapSRAMBankNum: 10
IfmapSRAMBankPort: 2
FilterCustomLayout: False
FilterSRAMBankBandwidth: 10
FilterSRAMBankNum: 10
FilterSRAMBankPort: 2
[sparsity]
SparsitySupport : false
SparseRep : ellpack_block
OptimizedMapping : false
BlockSize : 8
RandomNumberGeneratorSeed : 40
[run_presets]
InterfaceBandwidth: CALC
UseRamulatorTrace: False
"""


def cases() -> list[dict[str, Any]]:
    """One array and dataflow each, with its products."""
    rng = random.Random(0)
    small = [[rng.randint(1, 30), rng.randint(1, 40), rng.randint(1, 30)] for _ in range(30)]
    found = [{"sides": SMALL, "dataflow": flow, "products": small} for flow in ("os", "ws", "is")]
    return [*found, *({"sides": LARGE, "dataflow": "os", "products": [list(layer)]} for layer in LAYERS)]


def peer() -> None:
    """Runs in the other environment: cases come in as JSON, cycles and seconds go out."""
    from scalesim.scale_sim import scalesim  # type: ignore[import-not-found]

    found = []
    for case in json.load(sys.stdin):
        folder = Path(tempfile.mkdtemp())
        rows, cols = case["sides"]
        (folder / "array.cfg").write_text(_CONFIG.format(rows=rows, cols=cols, dataflow=case["dataflow"]))
        lines = [f"p{i}, {M}, {N}, {K}," for i, (M, K, N) in enumerate(case["products"])]
        (folder / "net.csv").write_text("\n".join(["Layer, M, N, K,", *lines]) + "\n")
        (folder / "layout.csv").write_text("none\n")
        words = {name: str(folder / file) for name, file in (("config", "array.cfg"), ("topology", "net.csv"))}
        sim = scalesim(True, False, **words, layout=str(folder / "layout.csv"), input_type_gemm=True)
        begin = time.process_time()
        sim.run_scale(top_path=str(folder))
        seconds = time.process_time() - begin
        report = next(folder.rglob("COMPUTE_REPORT.csv")).read_text().splitlines()[1:]
        cycles = [int(line.split(",")[2]) for line in report if line.strip()]
        found.append({"seconds": seconds, "cycles": cycles})
    print("\n" + json.dumps(found))


def main(python: str) -> None:
    """Both, beside each other.

    Args:
        python: of the environment that has SCALE-Sim.
    """
    from deepwright.hardware import GEMM, SystolicArray, simulate

    given = cases()
    out = subprocess.run(
        [python, __file__, "--peer"], input=json.dumps(given), capture_output=True, text=True, check=True, timeout=600
    )
    for case, theirs in zip(given, json.loads(out.stdout.splitlines()[-1])):
        array = SystolicArray(*case["sides"], dataflow=case["dataflow"])
        work = [GEMM(*sizes) for sizes in case["products"]]
        begin, times = time.process_time(), 200
        for _ in range(times):
            ours = [row.cycles for row in simulate(work, array).rows]
        seconds = (time.process_time() - begin) / times
        equal = sum(a == b + 1 for a, b in zip(ours, theirs["cycles"]))
        print(
            f"{array.rows} x {array.cols} {array.dataflow}, {len(work)} product(s), first {case['products'][0]}: "
            f"{equal} of {len(work)} as SCALE-Sim has them and 1; {1e6 * seconds:.0f} us beside "
            f"{theirs['seconds']:.2f} s: {theirs['seconds'] / seconds:,.0f} times"
        )


if __name__ == "__main__":
    peer() if sys.argv[1] == "--peer" else main(sys.argv[1])
