"""The check of what a network uses, on networks that use what they are told to."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from deepwright.checks import Subject
from deepwright.checks.findings.finding import NotApplicableError
from deepwright.checks.reliance import _remedy, _Rows, _rows, _without, check_reliance
from deepwright.core.tasks import Classification, Regression
from deepwright.data import Data, Split


class Sums(nn.Module):
    """The labels' column, and a share of one that has no part in them."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.tensor(share))

    def forward(self, x: Tensor) -> Tensor:
        return (x[:, :1] + self.share * x[:, 2:3]).sin()


def _data(kind: str = "tabular", n: int = 900) -> Data:
    made = torch.Generator().manual_seed(0)
    x = torch.randn(n, 4, generator=made)
    y = x[:, :1].sin() + 0.1 * torch.randn(n, 1, generator=made)
    a, b = n // 2, 2 * n // 3
    parts = (Split(x[:a], y[:a]), Split(x[a:b], y[a:b]), Split(x[b:], y[b:]))
    return Data("made up", kind, (), *parts, features=("dose", "age", "site", "hour") if kind == "tabular" else ())


@pytest.mark.slow
def test_a_column_that_only_the_network_uses_is_named() -> None:
    found = check_reliance(Subject(Sums(0.7), _data(), task=Regression(tolerance=0.2)), rows=450, splits=1)
    assert found.values["used_by_network"] == 2
    assert found.values["used_but_not_needed"] == 1
    assert "site" in found.summary
    assert "site" in found.remedy
    rows = {row[0]: row[1:] for row in found.tables[0].rows}
    assert set(rows) == {"dose", "site"}
    assert rows["dose"][2] < 0.05
    assert rows["site"][1] == 0
    found.require_numbers()


def test_where_it_does_not_apply() -> None:
    with pytest.raises(NotApplicableError, match="series"):
        x = torch.randn(200, 4, 1)
        parts = [Split(x, torch.zeros(200, 1)) for _ in range(3)]

        class Last(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return x[:, -1]

        check_reliance(Subject(Last(), Data("made up", "series", (), *parts), task=Regression(tolerance=0.1)))


def test_rows_in_the_order_of_their_classes_are_seen_from_all_classes() -> None:
    y = torch.arange(3).repeat_interleave(200)
    parts = [Split(torch.randn(600, 2, generator=torch.Generator().manual_seed(k)), y) for k in range(3)]
    data = Data("sorted", "tabular", ("a", "b", "c"), *parts)
    found = _rows(Subject(nn.Linear(2, 3), data, task=Classification(3)), 150)
    for labels in found.y:
        assert np.bincount(labels.astype(int)).tolist() == [50, 50, 50]
    rows = [(parts[0].x == torch.as_tensor(row)).all(1).nonzero().item() for row in found.x[0].astype(np.float32)]
    assert y[rows].tolist() == found.y[0].tolist()


def test_a_copy_of_a_needed_column_is_not_called_needless() -> None:
    assert _without(["dose", "copy", "site"], ["dose"], [["dose", "copy"], ["hour", "day"]]) == ["site"]
    assert _without(["hour"], ["dose"], [["hour", "day"]]) == ["hour"]


@pytest.mark.parametrize(("what", "trains"), [("column", True), ("feature", False)])
def test_only_columns_can_be_left_out(what: str, trains: bool) -> None:
    nothing = np.zeros((0, 1))
    said = _remedy(["b", "a"], _Rows((nothing, nothing), nothing, (nothing, nothing), ["a", "b"], what))
    assert said.startswith("Train without them and compare: b, a.") is trains
    assert what in said
