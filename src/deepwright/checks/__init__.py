"""What `audit()` runs: a subject (network, data, task, preprocessing), checks, findings, gates and comparisons.

Example:
    >>> import torch
    >>> from deepwright.checks import audit
    >>> x = torch.rand(60, 4, generator=torch.Generator().manual_seed(0))
    >>> report = audit(torch.nn.Linear(4, 2), [(x, torch.arange(60) % 2)], checks=["accuracy", "calibration"])
    >>> [finding.check for finding in report.findings]
    ['accuracy', 'calibration']
    >>> report["accuracy"].number("chance")
    0.5
"""

from deepwright.checks.findings.comparison import compare, read_findings, read_report, require_alike
from deepwright.checks.findings.finding import Finding, NotApplicableError, at_best, grade_down, grade_up
from deepwright.checks.findings.gates import Gate, evaluate, parse, read_config, require_gates
from deepwright.checks.foreign import task_activations
from deepwright.checks.quality.samples import attributes_of
from deepwright.checks.running import BUILTIN, ON_REQUEST, AuditReport, Check, audit, load_checks, resolve, run_check
from deepwright.checks.subjects.baselines import NearestMean, TrivialPredictor
from deepwright.checks.subjects.columns import in_deviations, in_own_units
from deepwright.checks.subjects.loaders import subject_from_loaders
from deepwright.checks.subjects.of_graphs import graph_subject
from deepwright.checks.subjects.series import series_in_deviations
from deepwright.checks.subjects.subject import Subject, class_task
from deepwright.checks.subjects.texts import reads_texts

__all__ = [
    "BUILTIN",
    "ON_REQUEST",
    "AuditReport",
    "Check",
    "Finding",
    "Gate",
    "NearestMean",
    "NotApplicableError",
    "Subject",
    "TrivialPredictor",
    "at_best",
    "attributes_of",
    "audit",
    "class_task",
    "compare",
    "evaluate",
    "grade_down",
    "grade_up",
    "graph_subject",
    "in_deviations",
    "in_own_units",
    "load_checks",
    "parse",
    "read_config",
    "read_findings",
    "read_report",
    "reads_texts",
    "require_alike",
    "require_gates",
    "resolve",
    "run_check",
    "series_in_deviations",
    "subject_from_loaders",
    "task_activations",
]
