"""How values become letters: limits, intervals, what is too few to tell, and networks without skill."""

import math
from dataclasses import replace

import pytest
import subjects
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from deepwright.checks import Finding, Subject, audit, grade_up
from deepwright.checks.grading import at_end, at_most, graded, graded_down, no_skill
from deepwright.core.statistics import Interval, wilson
from deepwright.core.tasks import Segmentation
from deepwright.data import Split

STEPS = (1.0, 2.0, 3.0, 4.0)


def test_a_letter_whose_interval_holds_no_other_is_sure():
    found = graded_down(Interval(1.5, 1.2, 1.9), STEPS)
    assert (found.grade, found.could_be, found.words) == ("B", (), "")


def test_the_other_letters_of_the_interval_are_named():
    found = graded_down(Interval(1.5, 0.9, 2.1), STEPS)
    assert (found.grade, found.could_be) == ("B", ("A", "C"))
    assert "B, could be A or C: measure more" in found.words


def test_what_could_be_anything_is_not_graded():
    found = graded_down(Interval(1.5, 0.5, 3.5), STEPS)
    assert found.grade == "info"
    assert "A to D" in found.words


def test_large_is_good_the_other_way_round():
    value = Interval(0.85, 0.75, 0.95)
    found = graded(lambda side: grade_up(at_end(value, side, lower_is_better=False), (0.9, 0.8, 0.7, 0.6)))
    assert found.could_be == ("A", "C")


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0.1, 2.0))
def test_a_limit_holds_at_the_favourable_end_if_it_holds_at_the_other(a, b, times):
    x, y = wilson(a, 60), wilson(b, 60)
    holds = [at_most(x, times, y, side) for side in (1, 0, -1)]
    assert holds == sorted(holds)


def test_the_margin_of_two_shares_is_that_of_newcombe():
    """His example: 56 of 70 against 48 of 80 differ by 0.2 with 0.0524 to 0.3339 (method 10)."""
    x, y = wilson(56, 70), wilson(48, 80)
    low = math.hypot(x.value - x.low, y.high - y.value)
    assert x.value - y.value - low == pytest.approx(0.0524, abs=5e-5)
    # x <= y + 0.0524 is what the favourable end just allows
    for shift, holds in ((0.0523, False), (0.0525, True)):
        moved = Interval(y.value + shift, y.low + shift, y.high + shift)
        assert at_most(x, 1.0, moved, -1) is holds


def test_correlation_narrows():
    a, b = Interval(0.2, 0.1, 0.3), Interval(0.3, 0.2, 0.4)
    assert not at_most(a, 1.0, b, 1)
    assert at_most(a, 1.0, b, 1, correlation=0.9)


# -- networks without skill are graded in nothing that is relative to it ---------------------------------------------


class Constant(nn.Module):
    """The same answer for every input, and (by its weight) a gradient."""

    def __init__(self, inputs, classes, which=0):
        super().__init__()
        self.fc = nn.Linear(inputs, classes)
        nn.init.zeros_(self.fc.weight)
        with torch.no_grad():
            self.fc.bias.copy_(3.0 * torch.eye(classes)[which])

    def forward(self, x):
        return self.fc(x.flatten(1))


@pytest.mark.slow
def test_a_constant_answer_has_no_skill_and_is_not_graded_for_it():
    _, made, task = subjects.classification()
    report = audit(Subject(Constant(4, 3), made, task=task, **subjects.LIMITS))
    assert report["accuracy"].grade == "E"
    relative = ("calibration", "fragility", "robustness", "corruptions", "ood")
    assert {name: report[name].grade for name in relative} == dict.fromkeys(relative, "info")
    assert all("not clearly above" in report[name].rule for name in relative)


def test_a_network_that_is_never_right_is_not_graded_for_bad_weather():
    model, made, task = subjects.classification()
    wrong = Split(made.test.x, (model(made.test.x).argmax(1) + 1) % 3)
    subject = Subject(model, subjects.replaced(made, test=wrong), task=task, **subjects.LIMITS)
    found = audit(subject, checks=["corruptions", "robustness"])
    assert [f.grade for f in found.findings] == ["info", "info"]
    assert "skill_lost" not in found["corruptions"].values


def test_two_classes_in_the_right_order_are_skill_whatever_the_threshold():
    """Of one event in twenty, never named but ranked first: accuracy is that of guessing, and yet it knows."""
    y = (torch.arange(400) % 20 == 0).long()
    x = torch.stack([y.float(), torch.zeros(400)], 1) + 0.3 * torch.randn(400, 2, generator=subjects.generator())
    model = nn.Linear(2, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))
        model.bias.copy_(torch.tensor([4.0, -4.0]))
    subject = Subject(model.eval(), subjects.data("tabular", x, y, ("no", "yes")))
    assert float(subject.right.double().mean()) == subject.chance
    assert no_skill(subject) == ""


def test_an_interval_that_is_not_finite_is_kept():
    found = Finding("a", "B", "s", {"x": Interval(1.0, 0.0, math.inf)}, could_be=("A",), graded_by=("x",))
    assert Finding.from_dict(found.to_dict()) == found


def test_where_nothing_is_right_attacks_have_nothing_to_take():
    """A segmenter that errs everywhere has no budget at which half of what is right is lost."""
    _, data = subjects.segmentation()[:2]
    wrong = nn.Conv2d(data.test.x.shape[1], 2, 1).eval()
    with torch.no_grad():
        wrong.weight.zero_()
        wrong.bias.copy_(torch.tensor([20.0, 0.0]))
    ones = torch.ones_like(data.test.y)
    data = replace(data, test=Split(data.test.x, ones))
    finding = audit(Subject(wrong, data, task=Segmentation(2), **subjects.QUICK), checks=["robustness"])["robustness"]
    assert "eps_half" not in finding.values
    assert "which says nothing: none is right without an attack" in finding.summary
