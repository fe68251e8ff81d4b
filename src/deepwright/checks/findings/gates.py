"""Gates: conditions on the measured values that make a run fail, for use in CI."""

from __future__ import annotations

import math
import operator
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deepwright.checks.findings.finding import LETTERS, Finding
from deepwright.checks.findings.measurable import INF, MEASURABLE, Bounds, bounds_of
from deepwright.core.errors import InputError, unknown_name
from deepwright.core.files import reading

_OPERATORS = {">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le}
_PATTERN = re.compile(r"^\s*([\w./-]+)\s*(>=|<=|>|<)\s*([-+\w./]+)\s*$")


@dataclass(frozen=True)
class Gate:
    """A condition on a measured value.

    Attributes:
        condition: as it was given.
        measured: the value or grade.
        failed: whether the condition for failing is met.
    """

    condition: str
    measured: float | str
    failed: bool


def parse(condition: str) -> tuple[str, str, str]:
    """ "fi>0.5" as (name, operator, limit)."""
    match = _PATTERN.match(condition)
    if match is None:
        raise InputError(
            "gate",
            given=repr(condition),
            expected="name, one of > < >= <=, a number or a grade",
            hint='e.g. "fi>0.5", "robustness.grade>C"',
        )
    return match[1], match[2], match[3]


def split_name(name: str, checks: Iterable[str]) -> tuple[str, str]:
    """The check and the value of a name; no check where none is said. Values may hold a dot themselves.

    Args:
        name: as "fi", "fragility.fi", "robust_accuracy_at_0.1" or "robustness.robust_accuracy_at_0.1".
        checks: names of checks, one's own among them.
    """
    check, dot, value = name.partition(".")
    if not dot:
        return "", name
    if check not in {*checks, *MEASURABLE} and any(bounds_of(c, name) is not None for c in MEASURABLE):
        return "", name
    return check, value


def require_gates(conditions: Sequence[str], checks: Iterable[str]) -> None:
    """Refuse gates that can't do what they are for, before anything runs.

    What a user's own check measures isn't known before it has run: its values are taken on trust, and `evaluate`
    refuses those that it then hasn't measured.

    Args:
        conditions: e.g. "fi>0.5".
        checks: names of the checks that will run, one's own among them.

    Raises:
        InputError: a condition that can't be read; an unknown value; one of a check that doesn't run; a limit that is
            no number (no grade A to E, for a grade); a condition that can never hold.
    """
    checks = list(checks)
    for condition in conditions:
        name, symbol, limit = parse(condition)
        check, value = split_name(name, checks)
        if value == "grade":
            _require_check(condition, check, checks)
            _require_grade(condition, symbol, limit)
            continue
        bounds = _bounds(condition, check, value, checks)
        _require_within(condition, symbol, _finite(condition, value, limit), bounds)


def _require_check(condition: str, check: str, checks: Sequence[str]) -> None:
    if check in checks:
        return
    if check in MEASURABLE:
        hint = f"let {check} run too: --check {check}, from Python checks=({check!r}, ...)"
        raise InputError("gate", given=f"{condition!r}", expected="a value of a check that runs", hint=hint)
    raise unknown_name(f"check in the gate {condition!r}", check, checks)


def _bounds(condition: str, check: str, value: str, checks: Sequence[str]) -> Bounds:
    """Between what the value lies; it is known, or of a check of the user's."""
    if check:
        _require_check(condition, check, checks)
    looked_at = [check] if check else checks
    known = [c for c in looked_at if c in MEASURABLE]
    for name in known:
        if (bounds := bounds_of(name, value)) is not None:
            return bounds
    if len(known) < len(looked_at):
        return -INF, INF
    elsewhere = [c for c in MEASURABLE if bounds_of(c, value) is not None]
    if elsewhere and not check:
        _require_check(condition, elsewhere[0], checks)
    listed = {p for c in looked_at for p, _ in MEASURABLE[c] if re.fullmatch(r"(?!baseline_)\w+", p)}
    raise unknown_name(f"value in the gate {condition!r}", value, listed)


def _finite(condition: str, value: str, limit: str) -> float:
    try:
        number = float(limit)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError("gate", given=repr(condition), expected=f"a finite number to compare {value} with")
    return number


def _require_grade(condition: str, symbol: str, limit: str) -> None:
    if limit not in LETTERS:
        hint = f"grades are capital letters: {limit.upper()}" if limit.upper() in LETTERS else None
        raise InputError("gate", given=repr(condition), expected="a grade, A (best) to E", hint=hint)
    if not any(_OPERATORS[symbol](letter, limit) for letter in LETTERS):
        raise InputError("gate", given=f"{condition!r}, which no grade can meet", expected="one that can fail")


def _require_within(condition: str, symbol: str, limit: float, bounds: Bounds) -> None:
    furthest = bounds[1] if symbol in (">", ">=") else bounds[0]
    if not _OPERATORS[symbol](furthest, limit):
        low, high = bounds
        raise InputError(
            "gate",
            given=f"{condition!r}, which can never hold: the value lies in [{low:g}, {high:g}]",
            expected="one that can fail",
        )


def read_config(path: Path | str) -> list[str]:
    """The gates of a deepwright.toml: `fail-on`, a list of conditions, at the top or in the table `gates`.

    Args:
        path: the file.

    Raises:
        InputError: a file that is no TOML in UTF-8, anything in it that isn't read, a list of something else.
    """
    with reading(f"cannot read {path}", "TOML in UTF-8", path):
        content = tomllib.loads(Path(path).read_bytes().decode())
    _require_keys(path, content, ("fail-on", "gates"))
    table = content.get("gates", {})
    if not isinstance(table, dict):
        raise InputError(f"gates of {path}", given=repr(table), expected='a table: [gates], then fail-on = ["fi>0.5"]')
    _require_keys(f"[gates] of {path}", table, ("fail-on",))
    return [*_conditions(path, content), *_conditions(path, table)]


def _require_keys(where: Path | str, table: dict[str, object], known: Sequence[str]) -> None:
    for key in table:
        if key not in known:
            raise unknown_name(f"key in {where}", key, known)


def _conditions(path: Path | str, table: dict[str, object]) -> list[str]:
    gates = table.get("fail-on", [])
    if not isinstance(gates, list) or not all(isinstance(g, str) for g in gates):
        raise InputError(f"fail-on of {path}", given=repr(gates), expected='a list of conditions such as ["fi>0.5"]')
    return gates


def evaluate(conditions: Sequence[str], findings: Sequence[Finding]) -> list[Gate]:
    """Each condition on the findings; names are `value`, `check.value` or `check.grade` (grades: D > C means worse).

    What has no value fails its gate: no number, a grade that is no letter, and what a check would have measured that
    failed, that doesn't apply, or that couldn't measure it here.

    Args:
        conditions: e.g. "fi>0.5": the gate fails when it holds.
        findings: of an audit.

    Raises:
        InputError: a condition that can't be read, a value that no check has.
    """
    values: dict[str, float | str] = {}
    for finding in findings:
        values[f"{finding.check}.grade"] = finding.grade
        for name in finding.values:
            number = finding.number(name)
            values[f"{finding.check}.{name}"] = number
            values.setdefault(name, number)
    gates = []
    for condition in conditions:
        name, symbol, limit = parse(condition)
        if name not in values:
            gates.append(Gate(condition, _unmeasured(name, findings, values), True))
        else:
            gates.append(Gate(condition, values[name], _holds(condition, name, values[name], symbol, limit)))
    return gates


def _holds(condition: str, name: str, measured: float | str, symbol: str, limit: str) -> bool:
    if isinstance(measured, str):
        _require_grade(condition, symbol, limit)
        return measured not in LETTERS or bool(_OPERATORS[symbol](measured, limit))
    return measured != measured or bool(_OPERATORS[symbol](measured, _finite(condition, name, limit)))


def _unmeasured(name: str, findings: Sequence[Finding], values: Iterable[str]) -> str:
    """Why a value is missing; refused where no check could have had it."""
    check, value = split_name(name, [f.check for f in findings])
    silent = {f.check: f.grade for f in findings if f.grade in ("failed", "n/a")}
    if check in silent:
        return f"{check} is {silent[check]}"
    ran = [f.check for f in findings if f.check in MEASURABLE and check in ("", f.check)]
    if (silent and not check) or any(bounds_of(c, value) is not None for c in ran):
        return "not measured"
    raise unknown_name("value in a gate", name, values)
