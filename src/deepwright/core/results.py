"""Tables, figures, claims and study results: plain data that goes to JSON and back."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from deepwright.core.claims import Arm, Claim
from deepwright.core.errors import InputError
from deepwright.core.files import jsonable, reading, write_json

__all__ = ["KINDS", "Arm", "Cell", "Claim", "Figure", "StudyResult", "Table", "in_table", "is_number", "show"]

Cell = str | int | float | bool | None
KINDS = ("line", "bar", "heatmap", "scatter", "images", "strips")


@dataclass
class Table:
    """Columns and rows, with a caption that says what is shown and over how many samples.

    Attributes:
        columns: headings.
        rows: of as many cells.
        caption: words.
        units: over how many independent ones its intervals are (digits left out in turn); 0 where over the seeds.
    """

    columns: list[str]
    rows: list[list[Cell]]
    caption: str = ""
    units: int = 0

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
    """Text whose bars don't end a Markdown cell, and whose line ends don't end the row."""
    return " ".join(text.replace("|", "\\|").splitlines())


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


def is_number(cell: Any) -> TypeGuard[float]:
    """Whether a cell is a finite number, and none that is too large to be compared.

    Args:
        cell: of a table, or of what else came from a file.
    """
    return isinstance(cell, int | float) and not isinstance(cell, bool) and bool(abs(cell) <= sys.float_info.max)


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
        """A figure out of JSON, which has no tuples and infinities: its range comes as a list."""
        y_range = data.get("y_range")
        series = [
            {k: _restored(v) if k in _DRAWN else v for k, v in _typed(one, "series", {}).items()}
            for one in _typed(data, "figure", _OF_FIGURE)["series"]
        ]
        ends = None if y_range is None else tuple(map(float, y_range))
        if ends is not None and len(ends) != 2:
            raise ValueError(f"a figure whose y_range has {len(ends)} ends")
        return cls(**{**data, "series": series, "y_range": ends})


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
            plain = {**data, "claims": [_claim(c) for c in data["claims"]]}
            plain["table"] = _table(data["table"])
            plain["tables"] = [_table(t) for t in data.get("tables", [])]
            plain["figures"] = [Figure.from_dict(f) for f in data.get("figures", [])]
            plain["arms"] = [Arm(**_typed(a, "arm", _OF_ARM)) for a in data.get("arms", [])]
            for arm in plain["arms"]:
                _typed(arm.chosen, "choice", dict.fromkeys(arm.chosen, int))
                _typed(arm.grid, "grid", dict.fromkeys(arm.grid, list))
            if not all(isinstance(line, str) for line in data.get("limits", [])):
                raise TypeError("a limit that is no sentence")
            return cls(**_typed(plain, "result", _OF_RESULT))
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise InputError("a study result", given=str(error), expected="what StudyResult.to_dict writes") from error

    @classmethod
    def from_json(cls, path: Path | str) -> StudyResult:
        """Read JSON."""
        with reading(f"cannot read {path}", "what StudyResult.to_json writes", path):
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))


# What a file's values must be: it may come from anybody.
_Kinds = dict[str, type]
_OF_CLAIM: _Kinds = dict.fromkeys(("text", "sense", "rule", "basis", "reason", "experiment"), str)
_OF_CLAIM |= {"holds": bool, "n": int}
_OF_ARM: _Kinds = dict.fromkeys(("name", "rule", "data", "budget", "group", "why"), str)
_OF_ARM |= {"grid": dict, "chosen": dict, "tried": int, "at_edge": int}
_OF_FIGURE: _Kinds = dict.fromkeys(("kind", "title", "x_label", "y_label", "palette", "note"), str) | {"series": list}
_OF_RESULT: _Kinds = dict.fromkeys(("study", "summary"), str)
_OF_RESULT |= {"settings": dict, "machine": dict, "limits": list, "seconds": float}
_LARGEST = 2**53  # whole numbers that can be told apart as numbers
_DRAWN = ("x", "y", "low", "high", "values")  # of a figure's series, what may hold numbers
_NOT_FINITE = ("nan", "inf", "-inf")  # as JSON has them


def _typed(data: Any, what: str, kinds: _Kinds) -> dict[str, Any]:
    """A part of a file whose values are of the kinds that they must be; a whole number is a number, too."""
    if not isinstance(data, dict):
        raise TypeError(f"a {what} that is a {type(data).__name__}")
    for name, kind in kinds.items():
        value = data.get(name, kind())
        right = isinstance(value, int | float) if kind is float else isinstance(value, kind)
        if (
            not right
            or (kind is not bool and isinstance(value, bool))
            or (kind in (int, float) and not abs(value) <= _LARGEST)
        ):
            raise TypeError(f"a {what} whose {name} is {value!r:.40}")
    return data


def _claim(data: Any) -> Claim:
    _typed(data, "claim", _OF_CLAIM)
    numbers = {k: float(data[k]) for k in ("measured", "threshold", "spread") if k in data}
    ends = {k: float(data[k]) for k in ("low", "high") if data.get(k) is not None}
    return Claim(**{**data, **numbers, **ends})


def _table(data: Any) -> Table:
    _typed(data, "table", {"columns": list, "rows": list, "caption": str, "units": int})
    rows = [_restored(row) for row in data["rows"]]
    for cell in (cell for row in rows for cell in (*row, *data["columns"])):
        if not isinstance(cell, str | int | float | None):
            raise TypeError(f"a table's cell that is a {type(cell).__name__}")
    return Table(**{**data, "columns": list(map(str, data["columns"])), "rows": rows})


def _restored(value: Any) -> Any:
    """The infinities and NaN that JSON holds as words, as numbers again."""
    if isinstance(value, list):
        return [_restored(v) for v in value]
    return float(value) if value in _NOT_FINITE else value
