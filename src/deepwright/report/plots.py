"""Figures as data drawn with matplotlib: PNG for papers and the docs."""

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
from deepwright.report.figures import COLORS, categories, finite, value_range


def png(figures: Sequence[Figure], path: Path | str) -> Path:
    """Draw figures into one picture: plots side by side, each row of pictures under them.

    Args:
        figures: at least one.
        path: of the PNG file.

    Raises:
        InputError: no figure; a file that can't be written.
    """
    if not figures:
        raise InputError("figures", given="none", expected="at least one")
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    drawn = [f for f in figures if f.kind not in ("images", "strips")]
    pictures = [row for f in figures if f.kind in ("images", "strips") for row in _rows(f)]
    rows = max([len(f.series[0]["rows"]) for f in drawn if f.kind == "heatmap"], default=0)
    width = max(6.2 * len(drawn), max((3.1 * len(f.series) for f in pictures), default=0.0))
    heights = [max(4.2, 1.2 + 0.24 * rows)] * bool(drawn) + [2.9] * len(pictures)
    fig = plt.figure(figsize=(width, sum(heights)), layout="constrained")
    parts = fig.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    if drawn:
        for ax, figure in zip(parts[0].subplots(1, len(drawn), squeeze=False)[0], drawn):
            _plot(ax, figure)
    for part, figure in zip(parts[bool(drawn) :], pictures):
        part.suptitle(figure.title, fontsize=11)
        for ax, item in zip(part.subplots(1, len(figure.series), squeeze=False)[0], figure.series):
            ax.imshow(_pixels(item["png"]))
            ax.set_title(item["caption"], fontsize=9)
            ax.axis("off")
    buffer = io.BytesIO()
    fig.savefig(buffer, dpi=130, metadata={"Software": ""})
    plt.close(fig)
    return write_bytes(path, buffer.getvalue())


def _rows(figure: Figure) -> list[Figure]:
    """One figure a row of pictures."""
    if figure.kind == "images":
        return [figure] if figure.series else []
    return [Figure("images", f"{figure.title}: {row['name']}", row["pictures"]) for row in figure.series]


def _pixels(code: str) -> Any:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(code))).convert("RGB"))


def _plot(ax: Any, figure: Figure) -> None:
    ax.set_title(figure.title, fontsize=11)
    ax.set_xlabel(figure.x_label)
    ax.set_ylabel(figure.y_label)
    if figure.kind == "heatmap":
        _heatmap(ax, figure)
        return
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25)
    for i in range(len(figure.series)):
        (_bars if figure.kind == "bar" else _points)(ax, figure, i)
    if figure.log_x:
        ax.set_xscale("log")
    if figure.log_y:
        ax.set_yscale("log")
    if figure.y_range:
        ax.set_ylim(*figure.y_range)
    if len(figure.series) > 1:
        bars = figure.kind == "bar"  # they fill the axes: the legend stands above them
        place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 0.99), "ncols": 5} if bars else {}
        if bars:
            ax.set_title(figure.title, fontsize=11, pad=8 + 14 * -(-len(figure.series) // 5))
        ax.legend(fontsize=8, frameon=False, **place)


def _heatmap(ax: Any, figure: Figure) -> None:
    grid = figure.series[0]
    low, high = figure.y_range or value_range(grid["values"])
    values = [[float(v) for v in row] for row in grid["values"]]
    ax.imshow(values, vmin=low, vmax=high, cmap="RdYlGn" if figure.palette == "quality" else "Blues", aspect="auto")
    ax.set_xticks(range(len(grid["columns"])), grid["columns"], rotation=30, ha="right", fontsize=8)
    ax.set_yticks(range(len(grid["rows"])), grid["rows"], fontsize=8)
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            ax.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=6.5)


def _bars(ax: Any, figure: Figure, i: int) -> None:
    """The i-th series as bars beside those of the others."""
    series, n, labels = figure.series[i], len(figure.series), categories(figure)
    places = [labels.index(str(x)) + (i - (n - 1) / 2) * 0.8 / n for x in series["x"]]
    error = None
    if series.get("low"):
        error = [
            [v - low for v, low in zip(series["y"], series["low"])],
            [high - v for v, high in zip(series["y"], series["high"])],
        ]
    color = COLORS[i % len(COLORS)]
    ax.bar(places, series["y"], 0.8 / n, color=color, label=series["name"], yerr=error, capsize=2)
    ax.set_xticks(range(len(labels)), labels, rotation=30, ha="right", fontsize=8)


def _points(ax: Any, figure: Figure, i: int) -> None:
    """The i-th series as a line or as points, with its band."""
    series, color = figure.series[i], COLORS[i % len(COLORS)]
    style = {"linestyle": "--" if series.get("dashed") else "none" if figure.kind == "scatter" else "-"}
    points = [(a, b) for a, b in zip(series["x"], series["y"]) if finite(a) and finite(b)]
    x, y = [p[0] for p in points], [p[1] for p in points]
    ax.plot(x, y, marker="o", ms=3.5, color=color, label=series["name"], **style)
    if series.get("low"):
        ax.fill_between(series["x"], series["low"], series["high"], color=color, alpha=0.15, lw=0)
