"""Measure a network: its grades, the gates that it fails, a page for people and JSON for machines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path

import torch
from torch import nn

from deepwright.checks import (
    AuditReport,
    Check,
    Finding,
    Subject,
    parse,
    read_config,
    read_report,
    require_gates,
    resolve,
)
from deepwright.checks import audit as run_checks
from deepwright.checks.side_by_side import require_spread
from deepwright.core.devices import device_of
from deepwright.core.devices import resolve as resolve_device
from deepwright.core.errors import InputError
from deepwright.data import Split
from deepwright.report import keep, write_report
from deepwright.report.kept import require_history
from deepwright.workflows.audit_outputs import Outputs
from deepwright.workflows.named_checks import chosen_checks, require_checks
from deepwright.workflows.options import Say, finished, quiet, require_several, require_writable, unfinished
from deepwright.workflows.subjects import SubjectOptions, build_subject, load_reference

_TRAIN_LIMIT = 5000  # training samples that detectors and baselines are fitted on


@dataclass(frozen=True)
class AuditOptions(Outputs, SubjectOptions):
    """What is audited, by which checks, against what, and where the report goes.

    Attributes:
        checks: names of built-in checks, functions `Subject -> Finding`, or .py files with functions
            `check_...(subject)`. All built-in ones by default; files and functions run after them.
        fail_on: gates, as "fi>0.5".
        config: a deepwright.toml with more gates.
        compare_with: an earlier report.json.
        out: folder of `index.html` and `report.json`, and of what an interrupted audit goes on from; None writes
            nothing.
        groups: a column by which groups are compared; of series, `entity` by default. See `Subject`.
        reference: data that the test samples are compared with (a name, a path, or a `Split`): of data in one piece
            all, of others the test part. The training samples by default.
        keep: `out` holds the reports of all audits, each in a dated folder, and a page that draws them over time.
        fresh: forget what an interrupted audit left.
        devices: processes that share passes, attacks and corruptions, each with a device of its own from `device` on.
        backend: "local", or "ray" for a cluster's workers in place of them.

    Raises:
        InputError: an unknown check, devices that aren't there, a condition that isn't one; see also `SubjectOptions`
            and `Outputs`.
    """

    _: KW_ONLY
    checks: Sequence[str | Check] = ()
    fail_on: Sequence[str] = ()
    config: Path | str | None = None
    compare_with: Path | str | None = None
    groups: str | None = None
    reference: str | Path | Split | None = None
    out: Path | str | None = Path("report")
    keep: bool = False
    fresh: bool = False
    devices: int = 1
    backend: str = "local"

    def __post_init__(self) -> None:
        SubjectOptions.__post_init__(self)
        Outputs.__post_init__(self)
        require_several("checks", self.checks)
        require_several("fail_on", self.fail_on)
        require_checks(self.checks)
        model = self.model.model if isinstance(self.model, Subject) else self.model
        lives = device_of(model) if isinstance(model, nn.Module) else torch.device("cpu")
        require_spread(self.devices, self.backend, lives if self.device is None else resolve_device(self.device))
        if self.keep:
            require_history(_folder(self.out))
        for condition in self.fail_on:
            parse(condition)


def audit(
    options: AuditOptions = AuditOptions(),
    *,
    on_finding: Callable[[Finding], object] | None = None,
    say: Say = quiet,
) -> AuditReport:
    """Measure a network and write the report.

    An interrupted audit goes on from its last finished check; with another network, other data or options it is
    refused by name.

    Args:
        options: the network, the data, and the rest.
        on_finding: called after each check.
        say: told what happens before the checks.

    Raises:
        InputError: bad input of any kind.
        OtherWorkError: an interrupted audit of something else lies in `out`.
    """
    ordered = getattr(options.task, "order", None) is not None or options.order is not None
    of_series = options.entity is not None and options.horizon is not None
    more = [name for name, asked in (("plausibility", ordered), ("streams", of_series)) if asked]
    checks = chosen_checks(options.checks, more)
    gates = [*([] if options.config is None else read_config(options.config)), *options.fail_on]
    require_gates(gates, resolve(checks))  # before a network is trained or a file is decoded
    if options.compare_with is not None:
        read_report(options.compare_with)
    if options.out is not None:
        require_writable(options.out)
    subject = build_subject(options, train_limit=_TRAIN_LIMIT, trains=False, say=say)
    groups = options.entity if options.groups is None else options.groups
    if groups is not None or options.reference is not None:
        other = None if options.reference is None else load_reference(options.reference, subject, options)
        subject = replace(subject, groups=groups, reference=other)
    journal = None if options.out is None else unfinished(options.out, options.fresh) / "findings.jsonl"
    if journal is not None and journal.exists():
        say(f"going on from {journal} (start afresh with --fresh)")
    report = run_checks(
        subject,
        checks=checks,
        fail_on=gates,
        compare_with=options.compare_with,
        journal=journal,
        on_finding=on_finding,
        devices=options.devices,
        backend=options.backend,
    )
    options.write(report)
    if options.out is not None:
        if options.keep:
            say(f"kept as {keep(report, options.out)}")
        else:
            write_report(report, options.out)
        finished(options.out)
    options.track(report)  # last: a server that is down costs nothing of the above
    return report


def _folder(out: Path | str | None) -> Path | str:
    if out is None:
        raise InputError("keep", given="no folder", expected="out=, the folder of all reports")
    return out
