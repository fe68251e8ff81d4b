"""What is printed of a table is whole, however narrow the terminal."""

import pytest

from deepwright.core.results import Table
from deepwright.report import print_table

NAMES = ["way", "setting", *(f"measure {i:02}" for i in range(11))]
ROW = ["a network per phase, stream function", "beta 50, width 12, damping 0.1", *(0.1234 + i for i in range(11))]


@pytest.mark.parametrize("width", [40, 80, 400])
def test_columns_are_whole_or_named(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    print_table(Table(NAMES, [ROW], "a caption"))
    table, _, rest = capsys.readouterr().out.partition("Not shown")
    left = [name for name in NAMES if name in " ".join(rest.split())]
    shown = NAMES[: len(NAMES) - len(left)]
    assert left == NAMES[len(shown) :]
    assert bool(left) == (width < 400)
    assert "…" not in table
    assert all(f"{value:.4g}" in table for value in ROW[2 : len(shown)])


def test_a_table_that_fits_is_printed_as_it_is(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    print_table(Table(["arm", "error", "low", "high"], [["ours", 0.62, 0.6, 0.64]]))
    out = capsys.readouterr().out
    assert "Not shown" not in out
    assert all(word in out for word in ("arm", "error", "0.62", "0.64"))
