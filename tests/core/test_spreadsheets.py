"""Cells that a spreadsheet would run are guarded, and come back as they were."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepwright.core.spreadsheets import guarded, unguarded

RUN = ["=HYPERLINK(1)", "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1", "＠a"]


@pytest.mark.parametrize("text", RUN)
def test_a_formula_is_guarded(text):
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("text", ["a.png", "", "3", "-3", "-1.5e3", "a=b", "cat 1/=x.png"])
def test_other_text_stays(text):
    assert guarded(text) == text


@given(st.text(alphabet=[*"='+-@ \t\r1a"], max_size=6))
def test_every_text_comes_back(text):
    assert unguarded(guarded(text)) == text


@pytest.mark.parametrize("text", RUN)
def test_text_that_nobody_guarded_is_read_as_it_is(text):
    assert unguarded(text) == text
