"""Audits of a network while it is trained: of what, when, and what becomes of them; the callbacks share it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

from torch import nn

from deepwright.checks import AuditReport, audit, require_gates, resolve, subject_from_loaders
from deepwright.checks.subjects.subject import OPTIONS
from deepwright.core.errors import InputError, unknown_name
from deepwright.core.randomness import restored_rng
from deepwright.core.requirements import require_whole
from deepwright.report import keep


class TrainingAudits:
    """Audits at every few events of a training, and at its end; the training doesn't notice them.

    An audit leaves modes, gradients and weights as they are, and so the global generators, from which the loader of
    `test` may draw: a training with audits ends in the same weights as one without.

    Args:
        test: batches of (inputs, targets) that can be read again and again; see `deepwright.audit`.
        every: events from one audit to the next, by their name; 0 for none but at the end.
        at_end: whether there is one after the last step.
        checks: names of checks.
        fail_on: gates, as "accuracy<0.5".
        out: folder in which each report is kept (`report.keep`); None keeps none.
        options: of `deepwright.audit`.

    Attributes:
        reports: one an audit.

    Raises:
        InputError: batches that end, no audit at all, gates on what isn't measured, checks and options that there
            aren't; after hours of training it would be late to say so.
    """

    def __init__(
        self,
        test: Iterable[Any],
        every: Mapping[str, int],
        at_end: bool,
        checks: Sequence[str],
        fail_on: Sequence[str],
        out: Path | str | None,
        options: Mapping[str, Any],
    ) -> None:
        require_whole(0, **every)
        ((name, self.every),) = every.items()
        if not self.every and not at_end:
            raise InputError(name, given=0, expected="1 or more, or at_end=True", hint="else nothing is audited")
        require_gates(fail_on, resolve(checks))
        _require_words(options)
        if iter(test) is test:
            raise InputError("test", given=f"a {type(test).__name__}, which ends", expected="a list or a loader")
        self.test, self.at_end, self.out = test, at_end, out
        self.options = {"checks": tuple(checks), "fail_on": tuple(fail_on), **options}
        self.reports: list[AuditReport] = []

    def due(self, number: int) -> bool:
        """Whether an event is followed by an audit.

        Args:
            number: of the event, from 1 on.
        """
        return self.every > 0 and number % self.every == 0

    def run(self, network: nn.Module, kept: bool = True) -> AuditReport:
        """One more audit.

        Args:
            network: in training.
            kept: whether this process keeps the report in `out`.
        """
        with restored_rng():
            report = audit(network, self.test, **self.options)
            if kept and self.out is not None:
                keep(report, self.out)
        self.reports.append(report)
        return report


def _require_words(options: Mapping[str, Any]) -> None:
    """Refuse options that an audit doesn't have."""
    calls = (audit, subject_from_loaders)
    words = {*OPTIONS, *(word for call in calls for word in signature(call).parameters)} - {"model", "test", "options"}
    for word in options:
        if word not in words:
            raise unknown_name("option of an audit", word, words)


def numbers_of(report: AuditReport) -> dict[str, float]:
    """All finite values as `audit/<check>/<value>`: what loggers take.

    Args:
        report: of an audit.
    """
    return {name: value for name, value in all_numbers_of(report).items() if math.isfinite(value)}


def all_numbers_of(report: AuditReport) -> dict[str, float]:
    """All values as `audit/<check>/<value>`, infinite ones too.

    Args:
        report: of an audit.
    """
    return {f"audit/{f.check}/{name}": f.number(name) for f in report.findings for name in f.values}


def direction_of(report: AuditReport, name: str) -> bool | None:
    """Whether more is better of a value; None where its check doesn't say, or there is none.

    Args:
        report: of an audit.
        name: as `audit/<check>/<value>`.
    """
    for finding in report.findings:
        value = name.removeprefix(f"audit/{finding.check}/")
        if value in finding.higher_is_better or value in finding.lower_is_better:
            return value in finding.higher_is_better
    return None
