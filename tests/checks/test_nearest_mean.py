"""The nearest class mean against its closed form."""

import pytest
import torch

from deepwright.checks import NearestMean
from deepwright.data import Split


def test_nearest_mean_in_closed_form():
    """Every sample is 1 off its mean in each of 4 dimensions: s^2 = 1 and 2 sqrt(d) s^2 = 4."""
    means = torch.tensor([[1.0, 1, 0, 0], [200, 0, 0, 0]])
    x = torch.cat([means + 1, means - 1])
    base = NearestMean.fit(Split(x, torch.tensor([0, 1, 0, 1])), 3)
    assert float(base.scale) == pytest.approx(1.0)
    torch.testing.assert_close(
        base(torch.tensor([[3.0, 1, 1, 0]]))[0, :2], -torch.tensor([4 + 1.0, 197**2 + 1 + 1]) / 4
    )


def test_a_class_without_samples_is_nowhere_the_nearest():
    x = 1e4 * torch.eye(4)[:2]
    assert NearestMean.fit(Split(x, torch.tensor([0, 1])), 3)(x).argmax(1).tolist() == [0, 1]
