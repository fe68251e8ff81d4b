"""Findings in the terminal."""

from __future__ import annotations

from deepwright.checks.findings.finding import Finding
from deepwright.checks.running import AuditReport
from deepwright.core.results import StudyResult, Table, show
from deepwright.report.study_words import ordered

_STYLES = {
    "A": "bold green",
    "B": "green",
    "C": "yellow",
    "D": "dark_orange",
    "E": "bold red",
    "failed": "bold white on red",
}
_VERDICTS = {"holds": "green", "fails": "bold red"}


def print_finding(finding: Finding) -> None:
    """One line, as soon as a check is done."""
    from rich.console import Console
    from rich.markup import escape

    style = _STYLES.get(finding.grade, "dim")
    said = escape(finding.summary.split(". ")[0])
    line = f"[{style}]{finding.grade:>6}[/] {escape(finding.check):<12} [dim]{finding.seconds:5.1f} s[/]  {said}"
    Console(stderr=True).print(line, highlight=False)


def print_audit(report: AuditReport) -> None:
    """The grade table, gates and the comparison."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table as RichTable

    console = Console()
    table = RichTable(
        title=f"{report.subject['name']} on {report.subject['data']}", title_justify="left", show_lines=True
    )
    for name in ("check", "grade", "finding", "what to do"):
        table.add_column(name, overflow="fold")
    for f in report.findings:
        grade = f"[{_STYLES.get(f.grade, 'dim')}]{f.grade}[/]"
        if f.could_be:
            grade += f"\n[dim]or {', '.join(f.could_be)}[/]"
        table.add_row(escape(f.check), grade, escape(f.summary), escape(f.remedy))
    console.print(table)
    for gate in report.gates:
        style, word = ("bold red", "FAILED") if gate.failed else ("green", "passed")
        console.print(
            f"[{style}]{word}[/] gate {escape(gate.condition)} (measured {show(gate.measured)})", highlight=False
        )
    if report.comparison is not None:
        changes = [row for row in report.comparison.rows if row[-1] in ("better", "worse")]
        counted = {0: "No value differs", 1: "1 value differs"}.get(len(changes), f"{len(changes)} values differ")
        end = ":" if changes else "."
        console.print(f"{counted} from the earlier report by more than noise{end}", highlight=False)
        for row in changes:
            console.print(f"  {row[0]} {row[1]}: {show(row[2])} -> {show(row[3])} ({row[-1]})", highlight=False)


def print_table(table: Table, title: str = "") -> None:
    """A table under its caption.

    Args:
        table: what is shown.
        title: instead of a caption that it doesn't have.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table as RichTable

    drawn = RichTable(title=escape(table.caption or title), title_justify="left")
    for name in table.columns:
        drawn.add_column(escape(name))
    for row in table.rows:
        drawn.add_row(*(escape(show(cell)) for cell in row))
    Console().print(drawn)


def print_study(result: StudyResult) -> None:
    """Claims and the main table."""
    from rich.console import Console
    from rich.markup import escape

    console = Console()
    print_table(result.table, result.study)
    for claim in ordered(result.claims):
        mark = f"[{_VERDICTS.get(claim.verdict, 'yellow')}]{claim.verdict}[/]"
        interval = "" if claim.low is None else f" [{show(claim.low)}, {show(claim.high)}]"
        measured = f"{show(claim.measured)}{interval} {claim.sense} {show(claim.threshold)} (n={claim.n})"
        why = f". {claim.reason}" if claim.reason else ""
        console.print(f"{mark}  {escape(f'{claim.text}: {measured}{why}')}", highlight=False)
