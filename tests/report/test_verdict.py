"""What stands on top of the page follows from the findings by rule."""

import itertools

import pytest

from deepwright.checks import Finding
from deepwright.core.statistics import Interval
from deepwright.report.verdict import (
    ASIDE,
    BAD,
    FAIR,
    GOOD,
    UNSETTLED,
    UNTOLD,
    first_things,
    five_numbers,
    sentence_of,
    side,
)


def finding(check, grade, could_be=(), values=None, rule="", remedy="Do it.", **more):
    return Finding(check, grade, "s", values or {}, rule, remedy, could_be=could_be, **more)


@pytest.mark.parametrize("letters", [c for n in (1, 2, 3) for c in itertools.combinations("ABCDE", n)])
def test_a_side_is_taken_only_where_all_letters_have_it(letters):
    found = side(finding("accuracy", letters[0], letters[1:]))
    inside = {GOOD: set("AB"), FAIR: set("C"), BAD: set("DE")}
    expected = [name for name, members in inside.items() if set(letters) <= members]
    assert found == (expected[0] if expected else UNSETTLED)


def test_what_was_not_judged_is_not_called_anything():
    assert side(finding("cost", "info", rule="Cost is reported, not judged")) == ASIDE
    assert side(Finding.not_applicable("ood", "no classes")) == ASIDE
    assert side(finding("ood", "info", rule="Not graded: no skill.")) == UNTOLD
    assert side(finding("ood", "failed")) == UNTOLD
    assert side(finding("ood", "info", ("A", "B", "C", "D"), rule="A from 1. Not graded: so few samples.")) == UNSETTLED
    kept = {"clean_accuracy_kept": Interval(0.8, 0.7, 0.9)}
    assert side(finding("robustness", "D", values=kept)) == UNTOLD  # capped for masked gradients
    assert side(finding("robustness", "D", values={"clean_accuracy_kept": Interval(0.2, 0.1, 0.28)})) == BAD


def test_the_sentence_says_what_the_sides_are():
    findings = [
        finding("accuracy", "A", values={"accuracy": Interval(0.85, 0.8, 0.9)}),
        finding("calibration", "E", values={"overconfidence": -0.3}),
        finding("fragility", "B", ("C",)),
        finding("robustness", "C"),
        finding("ood", "info", rule="Not graded: few."),
        finding("cost", "info"),
    ]
    said = sentence_of(findings)
    assert said == (
        "It is right on 85.0 % of its test samples, but less sure than it should be. Robustness is fair. "
        "Fragility needs more samples to be settled. Foreign inputs can't be judged."
    )
    assert sentence_of([finding("robustness", "C")]) == "Nothing stands out, good or bad. Robustness is fair."
    assert sentence_of([finding("accuracy", "B", ("C",))]).startswith("Nothing is settled.")
    assert sentence_of([]) == "Nothing is settled."
    assert "always sure" in sentence_of([finding("fragility", "A", values={"baseline_nfi": float("inf")})])


def test_what_is_said_of_the_data_stands_apart_from_the_network():
    said = sentence_of([finding("duplicates", "A"), finding("robustness", "E")])
    assert said.startswith("It is easily fooled on purpose. ")
    assert said.endswith("has a copy in the training part given.")


def test_a_network_that_guessing_beats_is_called_that():
    values = {"accuracy": Interval(0.1, 0.05, 0.15), "chance": 0.5}
    assert "worse than always giving the commonest answer" in sentence_of([finding("accuracy", "E", values=values)])
    values["accuracy"] = Interval(0.45, 0.4, 0.51)
    assert "little or no better than a simple method" in sentence_of([finding("accuracy", "E", values=values)])


def test_grades_of_own_checks_appear_beside_the_sentence_only():
    assert sentence_of([finding("mine", "A")]) == "Nothing stands out, good or bad."


def test_a_long_name_is_short_in_the_sentence():
    said = sentence_of([finding("my very long " * 30, "C", ("D",))])
    assert len(said) < 110
    assert "…" in said


def test_what_comes_first():
    findings = [
        finding("accuracy", "B"),
        finding("calibration", "E"),
        finding("fragility", "A"),
        finding("robustness", "E"),
        finding("corruptions", "D", remedy="Nothing to do here."),
        finding("ood", "failed"),
        finding("cost", "info"),
    ]
    assert [f.check for f in first_things(findings)] == ["ood", "calibration", "robustness"]
    assert [f.check for f in first_things(findings[:3])] == ["calibration", "accuracy"]
    assert first_things([finding("accuracy", "A")]) == []


def test_five_numbers_with_what_does_not_apply_left_out():
    share = Interval(0.9, 0.8, 0.95)
    findings = [
        finding(
            "accuracy", "A", values={"mae": Interval(12.0, 10.0, 13.0)}, graded_by=("mae",), lower_is_better=("mae",)
        ),
        Finding.not_applicable("calibration", "no classes"),
        finding("robustness", "A", values={"clean_accuracy_kept": share, "area": 0.5}, higher_is_better=("area",)),
        finding("corruptions", "A", values={"mean_error": share}),
        finding("ood", "A", values={"auroc_mean": share}),
        finding("cost", "info", values={"latency_ms": 3.0, "params": 7}),
        finding("mine", "A", values={"x": 1.0}, graded_by=("x",)),
    ]
    numbers = five_numbers(findings)
    assert [n.check for n in numbers] == ["accuracy", "robustness", "corruptions", "ood", "cost"]
    assert (numbers[0].name, numbers[0].better, numbers[0].top) == ("mean absolute error", "lower", 20.0)
    assert numbers[1].top == 1.0
    assert numbers[4].top == 5.0
    assert [n.note for n in numbers] == ["", "", "", "", "not judged"]
    assert numbers[4].measured.endswith("(not judged)")
