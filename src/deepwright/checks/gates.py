"""Gates: conditions on the measured values that make a run fail, for use in CI."""

from __future__ import annotations

import operator
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deepwright.checks.finding import Finding
from deepwright.core.errors import InputError, unknown_name

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


def read_config(path: Path | str) -> list[str]:
    """The `fail-on` list of a deepwright.toml."""
    try:
        content = tomllib.loads(Path(path).read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"cannot read {path}", given=str(error), expected="TOML") from error
    gates = content.get("gates", content).get("fail-on", [])
    if not isinstance(gates, list) or not all(isinstance(g, str) for g in gates):
        raise InputError(f"fail-on of {path}", given=gates, expected='a list of conditions such as ["fi>0.5"]')
    return gates


def evaluate(conditions: Sequence[str], findings: Sequence[Finding]) -> list[Gate]:
    """Each condition on the findings; names are `value`, `check.value` or `check.grade` (grades: D > C means worse).

    A value that is no number, or that a check would have measured which failed or doesn't apply, fails its gate.

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
            continue
        measured = values[name]
        bound: float | str = limit
        if not isinstance(measured, str):
            try:
                bound = float(limit)
            except ValueError as error:
                raise InputError("gate", given=condition, expected=f"a number to compare {name} with") from error
        gates.append(Gate(condition, measured, bool(_OPERATORS[symbol](measured, bound)) or measured != measured))
    return gates


def _unmeasured(name: str, findings: Sequence[Finding], values: Iterable[str]) -> str:
    """Why a value is missing; refused where no check could have had it."""
    check = name.rpartition(".")[0]
    silent = {f.check: f.grade for f in findings if f.grade in ("failed", "n/a")}
    if check in silent:
        return f"{check} is {silent[check]}"
    if silent and not check:
        return "not measured"
    raise unknown_name("value in a gate", name, values)
