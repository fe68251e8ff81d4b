"""An audit in MLflow or W&B: numbers with their intervals, grades, gates, and the page as an artifact.

Where they go is what the user's own settings of these say. W&B stays offline where nothing asks it to go online.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from deepwright.checks.findings.finding import Finding
from deepwright.checks.running import AuditReport
from deepwright.core.errors import InputError, MissingExtraError, first_line, unknown_name
from deepwright.core.statistics import Interval
from deepwright.report.page import write_report
from deepwright.report.verdict import sentence_of

_ASKS_FOR_NETWORK = ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL")
_ODD = re.compile(r"[^\w./ -]", re.ASCII)


def log_report(report: AuditReport, tracker: str) -> None:
    """Log a report: into the run that is open, else into one of its own.

    Args:
        report: of an audit.
        tracker: "mlflow" or "wandb".

    Raises:
        InputError: an unknown tracker, one that isn't installed, can't be imported or refuses.
    """
    package = tracker_of(tracker)
    try:
        with tempfile.TemporaryDirectory() as folder:
            write_report(report, folder)
            _TRACKERS[tracker](package, report, Path(folder))
    except InputError:
        raise
    except Exception as error:  # whatever a server or its client says
        hint = "the report itself is written; mend the settings and log it by deepwright.report.log_report"
        raise InputError(f"cannot log to {tracker}", given=first_line(error), hint=hint) from error


def tracker_of(name: str) -> Any:
    """The tracker's package, imported: before the work, so that it isn't lost.

    Args:
        name: "mlflow" or "wandb".

    Raises:
        InputError: an unknown one, one that isn't installed or can't be imported.
    """
    if name not in _TRACKERS:
        raise unknown_name("log", str(name), _TRACKERS)
    if importlib.util.find_spec(name) is None:
        raise MissingExtraError(name, name, f"logging to {name}")
    try:
        return importlib.import_module(name)
    except ImportError as error:
        hint = f"pip install -U 'deepwright[{name}]', in an environment of its own where others need other versions"
        raise InputError(f"cannot import {name}", given=first_line(error), hint=hint) from error


def numbers_of(findings: Sequence[Finding]) -> dict[str, float]:
    """Each finite value as `check.value`, the ends of its interval as `check.value.low` and `.high`.

    Args:
        findings: of an audit.
    """
    numbers: dict[str, float] = {}
    for finding in findings:
        for key, value in finding.values.items():
            name = _ODD.sub("_", f"{finding.check}.{key}")
            numbers[name] = finding.number(key)
            if isinstance(value, Interval):
                numbers |= {f"{name}.low": value.low, f"{name}.high": value.high}
    return {name: float(number) for name, number in numbers.items() if math.isfinite(number)}


def _words(report: AuditReport) -> dict[str, str]:
    """Grades, what they could be, gates and what was audited."""
    words = {"deepwright.verdict": sentence_of(report.findings)}
    for finding in report.findings:
        name = _ODD.sub("_", f"grade.{finding.check}")
        words[name] = " or ".join((finding.grade, *finding.could_be))
    for i, gate in enumerate(report.gates, 1):
        words[f"gate.{i}"] = f"fails when {gate.condition}: {'failed' if gate.failed else 'passed'}"
    for fact in ("name", "network", "data", "task", "test", "test_digest", "device"):
        words[f"subject.{fact}"] = str(report.subject.get(fact, ""))
    return words


def _mlflow(mlflow: Any, report: AuditReport, folder: Path) -> None:
    with mlflow.start_run(run_name=_title(report), nested=mlflow.active_run() is not None):
        mlflow.log_metrics(numbers_of(report.findings))
        mlflow.set_tags(_words(report))
        mlflow.log_artifacts(str(folder), artifact_path="deepwright")


def _wandb(wandb: Any, report: AuditReport, folder: Path) -> None:
    asked = any(name in os.environ for name in _ASKS_FOR_NETWORK)
    opened = wandb.run is None
    run = wandb.run or wandb.init(
        project=os.environ.get("WANDB_PROJECT", "deepwright"), name=_title(report), mode=None if asked else "offline"
    )
    try:
        run.summary.update({**numbers_of(report.findings), **_words(report)})
        artifact = wandb.Artifact("deepwright-audit", type="report")
        artifact.add_dir(str(folder))
        run.log_artifact(artifact)
    finally:
        if opened:
            run.finish()


def _title(report: AuditReport) -> str:
    return f"audit: {report.subject['name']} on {report.subject['data']}"[:250]


_TRACKERS: Mapping[str, Callable[[Any, AuditReport, Path], None]] = {"mlflow": _mlflow, "wandb": _wandb}
TRACKERS = tuple(_TRACKERS)
