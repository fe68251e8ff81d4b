"""Columns without spread, half precision, and numbers that say nothing."""

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.shift import GroupDROLoss, discover_groups, group_metrics
from deepwright.shift.problems import Scale


@pytest.mark.parametrize("value", [0.1, 3.3, 1e4])
def test_the_rounding_of_a_constant_columns_mean_is_no_spread(value):
    x = torch.full((300, 1), value)
    assert Scale.of(x).std.tolist() == [1.0]
    assert float(Scale.of(x)(x + 0.1).abs().max()) < 0.2
    wide = torch.randn(300, 1, generator=torch.Generator().manual_seed(0)) * 1e-3 + 1
    assert torch.equal(Scale.of(wide).std, wide.std(0, correction=0))


def test_a_large_batch_in_bfloat16_has_the_loss_that_it_has_in_float():
    y = torch.zeros(4000, dtype=torch.long)
    loss = GroupDROLoss(1)(torch.zeros(4000, 2, dtype=torch.bfloat16), y, y)
    assert float(loss) == pytest.approx(0.6931, abs=1e-3)


@pytest.mark.usefixtures("unchecked")
def test_groups_of_other_lengths_and_counts_of_nothing_are_refused():
    y = torch.zeros(4, dtype=torch.long)
    with pytest.raises(InputError, match="one a sample"):
        GroupDROLoss(2)(torch.zeros(4, 2), y, y[:3])
    with pytest.raises(InputError, match="not all 0"):
        GroupDROLoss(2, counts=[0, 0])


@pytest.mark.usefixtures("unchecked")
def test_predictions_are_compared_with_classes_only():
    called = torch.zeros(3, dtype=torch.long)
    for y in (torch.tensor([0.0, 0.5, 1.0]), called[:, None]):
        with pytest.raises(InputError):
            group_metrics(called, y, called)


def test_groups_are_not_discovered_by_logits_that_say_nothing():
    x, y = torch.randn(8, 3), torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
    for logits in (torch.full((8, 2), torch.nan), torch.tensor([[0.0, -torch.inf]] * 8)):
        with pytest.raises(InputError, match="log odds"):
            discover_groups(x, y, 2, logits=logits)
