"""How much memory and time an audit of much data takes: pictures out of files, and rows of a Parquet table.

    python benchmarks/streaming.py pictures --n 50000 --dir /tmp/pictures
    python benchmarks/streaming.py table --n 1000000 --dir /tmp/table

The inputs are made once (small JPEGs of 224 x 224 pixels in ten classes; a table of 20 columns); the audit runs in a
process of its own, whose peak of resident memory is what is told.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

CLASSES, SIDE = 10, 224
CHECKS = ("accuracy", "calibration", "fragility", "robustness", "corruptions", "ood", "cost")


def colour(k: int):
    """The mean colour of a class."""
    import numpy as np

    return np.random.default_rng(1000 + k).uniform(60, 195, 3)


def write_pictures(folder: Path, start: int, stop: int) -> None:
    """Some JPEGs: blotches around the colour of their class."""
    import numpy as np
    from PIL import Image

    for i in range(start, stop):
        rng, k = np.random.default_rng(i), i % CLASSES
        blotches = np.clip(colour(k) + rng.normal(0, 60, (7, 7, 3)) + rng.normal(0, 25, 3), 0, 255)
        place = folder / f"class {k}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(blotches.astype(np.uint8)).resize((SIDE, SIDE)).save(place / f"{i}.jpg", quality=70)


def make_pictures(root: Path, n: int) -> Path:
    """`n` pictures to be measured and a tenth as many to fit detectors on."""
    for part, start, count in (("test", 0, n), ("train", n, n // 10)):
        if (root / part).exists():
            continue
        edges = [start + count * i // 20 for i in range(21)]
        with ProcessPoolExecutor(2) as pool:
            list(pool.map(write_pictures, [root / part] * 20, edges[:-1], edges[1:]))
    return root


def make_table(root: Path, n: int) -> Path:
    """`n` rows of 18 numbers, a code and a text, in row groups of 100,000."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    root.mkdir(parents=True, exist_ok=True)
    path = root / f"{n}.parquet"
    writer = None
    for start in range(0, n if not path.exists() else 0, 100_000):
        count, rng = min(100_000, n - start), np.random.default_rng(start)
        frame = pd.DataFrame(
            rng.normal(size=(count, 18)) * 10.0 ** rng.integers(-2, 3), columns=[f"x{i}" for i in range(18)]
        )
        frame["code"] = rng.integers(0, 5, count)
        frame["town"] = rng.choice(["Ulm", "Bonn", "Kiel"], count)
        frame["y"] = (rng.random(count) + (frame["code"] - 2) / 4 > 0.5).astype(int)
        rows = pa.Table.from_pandas(frame, preserve_index=False)
        writer = writer or pq.ParquetWriter(path, rows.schema)
        writer.write_table(rows)
    if writer is not None:
        writer.close()
    return path


def picture_network(root: Path):
    """One layer of filters and a readout that is fitted on some pictures."""
    import numpy as np
    import torch
    from PIL import Image
    from torch import nn

    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 16, 8, 8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    files = [file for k in range(CLASSES) for file in sorted((root / "train" / f"class {k}").glob("*.jpg"))[:20]]
    x = torch.stack([torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1) for file in files]).float() / 255
    y = torch.tensor([int(file.parent.name.split()[1]) for file in files])
    with torch.no_grad():
        features = torch.cat([body(x), torch.ones(len(x), 1)], 1)
        weight = torch.linalg.lstsq(features, 10 * nn.functional.one_hot(y, CLASSES).float()).solution
        head = nn.Linear(16, CLASSES)
        head.weight.copy_(weight[:-1].T)
        head.bias.copy_(weight[-1])
    return nn.Sequential(body, head).eval()


def measure(what: str, root: Path, n: int, stream: bool, checks: tuple[str, ...]) -> dict[str, object]:
    """The audit, in this process."""
    from deepwright.workflows.auditing import AuditOptions, audit

    begin = time.perf_counter()
    if what == "pictures":
        options = AuditOptions(picture_network(root), data=root, stream=stream, checks=checks, out=None)
    else:
        options = AuditOptions(data=root / f"{n}.parquet", target="y", stream=stream, checks=checks, out=None)
    report = audit(options, on_finding=lambda f: print(f"{f.check}: {f.seconds:.1f} s", file=sys.stderr))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # kilobytes on Linux
    return {
        "what": what,
        "test": report.subject["test"],
        "train": report.subject["train"],
        "seconds": round(time.perf_counter() - begin, 1),
        "checks": {f.check: round(f.seconds, 1) for f in report.findings},
        "grades": {f.check: f.grade for f in report.findings},
        "peak MB": round(peak / 1e6),
    }


def main() -> None:
    """Make the inputs, measure in a fresh process, print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("pictures", "table"))
    parser.add_argument("--n", type=int, required=True)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--in-memory", action="store_true", help="hold everything, for comparison")
    parser.add_argument("--checks", default=",".join(CHECKS))
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        checks = tuple(given.checks.split(","))
        print(json.dumps(measure(given.what, given.dir, given.n, not given.in_memory, checks)))
        return
    make_pictures(given.dir, given.n) if given.what == "pictures" else make_table(given.dir, given.n)
    subprocess.run([sys.executable, *sys.argv, "--here"], check=True)


if __name__ == "__main__":
    main()
