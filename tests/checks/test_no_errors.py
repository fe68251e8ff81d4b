"""Samples of which none is wrong: few of them don't say that errors are rare."""

import math

import pytest
import subjects
import torch
from torch import nn

from deepwright.checks import Subject, audit
from deepwright.data import Data, Split


def fragility(n, validation=0):
    """Two classes, all right and sure."""
    y = torch.arange(n) % 2
    part = Split(8.0 * torch.eye(2)[y] + 0.1 * torch.randn(n, 2, generator=subjects.generator()), y)
    empty = Split(part.x[:0], y[:0])
    held_out = Split(part.x[:validation], y[:validation]) if validation else empty
    made = Data("made up", "tabular", ("a", "b"), empty, held_out, part)
    subject = Subject(nn.Sequential(nn.Identity(), subjects.Times(1.0)), made)
    return audit(subject, checks=["fragility"])["fragility"]


@pytest.mark.parametrize("n", [2, 6, 8, 12, 30])
def test_few_samples_without_an_error_are_not_graded(n):
    found = fragility(n)
    assert found.grade == "info"
    assert "more" in found.remedy


def test_more_samples_leave_less_open():
    """Of 60 five in a hundred may be wrong, as often as the classifier that they are held against: a ratio of 1."""
    assert (fragility(60).grade, fragility(60).could_be) == ("A", ("B", "C"))
    assert "1.00 of the index" in fragility(60).rule


def test_thousands_say_it():
    """0.1 % may be wrong: 1 / log(999) / 0.998 = 0.145 over 1 / log(19) / 0.9 = 0.377."""
    found = fragility(3000, validation=100)
    assert (found.grade, found.could_be) == ("A", ())
    ratio = (1 / math.log(999) / 0.998) / (1 / math.log(19) / 0.9)
    assert f"{ratio:.2f} of the index" in found.rule
