"""Errors of fields by hand."""

import math

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.physics.pde_data import (
    field_errors,
)


@pytest.fixture
def errors():
    """Of a guess that is off by 2 in one of eight cells, and by 1 in a frame whose truth is 0."""
    target = torch.zeros(1, 2, 4, 1)
    target[0, 0, :, 0] = torch.tensor([2.0, -2.0, 2.0, -2.0])
    guess = target.clone()
    guess[0, 0, 0, 0] += 2.0
    guess[0, 1, :, 0] = 1.0
    return field_errors(guess, target)


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        ("nrmse", math.sqrt(4 / 4) / 2),  # the frame of zeros is left out
        ("skipped", 1),
        ("rmse", (1 + 1) / 2),
        ("crmse", (2 / 4 + 1) / 2),
        ("max_error", 2.0),
        ("brmse", (math.sqrt(2) + 1) / 2),
        ("rel_l2", math.sqrt(4 + 4) / 4),
    ],
)
def test_errors_by_hand(name, by_hand, errors):
    assert getattr(errors, name) == pytest.approx(by_hand)


def wave(number):
    return torch.cos(2 * math.pi * number * torch.arange(32) / 32).reshape(1, 1, 32, 1)


def test_a_wave_is_in_its_band():
    """Number 5 is two of the sixteen modes with 4 <= |k| < 12."""
    low, middle, _ = field_errors(wave(5), torch.zeros_like(wave(5)) + 1e-30).frmse
    assert low < 1e-7
    assert middle == pytest.approx(math.sqrt(2 * 16**2 / 16) / 32)


def test_fields_of_different_shapes_are_refused():
    with pytest.raises(InputError, match="equal"):
        field_errors(wave(5), wave(5)[:, :, :5])


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match="NaN"):
        field_errors(wave(5) * torch.nan, wave(5))
