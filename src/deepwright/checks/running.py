"""The main job: run the checks on a subject, resumably, and gather a report."""

from __future__ import annotations

import importlib.util
import inspect
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from deepwright.checks.accuracy import check_accuracy
from deepwright.checks.calibration import check_calibration
from deepwright.checks.comparison import compare, read_findings
from deepwright.checks.corruptions import check_corruptions
from deepwright.checks.cost import check_cost
from deepwright.checks.finding import Finding
from deepwright.checks.fragility import check_fragility
from deepwright.checks.gates import Gate, evaluate, parse
from deepwright.checks.ood import check_ood
from deepwright.checks.robustness import check_robustness
from deepwright.checks.subject import Subject, subject_from_loaders
from deepwright.core.errors import InputError, unknown_name
from deepwright.core.files import jsonable
from deepwright.core.identity import digest
from deepwright.core.journal import Journal
from deepwright.core.results import Table

Check = Callable[[Subject], Finding]

BUILTIN: dict[str, Check] = {
    "accuracy": check_accuracy,
    "calibration": check_calibration,
    "fragility": check_fragility,
    "robustness": check_robustness,
    "corruptions": check_corruptions,
    "ood": check_ood,
    "cost": check_cost,
}


@dataclass
class AuditReport:
    """Findings about a network.

    Attributes:
        subject: what was audited, as plain facts.
        findings: one a check.
        gates: conditions and whether they failed.
        comparison: against an earlier report, if asked.
        seconds: of the whole run.
    """

    subject: dict[str, Any]
    findings: list[Finding]
    gates: list[Gate] = field(default_factory=list)
    comparison: Table | None = None
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether a gate failed or a check could not run."""
        return any(g.failed for g in self.gates) or any(f.grade == "failed" for f in self.findings)

    def __getitem__(self, check: str) -> Finding:
        """A finding by its check's name."""
        for finding in self.findings:
            if finding.check == check:
                return finding
        raise unknown_name("check", check, [f.check for f in self.findings])

    def table(self) -> Table:
        """The grades."""
        rows: list[list[Any]] = [[f.check, f.grade, f.summary] for f in self.findings]
        return Table(["check", "grade", "finding"], rows)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: subject, findings, gates, comparison, seconds."""
        return {
            "subject": jsonable(self.subject),
            "findings": [f.to_dict() for f in self.findings],
            "gates": [jsonable(asdict(g)) for g in self.gates],
            "comparison": None if self.comparison is None else jsonable(asdict(self.comparison)),
            "seconds": self.seconds,
        }


def audit(
    model: nn.Module | Subject,
    test: Iterable[Any] | None = None,
    *,
    train: Iterable[Any] | None = None,
    validation: Iterable[Any] | None = None,
    class_names: Sequence[str] | None = None,
    checks: Sequence[str | Check] | None = None,
    fail_on: Sequence[str] = (),
    compare_with: Path | str | None = None,
    journal: Path | str | None = None,
    on_finding: Callable[[Finding], object] | None = None,
    **options: Any,
) -> AuditReport:
    """Measure a network.

    Args:
        model: a module that takes pixels in [0, 1] (or features) and gives logits, or a ready `Subject`.
        test: batches of (inputs, labels), or a `Data`.
        train, validation: for detectors, baselines and temperature; cut from `test` when missing.
        class_names: index = label.
        checks: names of the built-in ones, or functions Subject -> Finding; all built-in ones by default.
        fail_on: gates, e.g. ["fi>0.5"].
        compare_with: an earlier report.json.
        journal: a file for finished checks: an interrupted audit goes on there. Another network, split or option is an
            error that says which; a check whose source changed is run again.
        on_finding: called after each check.
        options: of `Subject` (batch_size, seed, attack_limit, corruption_limit, eps).

    Raises:
        InputError: bad input of any kind. A check that fails by itself becomes a finding with the grade "failed".
    """
    begin = time.perf_counter()
    for condition in fail_on:
        parse(condition)
    before = None if compare_with is None else read_findings(compare_with)
    if isinstance(model, Subject):
        subject = model
    else:
        if test is None:
            raise InputError("test", given="nothing", expected="batches of (inputs, labels)")
        names = None if class_names is None else tuple(class_names)
        subject = subject_from_loaders(model, test, train, validation, names, **options)
    chosen = resolve(checks)
    log = Journal(journal, {} if journal is None else subject.settings(), kind="audit")
    findings = []
    for name, check in chosen.items():
        row = name if journal is None else f"{name} {digest(check)}"  # a check that was edited is run again
        if row in log.rows:
            finding = Finding.from_dict(log.rows[row])
        else:
            finding = run_check(name, check, subject)
            if finding.grade != "failed":
                log.add(row, finding.to_dict())
        findings.append(finding)
        if on_finding is not None:
            on_finding(finding)
    report = AuditReport(subject.describe(), findings, evaluate(fail_on, findings))
    if before is not None:
        report.comparison = compare(before, findings)
    report.seconds = time.perf_counter() - begin
    return report


def run_check(name: str, check: Check, subject: Subject) -> Finding:
    """One check, timed; trouble that isn't bad input ends as a finding that says so."""
    begin = time.perf_counter()
    try:
        finding = check(subject)
        if not isinstance(finding, Finding):
            raise InputError(f"check {name!r}", given=f"it returned {type(finding).__name__}", expected="a Finding")
    except (InputError, RuntimeError, ArithmeticError, LookupError, TypeError) as error:
        finding = Finding(
            name, "failed", f"{type(error).__name__}: {error}", {}, remedy="Mend what the message names and run again."
        )
    finding.seconds = time.perf_counter() - begin
    return finding


def resolve(checks: Sequence[str | Check] | None) -> dict[str, Check]:
    """Names and functions as an ordered mapping."""
    if checks is None:
        return dict(BUILTIN)
    chosen: dict[str, Check] = {}
    for check in checks:
        if callable(check):
            chosen[check.__name__.removeprefix("check_")] = check
        elif check in BUILTIN:
            chosen[check] = BUILTIN[check]
        else:
            raise unknown_name("check", check, BUILTIN)
    return chosen


def load_checks(path: Path | str) -> dict[str, Check]:
    """A user's own checks: every function `check_...` that is defined in a Python file of theirs."""
    path = Path(path)
    spec = importlib.util.spec_from_file_location(f"deepwright_user_{path.stem}", path)
    if not path.exists() or spec is None or spec.loader is None:
        raise InputError(
            "--check", given=f"{path} is no Python file", expected="a .py file with functions check_...(subject)"
        )
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(
            f"--check {path}", given=f"{type(error).__name__}: {error}", expected="a file that can be imported"
        ) from error
    found: dict[str, Check] = {
        name.removeprefix("check_"): function
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if name.startswith("check_") and function.__module__ == module.__name__
    }
    if not found:
        raise InputError(f"--check {path}", given="no function check_...(subject)", expected="at least one")
    return found
