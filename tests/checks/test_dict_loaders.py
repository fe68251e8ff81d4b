"""Loaders of dicts: keys are told by their usual names, or named; batches are kept as they came, in memory of theirs."""

from collections import UserDict

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from deepwright import InputError
from deepwright.checks import audit, subject_from_loaders
from deepwright.checks.subjects import rereading
from deepwright.core.identity import digest
from deepwright.core.rows import Rows

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
        ({"input_ids": X.long(), "labels": Y}, ("the network failed", "int64")),
    ],
)
def test_what_cannot_be_told_is_refused_with_what_was_seen(batch, words):
    with pytest.raises(InputError) as refusal:
        subject_from_loaders(nn.Linear(4, 2), [batch])
    assert [word for word in words if word not in str(refusal.value)] == []


class Refilled:
    """A loader that gives one piece of memory again and again."""

    def __init__(self, form):
        self.form = form

    def __iter__(self):
        inputs, labels = torch.empty(10, 4), torch.empty(10, dtype=torch.long)
        for start in range(0, 60, 10):
            inputs.copy_(X[start : start + 10])
            labels.copy_(Y[start : start + 10])
            yield self.form(inputs), self.form(labels)


@pytest.mark.parametrize("form", [lambda t: t, lambda t: t.numpy()], ids=["tensors", "arrays"])
def test_a_loader_may_fill_the_same_memory_again(form):
    same(Refilled(form))


def test_a_large_loaders_samples_do_not_share_memory(monkeypatch):
    monkeypatch.setattr(rereading, "STREAMED", 10)
    memory = torch.empty(60, 4)

    def collated(items):
        for i, (x, _) in enumerate(items):
            memory[i] = x
        return memory[: len(items)], torch.stack([y for _, y in items])

    loader = DataLoader(TensorDataset(X, Y), 10, collate_fn=collated)
    rows = subject_from_loaders(nn.Linear(4, 2).eval(), loader, split="test").data.test.x
    assert isinstance(rows, Rows)
    first, second = rows[:5], rows[5:10]
    assert not torch.equal(first, second)


def test_inputs_with_gradients_are_taken_and_sparse_ones_refused():
    same([(X.clone().requires_grad_(True), Y)])
    with pytest.raises(InputError, match="dense tensors"):
        subject_from_loaders(nn.Linear(4, 2), [(X.to_sparse(), Y)])
