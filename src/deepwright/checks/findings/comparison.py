"""Before and after: which differences between two audits are larger than their noise?"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deepwright.checks.findings.finding import LETTERS, Finding
from deepwright.core.errors import InputError
from deepwright.core.files import jsonable, reading
from deepwright.core.results import Table
from deepwright.core.statistics import Interval

Subjects = tuple[Mapping[str, Any], Mapping[str, Any]]


def read_report(path: Path | str) -> tuple[dict[str, Any], list[Finding]]:
    """The subject and the findings of an earlier report.json."""
    with reading(f"cannot compare with {path}", "a report.json of deepwright audit", path):
        content = json.loads(Path(path).read_text())
        return dict(content["subject"]), [Finding.from_dict(row) for row in content["findings"]]


def read_findings(path: Path | str) -> list[Finding]:
    """The findings of an earlier report.json."""
    return read_report(path)[1]


def require_alike(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Refuse to compare audits whose values don't mean the same.

    Args:
        before: `Subject.describe()` of the earlier audit.
        after: that of the later one.

    Raises:
        InputError: another task, kind of inputs, or other classes.
    """
    words = {"task": "task", "kind": "kind of inputs", "classes": "number of classes", "class_names": "classes"}
    for key, word in words.items():
        if key in before and key in after and before[key] != after[key]:
            raise InputError(
                "cannot compare with the earlier audit",
                given=f"{word} {_short(before[key])}",
                expected=_short(after[key]),
                hint="compare with a report of the same task and classes",
            )


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def compare(before: Sequence[Finding], after: Sequence[Finding], subjects: Subjects | None = None) -> Table:
    """Values that both audits have, with the verdict: better, worse, changed, or within noise.

    Two values with 95 % intervals differ when the difference exceeds the root of the summed squared half-widths. Whole
    numbers are counts, and any difference between them is real. A measured value without an interval is shown with its
    difference, and its verdict is "no interval": how much of it is noise isn't known (of a latency it is what lies
    between two runs at different times, which quartiles within a run don't tell). A grade is better or worse only where
    a value that it comes from is (`Finding.graded_by`; all values where none is named). What was measured on other
    test data, by another check of the same name or under other conditions is shown and not judged: its verdict says
    what is other. A check that only one audit has is named.

    Args:
        before: findings of the earlier audit.
        after: those of the later one.
        subjects: `Subject.describe()` of both, where they may be unlike.

    Raises:
        InputError: another task, kind of inputs, or other classes.
    """
    for finding in (*before, *after):
        if not isinstance(finding, Finding):
            raise InputError("findings", given=type(finding).__name__, expected="Finding", hint="read_findings(path)")
    other_data = False
    if subjects is not None:
        require_alike(*subjects)
        other_data = _on_other_data(*subjects)
    old, new = {f.check: f for f in before}, {f.check: f for f in after}
    rows: list[list[Any]] = []
    for check, finding in new.items():
        if check in old:
            rows += _rows(old[check], finding, "other test data" if other_data else "")
        else:
            rows.append([check, "grade", None, finding.grade, None, "only after"])
    rows += [[check, "grade", f.grade, None, None, "only before"] for check, f in old.items() if check not in new]
    caption = "before and after" + (" (on other test data)" if other_data else "")
    return Table(["check", "value", "before", "after", "difference", "verdict"], rows, caption)


def _on_other_data(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Told by the samples themselves; by name and number in reports that don't hold their digest."""
    exact = "test_digest" in before and "test_digest" in after
    keys = ("test_digest",) if exact else ("data", "test", "input")
    return any(before.get(key) != jsonable(after.get(key)) for key in keys)


def _rows(before: Finding, after: Finding, unlike: str) -> list[list[Any]]:
    """One row for the grade and one a value; `unlike` says why nothing is judged."""
    unlike = unlike or _other_conditions(before, after)
    check = after.check
    rows: list[list[Any]] = []
    for name, value in after.values.items():
        if name in before.values:
            a, b = before.number(name), after.number(name)
            verdict = unlike or _verdict(before.values[name], value, _side(after, name))
            rows.append([check, name, a, b, _difference(a, b), verdict])
    verdict = unlike or _grades(before, after, {row[1]: row[-1] for row in rows})
    return [[check, "grade", before.grade, after.grade, None, verdict], *rows]


def _other_conditions(before: Finding, after: Finding) -> str:
    a, b = jsonable(before.conditions), jsonable(after.conditions)
    other = [name for name in b if name in a and a[name] != b[name]]
    return f"other {', '.join(other)}" if other else ""


def _difference(a: float, b: float) -> float:
    return 0.0 if a == b else b - a


def _grades(before: Finding, after: Finding, verdicts: Mapping[str, str]) -> str:
    """What became of a grade; letters are better or worse only where a value behind them is."""
    a, b = before.grade, after.grade
    if a == b:
        return "same"
    if a not in LETTERS or b not in LETTERS:
        return "changed"
    behind = [name for name in after.graded_by if name in verdicts] or list(verdicts)
    found = {verdicts[name] for name in behind}
    if behind and found <= {"same", "within noise"}:
        return "within noise"
    if behind and found <= {"same", "within noise", "no interval"}:
        return "no interval"
    return "better" if b < a else "worse"


def _side(finding: Finding, name: str) -> int:
    """1 where more is better, -1 where less is, 0 where neither is said."""
    return (name in finding.higher_is_better) - (name in finding.lower_is_better)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _verdict(a: Any, b: Any, side: int) -> str:
    x, y = (v.value if isinstance(v, Interval) else float(v) for v in (a, b))
    if x == y or (math.isnan(x) and math.isnan(y)):
        return "same"
    if math.isnan(x) or math.isnan(y):
        return "changed"
    noise = 0.0
    if isinstance(a, Interval) and isinstance(b, Interval):
        noise = math.hypot((a.high - a.low) / 2, (b.high - b.low) / 2)
    elif math.isfinite(x) and math.isfinite(y) and not (_is_count(a) and _is_count(b)):
        return "no interval"
    if not abs(y - x) > noise:
        return "within noise"
    if side == 0:
        return "changed"
    return "better" if (y > x) == (side > 0) else "worse"
