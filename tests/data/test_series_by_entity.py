"""Series by entity from a CSV: windows of one entity each, in order, and parts that don't leak."""

import numpy as np
import pytest
import torch
from torch import nn

from deepwright.core.errors import InputError
from deepwright.core.tasks import Forecast
from deepwright.data import BySeries, load, load_series
from deepwright.workflows import AuditOptions, audit
from deepwright.workflows.subjects import build_subject


def written(path, rows, head="who,when,a,b,kind"):
    path.write_text("\n".join([head, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def classified(path, entities=20, steps=6, extra=0):
    """a = 1000 entity + time, so that each value says whose and when it is; rows come out of order."""
    rows = []
    for e in range(entities):
        rows += [(f"e{e}", t, 1000 * e + t, 0.5, ["up", "down"][e % 2]) for t in range(steps + extra * (e % 3))]
    order = np.random.default_rng(0).permutation(len(rows))
    return written(path, [rows[i] for i in order])


def whose(x):
    return set((x[:, 0, 0] // 1000).long().tolist())


def test_one_sample_an_entity_in_order(tmp_path):
    data = load_series(classified(tmp_path / "a.csv"), "kind", BySeries("who", "when"))
    assert (data.kind, data.classes, data.features) == ("series", ("down", "up"), ("a", "b"))
    assert data.shape == (6, 2)
    for part in (data.train, data.validation, data.test):
        times = part.x[..., 0] % 1000
        assert torch.equal(times, torch.arange(6.0).expand_as(times))
        assert torch.equal(part.y, 1 - (part.x[:, 0, 0] // 1000).long() % 2)
    assert whose(data.train.x) | whose(data.validation.x) | whose(data.test.x) == set(range(20))


def test_no_entity_is_in_two_parts(tmp_path):
    path = classified(tmp_path / "a.csv", extra=5)
    with pytest.raises(InputError, match=r"6 to 16 rows.*--history"):
        load_series(path, "kind", BySeries("who", "when"))
    data = load_series(path, "kind", BySeries("who", "when", history=5))
    parts = [whose(part.x) for part in (data.train, data.validation, data.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 20
    for part in (data.train, data.validation, data.test):
        assert bool((part.x[..., 0].diff(dim=1) == 1).all())  # of one entity, without a gap
    assert sum(len(part) for part in (data.train, data.validation, data.test)) == sum(
        (6 + 5 * (e % 3)) // 5 for e in range(20)
    )


def moving(path, entities=4, steps=60):
    rows = [
        (f"e{e}", f"2024-01-{1 + t // 24:02} {t % 24:02}:00", 1000 * e + t, t % 7)
        for e in range(entities)
        for t in range(steps)
    ]
    return written(path, rows, "who,when,load,day")


def test_forecasts_are_cut_in_time(tmp_path):
    by = BySeries("who", "when", history=8, horizon=3)
    data = load_series(moving(tmp_path / "a.csv"), "load", by, shares=(0.5, 0.2))
    ends = []
    for part in (data.train, data.validation, data.test):
        assert part.x.shape[1:] == (8, 2)
        assert part.y.shape[1:] == (3, 1)
        joined = torch.cat([part.x[..., 0], part.y[..., 0]], 1)
        assert bool((joined.diff(dim=1) == 1).all())  # one entity each, the target's own past first
        targets = part.y % 1000
        ends.append((float(targets.min()), float(targets.max())))
    assert ends[0][1] < 32 <= ends[1][0] <= ends[1][1] < 44 <= ends[2][0]
    assert data.features == ("load", "day")
    assert data.classes == ()
    whole = load_series(moving(tmp_path / "a.csv"), "load", by, split="test")
    assert len(whole.train) == len(whole.validation) == 0
    assert len(whole.test) == 4 * ((60 - 8) // 3)


@pytest.mark.parametrize("ahead", [None, 3])
def test_it_is_kept_whose_each_window_is(tmp_path, ahead):
    path = (classified if ahead is None else moving)(tmp_path / "a.csv")
    by = BySeries("who", "when", history=3, horizon=ahead)
    data = load_series(path, "kind" if ahead is None else "load", by)
    for part in (data.train, data.validation, data.test):
        assert part.columns["who"].tolist() == [f"e{int(k)}" for k in part.x[:, 0, 0] // 1000]


def test_shares_are_of_windows(tmp_path):
    """A fifth of the moments has no target after a history of 40 of 120 rows; a fifth of the windows has."""
    by = BySeries("who", "when", history=40, horizon=8)
    data = load_series(moving(tmp_path / "a.csv", steps=120), "load", by, shares=(0.2, 0.1))
    assert [len(part) for part in (data.train, data.validation, data.test)] == [8, 4, 28]


def test_a_forecaster_from_the_command_lines_options(tmp_path):
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Parameter(torch.ones(1))

        def forward(self, x):
            return x[:, -1:, :1].repeat(1, 3, 1) * self.one

    path = moving(tmp_path / "a.csv")
    words = {"data": path, "target": "load", "entity": "who", "time": "when", "history": 8, "horizon": 3, "out": None}
    subject = build_subject(AuditOptions(model=Last().eval(), **words), trains=False)
    assert isinstance(subject.task, Forecast)
    assert subject.task.horizon == 3
    gap = float((subject.outputs() - subject.data.test.y).abs().mean())
    assert gap == pytest.approx(2.0)  # 1, 2 and 3 ahead of a line with slope 1


def test_an_audit_of_series_compares_entities(tmp_path):
    path = moving(tmp_path / "a.csv", steps=300)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 3), nn.Unflatten(1, (3, 1)))
    words = {"data": path, "target": "load", "entity": "who", "time": "when", "history": 8, "horizon": 3, "out": None}
    report = audit(AuditOptions(model=network.eval(), checks=["groups"], **words))
    assert report["groups"].conditions == {"column": "who"}
    assert sorted(row[0] for row in report["groups"].tables[0].rows) == ["e0", "e1", "e2", "e3"]


@pytest.mark.parametrize(
    ("rows", "head", "words"),
    [
        ([("a", 1, 2, "x"), ("a", 1, 3, "x")], "who,when,v,kind", "twice for 'a'"),
        ([("a", 1, 2, "x"), ("a", 2, 3, "y")], "who,when,v,kind", "several values.*--horizon"),
        ([("a", 1, "", "x"), ("a", 2, 3, "x")], "who,when,v,kind", "column 'v'.*missing"),
        ([("a", 1, "red", "x"), ("a", 2, "blue", "x")], "who,when,v,kind", "column 'v'.*text"),
        ([("a", "soon", 2, "x"), ("a", "late", 3, "x")], "who,when,v,kind", "time column.*dates"),
        ([("a", 1, 2, "x"), ("b", 1, 3, "x")], "who,when,v,kind", "1 classes"),
        ([("a", 1, "x")], "who,when,kind", "no numeric column"),
        ([("a", 1, 2, "x")], "name,when,v,kind", "'who'.*name, when, v, kind.*--entity"),
    ],
)
def test_tables_that_are_no_series_are_refused(tmp_path, rows, head, words):
    with pytest.raises(InputError, match=words):
        load_series(written(tmp_path / "a.csv", rows, head), "kind", BySeries("who", "when"))


def test_options_that_dont_fit_are_refused(tmp_path):
    path = moving(tmp_path / "a.csv")
    with pytest.raises(InputError, match="history"):
        BySeries("who", "when", horizon=3)
    with pytest.raises(InputError, match="no window of 100"):
        load(path, target="load", series=BySeries("who", "when", history=100, horizon=3))
    with pytest.raises(InputError, match="beside a horizon"):
        load_series(path, "load", BySeries("who", "when", 8, 3), classes=("a", "b"))
    with pytest.raises(InputError, match=r"no \.csv"):
        load("digits", series=BySeries("who", "when"))
    with pytest.raises(InputError, match="both columns"):
        build_subject(AuditOptions(model=nn.Identity(), data=path, target="load", entity="who", out=None), trains=False)
