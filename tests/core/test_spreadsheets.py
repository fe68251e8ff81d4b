"""CSV files that spreadsheets and people touch."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepwright import InputError
from deepwright.core.spreadsheets import csv_text, guarded, read_csv, unguarded

FORMULAS = [
    '=HYPERLINK("http://a","b")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "'=1",
    "  =1",
    "＝1",
    "＠a",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_is_a_formula(text):
    (cell,) = next(csv.reader(io.StringIO(csv_text([[text]]), newline="")))
    assert cell[0] == "'"
    assert unguarded(cell) == text


@pytest.mark.parametrize("value", ["-1", "+1.5e-3", "a=b", "don't", "'a'", "", 3, -2.5])
def test_numbers_and_words_stay_as_they_are(value):
    assert guarded(value) == value


@settings(max_examples=100)
@given(st.text(alphabet=[*"='+-@ \t\r1a"], max_size=6) | st.text(st.characters(codec="utf-8"), max_size=12))
def test_every_text_comes_back(text):
    assert unguarded(guarded(text)) == text


@pytest.mark.parametrize(
    "written", [b"index,label\n1,a\n", b"\xef\xbb\xbfindex,label\r\n1,a\r\n", b"index;label\r\n1;a\r\n\r\n"]
)
def test_what_spreadsheets_write_is_read(written, tmp_path):
    (tmp_path / "a.csv").write_bytes(written)
    assert read_csv(tmp_path / "a.csv", "labels", "a CSV") == [{"index": "1", "label": "a"}]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b"index,label\n1,a,b\n", "row 2 with 3 cells"),
        (b"index,index\n1,a\n", "each column once"),
        (b"index,label\n\xff\xfe\n", "Unicode"),
        (b'index,label\n1,"' + b"a" * 200_000 + b'"\n', "field larger"),
    ],
)
def test_a_file_that_would_be_misread_is_refused(written, said, tmp_path):
    (tmp_path / "a.csv").write_bytes(written)
    with pytest.raises(InputError, match=said):
        read_csv(tmp_path / "a.csv", "labels", "a CSV")
