"""Before and after: what is unlike is refused or marked, and never graded."""

import json

import pytest
import subjects

from deepwright.checks import Finding, Subject, audit, compare, require_alike
from deepwright.core.errors import InputError
from deepwright.core.statistics import Interval
from deepwright.report import write_report


def verdicts(table):
    return {(row[0], row[1]): row[-1] for row in table.rows}


def finding(grade="A", check="a", **values):
    return Finding(check, grade, "s", values, lower_is_better=tuple(values))


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ("A", "C", "worse"),
        ("E", "D", "better"),
        ("B", "B", "same"),
        ("failed", "E", "changed"),
        ("A", "failed", "changed"),
        ("n/a", "A", "changed"),
        ("info", "A", "changed"),
    ],
)
def test_only_letters_are_better_or_worse(before, after, verdict):
    assert verdicts(compare([finding(before)], [finding(after)]))["a", "grade"] == verdict


def test_a_check_that_only_one_audit_has_is_named():
    table = compare([finding(check="old")], [finding(check="new")])
    assert verdicts(table) == {("old", "grade"): "only before", ("new", "grade"): "only after"}


@pytest.mark.parametrize(("a", "b"), [(0.5, float("nan")), (float("nan"), 0.5)])
def test_what_is_no_number_is_not_within_noise(a, b):
    assert verdicts(compare([finding(x=a)], [finding(x=b)]))["a", "x"] == "changed"


def test_an_infinity_that_went_is_no_noise():
    assert verdicts(compare([finding(x=float("inf"))], [finding(x=2.0)]))["a", "x"] == "better"


def measured(low, value, high):
    return Interval(value, low, high)


def test_a_grade_within_noise_is_no_change():
    before = finding("B", x=measured(0.2, 0.3, 0.4))
    after = finding("C", x=measured(0.25, 0.35, 0.45))
    assert verdicts(compare([before], [after])) == {("a", "grade"): "within noise", ("a", "x"): "within noise"}


def test_a_grade_changes_with_the_value_behind_it():
    before = finding("B", x=measured(0.2, 0.3, 0.4), y=measured(0.1, 0.2, 0.3))
    after = finding("C", x=measured(0.2, 0.3, 0.4), y=measured(0.5, 0.6, 0.7))
    assert verdicts(compare([before], [after]))["a", "grade"] == "worse"
    after.graded_by = ("x",)
    after.values["x"] = measured(0.21, 0.31, 0.41)
    assert verdicts(compare([before], [after]))["a", "grade"] == "within noise"


def test_a_value_without_an_interval_is_not_beyond_noise():
    assert verdicts(compare([finding(x=1.0)], [finding(x=2.0)])) == {("a", "grade"): "same", ("a", "x"): "no interval"}


def test_a_count_is_exact():
    assert verdicts(compare([finding(x=1000)], [finding(x=1001)]))["a", "x"] == "worse"


def test_other_conditions_are_not_judged():
    before, after = finding("A", x=1.0), finding("E", x=9.0)
    before.conditions, after.conditions = {"budgets": [0.1]}, {"budgets": (0.2,)}
    assert verdicts(compare([before], [after])) == {("a", "grade"): "other budgets", ("a", "x"): "other budgets"}


def test_equal_conditions_are_equal_after_json():
    before, after = finding("A", x=1), finding("E", x=9)
    before.conditions = after.conditions = {"budgets": (0.1, 0.2)}
    read = Finding.from_dict(json.loads(json.dumps(before.to_dict())))
    assert verdicts(compare([read], [after]))["a", "x"] == "worse"


@pytest.mark.parametrize(
    "change", [{"task": "regression"}, {"kind": "image"}, {"classes": 4}, {"class_names": ["a", "b", "d"]}], ids=str
)
def test_another_task_or_other_classes_are_refused(change):
    facts = subjects.subject("classification").describe()
    with pytest.raises(InputError, match="cannot compare"):
        require_alike(facts, facts | change)


def test_a_report_of_another_task_is_refused_before_any_work(tmp_path):
    write_report(audit(subjects.subject("regression"), checks=["accuracy"]), tmp_path)

    def check_reached(subject):
        raise AssertionError("work began")

    with pytest.raises(InputError, match="task regression"):
        audit(subjects.subject("classification"), checks=[check_reached], compare_with=tmp_path / "report.json")


def compared(tmp_path, before, after, **options):
    write_report(audit(before, **options), tmp_path)
    return audit(after, compare_with=tmp_path / "report.json", **options).comparison


def test_the_same_data_are_judged(tmp_path):
    one, two = subjects.subject("classification"), subjects.subject("classification")
    assert set(verdicts(compared(tmp_path, one, two, checks=["accuracy"])).values()) == {"same"}


def test_other_test_data_are_marked(tmp_path):
    model, made, task = subjects.classification()
    other = subjects.data("tabular", made.test.x.flip(0), made.test.y.flip(0), made.classes)
    table = compared(tmp_path, Subject(model, made, task=task), Subject(model, other, task=task), checks=["accuracy"])
    assert set(verdicts(table).values()) == {"other test data"}
    assert "other test data" in table.caption


def test_reports_without_a_digest_are_told_by_name_and_number():
    facts = subjects.subject("classification").describe()
    old = {k: v for k, v in facts.items() if k not in ("test_digest", "task")}
    assert verdicts(compare([finding()], [finding()], (old, facts)))["a", "grade"] == "same"
    assert verdicts(compare([finding()], [finding()], (old | {"test": 3}, facts)))["a", "grade"] == "other test data"


def own(limit):
    def check_own(subject):
        n = sum(p.numel() for p in subject.model.parameters())
        return Finding("own", "A" if n < limit else "E", "", {"n": n}, lower_is_better=("n",))

    return check_own


def test_an_edited_check_is_another_check(tmp_path):
    subject = subjects.subject("classification")
    write_report(audit(subject, checks=[own(10)]), tmp_path)
    table = audit(subject, checks=[own(100)], compare_with=tmp_path / "report.json").comparison
    assert set(verdicts(table).values()) == {"other check"}


def test_a_check_that_stayed_is_judged(tmp_path):
    subject = subjects.subject("classification")
    assert set(verdicts(compared(tmp_path, subject, subject, checks=[own(10)])).values()) == {"same"}


def test_other_budgets_are_not_judged(tmp_path):
    before = subjects.subject("classification", attack_limit=4, eps=(0.1, 0.2))
    after = subjects.subject("classification", attack_limit=4, eps=(0.1, 0.4))
    table = compared(tmp_path, before, after, checks=["robustness"])
    assert verdicts(table)["robustness", "area"] == "other budgets"
