"""Loaders of dicts: keys are told by their usual names, or named; what can't be told is refused with what was seen."""

from collections import UserDict

import pytest
import torch
from torch import nn

from deepwright import InputError
from deepwright.checks import audit, subject_from_loaders
from deepwright.core.identity import digest

X = torch.rand(60, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(60) % 2


def same(batches, **options):
    """As the pairs give it."""
    model = nn.Linear(4, 2).eval()
    one, other = subject_from_loaders(model, batches, **options).data, subject_from_loaders(model, [(X, Y)]).data
    assert digest(one.test) == digest(other.test)
    assert digest(one.train) == digest(other.train)


@pytest.mark.parametrize(("inputs", "labels"), [("pixel_values", "labels"), ("image", "label"), ("x", "y")])
def test_usual_names_are_pairs(inputs, labels):
    same([{"id": list(range(60)), inputs: X, labels: Y, "attention_mask": torch.ones(60, 4)}])


def test_keys_choose_where_several_fit_and_any_mapping_will_do():
    batch = UserDict({"image": torch.zeros(60, 4), "scan": X, "label": 1 - Y, "grade": Y})
    same([batch], keys=("scan", "grade"))


def test_the_audit_takes_keys():
    report = audit(nn.Linear(4, 2).eval(), [{"scan": X, "grade": Y}], keys=("scan", "grade"), checks=["accuracy"])
    assert report["accuracy"].grade != "failed"


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ({"image": X, "x": X, "label": Y}, ("'image' or 'x' as inputs", "keys=(")),
        ({"image": X, "label": Y, "target": Y}, ("'label' or 'target' as targets", "keys=(")),
        ({"scan": X, "grade": Y}, ("'scan', 'grade'", "nothing as inputs", "nothing as targets")),
        ({"input_ids": X.long(), "labels": Y}, ("nothing as inputs",)),
    ],
)
def test_what_cannot_be_told_is_refused_with_what_was_seen(batch, words):
    with pytest.raises(InputError) as refusal:
        subject_from_loaders(nn.Linear(4, 2), [batch])
    assert [word for word in words if word not in str(refusal.value)] == []
