"""A study's result as JSON, a figure and a page of the documentation."""

from __future__ import annotations

from pathlib import Path

from deepwright.core.files import write_text
from deepwright.core.results import StudyResult, in_table, show
from deepwright.report.plots import png

_WORDS = {"holds": "yes", "fails": "**no**"}


def write_study(result: StudyResult, folder: Path | str) -> Path:
    """Write `<study>.json`, `<study>.png` and `<study>.md`; returns the page's path.

    Args:
        result: of a study.
        folder: where to.
    """
    folder = Path(folder)
    result.to_json(folder / f"{result.study}.json")
    if result.figures:
        png(result.figures, folder / f"{result.study}.png")
    return write_text(folder / f"{result.study}.md", markdown(result))


def markdown(result: StudyResult) -> str:
    """The page: summary, claims, figure, tables, settings."""
    lines = [f"# Study: {result.study}", "", result.summary, "", "## Claims", ""]
    lines += ["| claim | measured | asked | spread | n | holds |", "|---|---|---|---|---|---|"]
    for c in result.claims:
        asked, holds = f"{c.sense} {show(c.threshold)}", _WORDS.get(c.verdict, c.verdict)
        cells = [in_table(c.text), show(c.measured), asked, show(c.spread), str(c.n), holds]
        lines.append(f"| {' | '.join(cells)} |")
    if result.figures:
        lines += ["", f"![{result.study}]({result.study}.png)"]
    for table in [result.table, *result.tables]:
        lines += ["", f"**{table.caption}**" if table.caption else "", "", table.markdown()]
    return "\n".join([*lines, "", _how(result), ""])


def _how(result: StudyResult) -> str:
    """Command, seconds and settings; what was replayed is said beside the seconds, which count it as it was run."""
    settings = dict(result.settings)
    replayed = settings.pop("replayed from the store", None)
    told = "" if replayed is None else f" ({replayed} replayed from the store, counted with the seconds they took)"
    words = ", ".join(f"{k} = {v}" for k, v in settings.items())
    return f"Run with `deepwright study {result.study}`: {result.seconds:.0f} seconds{told}. Settings: {words}."
