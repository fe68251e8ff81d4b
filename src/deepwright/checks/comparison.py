"""Before and after: which differences between two audits are larger than their noise?"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from deepwright.checks.finding import Finding
from deepwright.core.files import reading
from deepwright.core.results import Table
from deepwright.core.statistics import Interval


def read_findings(path: Path | str) -> list[Finding]:
    """The findings of an earlier report.json."""
    with reading(f"cannot compare with {path}", "a report.json of deepwright audit"):
        content = json.loads(Path(path).read_text())
        return [Finding.from_dict(row) for row in content["findings"]]


def compare(before: list[Finding], after: list[Finding]) -> Table:
    """Values that both audits have, with the verdict: better, worse, changed, or within noise.

    Two values with 95 % intervals differ when the difference exceeds the root of the summed squared half-widths; a value
    without an interval is compared exactly, with a tolerance of 1 %.
    """
    old = {f.check: f for f in before}
    rows: list[list[Any]] = []
    for finding in after:
        earlier = old.get(finding.check)
        if earlier is None:
            continue
        rows.append([finding.check, "grade", earlier.grade, finding.grade, None, _grades(earlier.grade, finding.grade)])
        for name, value in finding.values.items():
            if name in earlier.values:
                a, b = earlier.number(name), finding.number(name)
                rows.append(
                    [
                        finding.check,
                        name,
                        a,
                        b,
                        _difference(a, b),
                        _verdict(earlier.values[name], value, _side(finding, name)),
                    ]
                )
    return Table(["check", "value", "before", "after", "difference", "verdict"], rows, "before and after")


def _difference(a: float, b: float) -> float:
    return 0.0 if a == b else b - a


def _grades(a: str, b: str) -> str:
    if a == b:
        return "same"
    return "better" if b < a else "worse"


def _side(finding: Finding, name: str) -> int:
    """1 where more is better, -1 where less is, 0 where neither is said."""
    return (name in finding.higher_is_better) - (name in finding.lower_is_better)


def _verdict(a: Any, b: Any, side: int) -> str:
    x, y = (v.value if isinstance(v, Interval) else float(v) for v in (a, b))
    if x == y or (math.isnan(x) and math.isnan(y)):
        return "same"
    if isinstance(a, Interval) and isinstance(b, Interval):
        noise = math.hypot((a.high - a.low) / 2, (b.high - b.low) / 2)
    else:
        noise = 0.01 * max(abs(x), abs(y))
    if not abs(y - x) > noise:
        return "within noise"
    if side == 0:
        return "changed"
    return "better" if (y > x) == (side > 0) else "worse"
