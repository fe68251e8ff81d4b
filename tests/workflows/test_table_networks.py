"""The network that a table gets where the user brings none: trained as its task says."""

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.core.tasks import Binary, Regression, Segmentation
from deepwright.data import Data, Split
from deepwright.workflows.subjects import train_mlp

RNG = torch.Generator().manual_seed(0)


def table(y):
    x = torch.randn(120, 3, generator=RNG)
    parts = [Split(x[a:b], y(x)[a:b]) for a, b in ((0, 80), (80, 100), (100, 120))]
    return Data("table", "tabular", ("0", "1"), *parts)


def test_numbers_are_learnt_as_numbers():
    """y = 500 + 30 x0: a network of two classes can't say that."""
    data = table(lambda x: 500 + 30 * x[:, :1])
    task = Regression()
    with torch.no_grad():
        out = task.read(train_mlp(data, task=task)(data.test.x))
    assert float((out - data.test.y).abs().mean()) < 8  # the best constant is off by 24


def test_a_binary_task_gets_one_logit():
    data = table(lambda x: (x[:, 0] > 0).long())
    with torch.no_grad():
        out = train_mlp(data, task=Binary())(data.test.x)
    assert out.shape == (20, 1)
    assert float((Binary().prediction(Binary().read(out)) == data.test.y).double().mean()) > 0.9


def test_a_task_without_columns_is_refused():
    with pytest.raises(InputError, match=r"task of a table.*Segmentation.*Regression"):
        train_mlp(table(lambda x: (x[:, 0] > 0).long()), task=Segmentation(2))
