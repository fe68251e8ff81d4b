"""Latencies before and after: like against like, in turns; slower is said, a goal of milliseconds is judged."""

import itertools
import sys

import pytest
import torch
from torch import nn

from deepwright.checks import Finding
from deepwright.checks.findings.comparison import compare
from deepwright.compress import Latency, measure_in_turns
from deepwright.core.errors import InputError
from deepwright.core.statistics import Interval
from deepwright.data import Data, Split
from deepwright.workflows import ShrinkOptions
from deepwright.workflows import shrink as shrink_workflow
from deepwright.workflows.shrunk_times import timed_together, told


def latency(middle, spread=0.1):
    return Latency(1e-3 * middle, 1e-3 * (middle - spread), 1e-3 * (middle + spread), 1, 1, "cpu", 90, 9)


def cost_finding(milliseconds):
    """As the audit has it: quartiles within one run are narrow."""
    value = Interval(milliseconds, milliseconds - 0.01, milliseconds + 0.01)
    return Finding("cost", "info", "a cost", {"latency_ms": value}, lower_is_better=("latency_ms",))


def test_turns_interleave(monkeypatch):
    """A machine that becomes slower with every measurement is as slow for both."""
    clock, order = itertools.count(1), []

    def measured(call, x, *, threads, min_run_time):
        order.append(call)
        t = float(next(clock))
        return Latency(t, t, t, len(x), 1, "cpu", 10)

    monkeypatch.setattr("deepwright.compress.counting.latency.measure_latency", measured)
    a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    found = measure_in_turns({"a": a, "b": b}, torch.zeros(1, 2))
    assert order == [a, b] * 9
    assert (found["a"].median, found["a"].low, found["a"].high, found["a"].rounds) == (9.0, 3.0, 15.0, 9)
    assert found["b"].compare(found["a"]) == "no measurable difference"


def test_fewer_rounds_are_refused():
    with pytest.raises(InputError, match="9 or more"):
        measure_in_turns({"a": nn.Linear(2, 2)}, torch.zeros(1, 2), rounds=2)


def test_noise_between_the_audits_is_no_difference():
    """0.68 ms then and 2.41 ms now, and in turns the same."""
    turns = {("before", "torch"): latency(2.388), ("after", "torch"): latency(2.351)}
    before, after = timed_together([cost_finding(0.68)], [cost_finding(2.41)], turns)
    apart = {row[1]: row[-1] for row in compare([cost_finding(0.68)], [cost_finding(2.41)]).rows}
    together = {row[1]: row[-1] for row in compare(before, after).rows}
    assert apart["latency_ms"].startswith("worse")
    assert together["latency_ms"] == "within noise"
    assert "In turns" in after[0].summary


def test_slower_in_one_runtime_is_said():
    turns = {
        ("before", "torch"): latency(2.0),
        ("after", "torch"): latency(1.0),
        ("before", "ONNX float"): latency(1.0),
        ("after", "ONNX float"): latency(2.3),
    }
    (note,) = told(turns, ("macs", 0.5))
    assert "ONNX float" in note
    assert "2.30x slower" in note
    assert "round_to=8" in note


@pytest.mark.parametrize(("goal", "word"), [(1.5, "is met"), (0.9, "is NOT met")])
def test_a_goal_of_milliseconds_is_judged_on_the_final_network(goal, word):
    turns = {("before", "torch"): latency(2.0), ("after", "torch"): latency(1.0)}
    (note,) = told(turns, ("latency-ms", goal))
    assert word in note


def rows(n):
    x = torch.randn(n, 16, generator=torch.Generator().manual_seed(n))
    return Split(x, (x[:, 0] > 0).long())


def shrunk(tmp_path, width, **more):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, width), nn.ReLU(), nn.Linear(width, 2)).eval()
    data = Data("rows", "tabular", ("no", "yes"), rows(80), rows(40), rows(40))
    given = {"importance": "l2", "epochs": 0, "checks": ["accuracy"], "out": tmp_path / "s", "goal": ("macs", 0.55)}
    return shrink_workflow(ShrinkOptions(model, data=data, **{**given, **more}))


@pytest.fixture
def timed(monkeypatch):
    """Every form takes a millisecond."""
    monkeypatch.setattr(
        "deepwright.workflows.shrunk_times.measure_in_turns", lambda calls, x: {name: latency(1.0) for name in calls}
    )


@pytest.mark.slow
def test_every_form_is_there_before_and_after(tmp_path, timed):
    table = shrunk(tmp_path, 24).table
    assert [tuple(row[:2]) for row in table.rows] == [
        ("before", "torch"),
        ("after", "torch"),
        ("before", "ONNX float"),
        ("after", "ONNX float"),
    ]
    assert all(row[7] <= row[6] <= row[8] for row in table.rows)


@pytest.mark.parametrize(("width", "kept", "noted"), [(40, 16, False), (12, 4, True), (2, 1, True)])
def test_widths_are_whole_vectors_where_the_goal_allows_it(width, kept, noted, tmp_path, timed, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    found = shrunk(tmp_path, width)
    assert found.plan.widths() == {"0": (kept, width)}
    assert bool([n for n in found.notes if "they can't reach the goal" in n]) == noted


class Blocks(nn.Module):
    """Attention that reads the width of a head off its input, between two linear maps."""

    def __init__(self):
        super().__init__()
        self.heads, self.embed, self.qkv = 4, nn.Linear(4, 24), nn.Linear(24, 72)
        self.out, self.head = nn.Linear(24, 24), nn.Linear(24, 2)

    def forward(self, x):
        x = self.embed(x.reshape(x.shape[0], 4, 4))
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        y = (q @ k.mT).softmax(-1) @ v
        return self.head((x + self.out(y.transpose(1, 2).reshape(b, n, c))).mean(1))


def test_heads_that_go_with_their_input_survive_an_interruption(tmp_path, timed, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    torch.manual_seed(0)
    data = Data("rows", "tabular", ("no", "yes"), rows(80), rows(40), rows(40))
    given = {"importance": "l2", "epochs": 0, "checks": ["accuracy"], "goal": ("macs", 0.6), "round_to": 1}
    options = ShrinkOptions(Blocks().eval(), data=data, out=tmp_path / "s", **given)

    def stop(text):
        if text == "audit of the shrunk network":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shrink_workflow(options, say=stop)
    found = shrink_workflow(options)
    assert [n for n in found.notes if "go together" in n]
    assert found.surgery.model.heads < 4
    assert found.surgery.verification.error <= 1e-9
