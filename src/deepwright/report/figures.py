"""Figures as data drawn for the page: SVG and tables in light and dark, values under the pointer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from deepwright.core.pictures import Decoded, decode
from deepwright.core.results import Figure, show

_W, _H = 680, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 16, 14, 48
_DRAWING, _SMALL, _FEW = 256, 96, 4  # pixels of a drawing, of a network's input; pictures of a short strip
COLORS = ("#2563eb", "#d97706", "#059669", "#dc2626", "#7c3aed", "#0891b2", "#be185d", "#65a30d")


def svg(figure: Figure) -> str:
    """An inline SVG (or a gallery of pictures); every word escaped."""
    draw = {"line": _xy, "scatter": _xy, "bar": _bars, "heatmap": _heatmap, "images": _gallery, "strips": _strips}[
        figure.kind
    ]
    note = f'<p class="note">{escape(figure.note)}</p>' if figure.note else ""
    body = draw(figure) if figure.series else '<p class="note">no data</p>'
    return f"<figure><figcaption>{escape(figure.title)}</figcaption>{body}{note}</figure>"


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
            f'<text class="tick" x="{px:.1f}" y="{_H - _BOTTOM + 16}" text-anchor="middle">'
            f"{show(float(tick), 3)}</text>"
        )
    middle = (_LEFT + _W - _RIGHT) / 2
    parts.append(f'<text class="label" x="{middle}" y="{_H - 10}" text-anchor="middle">{escape(figure.x_label)}</text>')
    centre = (_TOP + _H - _BOTTOM) / 2
    parts.append(
        f'<text class="label" transform="translate(14 {centre}) rotate(-90)" text-anchor="middle">'
        f"{escape(figure.y_label)}</text>"
    )
    return "".join(parts)


def _legend(names: Sequence[str]) -> str:
    if len(names) < 2:
        return ""
    keys = (
        f'<span><i style="background:{COLORS[i % len(COLORS)]}"></i>{escape(n)}</span>' for i, n in enumerate(names)
    )
    return f'<div class="legend">{"".join(keys)}</div>'


def _xy(figure: Figure) -> str:
    every_x = [v for s in figure.series for v in s["x"]]
    every_y = [v for s in figure.series for key in ("y", "low", "high") for v in s.get(key) or []]
    x = _Axis(every_x, _LEFT, _W - _RIGHT, figure.log_x)
    y = _Axis(every_y, _H - _BOTTOM, _TOP, figure.log_y, figure.y_range)
    parts = [_open(), _frame(figure, y, x)]
    for i, series in enumerate(figure.series):
        color = COLORS[i % len(COLORS)]
        points = [(a, b) for a, b in zip(series["x"], series["y"]) if finite(a) and finite(b)]
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
                f'<circle class="dot" cx="{x.at(a):.1f}" cy="{y.at(b):.1f}" r="{radius}" fill="{color}" '
                f'data-tip="{tip}"/>'
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
        color = COLORS[i % len(COLORS)]
        for j, value in enumerate(series["y"]):
            if not finite(value):
                continue
            place = labels.index(str(series["x"][j]))
            px, base, top = _LEFT + place * slot + 0.1 * slot + i * width, y.at(max(0.0, y.low)), y.at(value)
            tip = escape(f"{series['name']}, {labels[place]}: {show(float(value))}", quote=True)
            parts.append(
                f'<rect class="dot" x="{px:.1f}" y="{min(top, base):.1f}" width="{width:.1f}" '
                f'height="{abs(base - top):.1f}" fill="{color}" data-tip="{tip}"/>'
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
    """A colour of the palette; grey for what isn't a number, nothing for a share of zero.

    Args:
        share: 0 to 1.
        palette: "quality" or "share".
    """
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
    low, high = figure.y_range or value_range(grid["values"])
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
    return (
        f'<div class="scroll"><table class="heat"><thead><tr><th>{corner}</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def value_range(values: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The smallest and the largest number of a grid; 0 and 1 where it has none."""
    flat = [float(v) for row in values for v in row if finite(float(v))]
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
    return f'<div class="strips{" few" if most <= _FEW else ""}">{"".join(rows)}</div>'


def _picture(picture: Decoded, item: dict[str, Any]) -> str:
    """One picture over its words; small ones keep their pixels."""
    kind = ' class="exact"' if max(picture.width, picture.height) <= _SMALL else ""
    note = f"<small>{escape(item['note'])}</small>" if item.get("note") else ""
    words = f"<span>{escape(item['caption'])}</span>" if item["caption"] else ""
    size = f'width="{picture.width}" height="{picture.height}"'
    return f'<div><img alt="" {size}{kind} loading="lazy" src="{picture.uri}">{words}{note}</div>'


_DRAW = {"line": _xy, "scatter": _xy, "bar": _bars, "heatmap": _heatmap, "images": _gallery, "strips": _strips}
