"""Validation data that determine no temperature: the checks say so, and go on without one."""

import pytest
import torch
from torch import nn

from deepwright.checks import Subject, audit
from deepwright.data.dataset import Data, Split
from deepwright.report import render
from deepwright.risk import fragility_index


@pytest.fixture(scope="module")
def audited():
    """A network that is right on all validation samples, and wrong on some test samples."""
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(120, 2, generator=rng)
    model = nn.Linear(2, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))
        model.bias.zero_()
    y = (x[:, 0] > 0).long()
    noisy = torch.where(torch.arange(120) % 9 == 0, 1 - y, y)
    parts = (Split(x[:40], noisy[:40]), Split(x[40:60], y[40:60]), Split(x[60:], noisy[60:]))
    subject = Subject(model.eval(), Data("made up", "tabular", ("a", "b"), *parts))
    return subject, audit(subject, checks=["calibration", "fragility"])


def test_no_check_fails(audited):
    _, report = audited
    assert "failed" not in {f.grade for f in report.findings}


def test_no_temperature_is_given(audited):
    _, report = audited
    assert {"temperature", "ece_after_temperature"}.isdisjoint(report["calibration"].values)
    assert "20 of 20 held-out samples right" in report["calibration"].summary


def test_fragility_is_measured_and_not_graded(audited):
    subject, report = audited
    found = report["fragility"]
    assert "nfi_matched" not in found.values
    assert found.grade == "info"
    assert "20 of 20 held-out samples right" in found.rule
    expected = float(fragility_index(subject.logits(), subject.data.test.y, normalize=True))
    assert found.number("nfi") == pytest.approx(expected)


def test_a_network_worse_than_the_limit_has_no_bound():
    """Confidently wrong: 0 is the best index and +infinity the worst, and no bound is printed from it."""
    z, y = torch.tensor([[4.0, 0.0, 0.0]] * 6), torch.tensor([0, 2, 1, 2, 1, 1])
    assert float(fragility_index(z, y, normalize=True)) == float("inf")
    model = nn.Linear(2, 3)
    with torch.no_grad():
        model.weight.zero_()
        model.bias.copy_(z[0])
    x = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    part = Split(x, y)
    report = audit(
        Subject(model.eval(), Data("made up", "tabular", ("a", "b", "c"), part, part, part)), checks=["fragility"]
    )
    assert "nothing bounds it" in report["fragility"].summary
    cases = report["fragility"].tables[1]
    assert [row[0] for row in cases.rows] == [1, 2, 3, 4, 5, 0]  # the one that is right comes last
    assert "infinite" in cases.caption
    assert "at the very most" not in render(report)
