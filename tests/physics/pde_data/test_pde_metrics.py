"""Errors of fields by hand."""

import math

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.physics.pde_data import (
    field_errors,
)


def test_metrics_by_hand():
    target = torch.zeros(1, 2, 4, 1)
    target[0, 0, :, 0] = torch.tensor([2.0, -2.0, 2.0, -2.0])
    guess = target.clone()
    guess[0, 0, 0, 0] += 2.0
    guess[0, 1, :, 0] = 1.0
    e = field_errors(guess, target)
    assert e.nrmse == pytest.approx(0.5)  # sqrt(4/4) / 2; the slice of zeros is skipped
    assert e.skipped == 1
    assert e.rmse == pytest.approx(1.0)
    assert e.crmse == pytest.approx((2 / 4 + 1) / 2)
    assert e.max_error == 2.0
    assert e.brmse == pytest.approx((math.sqrt(2) + 1) / 2)
    assert e.rel_l2 == pytest.approx(math.sqrt(4 + 4) / 4)
    wave = torch.cos(2 * math.pi * 5 * torch.arange(32) / 32).reshape(1, 1, 32, 1)
    bands = field_errors(wave, torch.zeros_like(wave) + 1e-30).frmse
    assert bands[0] < 1e-7 < bands[1]
    assert bands[1] == pytest.approx(math.sqrt(2 * 16**2 / 16) / 32)  # modes +-5 of the 16 with 4 <= |k| < 12
    with pytest.raises(InputError, match="equal"):
        field_errors(wave, wave[:, :, :5])
    with pytest.raises(InputError, match="NaN"):
        field_errors(wave * torch.nan, wave)
