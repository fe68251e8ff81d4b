"""An audit inside your tests: what must hold, said as conditions (`deepwright.integrations.fixtures` has a fixture)."""

from __future__ import annotations

from pathlib import Path

from deepwright.checks import AuditReport, Finding, evaluate, parse, read_findings, require_gates
from deepwright.checks.findings.gates import split_name
from deepwright.core.errors import InputError
from deepwright.core.statistics import Interval

_NOT = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}


def assert_audit(report: AuditReport | Path | str, *conditions: str) -> None:
    """Fail unless each condition holds; the message shows value, interval, grade and the grade's rule.

    What has no value (a check that failed, that doesn't apply, that couldn't measure it) doesn't hold.

    Args:
        report: of an audit, or its report.json.
        *conditions: as "fi<0.5", "robustness.robust_accuracy_at_0.1>=0.6", "calibration.grade<=B".

    Raises:
        AssertionError: one or more don't hold.
        InputError: no condition; one that can't be read, that names no value, or that always holds.
    """
    if not conditions:
        raise InputError("conditions", given="none", expected='at least one, as "fi<0.5"')
    findings = report.findings if isinstance(report, AuditReport) else read_findings(report)
    broken = [told for condition in conditions if (told := _broken(condition, findings))]
    if broken:
        raise AssertionError("\n".join(broken))


def _broken(condition: str, findings: list[Finding]) -> str:
    """What to say of a condition that doesn't hold; empty where it does."""
    name, symbol, limit = parse(condition)
    opposite = f"{name}{_NOT[symbol]}{limit}"
    try:
        require_gates([opposite], [f.check for f in findings])
        (gate,) = evaluate([opposite], findings)
    except InputError as error:
        what = f"condition {condition!r}, or its opposite"
        raise InputError(what, given=error.given, expected=error.expected, hint=error.hint) from error
    if not gate.failed:
        return ""
    check, value = split_name(name, [f.check for f in findings])
    finding = next((f for f in findings if (f.check == check if check else value in f.values)), None)
    if finding is None:
        return f"{condition} doesn't hold: {gate.measured}"
    rule = f"\n  {finding.rule or finding.summary}"
    if value not in finding.values:
        return f"{condition} doesn't hold: {gate.measured} (of {finding.check}, {finding.grade}){rule}"
    measured = finding.values[value]
    said = format(measured, ".4g") if isinstance(measured, Interval) else f"{float(measured):.4g} (no interval)"
    return f"{condition} doesn't hold: {value} is {said} (of {finding.check}, {finding.grade}){rule}"
