"""What a refusal of the network's outputs tells to do exists where it is told, and works."""

import numpy as np
import pytest
import torch
from torch import nn

from deepwright.checks import Subject, class_task
from deepwright.core.errors import InputError
from deepwright.core.tasks import Binary
from deepwright.data import Data, Split, load
from deepwright.workflows import AuditOptions
from deepwright.workflows.subjects import build_subject

X = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))


def data(classes):
    part = Split(X, torch.arange(60) % len(classes))
    return Data("rows", "tabular", classes, part, part, part)


def test_probabilities_are_read_where_the_refusal_says():
    soft = nn.Sequential(nn.Linear(4, 3), nn.Softmax(1)).eval()
    with pytest.raises(InputError, match="--outputs probabilities"):
        build_subject(AuditOptions(model=soft, data=data(tuple("abc"))), trains=False)
    read = build_subject(AuditOptions(model=soft, data=data(tuple("abc")), outputs="probabilities"), trains=False)
    assert torch.allclose(read.logits().exp().sum(1), torch.ones(60), atol=1e-5)


@pytest.mark.parametrize("flat", [False, True])
def test_a_single_logit_of_two_classes_is_read(flat):
    net = nn.Sequential(nn.Linear(4, 1), *([nn.Flatten(0)] if flat else [])).eval()
    subject = Subject(net, data(("no", "yes")))
    assert isinstance(subject.task, Binary)
    assert torch.equal(subject.logits()[:, 1], net(X).reshape(-1).detach())


def test_a_single_column_of_three_classes_is_refused_by_its_shape():
    with pytest.raises(InputError, match=r"shape \(N, 1\).*\(N, 3\).*import Regression"):
        class_task(nn.Linear(4, 1), data(tuple("abc")))


def test_missing_classes_of_an_npz_are_named_by_the_option_that_the_hint_names(tmp_path):
    path = tmp_path / "two.npz"
    np.savez(path, x=X.numpy(), y=np.arange(60) % 2)
    net = nn.Linear(4, 3)
    with pytest.raises(InputError, match=r"all 3 classes.*--classes name0,name1,name2"):
        class_task(net, load(str(path)))
    subject = build_subject(AuditOptions(model=net, data=path, classes="a,b,c"), trains=False)
    assert subject.class_names == ("a", "b", "c")
