"""A study's result as JSON, a figure and a page of the documentation."""

from __future__ import annotations

from pathlib import Path

from deepwright.core.results import StudyResult, in_table, show
from deepwright.report.figures import png


def write_study(result: StudyResult, folder: Path | str) -> Path:
    """Write `<study>.json`, `<study>.png` and `<study>.md`; returns the page's path."""
    folder = Path(folder)
    result.to_json(folder / f"{result.study}.json")
    if result.figures:
        png(result.figures, folder / f"{result.study}.png")
    page = folder / f"{result.study}.md"
    page.write_text(markdown(result))
    return page


def markdown(result: StudyResult) -> str:
    """The page: summary, claims, figure, tables, settings."""
    lines = [f"# Study: {result.study}", "", result.summary, "", "## Claims", ""]
    lines += ["| claim | measured | asked | spread | n | holds |", "|---|---|---|---|---|---|"]
    for c in result.claims:
        lines.append(
            f"| {in_table(c.text)} | {show(c.measured)} | {c.sense} {show(c.threshold)} | {show(c.spread)} | {c.n} | {'yes' if c.holds else '**no**'} |"
        )
    if result.figures:
        lines += ["", f"![{result.study}]({result.study}.png)"]
    for table in [result.table, *result.tables]:
        lines += ["", f"**{table.caption}**" if table.caption else "", "", table.markdown()]
    settings = ", ".join(f"{k} = {v}" for k, v in result.settings.items())
    lines += [
        "",
        f"Run with `deepwright study {result.study}`: {result.seconds:.0f} seconds. Settings: {settings}.",
        "",
    ]
    return "\n".join(lines)
