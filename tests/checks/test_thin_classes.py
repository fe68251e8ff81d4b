"""Classes of few training samples: simple methods are a weak bar there, and the report says so."""

import pytest
import subjects
import torch
from torch import nn

from deepwright.checks import Subject, audit
from deepwright.checks.subjects.loaders import subject_from_loaders
from deepwright.data import Data, Split


def subject(of_last, classes=3, n=900):
    y = torch.arange(n) % classes
    x = 3.0 * torch.eye(classes)[y] + torch.randn(n, classes, generator=subjects.generator())
    whole = Split(x, y)
    train = torch.cat([(y < classes - 1).nonzero().flatten(), (y == classes - 1).nonzero().flatten()[:of_last]])
    parts = (whole.where(train), whole.where(torch.arange(60)), whole.where(torch.arange(60, n)))
    return Subject(
        nn.Sequential(nn.Identity(), subjects.Times(1.0)), Data("made up", "tabular", ("a", "b", "c"), *parts)
    )


@pytest.mark.parametrize("of_last", [2, 4])
def test_a_thin_class_is_named_and_caps_the_grade(of_last):
    found = audit(subject(of_last), checks=["accuracy", "fragility"])
    said = f"class 'c' has {of_last} training samples"
    assert said in found["accuracy"].rule
    assert (said in found["fragility"].rule) == ("baseline_nfi" in found["fragility"].values)
    assert found["accuracy"].grade >= "C"


def test_five_of_a_class_are_enough():
    assert subject(5).thin_classes == ""
    assert subject(4).thin_classes != ""


def test_rows_in_double_precision_stay_so_for_a_network_in_it():
    """A column of 10^9 whose last digits decide: float32 rounds them off."""
    y = torch.arange(200) % 2
    x = torch.stack([1e9 + y.double(), torch.zeros(200, dtype=torch.float64)], 1)
    model = nn.Linear(2, 2).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))
        model.bias.copy_(torch.tensor([1e9 + 0.5, -1e9 - 0.5]))
    batches = [(x[i : i + 50], y[i : i + 50]) for i in range(0, 200, 50)]
    made = subject_from_loaders(model.eval(), batches)
    assert made.data.test.x.dtype == torch.float64
    assert bool(made.right.all())
    assert subject_from_loaders(nn.Linear(2, 2).eval(), batches).data.test.x.dtype == torch.float32
