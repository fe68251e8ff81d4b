"""A study's result as JSON, figures and pages: what fails stands first, with its reason."""

from __future__ import annotations

from pathlib import Path

from deepwright.core.errors import InputError
from deepwright.core.files import write_text
from deepwright.core.results import StudyResult
from deepwright.report.plots import png, vector
from deepwright.report.study_page import study_page
from deepwright.report.study_words import arms_table, claims_table, counted, edge_note, reasons, run_lines

_WORDS = {"holds": "yes", "fails": "**no**"}


def write_study(result: StudyResult, folder: Path | str) -> Path:
    """Write `<study>.json`, `.md`, `.html` and the figures as `.png` and `.svg`; returns the Markdown page's path.

    Args:
        result: of a study.
        folder: where to.

    Raises:
        InputError: a study whose name is no file's, or a place that can't be written.
    """
    folder = Path(folder)
    if Path(result.study).name != result.study or not result.study:
        raise InputError("study", given=repr(result.study), expected="a name that a file can have")
    result.to_json(folder / f"{result.study}.json")
    if result.figures:
        png(result.figures, folder / f"{result.study}.png")
        vector(result.figures, folder / f"{result.study}.svg")
    write_text(folder / f"{result.study}.html", study_page(result))
    return write_text(folder / f"{result.study}.md", markdown(result))


def markdown(result: StudyResult) -> str:
    """The page: summary, claims, what it doesn't show, figures, tables, arms, how it was run."""
    lines = [f"# Study: {result.study}", "", result.summary, "", "## Claims", "", counted(result), ""]
    claims = claims_table(result)
    claims.rows = [[*row[:-1], _WORDS.get(str(row[-1]), row[-1])] for row in claims.rows]
    lines += [claims.markdown()]
    why = reasons(result)
    if why:
        lines += ["", *(f"- **{claim.text}**: {words}" for claim, words in why)]
    if result.limits:
        lines += ["", "## What this does not show", "", *(f"- {line}" for line in result.limits)]
    if result.figures:
        lines += ["", f"![{result.study}]({result.study}.png)", ""]
        lines += [f"- *{figure.title}*: {figure.note}" for figure in result.figures if figure.note]
        lines += [f"- [The same as a vector graphic]({result.study}.svg)"]
    for table in [result.table, *result.tables]:
        lines += ["", f"**{table.caption}**" if table.caption else "", "", table.markdown()]
    if result.arms:
        lines += ["", "## How the arms were selected", "", arms_table(result).markdown()]
        lines += ["", edge_note(result)] if edge_note(result) else []
    lines += ["", "## How it was run", "", *(f"- {line}" for line in run_lines(result)), ""]
    return "\n".join(lines)
