"""What `audit()` runs: a subject (network, data, preprocessing), checks, findings, gates and comparisons.

Example:
    >>> import deepwright as dw
    >>> report = dw.audit(model, test=loader)  # doctest: +SKIP
    >>> report["fragility"].grade  # doctest: +SKIP
"""

from deepwright.checks.comparison import compare, read_findings
from deepwright.checks.finding import Finding, at_best, grade_down, grade_up
from deepwright.checks.gates import Gate, evaluate, read_config
from deepwright.checks.running import BUILTIN, AuditReport, Check, audit, load_checks, resolve
from deepwright.checks.subject import NearestMean, Subject, subject_from_loaders

__all__ = [
    "BUILTIN",
    "AuditReport",
    "Check",
    "Finding",
    "Gate",
    "NearestMean",
    "Subject",
    "at_best",
    "audit",
    "compare",
    "evaluate",
    "grade_down",
    "grade_up",
    "load_checks",
    "read_config",
    "read_findings",
    "resolve",
    "subject_from_loaders",
]
