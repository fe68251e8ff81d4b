"""What findings say is what was measured: bounds as bounds, falls as falls, and why one thing is mended and not another."""

import re

import pytest
import torch
from torch import nn

from deepwright.checks import Subject
from deepwright.checks.budgets import short
from deepwright.checks.corruptions import _remedy
from deepwright.checks.findings.finding import from_to
from deepwright.checks.fragility import check_fragility
from deepwright.checks.grading import Graded
from deepwright.checks.running import AuditReport
from deepwright.core.results import Table
from deepwright.corruptions import Suite
from deepwright.data import Data, Split
from deepwright.report import print_audit
from deepwright.risk import misjudgment


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (0.1, 0.1, "stays at 10.0%"),
        (0.1, 0.10001, "stays at 10.0%"),
        (0.9, 0.25, "falls from 90.0% to 25.0%"),
        (0.1, 0.2, "rises from 10.0% to 20.0%"),
    ],
)
def test_a_share_falls_only_where_it_does(before, after, said):
    assert from_to(before, after) == said


def test_no_budget_is_zero_in_any_unit():
    assert [short(e) for e in (0.0, 8 / 255, 0.02)] == ["0", "8/255", "0.02"]


def test_fragilitys_bound_is_that_of_the_intervals_upper_end():
    x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    part = Split(x, (x + 0.3 * torch.randn(200, 3, generator=torch.Generator().manual_seed(1))).argmax(1))
    subject = Subject(nn.Identity(), Data("made up", "tabular", ("a", "b", "c"), part, part, part))
    finding = check_fragility(subject)
    bound = float(re.search(r"raises it to (\S+) at the very most", finding.summary)[1])
    today = float(re.search(r"the mean misjudgment is (\S+) today", finding.summary)[1])
    assert bound == pytest.approx(0.1 * finding.values["fi"].high, rel=0.01)
    assert bound > 0.1 * finding.values["fi"].value
    assert today == pytest.approx(float(misjudgment(x, part.y).mean()), abs=1e-3)


def test_the_worst_perturbation_that_training_leaves_out_is_named_with_the_reason():
    x = torch.rand(40, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    part = Split(x, (x.mean((1, 2, 3)) > x.mean()).long())
    network = nn.Sequential(nn.Flatten(), nn.Linear(144, 2)).eval()
    with torch.no_grad():  # told by the mean, as the labels are
        network[1].weight.copy_(torch.tensor([[-1.0], [1.0]]).expand(2, 144))
        network[1].bias.copy_(torch.tensor([1.0, -1.0]) * 144 * x.mean())
    subject = Subject(network, Data("grey", "image", ("dark", "light"), part, part, part))
    suite = Suite(["sample_pairing", "rotate", "contrast"], seed=0)
    report = suite.evaluate(network, [(x, part.y)], task=subject.task)
    report.errors["sample_pairing"] = report.errors["rotate"] = [1.0] * 5
    remedy = _remedy(subject, report, Graded("D"))
    left_out = re.search(r"(\w+, \w+): measured and not trained on here, because", remedy)[1]
    assert set(left_out.split(", ")) == {"sample_pairing", "rotate"}
    assert "'contrast', 3" in remedy


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "No value differs from the earlier report by more than noise."),
        ([["accuracy", "accuracy", 0.5, 0.9, 0.4, "better"]], "1 value differs from the earlier report by more than"),
    ],
)
def test_a_comparison_counts_what_differs(rows, said, capsys):
    table = Table(["check", "value", "before", "after", "difference", "verdict"], rows)
    print_audit(AuditReport({"name": "a", "data": "b"}, [], comparison=table))
    assert said in " ".join(capsys.readouterr().out.split())
