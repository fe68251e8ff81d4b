"""What a check found: values with intervals, a grade with its rule, and what to do next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from numbers import Integral
from typing import Any

from deepwright.core.errors import InputError
from deepwright.core.files import jsonable
from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval

LETTERS = ("A", "B", "C", "D", "E")
GRADES = (*LETTERS, "info", "n/a", "failed")


class NotApplicableError(InputError):
    """A check doesn't apply to a subject: the audit says why and goes on.

    Args:
        why: in words that follow "Does not apply: ".
    """

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"does not apply: {why}")


@dataclass
class Finding:
    """The result of one check.

    Attributes:
        check: its name.
        grade: A (best) to E, "info" where nothing is judged, "n/a" where the check doesn't apply, "failed" where it
            could not run.
        summary: one or two sentences for a person.
        values: name -> number, or Interval where there is an uncertainty.
        rule: how the grade came about, in words and numbers.
        remedy: what to run next.
        tables: shown in the report.
        figures: shown in the report.
        lower_is_better: values that a comparison calls better when they fall; those of neither kind only change.
        higher_is_better: values that a comparison calls better when they rise.
        could_be: the other letters that the interval behind the grade reaches: measure more to tell.
        graded_by: the values that the grade comes from; all of them where none is named.
        conditions: what the values were measured under, by name: values of other conditions aren't compared.
        seconds: how long it took.

    Raises:
        InputError: an unknown grade.
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
    could_be: tuple[str, ...] = ()
    graded_by: tuple[str, ...] = ()
    conditions: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.grade not in GRADES:
            raise InputError(f"grade of {self.check}", given=repr(self.grade), expected=", ".join(GRADES))
        self.values = {name: _interval(value) for name, value in self.values.items()}

    @classmethod
    def not_applicable(cls, check: str, why: str) -> Finding:
        """The finding of a check that doesn't apply.

        Args:
            check: its name.
            why: in words that follow "Does not apply: ".
        """
        return cls(check, "n/a", f"Does not apply: {why}.", {})

    def number(self, name: str) -> float:
        """A value without its interval."""
        value = self.values[name]
        return value.value if isinstance(value, Interval) else float(value)

    def require_numbers(self) -> None:
        """Values as numbers that JSON holds.

        Raises:
            InputError: NaN, or something else than a number or an `Interval`.
        """
        for name, value in self.values.items():
            if isinstance(value, Interval):
                parts = [float(v) for v in (value.value, value.low, value.high)]
            else:
                parts = [_plain_number(self.check, name, value)]
                self.values[name] = value if isinstance(value, int | float) else parts[0]
            if any(map(math.isnan, parts)):
                raise InputError(
                    f"value {name!r} of {self.check}", given="NaN", expected="a number", hint="leave out what has none"
                )

    def to_dict(self) -> dict[str, Any]:
        """Plain data; a value with an interval becomes {value, low, high}."""
        return jsonable(asdict(self))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Finding:
        """The inverse of `to_dict`."""
        tables = [Table(**t) for t in data.get("tables", [])]
        figures = [Figure.from_dict(f) for f in data.get("figures", [])]
        names = ("lower_is_better", "higher_is_better", "could_be", "graded_by")
        sides = {k: tuple(data.get(k, ())) for k in names}
        values = {k: _number(v) for k, v in data["values"].items()}
        for name, value in values.items():
            if not isinstance(value, int | float | dict):
                raise InputError(f"value {name!r} of {data['check']}", given=repr(value), expected="a number")
        return cls(**{**data, "values": values, "tables": tables, "figures": figures, **sides})


def _interval(value: Any) -> Any:
    if isinstance(value, dict):
        return Interval(*(float(value[k]) for k in ("value", "low", "high")))
    return value


def _plain_number(check: str, name: str, value: Any) -> int | float:
    """A whole number stays one (it is a count), anything else becomes a float."""
    try:
        if isinstance(value, str):
            raise TypeError
        return int(value) if isinstance(value, Integral) else float(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"value {name!r} of {check}", given=f"{type(value).__name__} {value!r}", expected="a number or an Interval"
        ) from error


def _number(value: Any) -> Any:
    return float(value) if value in ("inf", "-inf", "nan") else value


def grade_down(value: float, steps: Sequence[float]) -> str:
    """A for value <= steps[0], B for <= steps[1], ... E beyond the last (small is good; NaN is E).

    Args:
        value: what is judged.
        steps: four rising limits.
    """
    for grade, limit in zip("ABCD", steps):
        if value <= limit:
            return grade
    return "E"


def grade_up(value: float, steps: Sequence[float]) -> str:
    """A for value >= steps[0], B for >= steps[1], ... E below the last (large is good; NaN is E).

    Args:
        value: what is judged.
        steps: four falling limits.
    """
    for grade, limit in zip("ABCD", steps):
        if value >= limit:
            return grade
    return "E"


def at_best(grade: str, cap: str) -> str:
    """The worse of two grades.

    Args:
        grade: A to E.
        cap: the best that it may be.
    """
    return max(grade, cap)


def with_interval(value: Interval, spec: str = ".3g") -> str:
    """A number and its interval in words.

    Args:
        value: measured.
        spec: how each number is written.
    """
    if not value.known:
        return f"{value.value:{spec}} (interval not known)"
    return f"{value.value:{spec}} (95 % interval {value.low:{spec}} to {value.high:{spec}})"


def from_to(before: float, after: float) -> str:
    """What becomes of a share, in words that fit its direction as shown.

    Args:
        before: without an attack or a perturbation.
        after: with it.
    """
    if f"{before:.1%}" == f"{after:.1%}":
        return f"stays at {before:.1%}"
    return f"{'falls' if after < before else 'rises'} from {before:.1%} to {after:.1%}"
