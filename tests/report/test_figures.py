"""Figures as data, drawn."""

import re

import pytest

from deepwright.core.results import Figure
from deepwright.report import png, svg
from deepwright.report.figures import categories


def test_bars_stand_at_their_own_category(tmp_path):
    """Series with other categories are placed by name, not by position."""
    series = [
        {"name": "a", "x": ["one", "two", "three"], "y": [1.0, 2.0, 3.0]},
        {"name": "b", "x": ["three"], "y": [5.0]},
    ]
    figure = Figure("bar", "t", series, "x", "y")
    assert categories(figure) == ["one", "two", "three"]
    rows = svg(figure).split('<div class="bar-row">')[1:]
    assert [row.count('class="bar"') for row in rows] == [1, 1, 2]
    assert "b, three: 5" in rows[2]
    widths = [float(w) for w in re.findall(r"width:([\d.]+)%", "".join(rows))]
    assert widths == pytest.approx([20, 40, 60, 100])
    assert png([figure], tmp_path / "f.png").stat().st_size > 1000


def test_bars_below_zero_begin_at_zero():
    drawn = svg(Figure("bar", "t", [{"name": "a", "x": ["p", "q"], "y": [2.0, -2.0]}]))
    ends = [(float(a), float(w)) for a, w in re.findall(r"left:([\d.]+)%;width:([\d.]+)%", drawn)]
    assert ends[0][0] == pytest.approx(ends[1][0] + ends[1][1], abs=0.11)
    assert ends[0][1] == pytest.approx(ends[1][1], abs=0.11)


@pytest.mark.parametrize(("top", "written"), [(3000.0, "3000"), (30_000.0, "30k"), (2e6, "2M"), (0.3, "0.3")])
def test_ticks_are_written_as_people_do(top, written):
    drawn = svg(Figure("line", "t", [{"name": "a", "x": [0, 1], "y": [0.0, top]}], "x", "y"))
    ticks = re.findall(r'class="tick"[^>]*>([^<]+)<', drawn)
    assert written in ticks
    assert not any("e+" in tick or len(tick) > 5 for tick in ticks)
