"""Results for people, CI and auditors: a page, JSON, tables, figures, Markdown, JUnit XML, evidence, cards, history."""

from deepwright.report.card import as_card
from deepwright.report.evidence import as_evidence, evidence_of, evidence_table
from deepwright.report.figures import svg
from deepwright.report.history import keep, write_history
from deepwright.report.junit import as_junit
from deepwright.report.markdown import as_markdown
from deepwright.report.notebook import as_fragment
from deepwright.report.page import render, write_report
from deepwright.report.plots import png
from deepwright.report.study import write_study
from deepwright.report.terminal import print_audit, print_finding, print_study, print_table
from deepwright.report.tracking import log_report

__all__ = [
    "as_card",
    "as_evidence",
    "as_fragment",
    "as_junit",
    "as_markdown",
    "evidence_of",
    "evidence_table",
    "keep",
    "log_report",
    "png",
    "print_audit",
    "print_finding",
    "print_study",
    "print_table",
    "render",
    "svg",
    "write_history",
    "write_report",
    "write_study",
]
