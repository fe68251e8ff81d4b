"""Forecasters of many entities: who is harmed, what is seen, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from deepwright.checks import NotApplicableError, Subject
from deepwright.checks.stream_guards import measured_stream_guard
from deepwright.checks.streams import check_streams
from deepwright.core.errors import InputError
from deepwright.core.tasks import Forecast
from deepwright.data import Data, Split


class Last(nn.Module):
    """The last value for each of three steps."""

    def __init__(self):
        super().__init__()
        self.one = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return x[:, -1:, :1].repeat(1, 3, 1) * self.one


def series(entities=5, windows=40, columns=True):
    draws = torch.Generator().manual_seed(0)
    parts = []
    for n in (windows, 10, windows):
        level = torch.arange(entities).repeat_interleave(n)
        x = level[:, None, None] + (0.1 + 0.1 * level)[:, None, None] * torch.randn(len(level), 8, 2, generator=draws)
        y = x[:, -3:, :1] + 0.1 * torch.randn(len(level), 3, 1, generator=draws)
        whose = {"who": np.array([f"e{k}" for k in level.tolist()], dtype=object)} if columns else {}
        parts.append(Split(x, y, whose))
    return Data("made", "series", (), *parts, features=("a", "b"))


def subject(data):
    return Subject(Last().eval(), data, task=Forecast(3, tolerance=0.5), eps=(0.1,))


def test_errors_are_each_entitys_own():
    data = series()
    finding = check_streams(subject(data))
    rows = {row[0]: row for row in finding.tables[0].rows}
    assert sorted(rows) == [f"e{k}" for k in range(5)]
    gap = (Last()(data.test.x) - data.test.y).abs().mean((1, 2)).detach()
    whose = data.test.columns["who"]
    for name, row in rows.items():
        assert row[2] == pytest.approx(float(gap[torch.from_numpy(whose == name)].mean()), rel=1e-5)
        assert row[3] > row[2]  # one step along the gradient of a linear forecaster's squared error
    assert finding.values["error"].value == pytest.approx(np.mean([row[2] for row in rows.values()]), rel=1e-6)
    assert "5 entities" in finding.summary
    assert finding.grade == "info"


def test_what_has_no_streams_does_not_apply():
    with pytest.raises(NotApplicableError, match="isn't known"):
        check_streams(subject(series(columns=False)))
    with pytest.raises(NotApplicableError, match="3 entities"):
        check_streams(subject(series(entities=3)))
    with pytest.raises(NotApplicableError, match="0 entities"):
        check_streams(subject(series(windows=10)))


class Other(Last):
    """A forecaster that looks at the other channel only."""

    def forward(self, x):
        return x[:, -1:, 1:].repeat(1, 3, 1) * self.one


def test_forecasts_that_do_not_hang_on_their_own_past_are_not_attacked():
    data = series()
    with pytest.raises(NotApplicableError, match="0 of 5 entities"):
        check_streams(Subject(Other().eval(), data, task=Forecast(3, tolerance=0.5), eps=(0.1,)))


def recurring(split, of):
    """Three windows of each entity, again and again."""
    x, y = split.x.clone(), split.y.clone()
    for name in set(split.columns["who"].tolist()):
        rows, known = (np.flatnonzero(s.columns["who"] == name) for s in (split, of))
        for place, row in enumerate(rows):
            x[row], y[row] = of.x[known[place % 3]], of.y[known[place % 3]]
    return replace(split, x=x, y=y)


def test_an_attacker_who_cannot_move_anything_unseen_is_told_in_words():
    data = series(windows=60)
    parts = {name: recurring(getattr(data, name), data.train) for name in ("train", "validation", "test")}
    found = measured_stream_guard(subject(replace(data, **parts)), 0.05).beside
    assert "no window that he could move" in found.summary
    assert "seen_of_one_who_knows" not in found.values
    assert found.values["harm_by_one_who_knows"].value == 0
    with pytest.raises(InputError, match="rate"):
        measured_stream_guard(subject(data), 0.0)
