"""Figures as data, drawn."""

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
    drawn = svg(figure)
    assert "b, three: 5" in drawn
    places = [float(part.split('"')[0]) for part in drawn.split('<rect class="dot" x="')[1:]]
    assert places[3] > places[2] > places[1] > places[0]
    assert png([figure], tmp_path / "f.png").stat().st_size > 1000
