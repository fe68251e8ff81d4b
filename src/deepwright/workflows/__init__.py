"""Whole jobs on the user's own network or problem: one function each, with one frozen dataclass of options.

Each writes its files and pages into a folder, says what it does through `say`, and after Ctrl-C, SIGTERM or a crash
goes on when it is called again. The command `deepwright` is made of them.

Example:
    >>> from deepwright.workflows import AuditOptions, audit
    >>> report = audit(AuditOptions(checks=["accuracy"], limit=50, out=None))  # resnet8-mnist on the embedded digits
    >>> report["accuracy"].grade
    'A'
"""

from deepwright.workflows.auditing import AuditOptions, audit
from deepwright.workflows.drive_options import DriveOptions
from deepwright.workflows.driven import Driven
from deepwright.workflows.driving import drive
from deepwright.workflows.exiting import ExitOptions, WithExits, exits
from deepwright.workflows.explaining import ExplainOptions, explain
from deepwright.workflows.guarded import Guarded
from deepwright.workflows.guarded_files import GuardFiles
from deepwright.workflows.guarding import GuardOptions, GuardResult, guard
from deepwright.workflows.hardening import HardenOptions, HardenResult, harden
from deepwright.workflows.labelling import Labelled, LabelOptions, Question, label
from deepwright.workflows.plan_options import PlanOptions, domains
from deepwright.workflows.planned import Planned
from deepwright.workflows.planning import growth, plan
from deepwright.workflows.problems import catalogue
from deepwright.workflows.publishing import Published, PublishOptions, publish
from deepwright.workflows.shrinking import ShrinkOptions, Shrunk, shrink
from deepwright.workflows.solving import Solved, SolveOptions, solve
from deepwright.workflows.subjects import SubjectOptions, build_subject

__all__ = [
    "AuditOptions",
    "DriveOptions",
    "Driven",
    "ExitOptions",
    "ExplainOptions",
    "GuardFiles",
    "GuardOptions",
    "GuardResult",
    "Guarded",
    "HardenOptions",
    "HardenResult",
    "LabelOptions",
    "Labelled",
    "PlanOptions",
    "Planned",
    "PublishOptions",
    "Published",
    "Question",
    "ShrinkOptions",
    "Shrunk",
    "SolveOptions",
    "Solved",
    "SubjectOptions",
    "WithExits",
    "audit",
    "build_subject",
    "catalogue",
    "domains",
    "drive",
    "exits",
    "explain",
    "growth",
    "guard",
    "harden",
    "label",
    "plan",
    "publish",
    "shrink",
    "solve",
]
