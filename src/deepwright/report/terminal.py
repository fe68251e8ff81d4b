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
_WORDS = 16  # characters of a line of words that are still read


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
    """A table under its caption, with as many columns as the terminal shows whole; the others are named.

    Args:
        table: what is shown.
        title: instead of a caption that it doesn't have.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table as RichTable

    console = Console()
    drawn = RichTable(title=escape(table.caption or title), title_justify="left")
    columns = [[name, *(show(row[i]) for row in table.rows)] for i, name in enumerate(table.columns)]
    fitting = _fitting(columns, console.width)
    for name in table.columns[:fitting]:
        drawn.add_column(escape(name), overflow="fold")
    for row in table.rows:
        drawn.add_row(*(escape(show(cell)) for cell in row[:fitting]))
    console.print(drawn)
    if fitting < len(columns):
        names = ", ".join(name.strip() for name in table.columns[fitting:])
        console.print(f"Not shown, as the terminal is too narrow: {escape(names)}.", highlight=False)


def _fitting(columns: list[list[str]], width: int) -> int:
    """How many columns fit: each as wide as its longest word, and no less than half of its longest cell or `_WORDS`."""
    used = 1
    for i, cells in enumerate(columns):
        longest = max(len(word) for cell in cells for word in cell.split() or [""])
        used += 3 + min(max(longest, min(_WORDS, max(map(len, cells)) // 2)), width // 2)
        if used > width:
            return max(i, 1)
    return len(columns)


def print_study(result: StudyResult) -> None:
    """The main table, claims and the sentence on top."""
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
    console.print(escape(result.summary), highlight=False)
