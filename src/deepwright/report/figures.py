"""Figures as data drawn for the page: SVG, bars, heat maps and pictures in light and dark, values under the pointer."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from html import escape
from typing import Any

from deepwright.core.pictures import Decoded, decode
from deepwright.core.results import Figure, show
from deepwright.report.palette import looks
from deepwright.report.tables import cut

_W, _H = 440, 250  # small, so that the text of a chart is read on a phone
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 14, 10, 26
_EMPTY, _TALL = 0.005, 20  # a share that is left blank; rows of a heat map that is folded
_DRAWING, _SMALL, _FEW = 256, 96, 4  # pixels of a drawing, of a network's input; pictures of a short strip


def svg(figure: Figure) -> str:
    """A chart, a heat map or pictures as HTML; every word escaped."""
    note = f'<p class="note">{escape(figure.note)}</p>' if figure.note else ""
    body = _DRAW[figure.kind](figure) if figure.series else '<p class="note">no data</p>'
    kind = "chart" if figure.kind in ("line", "scatter", "bar") else "whole"
    return f'<figure class="{kind}"><figcaption>{escape(figure.title)}</figcaption>{body}{note}</figure>'


class _Axis:
    """Values to pixels, linear or logarithmic, with round ticks."""

    def __init__(
        self, values: Sequence[float], start: float, stop: float, log: bool, fixed: tuple[float, float] | None = None
    ) -> None:
        known = [v for v in values if finite(v) and (not log or v > 0)]
        low, high = fixed or ((min(known), max(known)) if known else (0.0, 1.0))
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


def finite(value: Any) -> bool:
    """Whether a value is a number that can be drawn."""
    return isinstance(value, int | float) and math.isfinite(value)


def drawable(value: Any) -> float:
    """A value as a number; NaN, which is left out, where it is none or infinite.

    Args:
        value: of a figure's series; from a file, it may be anything.
    """
    try:
        number = float(value)
    except (OverflowError, TypeError, ValueError):
        return math.nan
    return number if math.isfinite(number) else math.nan


def _open(figure: Figure) -> str:
    names = ", ".join(str(s["name"]) for s in figure.series)
    label = escape(f"{figure.title}: {names}; {figure.y_label} over {figure.x_label}", quote=True)
    return f'<svg viewBox="0 0 {_W} {_H}" role="img" aria-label="{label}" preserveAspectRatio="xMidYMid meet">'


def _frame(y: _Axis, x: _Axis) -> str:
    parts = []
    for tick in y.ticks():
        py = y.at(tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_W - _RIGHT}" y1="{py:.1f}" y2="{py:.1f}"/>')
        parts.append(
            f'<text class="tick" x="{_LEFT - 6}" y="{py + 4:.1f}" text-anchor="end">{_tick(float(tick))}</text>'
        )
    for tick in x.ticks():
        place = f'x="{x.at(tick):.1f}" y="{_H - _BOTTOM + 18}"'
        parts.append(f'<text class="tick" {place} text-anchor="middle">{_tick(float(tick))}</text>')
    return "".join(parts)


def _tick(value: float) -> str:
    """Few characters, for there is little room beside an axis, and no powers of ten where people don't write them."""
    size = abs(value)
    for unit, word in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if max(unit, 1e4) <= size < 1000 * unit:
            return f"{value / unit:.3g}{word}"
    return f"{value:.4g}" if 1000 <= size < 1e4 else show(value, 3)


def _labelled(figure: Figure, drawing: str) -> str:
    """A drawing between its axes' labels, which wrap as other words do."""
    above = f'<p class="axis">{escape(figure.y_label)}</p>' if figure.y_label else ""
    below = f'<p class="axis x">{escape(figure.x_label)}</p>' if figure.x_label else ""
    return f"{above}{drawing}{below}"


def _legend(figure: Figure) -> str:
    if len(figure.series) < 2:
        return ""
    keys = (
        f'<span><i style="background:{_key(series, look.color)}"></i>{escape(series["name"])}</span>'
        for series, look in zip(figure.series, looks(figure.series))
    )
    return f'<div class="legend">{"".join(keys)}</div>'


def _key(series: dict[str, Any], color: str) -> str:
    """A colour, in dashes where the line is."""
    return f"repeating-linear-gradient(90deg,{color} 0 4px,transparent 4px 6px)" if series.get("dashed") else color


def _xy(figure: Figure) -> str:
    every_x = [v for s in figure.series for v in s["x"]]
    every_y = [v for s in figure.series for key in ("y", "low", "high") for v in s.get(key) or []]
    x = _Axis(every_x, _LEFT, _W - _RIGHT, figure.log_x)
    y = _Axis(every_y, _H - _BOTTOM, _TOP, figure.log_y, figure.y_range)
    parts = [_open(figure), _frame(y, x)]
    for series, look in zip(figure.series, looks(figure.series)):
        color = look.color
        points = [(a, b) for a, b in zip(series["x"], series["y"]) if finite(a) and finite(b)]
        if series.get("low") and series.get("high"):
            ends = zip(series["x"], series["low"], series["high"])
            band = [(a, low, high) for a, low, high in ends if finite(a) and finite(low) and finite(high)]
            upper = [f"{x.at(a):.1f},{y.at(high):.1f}" for a, _, high in band]
            lower = [f"{x.at(a):.1f},{y.at(low):.1f}" for a, low, _ in band]
            fill = f'stroke="{color}" opacity=".5"' if len(upper) == 1 else 'opacity=".13"'  # one point's has no width
            parts.append(f'<polygon points="{" ".join(upper + lower[::-1])}" fill="{color}" {fill}/>')
        if figure.kind == "line" or series.get("dashed"):  # among points a dashed series is a line to compare with
            dash = ' stroke-dasharray="6 5"' if series.get("dashed") else ""
            path = " ".join(f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in points)
            parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"{dash}/>')
        radius = 3.2 if len(points) <= 40 else 2
        for a, b in [] if series.get("smooth") else points:
            tip = escape(f"{series['name']}: {show(float(b))} at {show(float(a))}", quote=True)
            parts.append(
                f'<circle class="dot" cx="{x.at(a):.1f}" cy="{y.at(b):.1f}" r="{radius}" fill="{color}" '
                f'data-tip="{tip}"/>'
            )
    return _labelled(figure, "".join(parts) + "</svg>") + _legend(figure)


def categories(figure: Figure) -> list[str]:
    """The categories of all series, in the order in which they first appear."""
    return list(dict.fromkeys(str(x) for s in figure.series for x in s["x"]))


def _bars(figure: Figure) -> str:
    """Lying bars, one row a category, so that long names have room and stay readable on a phone."""
    values = [v for s in figure.series for key in ("y", "low", "high") for v in s.get(key) or []]
    scale = _Axis([0.0, *values], 0.0, 100.0, figure.log_y, figure.y_range or _from_zero(values, figure.log_y))
    rows, drawn = [], [(series, look.color) for series, look in zip(figure.series, looks(figure.series))]
    for label in categories(figure):
        bars = "".join(_bar(series, color, label, scale) for series, color in drawn)
        name = escape(label, quote=True)
        rows.append(f'<div class="bar-row"><span class="bar-name" title="{name}">{escape(label)}</span>{bars}</div>')
    return (
        f'<p class="axis">{escape(" by ".join(t for t in (figure.y_label, figure.x_label) if t))}</p>'
        f'<div class="bars">{"".join(rows)}</div>{_legend(figure)}'
    )


def _from_zero(values: Sequence[Any], log: bool) -> tuple[float, float] | None:
    """Bars begin at 0 where no value is below it."""
    known = [float(v) for v in values if finite(v)]
    if log or not known or max(known) <= 0 or min(known) < 0:
        return None
    return 0.0, max(known)


def _short(value: float) -> str:
    """A number beside its bar: at most seven characters."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= 10 * size or (abs(value) >= size and size > 1e3):
            return f"{value / size:.3g} {unit}"
    return f"{value:,.0f}" if value == round(value) else show(value, 3)


def _bar(series: dict[str, Any], color: str, label: str, scale: _Axis) -> str:
    places = [j for j, x in enumerate(series["x"]) if str(x) == label]
    if not places or not finite(series["y"][places[0]]):
        return ""
    j, value = places[0], float(series["y"][places[0]])
    base, end = scale.at(max(0.0, scale.low)), scale.at(value)
    left, width = min(base, end), max(abs(end - base), 0.3)
    whisker = ""
    if series.get("low") and finite(series["low"][j]) and finite(series["high"][j]):
        low, high = scale.at(series["low"][j]), scale.at(series["high"][j])
        whisker = f'<i class="whisker" style="left:{low:.1f}%;width:{max(0.0, high - low):.1f}%"></i>'
    tip = escape(f"{series['name']}, {label}: {show(value)}", quote=True)
    style = f"left:{left:.1f}%;width:{width:.1f}%;background:{color}"
    track = f'<span class="track"><i class="dot" style="{style}"></i>{whisker}</span>'
    return f'<span class="bar" data-tip="{tip}">{track}<b>{_short(value)}</b></span>'


_PALETTES = {
    "quality": ((178, 34, 52), (244, 221, 140), (22, 122, 74)),
    "share": ((222, 232, 252), (122, 160, 235), (29, 78, 216)),
}


def shade(share: float, palette: str = "quality") -> str:
    """A colour of the palette; grey for what isn't a number.

    Args:
        share: 0 to 1.
        palette: "quality" or "share".
    """
    if not math.isfinite(share):
        return "#9ca3af"
    t = min(1.0, max(0.0, share))
    first, middle, last = _PALETTES[palette]
    (a, low), (b, high) = ((0.0, first), (0.5, middle)) if t < 0.5 else ((0.5, middle), (1.0, last))
    mix = [round(p + (q - p) * (t - a) / (b - a)) for p, q in zip(low, high)]
    return f"rgb({mix[0]},{mix[1]},{mix[2]})"


def _ink(share: float, palette: str) -> str:
    """Black or white, whichever is read more easily on a shade."""
    found = re.fullmatch(r"rgb\((\d+),(\d+),(\d+)\)", shade(share, palette))
    if found is None:
        return "#000"
    linear = [
        (int(v) / 255 / 12.92 if int(v) < 11 else ((int(v) / 255 + 0.055) / 1.055) ** 2.4) for v in found.groups()
    ]
    light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000" if light > 0.179 else "#fff"  # where both have the same contrast


def _heatmap(figure: Figure) -> str:
    grid = figure.series[0]
    low, high = figure.y_range or value_range(grid["values"])
    head = "".join(
        f'<th scope="col" title="{escape(str(c), quote=True)}">{escape(str(c))}</th>' for c in grid["columns"]
    )
    rows = []
    for name, values in zip(grid["rows"], grid["values"]):
        cells = []
        for column, value in zip(grid["columns"], values):
            number = drawable(value)
            share = (number - low) / (high - low) if high > low else 0.5
            tip = escape(f"{name}, {column}: {show(number)}", quote=True)
            empty = figure.palette == "share" and share < _EMPTY
            style = f"background:{shade(share, figure.palette)};color:{_ink(share, figure.palette)}"
            cells.append(
                f'<td class="none" data-tip="{tip}">{number:.2f}</td>'
                if empty
                else f'<td class="dot" style="{style}" data-tip="{tip}">{number:.2f}</td>'
            )
        label = escape(str(name), quote=True)
        rows.append(f'<tr><th scope="row" title="{label}">{escape(str(name))}</th>{"".join(cells)}</tr>')
    corner = escape(" / ".join(t for t in (figure.y_label, figure.x_label) if t))
    table = (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(figure.title, quote=True)}">'
        f'<table class="heat"><thead><tr><td>{corner}</td>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )
    if len(rows) <= _TALL:
        return table
    return f"<details><summary>All {len(rows)} rows</summary>{table}</details>"


def value_range(values: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The smallest and the largest number of a grid; 0 and 1 where it has none."""
    flat = [v for v in (drawable(v) for row in values for v in row) if finite(v)]
    return (min(flat), max(flat)) if flat else (0.0, 1.0)


def _gallery(figure: Figure) -> str:
    pictures = [decode(item["png"]) for item in figure.series]  # pictures, not a way into the page
    wide = max(p.width for p in pictures) > _DRAWING  # drawings are shown large, network inputs as thumbnails
    items = "".join(_picture(picture, item) for picture, item in zip(pictures, figure.series))
    return f'<div class="gallery{" wide" if wide else ""}">{items}</div>'


def _strips(figure: Figure) -> str:
    rows = []
    for row in figure.series:
        items = "".join(_picture(decode(item["png"]), item) for item in row["pictures"])
        note = f" <small>{escape(row['note'])}</small>" if row.get("note") else ""
        rows.append(f'<div class="strip"><p>{escape(row["name"])}{note}</p><div class="row">{items}</div></div>')
    most = max(len(row["pictures"]) for row in figure.series)
    short = f' few" style="--most:{max(most, 3)}' if most <= _FEW else ""
    return f'<div class="strips{short}">{"".join(rows)}</div>'


def _picture(picture: Decoded, item: dict[str, Any]) -> str:
    """One picture over its words; small ones keep their pixels."""
    kind = ' class="exact"' if max(picture.width, picture.height) <= _SMALL else ""
    note = f"<small>{escape(item['note'])}</small>" if item.get("note") else ""
    words = f"<span>{cut(item['caption'])}</span>" if item["caption"] else ""
    size = f'width="{picture.width}" height="{picture.height}"'
    return f'<div><img alt="" {size}{kind} src="{picture.uri}">{words}{note}</div>'


_DRAW = {"line": _xy, "scatter": _xy, "bar": _bars, "heatmap": _heatmap, "images": _gallery, "strips": _strips}
