"""Figures as data drawn with matplotlib: PNG for the docs, SVG for papers, the same bytes for the same data."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deepwright.core.errors import InputError
from deepwright.core.files import write_bytes
from deepwright.core.results import Figure
from deepwright.report.figures import categories, drawable, finite, value_range
from deepwright.report.palette import TRUTH, Look, looks

_MARKED = 12  # points of a line that bear a mark
_SAME: dict[Any, Any] = {"svg.hashsalt": "deepwright", "svg.fonttype": "path"}  # names inside a file stay the same


def png(figures: Sequence[Figure], path: Path | str) -> Path:
    """Draw figures into one picture: plots side by side, each row of pictures under them.

    Args:
        figures: at least one.
        path: of the PNG file.

    Raises:
        InputError: no figure; a file that can't be written.
    """
    return _written(figures, path, "png", {"Software": ""})


def vector(figures: Sequence[Figure], path: Path | str) -> Path:
    """Draw the same as `png` as a vector graphic that journals take.

    Args:
        figures: at least one.
        path: of the SVG file.

    Raises:
        InputError: no figure; a file that can't be written.
    """
    return _written(figures, path, "svg", {"Date": None})


def _written(figures: Sequence[Figure], path: Path | str, kind: str, metadata: dict[str, Any]) -> Path:
    if not figures:
        raise InputError("figures", given="none", expected="at least one")
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with matplotlib.rc_context(_SAME):
        fig = _drawn(figures, plt)
        buffer = io.BytesIO()
        fig.savefig(buffer, format=kind, dpi=130, metadata=metadata)
        plt.close(fig)
    return write_bytes(path, buffer.getvalue())


def _drawn(figures: Sequence[Figure], plt: Any) -> Any:
    """All figures on one sheet: plots side by side, then each row of pictures."""
    plots = [f for f in figures if f.kind not in ("images", "strips")]
    across = 2 if len(plots) == 4 else 3  # small ones aren't read
    sheets = [plots[i : i + across] for i in range(0, len(plots), across)]
    pictures = [row for f in figures if f.kind in ("images", "strips") for row in _rows(f)]
    width = max([6.2 * len(row) for row in sheets] + [3.1 * len(f.series) for f in pictures])
    heights = [max(map(_height, row)) for row in sheets] + [2.9] * len(pictures)
    fig = plt.figure(figsize=(width, sum(heights)), layout="constrained")
    parts = fig.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, row in zip(parts, sheets):
        for place, figure in zip(part.subfigures(1, len(row), squeeze=False)[0], row):
            _plot(place.subplots(), figure)
    for part, figure in zip(parts[len(sheets) :], pictures):
        part.suptitle(_plain(figure.title), fontsize=11)
        for ax, item in zip(part.subplots(1, len(figure.series), squeeze=False)[0], figure.series):
            ax.imshow(_pixels(item["png"]))
            ax.set_title(_plain(item["caption"]), fontsize=9)
            ax.axis("off")
    return fig


def _height(figure: Figure) -> float:
    """Inches: a heat map has as many lines as rows, and a legend its own."""
    if figure.kind == "heatmap" and figure.series:
        return max(4.2, 1.2 + 0.24 * len(figure.series[0]["rows"]))
    return 4.2 + 0.2 * -(-len(figure.series) // 3)


def _rows(figure: Figure) -> list[Figure]:
    """One figure a row of pictures."""
    if figure.kind == "images":
        return [figure] if figure.series else []
    return [Figure("images", f"{figure.title}: {row['name']}", row["pictures"]) for row in figure.series]


def _pixels(code: str) -> Any:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(code))).convert("RGB"))


def _plot(ax: Any, figure: Figure) -> None:
    ax.set_title(_plain(figure.title), fontsize=11)
    ax.set_xlabel(_plain(figure.x_label))
    ax.set_ylabel(_plain(figure.y_label))
    if figure.kind == "heatmap":
        if figure.series:
            _heatmap(ax, figure)
        return
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25)
    for i, look in enumerate(looks(figure.series)):
        (_bars if figure.kind == "bar" else _points)(ax, figure, i, look)
    if figure.log_x:
        ax.set_xscale("log")
    if figure.log_y:
        ax.set_yscale("log")
    if figure.y_range:
        ax.set_ylim(*figure.y_range)
    if len(figure.series) > 1:  # under the axes, where no curve is
        columns = 2 if max(len(str(series["name"])) for series in figure.series) > 24 else 3
        ax.figure.legend(loc="outside lower center", ncols=columns, fontsize=8, frameon=False)


def _heatmap(ax: Any, figure: Figure) -> None:
    grid = figure.series[0]
    low, high = figure.y_range or value_range(grid["values"])
    values = [[drawable(v) for v in row] for row in grid["values"]]
    cmap = "cividis" if figure.palette == "quality" else "Blues"  # deeper is darker, also where it is printed grey
    ax.imshow(values, vmin=low, vmax=high, cmap=cmap, aspect="auto")
    ax.set_xticks(
        range(len(grid["columns"])), [_plain(c) for c in grid["columns"]], rotation=30, ha="right", fontsize=8
    )
    ax.set_yticks(range(len(grid["rows"])), [_plain(r) for r in grid["rows"]], fontsize=8)
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            share = (value - low) / (high - low) if high > low else 0.5
            ink = "white" if (share < 0.5) == (figure.palette == "quality") else "black"
            ax.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=6.5, color=ink)


def _bars(ax: Any, figure: Figure, i: int, look: Look) -> None:
    """The i-th series as bars beside those of the others."""
    series, n, labels = figure.series[i], len(figure.series), categories(figure)
    places = [labels.index(str(x)) + (i - (n - 1) / 2) * 0.8 / n for x in series["x"]]
    values, error = [drawable(v) for v in series["y"]], None
    if series.get("low"):  # ends that rounding puts on the other side of the value have no length
        error = [
            [max(0.0, v - drawable(low)) for v, low in zip(values, series["low"])],
            [max(0.0, drawable(high) - v) for v, high in zip(values, series["high"])],
        ]
    style = {"color": _ink(look.color), "hatch": look.hatch, "edgecolor": "white", "linewidth": 0.5}
    ax.bar(places, values, 0.8 / n, label=_plain(series["name"]), yerr=error, capsize=2, **style)
    ax.set_xticks(range(len(labels)), [_plain(label) for label in labels], rotation=30, ha="right", fontsize=8)


def _points(ax: Any, figure: Figure, i: int, look: Look) -> None:
    """The i-th series as a line or as points, with its band."""
    series, color = figure.series[i], _ink(look.color)
    style: dict[str, Any] = {"linestyle": "--" if series.get("dashed") else "none" if figure.kind == "scatter" else "-"}
    points = [(a, b) for a, b in zip(series["x"], series["y"]) if finite(a) and finite(b)]
    x, y = [p[0] for p in points], [p[1] for p in points]
    if figure.kind == "line" and len(points) > _MARKED:
        style["markevery"] = len(points) // _MARKED  # enough to tell lines apart
    ax.plot(x, y, marker=look.marker, ms=4, color=color, label=_plain(series["name"]), **style)
    if series.get("low"):
        low, high = ([drawable(v) for v in series[end]] for end in ("low", "high"))
        ax.fill_between(series["x"], low, high, color=color, alpha=0.15, lw=0)


def _plain(words: Any) -> str:
    """Words as they are: a dollar sign begins no formula."""
    return str(words).replace("$", r"\$")


def _ink(color: str) -> str:
    return "black" if color == TRUTH else color
