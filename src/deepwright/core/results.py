"""Tables, figures, claims and study results: plain data that goes to JSON and back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from deepwright.core.claims import Arm, Claim
from deepwright.core.errors import InputError
from deepwright.core.files import jsonable, reading, write_json

__all__ = ["KINDS", "Arm", "Cell", "Claim", "Figure", "StudyResult", "Table", "in_table", "show"]

Cell = str | int | float | bool | None
KINDS = ("line", "bar", "heatmap", "scatter", "images", "strips")


@dataclass
class Table:
    """Columns and rows, with a caption that says what is shown and over how many samples."""

    columns: list[str]
    rows: list[list[Cell]]
    caption: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise InputError("a table row", given=f"{len(row)} cells", expected=f"{len(self.columns)}")

    def column(self, name: str) -> list[Cell]:
        """One column's cells."""
        return [row[self.columns.index(name)] for row in self.rows]

    def markdown(self) -> str:
        """A Markdown table."""
        lines = ["| " + " | ".join(map(in_table, self.columns)) + " |", "|" + "---|" * len(self.columns)]
        lines += ["| " + " | ".join(in_table(show(cell)) for cell in row) + " |" for row in self.rows]
        return "\n".join(lines)


def in_table(text: str) -> str:
    """Text whose bars don't end a Markdown cell."""
    return text.replace("|", "\\|")


def show(cell: Any, digits: int = 4) -> str:
    """A cell as people read it.

    Args:
        cell: a number, interval, text or None.
        digits: significant ones.
    """
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell:.{digits}g}"
    return str(cell)


@dataclass
class Figure:
    """A drawing as data; `report.figures` draws it as SVG or PNG.

    Attributes:
        kind: "line", "bar", "heatmap", "scatter", "images" or "strips".
        title: words.
        x_label: words with a unit.
        y_label: words with a unit.
        series: for line and scatter {name, x, y, low?, high?, dashed?, smooth? (no dots)}; for bar {name, x (labels),
            y, low?, high?}; for heatmap one {rows, columns, values}; for images {png (base64 of PNG or WebP), caption,
            note?}; for strips (`core.pictures.strips` makes them) {name, note?, pictures: what images have}.
        log_x: logarithmic.
        log_y: logarithmic.
        y_range: ends of the vertical axis; those of the data when None.
        palette: of a heat map: "quality" (red is bad, green is good) or "share" (deeper is more).
        note: one line under the figure.
    """

    kind: str
    title: str
    series: list[dict[str, Any]]
    x_label: str = ""
    y_label: str = ""
    log_x: bool = False
    log_y: bool = False
    y_range: tuple[float, float] | None = None
    palette: str = "quality"
    note: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError("figure kind", given=self.kind, expected=", ".join(KINDS))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Figure:
        """A figure out of JSON, which has no tuples: its range comes as a list."""
        y_range = data.get("y_range")
        return cls(**{**data, "y_range": None if y_range is None else tuple(y_range)})


@dataclass
class StudyResult:
    """Everything that a study found.

    Attributes:
        study: its slug.
        claims: each can fail.
        table: the main one.
        figures: drawings as data.
        tables: the others.
        seconds: what its trials and timings took when they ran, one after another; never those of a replay.
        settings: what the numbers depend on, the seeds among them.
        summary: the sentence on top.
        arms: what was compared, and how each was selected.
        limits: what this doesn't show, one sentence each.
        machine: on which it ran.
    """

    study: str
    claims: list[Claim]
    table: Table
    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    seconds: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)
    summary: str = ""
    arms: list[Arm] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return jsonable(asdict(self))

    def to_json(self, path: Path | str) -> Path:
        """Write JSON."""
        return write_json(path, self.to_dict())

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> StudyResult:
        """The inverse of `to_dict`; what earlier versions wrote has no arms, limits and machine."""
        try:
            plain = {**data, "claims": [Claim(**_numbers(c)) for c in data["claims"]]}
            plain["table"] = Table(**data["table"])
            plain["tables"] = [Table(**t) for t in data.get("tables", [])]
            plain["figures"] = [Figure.from_dict(f) for f in data.get("figures", [])]
            plain["arms"] = [Arm(**a) for a in data.get("arms", [])]
            return cls(**plain)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError("a study result", given=str(error), expected="what StudyResult.to_dict writes") from error

    @classmethod
    def from_json(cls, path: Path | str) -> StudyResult:
        """Read JSON."""
        with reading(f"cannot read {path}", "what StudyResult.to_json writes", path):
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))


def _numbers(claim: dict[str, Any]) -> dict[str, Any]:
    numbers = ("measured", "threshold", "spread", "low", "high")
    return {k: float(v) if k in numbers and v is not None else v for k, v in claim.items()}
