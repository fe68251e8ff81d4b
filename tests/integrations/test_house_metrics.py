"""Metrics over batches and processes equal the function on the whole."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from deepwright.core.errors import InputError
from deepwright.integrations.metrics import CalibrationError, ForeignAUROC, MeanCorruptionError, RobustAccuracy
from deepwright.risk import ece, ece_interval


def test_calibration_error_is_that_of_the_whole():
    logits, labels = 3 * torch.randn(200, 4), torch.randint(0, 4, (200,))
    for debiased, wanted in ((True, ece_interval(logits, labels).value), (False, ece(logits, labels))):
        metric = CalibrationError(debiased=debiased)
        for rows in torch.arange(200).split(37):
            metric.update(logits[rows], labels[rows])
        assert metric.compute().item() == pytest.approx(wanted, abs=1e-12)
        metric.reset()
        with pytest.raises(InputError, match="no data"):
            metric.compute()


def test_auroc_is_that_of_scikit_learn():
    scores = torch.randn(150).round(decimals=1)  # with ties
    foreign = torch.rand(150) < 0.3
    metric = ForeignAUROC()
    for rows in torch.arange(150).split(40):
        metric.update(scores[rows], foreign[rows])
    metric.update(torch.zeros(5), False)
    y, s = np.r_[foreign.numpy(), np.zeros(5, bool)], np.r_[scores.numpy(), np.zeros(5)]
    assert metric.compute().item() == pytest.approx(roc_auc_score(y, s))
    assert metric.interval().low < metric.compute().item() < metric.interval().high


def test_robust_accuracy_counts_what_held():
    metric = RobustAccuracy()
    metric(torch.tensor([True, False, False]))
    metric(torch.tensor([False]))
    assert metric.compute().item() == 0.75


def test_mean_corruption_error_is_a_mean_of_ratios():
    metric = MeanCorruptionError({"fog": 0.5, "blur": 0.25})
    metric.update("fog", torch.tensor([True, False, False, False]))
    with pytest.raises(InputError, match="no samples of blur"):
        metric.compute()
    metric.update("blur", torch.tensor([True, False]))
    assert metric.compute().item() == pytest.approx((0.25 / 0.5 + 0.5 / 0.25) / 2)


WORKER = """
import sys, torch, torch.distributed as dist
from deepwright.integrations.metrics import CalibrationError, ForeignAUROC, MeanCorruptionError, RobustAccuracy
rank, meet, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
dist.init_process_group("gloo", init_method=f"file://{meet}", rank=rank, world_size=2)
g = torch.Generator().manual_seed(0)
logits, labels = 3 * torch.randn(101, 4, generator=g), torch.randint(0, 4, (101,), generator=g)
scores, foreign = torch.randn(101, generator=g), torch.rand(101, generator=g) < 0.4
def seen(parts):
    found = []
    for make, update in (
        (CalibrationError, lambda m, r: m.update(logits[r], labels[r])),
        (ForeignAUROC, lambda m, r: m.update(scores[r], foreign[r])),
        (RobustAccuracy, lambda m, r: m.update(foreign[r])),
        (lambda: MeanCorruptionError(["fog"]), lambda m, r: m.update("fog", foreign[r])),
    ):
        metric = make()
        for rows in parts:
            update(metric, rows)
        found.append(float(metric.compute()))
    return found
both = seen(torch.arange(101)[rank::2].split(20))
dist.destroy_process_group()
torch.save((both, seen([torch.arange(101)])), f"{out}/{rank}.pt")
"""


@pytest.mark.slow
def test_two_processes_see_what_one_sees(tmp_path):
    code = textwrap.dedent(WORKER)
    words = [sys.executable, "-c", code]
    runs = [subprocess.Popen([*words, str(rank), str(tmp_path / "meet"), str(tmp_path)]) for rank in (0, 1)]
    assert [run.wait(timeout=240) for run in runs] == [0, 0]
    for rank in (0, 1):
        both, alone = torch.load(tmp_path / f"{rank}.pt")
        assert both == pytest.approx(alone, abs=1e-9)
