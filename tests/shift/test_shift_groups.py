"""Accuracy by group against hand cases; pseudo-groups that find a known shortcut."""

import math

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.core.statistics import wilson
from deepwright.data import gaussian_spurious
from deepwright.shift import discover_groups, group_metrics, make_groups

Y = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
A = torch.tensor([0, 0, 0, 1, 1, 1, 1, 1])
SAID = torch.tensor([0, 0, 1, 1, 1, 1, 1, 0])


def test_an_empty_group_is_named_and_in_no_mean():
    found = group_metrics(SAID, Y, make_groups(Y, A), names=["a", "b", "c", "d"])
    assert found.n_per_group.tolist() == [3, 1, 0, 4]
    assert found.per_group[[0, 1, 3]].tolist() == pytest.approx([2 / 3, 0.0, 0.75])
    assert math.isnan(found.per_group[2])
    assert found.empty == ("c",)
    assert (found.worst_group, found.worst_name, found.average) == (0.0, "b", 5 / 8)
    assert found.intervals()[3] == wilson(3, 4)
    assert found.intervals()[2] is None
    assert [row[0] for row in found.table().rows] == ["b", "a", "d", "c"]


def test_the_weighted_average_is_that_of_the_training_shares():
    counts = [3498, 184, 0, 1057]
    found = group_metrics(SAID, Y, make_groups(Y, A), counts)
    assert found.weighted_average == pytest.approx((3498 * 2 / 3 + 1057 * 0.75) / sum(counts))


def test_a_weight_of_a_group_without_samples_is_refused_not_counted_as_zero():
    with pytest.raises(InputError, match="group 2"):
        group_metrics(SAID, Y, make_groups(Y, A), [3498, 184, 56, 1057])


def test_logits_and_predictions_say_the_same():
    logits = torch.nn.functional.one_hot(SAID, 2).float() * 3
    assert group_metrics(logits, Y, make_groups(Y, A)).worst_group == 0.0


@pytest.mark.parametrize(
    "change",
    [
        {"logits_or_pred": SAID.float()},
        {"groups": A[:3]},
        {"groups": A - 1},
        {"groups": A.float()},
        {"names": ["a"]},
        {"train_counts": [1]},
        {"y": Y[:0], "logits_or_pred": SAID[:0], "groups": A[:0]},
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_is_refused(change):
    with pytest.raises(InputError):
        group_metrics(**{"logits_or_pred": SAID, "y": Y, "groups": A} | change)


def test_groups_of_a_pair_need_the_attributes_range():
    assert make_groups(torch.tensor([0, 2]), torch.tensor([1, 0]), 3).tolist() == [1, 6]
    with pytest.raises(InputError, match=r"0\.\.1"):
        make_groups(Y, A + 1, 2)


def test_discovered_groups_have_one_class_and_find_a_loud_shortcut():
    data = gaussian_spurious(0, p_val=0.7).data.validation
    a = torch.as_tensor(data.columns["attribute"])
    found = discover_groups(data.x, data.y, 2)
    assert torch.equal(found // 2, data.y)
    agree = ((found % 2) == (a != data.y)).double().mean()  # the larger cluster, number 0, goes with the class
    assert agree > 0.97
    assert torch.equal(found, discover_groups(data.x, data.y, 2))


def test_losses_pull_clusters_apart_that_features_do_not():
    x = torch.randn(400, 3, generator=torch.Generator().manual_seed(0))
    y = torch.arange(400) % 2
    wrong = torch.arange(400) % 5 == 0
    logits = torch.nn.functional.one_hot(torch.where(wrong, 1 - y, y), 2).float() * 6
    found = discover_groups(x, y, 2, logits=logits)
    assert ((found % 2 == 1) == wrong).double().mean() > 0.95


def test_a_class_of_fewer_samples_than_clusters_is_refused():
    with pytest.raises(InputError, match="class 1"):
        discover_groups(torch.randn(5, 2), torch.tensor([0, 0, 0, 0, 1]), 2)


@pytest.mark.usefixtures("unchecked")
def test_labels_of_a_narrow_type_are_labels():
    x = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    y = torch.arange(60) % 2
    assert torch.equal(discover_groups(x, y.to(torch.uint8), k=2), discover_groups(x, y, k=2))
