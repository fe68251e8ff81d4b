"""Every value of the built-in checks has words; their units write what they hold."""

import pytest

from deepwright.checks.findings.measurable import MEASURABLE
from deepwright.checks.running import BUILTIN, ON_REQUEST
from deepwright.core.statistics import Interval
from deepwright.report.words import TITLES, WORDS, spread, title_of, words_of, written

SAME = ("mean_average_precision", "average_precision")  # whose names are the field's words
KEYS = [(check, key.replace(".+", "x_y")) for check, rows in MEASURABLE.items() for key, _ in rows]


@pytest.mark.parametrize(("check", "key"), KEYS)
def test_every_value_has_words(check, key):
    word = words_of(check, key)
    assert word.words != key.replace("_", " ") or key in SAME
    assert "{" not in word.words
    assert "_" not in word.words


def test_every_check_has_a_title_and_words():
    assert set(TITLES) >= {*BUILTIN, *ON_REQUEST}
    assert set(WORDS) >= set(MEASURABLE)
    assert title_of("my_own") == "My own"
    assert words_of("my_own", "a_b").words == "a b"


def test_words_are_told_apart():
    for check in WORDS:
        words = [words_of(check, key).words for owner, key in KEYS if owner == check]
        assert len(words) - len(set(words)) == (2 if check == "accuracy" else 0)  # `map` has two names


def test_numbers_as_people_read_them():
    assert written(0.965, "share") == "96.5 %"
    assert spread(Interval(0.5, 0.4, 0.6), "share") == "40.0 to 60.0 %"
    assert spread(0.5, "share") == ""
    assert written(77754, "count") == "77,754"
    assert written(311016, "bytes") == "311.0 kB"
    assert written(0.8026, "ms") == "0.803 ms"
    assert written(float("inf")) == "infinite"
    assert written(float("-inf"), "share") == "minus infinite"
    assert written(0.02016) == "0.0202"
    assert written(Interval(2.0, 1.0, 3.0)) == "2"
