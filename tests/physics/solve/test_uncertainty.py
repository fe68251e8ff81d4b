"""Deviations of what is fitted against linear theory."""

import pytest
import torch
from torch import nn

from deepwright.core.errors import InputError
from deepwright.physics import Block, LeastSquaresProblem
from deepwright.physics.solve import covariance


def test_covariance_of_a_line():
    """Least squares on y = a + b x: sigma^2 (X^T X)^-1, whatever the weight; a noiseless second block tightens it."""
    x = torch.linspace(-1, 1, 40, dtype=torch.float64)[:, None]
    line = nn.Linear(1, 1, dtype=torch.float64)
    block = Block("data", lambda m, x, y: m(x) - y, (x, 2 * x + 1), 7.0)
    found = covariance(LeastSquaresProblem(line, [block]), {"data": 0.3})
    design = torch.cat([x, torch.ones_like(x)], 1)
    assert torch.allclose(found, 0.09 * torch.linalg.inv(design.T @ design), rtol=1e-8)
    pin = Block("pin", lambda m, x: m(x) - 1, (torch.zeros(1, 1, dtype=torch.float64),), 1e6)
    both = LeastSquaresProblem(line, [block, pin])
    assert float(covariance(both, {"data": 0.3}, ["bias"])) < 1e-6
    assert float(covariance(both, {"data": 0.3}, ["weight"])) == pytest.approx(float(found[0, 0]), rel=1e-4)
    with pytest.raises(InputError, match="noise"):
        covariance(both, {"other": 0.1})
    with pytest.raises(InputError, match="fitted"):
        covariance(both, {"data": 0.1}, ["slope"])
