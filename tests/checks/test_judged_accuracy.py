"""What an accuracy is compared with, what it says of classes and their order."""

import pytest
import subjects
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from deepwright.checks import Subject, audit
from deepwright.checks.confusions import other_order
from deepwright.checks.subjects.simple_models import SimpleModels, fit_simple_models
from deepwright.data import Split, load


class Told(nn.Module):
    """Answers as it is told: the first column of its input is the class."""

    def __init__(self, classes):
        super().__init__()
        self.classes = nn.Parameter(torch.arange(classes).float())

    def forward(self, x):
        return -10 * (x[:, :1] - self.classes).abs()


def told(answers, truth, classes=3):
    """A subject that gives `answers` where `truth` is right; simple methods see only noise."""
    n = len(truth)
    x = torch.cat([answers[:, None].float(), torch.randn(n, 2, generator=subjects.generator())], 1)
    part = Split(x, truth)
    made = subjects.data("tabular", x, truth, tuple("abcdefgh"[:classes]))
    return Subject(Told(classes), subjects.replaced(made, test=part))


def accuracy(subject):
    return audit(subject, checks=["accuracy"])["accuracy"]


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def test_five_neighbours_are_those_of_scikit_learn(digits):
    found = fit_simple_models(digits)
    pixels = digits.train.inputs().flatten(1)
    mean, deviation = pixels.mean(0), (pixels - pixels.mean(0)).square().mean().sqrt()
    flat = [((part.inputs().flatten(1) - mean) / deviation).numpy() for part in (digits.train, digits.test)]
    theirs = KNeighborsClassifier(5).fit(flat[0], digits.train.y).predict(flat[1])
    assert torch.equal(found.right["5 nearest neighbours"], torch.from_numpy(theirs) == digits.test.y)


def test_the_best_simple_method_is_no_straw_man(digits):
    """On these digits 5 neighbours reach 98 %, and a frozen random network no less."""
    name, right = fit_simple_models(digits).best()
    assert float(right.double().mean()) >= 0.98
    assert name in ("a frozen random network", "5 nearest neighbours")


def test_long_series_are_projected():
    x = torch.randn(80, 600, 10, generator=subjects.generator())
    y = torch.arange(80) % 2
    x[y == 1] += 0.3
    found = fit_simple_models(subjects.data("series", x, y, ("a", "b")))
    assert float(found.right["nearest class mean"].double().mean()) > 0.9


def test_the_user_s_draws_are_left_alone(digits):
    before = torch.get_rng_state()
    fit_simple_models(digits)
    assert torch.equal(torch.get_rng_state(), before)


def test_few_samples_are_not_graded():
    y = torch.arange(9) % 3
    answers = torch.where(torch.arange(9) < 6, y, (y + 1) % 3)
    found = accuracy(told(answers, y))
    assert found.grade == "info"
    assert "so few samples say no more than" in found.rule


def test_many_samples_are():
    y = torch.arange(3000) % 3
    answers = torch.where(torch.arange(3000) % 10 < 9, y, (y + 1) % 3)
    found = accuracy(told(answers, y))
    assert found.grade in "ABC"


def test_one_class_says_nothing():
    y = torch.zeros(30, dtype=torch.long)
    found = accuracy(told(y, y))
    assert found.grade == "info"
    assert "one class" in found.rule


def test_no_weakest_class_where_all_are_right():
    y = torch.arange(60) % 3
    found = accuracy(told(y, y))
    assert "No test sample is wrong." in found.summary
    assert "Weakest" not in found.summary


def test_the_weakest_class_is_one_that_is_wrong():
    y = torch.cat([torch.zeros(3), torch.ones(300)]).long()  # three samples leave a wide interval, all right
    answers = y.clone()
    answers[3:20] = 0
    assert "Weakest class: b." in accuracy(told(answers, y)).summary


def test_classes_without_test_samples_are_named():
    y = torch.arange(60) % 2
    found = accuracy(told(y, y, classes=4))
    assert "2 of 4 classes have no test sample and are not judged: c, d." in found.summary


@pytest.mark.parametrize("classes", [2, 3, 8])
def test_a_permutation_of_the_classes_is_told(classes):
    order = torch.randperm(classes, generator=subjects.generator(2)) if classes > 2 else torch.tensor([1, 0])
    assert (order != torch.arange(classes)).any()
    y = torch.arange(60 * classes) % classes
    subject = told(order[y], y, classes)
    found = other_order(subject, subject.task.prediction(subject.outputs()))
    assert found is not None
    assert torch.equal(torch.tensor(found.means), order.argsort())
    assert found.accuracy.value == 1.0


def test_chance_is_no_permutation():
    """With as many classes as this, the best assignment explains half of twenty random answers."""
    for seed in range(20):
        y = torch.arange(20) % 8
        answers = torch.randint(0, 8, (20,), generator=subjects.generator(seed))
        assert other_order(told(answers, y, 8), answers) is None


def test_below_guessing_is_said():
    y = torch.arange(300) % 3
    rows = torch.arange(300)
    answers = (y + 1 + (rows // 3) % 2) % 3  # never right, and no order explains it
    assert "below blind guessing" in accuracy(told(answers, y)).summary


def test_sixty_samples_clearly_above_guessing_are_not_an_e():
    """47 of 60 right, where the most frequent class has 40."""
    y = (torch.arange(60) >= 40).long()
    answers = y.clone()
    answers[torch.arange(0, 60, 5)[:9]] ^= 1
    answers[[1, 2, 3, 4]] ^= 1
    found = accuracy(told(answers, y, classes=2))
    assert found.number("accuracy") == pytest.approx(47 / 60)
    assert found.grade != "E"
    assert found.could_be  # and what sixty samples leave open is said


# -- the fewer the training samples, the weaker what is to be beaten: no reason for a better grade --------------------


def always_right(train, test=600):
    """A subject that is right on 97 %, beside simple methods that get better with each training sample."""
    n = train + test
    y = torch.arange(n) % 3
    x = torch.randn(n, 40, generator=subjects.generator(4)) + 0.9 * torch.eye(40)[y * 2]
    answers = torch.where(torch.arange(n) % 33 == 0, (y + 1) % 3, y)
    x = torch.cat([answers[:, None].float(), x], 1)
    seen = Split(torch.cat([torch.zeros(train, 1), x[:train, 1:]], 1), y[:train])  # the answer is of no use to them
    made = subjects.data("tabular", x, y, ("a", "b", "c"))
    made = subjects.replaced(made, train=seen, validation=Split(x[:0], y[:0]), test=Split(x[train:], y[train:]))
    return Subject(Told(3), made)


@pytest.mark.parametrize("train", [0, 20, 100, 499])
def test_few_training_samples_are_no_baseline_for_more_than_a_c(train):
    found = accuracy(always_right(train))
    assert found.grade == "C"
    assert not {"A", "B"} & set(found.could_be)
    assert f"{train} training samples" in found.summary
    assert "Nothing to do" not in found.remedy


def test_enough_training_samples_are_one():
    assert accuracy(always_right(1000)).grade in "AB"


def test_a_learning_curve_goes_on_as_it_went():
    """40 % wrong on half and 20 % on all of 500: of 2,000, two doublings more, 5 %."""
    right, half = torch.arange(100) >= 20, torch.arange(100) >= 40
    models = SimpleModels(torch.arange(100), 500, {"a": right}, {"a": half})
    assert models.error_of_more("a") == pytest.approx(0.05)
    assert SimpleModels(torch.arange(100), 500, {"a": half}, {"a": right}).error_of_more("a") == pytest.approx(0.4)


def test_guessing_names_what_was_frequent_in_training():
    y = torch.arange(90) % 3
    subject = told(y, y)
    seen = subjects.replaced(subject.data, train=Split(subject.data.train.x, torch.full((30,), 2)))
    test = Split(subject.data.test.x[:50], torch.cat([torch.zeros(40), torch.full((10,), 2)]).long())
    assert "guessing on 80.0%" in accuracy(Subject(Told(3), subjects.replaced(seen, test=test))).rule
