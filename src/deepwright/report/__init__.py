"""Results for people: one self-contained page, JSON, terminal tables, figures."""

from deepwright.report.figures import svg
from deepwright.report.page import render, write_report
from deepwright.report.plots import png
from deepwright.report.study import write_study
from deepwright.report.terminal import print_audit, print_finding, print_study, print_table

__all__ = [
    "png",
    "print_audit",
    "print_finding",
    "print_study",
    "print_table",
    "render",
    "svg",
    "write_report",
    "write_study",
]
