"""What is cheap to read from a network's features, where it is known what they hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from deepwright.checks import Subject
from deepwright.checks.attribute_cost import check_attribute_cost
from deepwright.checks.findings.finding import NotApplicableError
from deepwright.core.tasks import Regression
from deepwright.data import Data, Split


class Seen(nn.Module):
    """Features are the inputs: the place is on four columns, the class is the sum of eight others."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(12, 2)

    def forward(self, x):
        return self.head(x * 1.0)


def split(n, seed):
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 12, generator=draw)
    y = (x[:, 1:9].sum(1) > 0).long()
    place = np.where(x[:, 0].numpy() > 0, "hill", "lake")
    x[:, [0, 9, 10, 11]] += 2 * x[:, :1].sign()  # far apart on four axes: a few samples tell where
    lot = torch.randint(0, 2, (n,), generator=draw).numpy()
    return Split(x, y, {"place": place, "lot": lot, "height": x[:, 9].numpy(), "file": np.arange(n).astype(str)})


def subject(sizes=(300, 100, 200), **options):
    parts = [split(n, k) for k, n in enumerate(sizes)]
    return Subject(Seen(), Data("made", "tabular", ("a", "b"), *parts), **options)


def test_the_place_is_cheaper_than_the_label_and_the_lot_is_not_told():
    found = check_attribute_cost(subject(), ["place", "lot"])
    assert found.grade == "info"
    assert found.values["cost_of_place"].high < found.values["cost_of_label"].low
    assert found.values["told_of_place"] > 0.8
    assert found.values["told_of_lot"] < 0.05
    assert "Cheaper to read than the label: place" in found.summary
    assert "lot" not in found.summary
    assert [row[0] for row in found.tables[0].rows] == ["label", "place", "lot"]
    found.require_numbers()


@pytest.mark.slow
def test_which_attributes_are_read():
    assert check_attribute_cost(subject((70, 30, 30), groups="place")).conditions["attributes"] == "place"
    assert check_attribute_cost(subject((70, 30, 30)), ["height"]).tables[0].rows[1][1] == 4  # by quarters
    with pytest.raises(NotApplicableError, match="no column 'depth'"):
        check_attribute_cost(subject(), ["depth"])


def test_where_nothing_is_compared():
    parts = [Split(s.x, s.x[:, :1]) for s in (split(80, 0), split(40, 1), split(40, 2))]
    made = Subject(nn.Linear(12, 1), Data("made", "tabular", (), *parts), task=Regression())
    with pytest.raises(NotApplicableError, match="class a sample"):
        check_attribute_cost(made, ["place"])
    bare = Data("made", "tabular", ("a", "b"), *[Split(s.x, s.y) for s in (split(80, 0), split(40, 1), split(40, 2))])
    with pytest.raises(NotApplicableError, match="no attribute was named"):
        check_attribute_cost(Subject(Seen(), bare))
    few = Data("made", "tabular", ("a", "b"), *[split(20, k) for k in range(3)])
    with pytest.raises(NotApplicableError, match="too few"):
        check_attribute_cost(Subject(Seen(), few), ["place"])
