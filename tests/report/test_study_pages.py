"""A study's pages and figures: what fails first, one colour a method, the same bytes for the same data."""

import math
import re
from dataclasses import replace

import pytest

from deepwright.core.errors import InputError
from deepwright.core.results import Arm, Claim, Figure, StudyResult, Table
from deepwright.report.palette import BASELINE, COLORS, METHODS, OURS, TRUTH, light, looks
from deepwright.report.plots import png, vector
from deepwright.report.study import markdown, write_study
from deepwright.report.study_page import study_page
from deepwright.studies._frame import curve

PLAIN = (OURS, BASELINE, TRUTH)  # bars without a hatch
VALUES = [0.3, 0.32, 0.31, 0.29, 0.33]
RESULT = StudyResult(
    "tiny",
    [
        Claim.at_least("holding", VALUES, 0.1),
        Claim.at_least("undecided", VALUES, 0.31),
        Claim.at_least("failing <b>", VALUES, 0.6).because("It is half of it.", "errors"),
    ],
    Table(["arm", "error"], [["ours", 0.62]], "errors"),
    [Figure("bar", "Errors", [{"name": "ours", "x": ["a"], "y": [0.6]}], note="one seed's")],
    seconds=12.0,
    settings={"seeds": [1, 2, 3, 4, 5]},
    summary="A sentence.",
    arms=[Arm("ours", "lowest loss", "a split", "30 epochs", {"lr": [1, 2, 3]}, 3, {"lr = 1": 5}, 5)],
    limits=["Only digits."],
    machine={"cpu": "Fast 9000", "cores": 2},
)


@pytest.mark.parametrize("page", [markdown, study_page])
def test_a_page_has_failing_claims_first_with_reason_and_experiment(page):
    text = page(RESULT)
    places = [text.index(word) for word in ("failing", "undecided", "holding")]
    assert places == sorted(places)
    for words in ("It is half of it.", "“errors”", "5 seeds don't decide it", "1 holds, 1 fails, 1 not shown"):
        assert words.replace("'", "&#x27;") in text or words in text


@pytest.mark.parametrize("page", [markdown, study_page])
def test_a_page_says_what_it_doesnt_show_how_arms_were_selected_and_where_it_ran(page):
    text = page(RESULT)
    for words in (
        "Only digits.",
        "lr = 1 (5)",
        "5 of 5 seeds",
        "Fast 9000",
        "12 seconds",
        "1, 2, 3, 4, 5",
        "30 epochs",
    ):
        assert words in text


@pytest.mark.parametrize("page", [markdown, study_page])
def test_a_page_says_where_two_numbers_have_no_edge_that_is_counted(page):
    """Whichever is chosen of two is an edge: a dash in that column must not pass for the middle of a grid."""
    pair = replace(RESULT, arms=[replace(RESULT.arms[0], grid={"decay": [0.1, 0.2], "kind": ["a", "b"]})])
    assert "none is counted: decay." in page(pair)
    assert "none is counted" not in page(RESULT)


def test_the_html_page_escapes_and_fetches_nothing():
    text = study_page(RESULT)
    assert "failing <b>" not in text
    assert not re.search(r'(src|href)="(?!data:|#)', text)


def test_each_verdict_stands_beside_its_claim():
    """The last of seven columns isn't seen on a phone."""
    assert re.search(r"<td>failing &lt;b&gt;</td><td>fails</td>", study_page(RESULT))


def test_code_in_the_limits_is_set_as_code():
    text = study_page(replace(RESULT, limits=["Not in `benchmarks/`."]))
    assert "Not in <code>benchmarks/</code>." in text


def test_a_table_is_called_by_what_its_caption_says_first():
    tables = [Table(["a"], [[1]], caption) for caption in ("Flow, 10 : 1: errors", "Gaps: p of one", "Gaps: p of two")]
    text = study_page(replace(RESULT, tables=tables))
    for title in ("errors", "Flow, 10 : 1", "Gaps: p of one", "Gaps: p of two"):
        assert f"<h2>{title}</h2>" in text


@pytest.mark.parametrize("words", ["two\nlines", "a|b", "$x_{", "cost $5 and $6"])
def test_any_words_leave_a_table_whole_and_are_drawn(words, tmp_path):
    figures = [
        Figure("bar", words, [curve(words, [words], [1.0]), curve("b", [words], [1.0])], words, words),
        Figure("heatmap", words, [{"rows": [words], "columns": [words], "values": [[1.0]]}]),
    ]
    png(figures, tmp_path / "f.png")
    text = Table([words, "b"], [[words, 1.0]]).markdown()
    assert [line.replace("\\|", "").count("|") for line in text.splitlines()] == [3, 3, 3]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("none", [math.nan, math.inf, None, "nan"])
@pytest.mark.parametrize("kind", ["line", "bar"])
def test_what_is_no_number_is_left_out_of_a_figure(kind, none, tmp_path):
    one = {"name": "n", "x": ["a", "b"] if kind == "bar" else [0, 1], "y": [none, 1.0]}
    one |= {"low": [none, 1.0000000000000002], "high": [none, 1.5]}  # an end that rounding put above its value
    figures = [
        Figure(kind, "t", [one]),
        Figure("heatmap", "h", [{"rows": [1], "columns": [2, 3], "values": [[none, 1]]}]),
    ]
    png([*figures, Figure("heatmap", "e", [])], tmp_path / "f.png")
    assert "<figure" in study_page(replace(RESULT, figures=figures))


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/b", ""])
def test_a_study_is_written_into_its_folder_alone(name, tmp_path):
    with pytest.raises(InputError, match="a name that a file can have"):
        write_study(replace(RESULT, study=name), tmp_path / "in")
    assert not list(tmp_path.iterdir())


def test_a_study_without_figures_has_no_heading_for_them():
    assert "<h2>Figures</h2>" in study_page(RESULT)
    assert "<h2>Figures</h2>" not in study_page(replace(RESULT, figures=[]))


def test_a_method_has_one_colour_in_every_figure():
    first, second = looks([curve("erm", [], []), curve("focal", [], [])]), looks([curve("focal", [], [])])
    assert first[1] == second[0]
    assert first[0].color == BASELINE


def test_ours_is_blue_and_no_other_method_of_a_figure_is():
    found = [look.color for look in looks([curve(n, [], []) for n in ("new", "newer", "CELG", "newest")])]
    assert found[2] == OURS
    assert len(set(found)) == 4


def test_names_of_no_method_have_the_colours_in_turn():
    assert [look.color for look in looks([curve(f"s{i}", [], []) for i in range(9)])] == [*COLORS, COLORS[0]]


def test_a_dashed_variant_has_its_colour():
    series = [curve("a", [], []), curve("b", [], []), curve("b, smoothed", [], [], dashed=True)]
    assert looks(series)[2].color == looks(series)[1].color


def test_a_gap_to_a_method_is_drawn_as_the_method():
    assert looks([curve("minus KNN", [], [])])[0].color == METHODS["KNN"]


def test_marks_tell_methods_of_the_house_apart():
    """Whatever the place of a series among others, its colour has one mark and one hatch, and no other colour has."""
    marks = {}
    for name in METHODS:
        for before in (0, 1, 4):
            look = looks([*(curve(f"s{i}", [], []) for i in range(before)), curve(name, [], [])])[-1]
            marks.setdefault(look.color, set()).add((look.marker, look.hatch))
    assert all(len(found) == 1 for found in marks.values())
    for kind in zip(*(next(iter(found)) for color, found in marks.items() if color not in PLAIN)):
        assert len(set(kind)) == len(kind)


def test_a_light_colour_is_halfway_to_white():
    assert light("#2040fe") == "#8f9ffe"


@pytest.mark.slow
@pytest.mark.parametrize("draw", [png, vector])
def test_the_same_figures_have_the_same_bytes(draw, tmp_path):
    figures = [*RESULT.figures, Figure("line", "t", [curve("a", [1, 2], [3, 4], low=[2, 3], high=[4, 5])])]
    one, two = (draw(figures, tmp_path / name).read_bytes() for name in ("one", "two"))
    assert one == two
