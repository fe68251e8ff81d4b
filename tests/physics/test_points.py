"""Draws by rejection end, and what they give has the law that was asked for."""

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.physics.points import collect, newton_to_zero, unit_points


def test_rejection_gives_the_first_rows_that_count():
    rng = torch.Generator().manual_seed(0)
    batches = [torch.rand(10, 1, generator=rng) for _ in range(5)]
    kept = iter(b[b[:, 0] > 0.5] for b in batches)
    (found,) = collect(lambda: (next(kept),), 12, "points", "some")
    every = torch.cat(batches)
    assert torch.equal(found, every[every[:, 0] > 0.5][:12])


def test_rejection_ends_when_nothing_counts():
    draws = []
    with pytest.raises(InputError, match="no point"):
        collect(lambda: (draws.append(1) or torch.zeros(0, 2),), 3, "points", "some", draws=7)
    assert len(draws) == 7


def test_rejection_ends_when_too_few_count():
    with pytest.raises(InputError, match="7 of 9 points in 7 draws"):
        collect(lambda: (torch.zeros(1, 2),), 9, "points", "some", draws=7)


def test_newton_lands_on_the_circle_and_leaves_time_alone():
    start = torch.tensor([[0.3, 0.4, 5.0], [2.0, 0.0, 6.0]], dtype=torch.float64)
    x, value, slope = newton_to_zero(lambda x: (x[:, :2].square().sum(1) - 1, 2 * x[:, :2]), start, 20)
    expected = torch.tensor([[0.6, 0.8, 5.0], [1.0, 0.0, 6.0]], dtype=torch.float64)
    assert torch.allclose(x, expected, atol=1e-12)
    assert torch.allclose(value, torch.zeros(2).double(), atol=1e-12)
    assert torch.allclose(slope, 2 * expected[:, :2], atol=1e-12)


@pytest.mark.parametrize("method", ["sobol", "lhs"])
def test_every_stratum_has_its_point(method):
    x = unit_points(64, 3, method, torch.Generator().manual_seed(1))
    for axis in range(3):
        assert torch.bincount((64 * x[:, axis]).long(), minlength=64).tolist() == [1] * 64
