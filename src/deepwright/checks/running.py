"""The main job: run the checks on a subject, resumably, and gather a report."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from deepwright.checks.accuracy import check_accuracy
from deepwright.checks.attenuation import check_attenuation
from deepwright.checks.attribute_cost import check_attribute_cost
from deepwright.checks.calibration import check_calibration
from deepwright.checks.corruptions import check_corruptions
from deepwright.checks.cost import check_cost
from deepwright.checks.embedding import check_embedding
from deepwright.checks.findings.comparison import compare, read_report, require_alike
from deepwright.checks.findings.finding import Finding, NotApplicableError
from deepwright.checks.findings.gates import Gate, evaluate, require_gates
from deepwright.checks.fragility import check_fragility
from deepwright.checks.monitor import check_monitor
from deepwright.checks.ood import check_ood
from deepwright.checks.patches import check_patches
from deepwright.checks.perception import check_perception
from deepwright.checks.plausibility import check_plausibility
from deepwright.checks.preemptive import check_preemptive
from deepwright.checks.quality.drift import check_drift
from deepwright.checks.quality.duplicates import check_duplicates
from deepwright.checks.quality.groups import check_groups
from deepwright.checks.quality.labels import check_labels
from deepwright.checks.quality.slices import check_slices
from deepwright.checks.reliance import check_reliance
from deepwright.checks.robustness import check_robustness
from deepwright.checks.side_by_side import running_on
from deepwright.checks.smoothing import check_smoothing
from deepwright.checks.streams import check_streams
from deepwright.checks.subjects.loaders import subject_from_loaders
from deepwright.checks.subjects.subject import Subject
from deepwright.core.errors import InputError, unknown_name
from deepwright.core.files import jsonable
from deepwright.core.identity import digest
from deepwright.core.journal import Journal
from deepwright.core.results import Table
from deepwright.core.tasks import Task
from deepwright.core.user_code import stops_the_process, users_code
from deepwright.data import Data, Split
from deepwright.nets.doors import Brought

Check = Callable[[Subject], Finding]

BUILTIN: dict[str, Check] = {
    "accuracy": check_accuracy,
    "calibration": check_calibration,
    "fragility": check_fragility,
    "robustness": check_robustness,
    "corruptions": check_corruptions,
    "ood": check_ood,
    "cost": check_cost,
    "duplicates": check_duplicates,
    "labels": check_labels,
    "slices": check_slices,
    "drift": check_drift,
    "groups": check_groups,
}
ON_REQUEST: dict[str, Check] = {
    "smoothing": check_smoothing,
    "preemptive": check_preemptive,
    "monitor": check_monitor,
    "patches": check_patches,
    "attenuation": check_attenuation,
    "streams": check_streams,
    "plausibility": check_plausibility,
    "reliance": check_reliance,
    "attribute_cost": check_attribute_cost,
    "embedding": check_embedding,
    "perception": check_perception,
}
"""Built-in checks that run where they are named: they take long, or measure what few ask for."""


@dataclass
class AuditReport:
    """Findings about a network.

    Attributes:
        subject: what was audited, as plain facts.
        findings: one a check.
        gates: conditions and whether they failed.
        comparison: against an earlier report, if asked.
        seconds: of the whole run.
        kind: "audit", or "explanation" where questions were answered: what its page is called.
    """

    subject: dict[str, Any]
    findings: list[Finding]
    gates: list[Gate] = field(default_factory=list)
    comparison: Table | None = None
    seconds: float = 0.0
    kind: str = "audit"

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

    def _repr_html_(self) -> str:
        """What a notebook shows; drawn by the report, a floor above, which is looked up when somebody sees it."""
        return importlib.import_module("deepwright.report").as_fragment(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: subject, findings, gates, comparison, seconds."""
        return {
            "subject": jsonable(self.subject),
            "findings": [f.to_dict() for f in self.findings],
            "gates": [jsonable(asdict(g)) for g in self.gates],
            "comparison": None if self.comparison is None else jsonable(asdict(self.comparison)),
            "seconds": self.seconds,
            "kind": self.kind,
        }


def audit(
    model: Brought | Subject,
    test: Iterable[Any] | Data | None = None,
    *,
    train: Iterable[Any] | None = None,
    validation: Iterable[Any] | None = None,
    class_names: Sequence[str] | None = None,
    task: Task | None = None,
    keys: Sequence[str] | None = None,
    groups: str | Sequence[Any] | None = None,
    reference: Iterable[Any] | Data | Split | None = None,
    checks: Sequence[str | Check] | None = None,
    fail_on: Sequence[str] = (),
    compare_with: Path | str | None = None,
    journal: Path | str | None = None,
    on_finding: Callable[[Finding], object] | None = None,
    devices: int = 1,
    backend: str = "local",
    **options: Any,
) -> AuditReport:
    """Measure a network.

    Args:
        model: a module that takes pixels in [0, 1] (or features) and gives what the task reads, or a ready `Subject`. A
            fitted scikit-learn estimator and a function of arrays give scores only: what needs gradients or weights
            doesn't apply to them.
        test: batches of (inputs, targets), of dicts that hold them, or a `Data`.
        train: batches for detectors and baselines; cut from `test` when missing.
        validation: batches for temperature, on which the network wasn't trained; cut from `test` when missing, or from
            `train`, from which no temperature is taken.
        class_names: index = label.
        task: what outputs and targets mean; told from them when None.
        keys: of inputs and targets where batches are dicts, as ("image", "label"); told from the usual names when None.
        groups: by which groups are compared: a column's name (see `Subject`), or a value for each sample of `test`.
        reference: batches, a `Data` (its test part) or a `Split` that the test samples are compared with; the training
            samples by default.
        checks: names of the built-in ones, or functions Subject -> Finding; by default all built-in ones but those of
            `ON_REQUEST`.
        fail_on: gates, e.g. ["fi>0.5"].
        compare_with: an earlier report.json of the same task and classes.
        journal: a file for finished checks: an interrupted audit goes on there. Another network, task, split or option
            is an error that says which; a check whose source changed is run again.
        on_finding: called after each check.
        devices: processes, each with a device of its own, that share the passes over data, the attacks and the
            corruptions; the numbers are those of one.
        backend: "local", or "ray" to send the same to the workers of a cluster.
        options: of `Subject` (name, batch_size, seed, attack_limit, corruption_limit, ood_limit, eps, substitutions);
            split="test" to measure all of `test` where it comes alone; tokenizer= for batches of texts.

    Raises:
        InputError: bad input of any kind; devices that aren't there, a network that can't be sent to them. A check
            that fails by itself becomes a finding with the grade "failed".
    """
    begin = time.perf_counter()
    if checks is not None and not checks:
        raise InputError("checks", given="none", expected='a list, as ["accuracy", "cost"], or None for all')
    chosen = resolve(checks)
    require_gates(fail_on, chosen)
    given: dict[str, Any] = {
        "test": test,
        "train": train,
        "validation": validation,
        "class_names": class_names,
        "task": task,
    }
    given |= {"keys": keys, "groups": groups, "reference": reference}
    subject = _subject(model, given, options)
    facts = subject.describe()
    if subject.draws and (devices > 1 or backend != "local"):
        facts["notes"].append(_DRAWS)
    before = None if compare_with is None else read_report(compare_with)
    if before is not None:
        require_alike(before[0], facts)  # before minutes of work, not after
    log = Journal(journal, {} if journal is None else subject.settings(), kind="audit")
    findings = []
    with running_on(subject, run_check, devices, backend) as run:
        for name, check in chosen.items():
            row = name if journal is None else f"{name} {digest(check)}"  # a check that was edited is run again
            if row in log.rows:
                finding = Finding.from_dict(log.rows[row])
            else:
                finding = run(name, check, check is not built_in(name))
                if finding.grade != "failed":
                    log.add(row, finding.to_dict())
            findings.append(finding)
            if on_finding is not None:
                on_finding(finding)
    report = AuditReport(facts, findings, evaluate(fail_on, findings))
    if before is not None:
        report.comparison = compare(before[1], findings, (before[0], facts))
    report.seconds = time.perf_counter() - begin
    return report


_DRAWS = (
    "the network draws random numbers when it is asked, each process its own: with one process, or with another number "
    "of them, its numbers are others"
)


def _subject(model: Brought | Subject, given: dict[str, Any], options: dict[str, Any]) -> Subject:
    """The subject that was given, or the one that the data make."""
    if not isinstance(model, Subject):
        if given["test"] is None:
            raise InputError("test", given="nothing", expected="batches of (inputs, targets)")
        return subject_from_loaders(model, **given, **options)
    beside = [name for name, value in (given | options).items() if value is not None]
    if beside:
        raise InputError(", ".join(beside), given="beside a Subject", expected="nothing: a Subject has its own")
    return model


def run_check(name: str, check: Check, subject: Subject) -> Finding:
    """One check, timed; whatever goes wrong in it ends as a finding that says so, but for what stops the process.

    Args:
        name: of the check, for a finding that it doesn't give.
        check: function Subject -> Finding.
        subject: what it looks at.
    """
    if not callable(check):
        raise InputError(f"check {name!r}", given=repr(check), expected="a function Subject -> Finding")
    begin = time.perf_counter()
    try:
        finding = check(subject)
        if not isinstance(finding, Finding):
            raise InputError(f"check {name!r}", given=f"it returned {type(finding).__name__}", expected="a Finding")
        finding.require_numbers()
        if check is not built_in(name):
            finding.conditions = {**finding.conditions, **_source(check)}
        json.dumps(finding.to_dict())  # a report has to hold it
    except NotApplicableError as error:
        finding = Finding.not_applicable(name, error.why)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | GeneratorExit) or stops_the_process(error):
            raise
        finding = Finding(
            name, "failed", f"{type(error).__name__}: {error}", {}, remedy="Mend what the message names and run again."
        )
    finding.seconds = time.perf_counter() - begin
    return finding


def _source(check: Check) -> dict[str, str]:
    """What a check of the user is, for comparisons; nothing where that can't be told."""
    try:
        return {"check": digest(check)}
    except InputError:
        return {}


def resolve(checks: Sequence[str | Check] | None) -> dict[str, Check]:
    """Names and functions as an ordered mapping; all built-in checks for None.

    Raises:
        InputError: an unknown name, something else than a name or a function, two checks of one name.
    """
    if checks is None:
        return dict(BUILTIN)
    if isinstance(checks, str) or callable(checks):
        raise InputError("checks", given=repr(checks), expected='a list, as ["accuracy", "cost"]')
    chosen: dict[str, Check] = {}
    for check in checks:
        name, function = _named(check)
        if name in chosen:
            raise InputError("checks", given=f"two named {name!r}", expected="different names", hint="rename one")
        chosen[name] = function
    return chosen


def _named(check: str | Check) -> tuple[str, Check]:
    if callable(check):
        return getattr(check, "__name__", type(check).__name__).removeprefix("check_"), check
    known = built_in(check) if isinstance(check, str) else None
    if known is None:
        raise unknown_name("check", str(check), [*BUILTIN, *ON_REQUEST])
    return str(check), known


def built_in(name: str) -> Check | None:
    """The house's check of a name, those on request among them; None for a name that is the user's.

    Args:
        name: of a check.
    """
    return BUILTIN.get(name) or ON_REQUEST.get(name)


def load_checks(path: Path | str) -> dict[str, Check]:
    """A user's own checks: every function `check_...` that is defined in a Python file of theirs.

    Raises:
        InputError: no such file, one that can't be imported, one without such a function.
    """
    path = Path(path)
    spec = importlib.util.spec_from_file_location(f"deepwright_user_{path.stem}", path)
    if not path.exists() or spec is None or spec.loader is None:
        raise InputError(
            "--check", given=f"{path} is no Python file", expected="a .py file with functions check_...(subject)"
        )
    module = importlib.util.module_from_spec(spec)
    with users_code(f"--check {path}", "a file that can be imported"):
        spec.loader.exec_module(module)
    found: dict[str, Check] = {
        name.removeprefix("check_"): function
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if name.startswith("check_") and function.__module__ == module.__name__
    }
    if not found:
        raise InputError(f"--check {path}", given="no function check_...(subject)", expected="at least one")
    return found
