"""Words and numbers as they stand on the page: plurals, units, intervals that have no ends."""

import pytest

from deepwright.checks import Finding
from deepwright.checks.findings.finding import with_interval
from deepwright.core.results import Table
from deepwright.core.statistics import Interval
from deepwright.report import render
from deepwright.report.sections import finding_html
from deepwright.report.words import spread, words_of


@pytest.mark.parametrize(("n", "said"), [(0, "(0 rows)"), (1, "(1 row)"), (2, "(2 rows)")])
def test_rows_are_counted_in_grammar(n, said):
    table = Table(["a"], [[i] for i in range(n)], "pairs")
    assert f"Pairs {said}" in finding_html(Finding("accuracy", "B", "s", {}, "", "", [table]))


def test_an_interval_without_ends_is_said_once():
    assert spread(Interval(float("inf"), float("inf"), float("inf"))) == "infinite"
    assert spread(Interval(1.0, 0.5, float("inf"))) == "0.5 to infinite"
    assert spread(Interval(0.0, 0.0, 0.0), "share") == "0.0 to 0.0 %"


def test_intervals_in_sentences_are_words():
    assert with_interval(Interval(0.5, 0.25, 0.75)) == "0.5 (95 % interval 0.25 to 0.75)"


@pytest.mark.parametrize(("key", "norm"), [("l2", "(L2)"), ("linf", "(L-inf)")])
def test_norms_are_written_as_the_field_does(key, norm):
    assert words_of("robustness", f"embedding_{key}_accuracy_at_0.1").words.endswith(f"by 0.1 {norm}")


@pytest.mark.parametrize(
    ("task", "classes", "said"),
    [
        ("classification", 3, "3 classes"),
        ("multi-label classification", 3, "multi-label classification with 3 labels"),
        ("segmentation", 4, "segmentation with 4 classes"),
        ("regression", 2, "regression of 2 numbers"),
        ("regression", 1, "regression of 1 number"),
        ("forecast", 0, "forecast"),
    ],
)
def test_what_a_network_answers_with(report, task, classes, said):
    report.subject |= {"task": task, "classes": classes}
    assert f"<li>{said}, inputs" in render(report)
