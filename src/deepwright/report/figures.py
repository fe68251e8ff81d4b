"""Figures as data drawn two ways: SVG for the page (light, dark, hover) and PNG for papers and the docs."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from deepwright.core.files import write_bytes
from deepwright.core.results import Figure, show

_W, _H = 680, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 16, 14, 48
_COLORS = ("#2563eb", "#d97706", "#059669", "#dc2626", "#7c3aed", "#0891b2", "#be185d", "#65a30d")


def svg(figure: Figure) -> str:
    """An inline SVG (or a gallery of pictures); every word escaped."""
    draw = {"line": _xy, "scatter": _xy, "bar": _bars, "heatmap": _heatmap, "images": _gallery}[figure.kind]
    note = f'<p class="note">{escape(figure.note)}</p>' if figure.note else ""
    body = draw(figure) if figure.series else '<p class="note">no data</p>'
    return f"<figure><figcaption>{escape(figure.title)}</figcaption>{body}{note}</figure>"


class _Axis:
    """Values to pixels, linear or logarithmic, with round ticks."""

    def __init__(
        self, values: Sequence[float], start: float, stop: float, log: bool, fixed: tuple[float, float] | None = None
    ) -> None:
        finite = [v for v in values if _finite(v) and (not log or v > 0)]
        low, high = fixed or ((min(finite), max(finite)) if finite else (0.0, 1.0))
        self.log = log and low > 0
        if self.log:
            low, high = math.log10(low), math.log10(high)
        if high - low < 1e-12:
            low, high = low - 0.5, high + 0.5
        pad = 0.0 if fixed else 0.04 * (high - low)
        self.low, self.high, self.start, self.stop = low - pad, high + pad, start, stop

    def at(self, value: float) -> float:
        """Pixel of a value."""
        v = (math.log10(value) if value > 0 else self.low) if self.log else value
        share = (v - self.low) / (self.high - self.low)
        return self.start + min(1.05, max(-0.05, share)) * (self.stop - self.start)

    def ticks(self) -> list[float]:
        """About five round values."""
        if self.log:
            decades = range(math.floor(self.low), math.ceil(self.high) + 1)
            marks = [m * 10.0**d for d in decades for m in ((1, 2, 5) if self.high - self.low < 3 else (1,))]
            return [m for m in marks if self.low - 1e-9 <= math.log10(m) <= self.high + 1e-9]
        raw = (self.high - self.low) / 5
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= raw)
        first = math.ceil(self.low / step - 1e-9) * step
        return [round(first + i * step, 12) for i in range(int((self.high - first) / step + 1e-9) + 1)]


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _open() -> str:
    return f'<svg viewBox="0 0 {_W} {_H}" role="img" preserveAspectRatio="xMidYMid meet">'


def _frame(figure: Figure, y: _Axis, x: _Axis | None) -> str:
    parts = []
    for tick in y.ticks():
        py = y.at(tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_W - _RIGHT}" y1="{py:.1f}" y2="{py:.1f}"/>')
        parts.append(
            f'<text class="tick" x="{_LEFT - 6}" y="{py + 4:.1f}" text-anchor="end">{show(float(tick), 3)}</text>'
        )
    for tick in x.ticks() if x else []:
        px = x.at(tick)  # type: ignore[union-attr]
        parts.append(
            f'<text class="tick" x="{px:.1f}" y="{_H - _BOTTOM + 16}" text-anchor="middle">{show(float(tick), 3)}</text>'
        )
    middle = (_LEFT + _W - _RIGHT) / 2
    parts.append(f'<text class="label" x="{middle}" y="{_H - 10}" text-anchor="middle">{escape(figure.x_label)}</text>')
    centre = (_TOP + _H - _BOTTOM) / 2
    parts.append(
        f'<text class="label" transform="translate(14 {centre}) rotate(-90)" text-anchor="middle">{escape(figure.y_label)}</text>'
    )
    return "".join(parts)


def _legend(names: Sequence[str]) -> str:
    if len(names) < 2:
        return ""
    keys = (
        f'<span><i style="background:{_COLORS[i % len(_COLORS)]}"></i>{escape(n)}</span>' for i, n in enumerate(names)
    )
    return f'<div class="legend">{"".join(keys)}</div>'


def _xy(figure: Figure) -> str:
    every_x = [v for s in figure.series for v in s["x"]]
    every_y = [v for s in figure.series for key in ("y", "low", "high") for v in s.get(key) or []]
    x = _Axis(every_x, _LEFT, _W - _RIGHT, figure.log_x)
    y = _Axis(every_y, _H - _BOTTOM, _TOP, figure.log_y, figure.y_range)
    parts = [_open(), _frame(figure, y, x)]
    for i, series in enumerate(figure.series):
        color = _COLORS[i % len(_COLORS)]
        points = [(a, b) for a, b in zip(series["x"], series["y"]) if _finite(a) and _finite(b)]
        if series.get("low") and series.get("high"):
            upper = [f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in zip(series["x"], series["high"])]
            lower = [f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in zip(series["x"], series["low"])]
            parts.append(f'<polygon points="{" ".join(upper + lower[::-1])}" fill="{color}" opacity=".13"/>')
        if figure.kind == "line":
            dash = ' stroke-dasharray="6 5"' if series.get("dashed") else ""
            path = " ".join(f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in points)
            parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"{dash}/>')
        radius = 3.2 if len(points) <= 40 else 2
        for a, b in points:
            tip = escape(f"{series['name']}: {show(float(b))} at {show(float(a))}", quote=True)
            parts.append(
                f'<circle class="dot" cx="{x.at(a):.1f}" cy="{y.at(b):.1f}" r="{radius}" fill="{color}" data-tip="{tip}"/>'
            )
    return "".join(parts) + "</svg>" + _legend([s["name"] for s in figure.series])


def categories(figure: Figure) -> list[str]:
    """The categories of all series, in the order in which they first appear."""
    return list(dict.fromkeys(str(x) for s in figure.series for x in s["x"]))


def _bars(figure: Figure) -> str:
    labels = categories(figure)
    values = [v for s in figure.series for key in ("y", "high") for v in s.get(key) or []]
    y = _Axis([0.0, *values], _H - _BOTTOM, _TOP, figure.log_y, figure.y_range)
    slot = (_W - _LEFT - _RIGHT) / max(1, len(labels))
    width = 0.8 * slot / len(figure.series)
    parts = [_open(), _frame(figure, y, None)]
    for i, series in enumerate(figure.series):
        color = _COLORS[i % len(_COLORS)]
        for j, value in enumerate(series["y"]):
            if not _finite(value):
                continue
            place = labels.index(str(series["x"][j]))
            px, base, top = _LEFT + place * slot + 0.1 * slot + i * width, y.at(max(0.0, y.low)), y.at(value)
            tip = escape(f"{series['name']}, {labels[place]}: {show(float(value))}", quote=True)
            parts.append(
                f'<rect class="dot" x="{px:.1f}" y="{min(top, base):.1f}" width="{width:.1f}" height="{abs(base - top):.1f}" '
                f'fill="{color}" data-tip="{tip}"/>'
            )
            if series.get("low"):
                mid = px + width / 2
                low, high = y.at(series["low"][j]), y.at(series["high"][j])
                parts.append(f'<line class="whisker" x1="{mid:.1f}" x2="{mid:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>')
    for j, label in enumerate(labels):
        text = str(label) if len(str(label)) <= 14 else str(label)[:6] + "…" + str(label)[-7:]
        px = _LEFT + (j + 0.5) * slot
        turn = (
            f' transform="rotate(-24 {px:.1f} {_H - _BOTTOM + 12})" text-anchor="end"'
            if len(labels) > 6
            else ' text-anchor="middle"'
        )
        parts.append(f'<text class="tick" x="{px:.1f}" y="{_H - _BOTTOM + 14}"{turn}>{escape(text)}</text>')
    return "".join(parts) + "</svg>" + _legend([s["name"] for s in figure.series])


_PALETTES = {
    "quality": ((178, 34, 52), (244, 221, 140), (22, 122, 74)),
    "share": (None, (122, 160, 235), (29, 78, 216)),
}


def shade(share: float, palette: str = "quality") -> str:
    """A colour of the palette; grey for what isn't a number, nothing for a share of zero."""
    if not math.isfinite(share):
        return "#9ca3af"
    t = min(1.0, max(0.0, share))
    first, middle, last = _PALETTES[palette]
    if first is None:
        return "transparent" if t < 0.005 else f"rgba(29,78,216,{0.12 + 0.88 * t:.2f})"
    (a, low), (b, high) = ((0.0, first), (0.5, middle)) if t < 0.5 else ((0.5, middle), (1.0, last))
    mix = [round(p + (q - p) * (t - a) / (b - a)) for p, q in zip(low, high)]
    return f"rgb({mix[0]},{mix[1]},{mix[2]})"


def _heatmap(figure: Figure) -> str:
    grid = figure.series[0]
    low, high = figure.y_range or _range(grid["values"])
    head = "".join(f"<th>{escape(str(c))}</th>" for c in grid["columns"])
    rows = []
    for name, values in zip(grid["rows"], grid["values"]):
        cells = []
        for column, value in zip(grid["columns"], values):
            number = float(value)
            share = (number - low) / (high - low) if high > low else 0.5
            tip = escape(f"{name}, {column}: {show(number)}", quote=True)
            if figure.palette == "share":
                ink = "inherit" if share < 0.45 else "#fff"
            else:
                ink = "#111" if 0.22 < share < 0.8 else "#fff"
            style = f"background:{shade(share, figure.palette)};color:{ink}"
            cells.append(f'<td class="dot" style="{style}" data-tip="{tip}">{number:.2f}</td>')
        rows.append(f"<tr><th>{escape(str(name))}</th>{''.join(cells)}</tr>")
    corner = escape(" / ".join(t for t in (figure.y_label, figure.x_label) if t))
    return f'<div class="scroll"><table class="heat"><thead><tr><th>{corner}</th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _range(values: Sequence[Sequence[float]]) -> tuple[float, float]:
    flat = [float(v) for row in values for v in row if _finite(float(v))]
    return (min(flat), max(flat)) if flat else (0.0, 1.0)


def _gallery(figure: Figure) -> str:
    items = []
    widest = 0
    for item in figure.series:
        data = base64.b64decode(item["png"], validate=True)  # a picture, not a way into the page
        widest = max(widest, int.from_bytes(data[16:20], "big"))
        note = f"<small>{escape(item.get('note', ''))}</small>"
        items.append(
            f'<div><img alt="" src="data:image/png;base64,{item["png"]}"/><span>{escape(item["caption"])}</span>{note}</div>'
        )
    kind = "gallery wide" if widest > 256 else "gallery"  # drawings are shown large, network inputs as thumbnails
    return f'<div class="{kind}">{"".join(items)}</div>'


def png(figures: Sequence[Figure], path: Path | str) -> Path:
    """Draw figures with matplotlib: plots side by side, each row of pictures under them."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    drawn = [f for f in figures if f.kind != "images"]
    pictures = [f for f in figures if f.kind == "images" and f.series]
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
            ax.imshow(plt.imread(io.BytesIO(base64.b64decode(item["png"]))))
            ax.set_title(item["caption"], fontsize=9)
            ax.axis("off")
    buffer = io.BytesIO()
    fig.savefig(buffer, dpi=130, metadata={"Software": ""})
    plt.close(fig)
    return write_bytes(path, buffer.getvalue())


def _plot(ax: Any, figure: Figure) -> None:
    ax.set_title(figure.title, fontsize=11)
    ax.set_xlabel(figure.x_label)
    ax.set_ylabel(figure.y_label)
    if figure.kind == "heatmap":
        grid = figure.series[0]
        low, high = figure.y_range or _range(grid["values"])
        values = [[float(v) for v in row] for row in grid["values"]]
        ax.imshow(values, vmin=low, vmax=high, cmap="RdYlGn" if figure.palette == "quality" else "Blues", aspect="auto")
        ax.set_xticks(range(len(grid["columns"])), grid["columns"], rotation=30, ha="right", fontsize=8)
        ax.set_yticks(range(len(grid["rows"])), grid["rows"], fontsize=8)
        for i, row in enumerate(values):
            for j, value in enumerate(row):
                ax.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=6.5)
        return
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25)
    for i, series in enumerate(figure.series):
        color = _COLORS[i % len(_COLORS)]
        if figure.kind == "bar":
            n, labels = len(figure.series), categories(figure)
            places = [labels.index(str(x)) + (i - (n - 1) / 2) * 0.8 / n for x in series["x"]]
            error = None
            if series.get("low"):
                error = [
                    [v - low for v, low in zip(series["y"], series["low"])],
                    [high - v for v, high in zip(series["y"], series["high"])],
                ]
            ax.bar(places, series["y"], 0.8 / n, color=color, label=series["name"], yerr=error, capsize=2)
            ax.set_xticks(range(len(labels)), labels, rotation=30, ha="right", fontsize=8)
            continue
        style = {"linestyle": "none" if figure.kind == "scatter" else "--" if series.get("dashed") else "-"}
        points = [(a, b) for a, b in zip(series["x"], series["y"]) if _finite(a) and _finite(b)]
        ax.plot(
            [p[0] for p in points],
            [p[1] for p in points],
            marker="o",
            ms=3.5,
            color=color,
            label=series["name"],
            **style,
        )
        if series.get("low"):
            ax.fill_between(series["x"], series["low"], series["high"], color=color, alpha=0.15, lw=0)
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
