"""What a check found: values with intervals, a grade with its rule, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from deepwright.core.errors import InputError
from deepwright.core.files import jsonable
from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval

GRADES = ("A", "B", "C", "D", "E", "info", "failed")


@dataclass
class Finding:
    """The result of one check.

    Attributes:
        check: its name.
        grade: A (best) to E, "info" where nothing is judged, "failed" where the check could not run.
        summary: one or two sentences for a person.
        values: name -> number, or Interval where there is an uncertainty.
        lower_is_better, higher_is_better: the values that a comparison may call better or worse; others only change.
        rule: how the grade came about, in words and numbers.
        remedy: what to run next.
        tables, figures: shown in the report.
        seconds: how long it took.
    """

    check: str
    grade: str
    summary: str
    values: dict[str, Any]
    rule: str = ""
    remedy: str = ""
    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    lower_is_better: tuple[str, ...] = ()
    higher_is_better: tuple[str, ...] = ()
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.grade not in GRADES:
            raise InputError(f"grade of {self.check}", given=repr(self.grade), expected=", ".join(GRADES))
        self.values = {name: _interval(value) for name, value in self.values.items()}

    def number(self, name: str) -> float:
        """A value without its interval."""
        value = self.values[name]
        return value.value if isinstance(value, Interval) else float(value)

    def to_dict(self) -> dict[str, Any]:
        """Plain data; a value with an interval becomes {value, low, high}."""
        return jsonable(asdict(self))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Finding:
        """The inverse of `to_dict`."""
        tables = [Table(**t) for t in data.get("tables", [])]
        figures = [Figure.from_dict(f) for f in data.get("figures", [])]
        sides = {k: tuple(data.get(k, ())) for k in ("lower_is_better", "higher_is_better")}
        values = {k: _number(v) for k, v in data["values"].items()}
        return cls(**{**data, "values": values, "tables": tables, "figures": figures, **sides})


def _interval(value: Any) -> Any:
    if isinstance(value, dict):
        return Interval(*(float(value[k]) for k in ("value", "low", "high")))
    return value


def _number(value: Any) -> Any:
    return float(value) if value in ("inf", "-inf", "nan") else value


def grade_down(value: float, steps: Sequence[float]) -> str:
    """A for value <= steps[0], B for <= steps[1], ... E beyond the last (small is good; NaN is E)."""
    for grade, limit in zip("ABCD", steps):
        if value <= limit:
            return grade
    return "E"


def grade_up(value: float, steps: Sequence[float]) -> str:
    """A for value >= steps[0], B for >= steps[1], ... (large is good)."""
    for grade, limit in zip("ABCD", steps):
        if value >= limit:
            return grade
    return "E"


def at_best(grade: str, cap: str) -> str:
    """The worse of two grades."""
    return max(grade, cap)
