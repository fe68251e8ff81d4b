"""Metrics over batches, dtypes and processes equal the function on the whole, and others' where they have the same."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchmetrics as theirs
from sklearn import metrics as sk

from deepwright.core.errors import InputError
from deepwright.core.tasks import Binary, Classification, Detection, Regression, Segmentation
from deepwright.integrations import metrics as m
from deepwright.risk import ece_interval, selective
from metric_cases import CASES, SAMPLES, computed, data

EVERYTHING = torch.arange(SAMPLES)
GIVEN = data()


def test_every_metric_is_in_the_table():
    assert {type(case.make()) for case in CASES.values()} == set(m.ALL)


@pytest.mark.parametrize("name", CASES)
def test_batches_are_as_the_whole(name):
    whole = computed(name, GIVEN, [EVERYTHING])
    assert all(np.isfinite(list(whole.values())))
    assert computed(name, GIVEN, EVERYTHING.split(17)) == pytest.approx(whole, abs=1e-12)
    if name not in ("DetectionMetrics",):  # whose boxes are in full precision
        halves = computed(name, data(dtype=torch.float16), EVERYTHING.split(40))
        assert halves == pytest.approx(whole, rel=1e-2, abs=2e-3)
    with pytest.warns(UserWarning, match="before the"), pytest.raises(InputError, match=r"no data|no samples|0 groups"):
        CASES[name].make().compute()


def value(metric):
    return metric.compute().item()


def fed(metric, *given):
    metric.update(*given)
    return metric


def test_calibration_errors():
    z, y = GIVEN["logits"], GIVEN["labels"]
    p = z.softmax(1)
    other = theirs.classification.MulticlassCalibrationError(4, n_bins=15, norm="l1")
    assert value(fed(m.CalibrationError(debiased=False), z, y)) == pytest.approx(other(p, y).item(), abs=1e-6)
    assert value(fed(m.CalibrationError(), z, y)) == ece_interval(z, y).value
    squares = (p.double() - torch.eye(4)[y]).square().sum(1).mean().item()
    assert value(fed(m.BrierScore(), z, y)) == pytest.approx(squares, abs=1e-7)
    assert value(fed(m.NegativeLogLikelihood(), z, y)) == pytest.approx(sk.log_loss(y, z.double().softmax(1)), abs=1e-6)


def test_localisation_error_by_hand():
    score, overlap = torch.tensor([0.9, 0.9, 0.1, 0.5]), torch.tensor([0.8, 0.0, 0.1, 0.9])
    label = torch.tensor([0, 0, 0, 1])
    found = value(fed(m.LocalisationCalibrationError(), score, overlap, label))
    assert found == pytest.approx((abs(0.8 + 0.0 - 1.8) / 3 + 0.0 + 0.4) / 2, abs=1e-6)


@pytest.mark.parametrize("ties", [False, True])
def test_risk_and_coverage_by_their_definition(ties):
    g = torch.Generator().manual_seed(1)
    sure = torch.rand(40, generator=g).round(decimals=1) if ties else torch.rand(40, generator=g)
    errors = torch.rand(40, generator=g)
    risks = [errors[sure >= c].double().mean().item() for c in sure]
    assert selective.aurc(sure, errors) == pytest.approx(np.mean(risks), abs=1e-12)
    best = min_area = np.mean([errors.double().sort().values[: i + 1].mean().item() for i in range(40)])
    assert selective.excess_aurc(sure, errors) == pytest.approx(np.mean(risks) - best, abs=1e-12)
    assert selective.aurc(-errors, errors) == pytest.approx(min_area)
    kept = sorted(zip(sure.tolist(), errors.tolist()), reverse=True)
    least = kept[int(np.ceil(0.3 * 40)) - 1][0]
    wanted = np.mean([e for c, e in kept if c >= least])
    assert selective.risk_at_coverage(sure, errors, 0.3) == pytest.approx(wanted)
    assert selective.risk_at_coverage(sure, errors, 1.0) == pytest.approx(errors.double().mean().item())


def test_an_area_in_closed_form():
    """Right and wrong in turn, ranked perfectly: sum over the wrong half of k / (n / 2 + k), over n."""
    errors = torch.arange(20) % 2 == 1
    wanted = sum(k / (10 + k) for k in range(1, 11)) / 20
    assert selective.aurc((~errors).double(), errors) == pytest.approx((0 * 10 + 0.5 * 10) / 20)  # two confidences
    assert selective.aurc(torch.where(errors, -EVERYTHING[:20], 50).double(), errors) == pytest.approx(wanted)


def test_foreign_scores():
    scores, foreign = GIVEN["score"], GIVEN["flag"]
    assert value(fed(m.ForeignAUROC(), scores, foreign)) == pytest.approx(sk.roc_auc_score(foreign, scores))
    assert value(fed(m.ForeignAUPR(), scores, foreign)) == pytest.approx(sk.average_precision_score(foreign, scores))
    # the known ones are the positives, and small scores speak for them
    fpr, tpr, _ = sk.roc_curve(~foreign, -scores, drop_intermediate=False)
    assert value(fed(m.ForeignFPR(), scores, foreign)) == pytest.approx(fpr[tpr >= 0.95].min())
    fpr, tpr, _ = sk.roc_curve(foreign, scores, drop_intermediate=False)
    assert value(fed(m.ForeignDetectionError(), scores, foreign)) == pytest.approx(((1 - tpr + fpr) / 2).min())
    metric = fed(m.ForeignAUROC(), scores, foreign)
    assert metric.interval().low < value(metric) < metric.interval().high


def test_tasks_are_as_torchmetrics_has_them():
    z, y = GIVEN["logits"], GIVEN["labels"]
    found = fed(m.TaskMetrics(Classification(4)), z, y).compute()
    assert found["accuracy"] == pytest.approx((z.argmax(1) == y).double().mean().item())
    wanted = theirs.classification.MulticlassAccuracy(4, average="macro")(z, y)
    assert found["balanced_accuracy"].item() == pytest.approx(wanted.item(), abs=1e-6)
    p, flag = z[:, 0].sigmoid(), GIVEN["flag"].long()
    found = fed(m.TaskMetrics(Binary()), z[:, 0], flag).compute()
    for name, other in (
        ("auroc", theirs.classification.BinaryAUROC()),
        ("average_precision", theirs.classification.BinaryAveragePrecision()),
        ("f1", theirs.classification.BinaryF1Score()),
        ("sensitivity", theirs.classification.BinaryRecall()),
        ("specificity", theirs.classification.BinarySpecificity()),
    ):
        assert found[name].item() == pytest.approx(other(p, flag).item(), abs=1e-5), name
    out, true = GIVEN["spread"][..., 0], GIVEN["number"]
    found = fed(m.TaskMetrics(Regression(3)), out, true).compute()
    for name, other in (
        ("mae", theirs.MeanAbsoluteError(num_outputs=3)),
        ("rmse", theirs.MeanSquaredError(squared=False, num_outputs=3)),
        ("r2", theirs.R2Score(multioutput="uniform_average")),
    ):
        assert found[name].item() == pytest.approx(other(out, true).mean().item(), abs=1e-5), name


def test_regions_are_as_torchmetrics_has_them():
    maps, pixels = GIVEN["maps"], GIVEN["pixels"]
    found = fed(m.SegmentationMetrics(Segmentation(3)), maps, pixels).compute()
    each = theirs.classification.MulticlassJaccardIndex(3, average="none")(maps, pixels)
    assert [found[f"iou_{k}"].item() for k in range(3)] == pytest.approx(each.tolist(), abs=1e-6)
    assert found["mean_iou"].item() == pytest.approx(each.mean().item(), abs=1e-6)
    dice = theirs.classification.MulticlassF1Score(3, average="macro")(maps, pixels)
    assert found["mean_dice"].item() == pytest.approx(dice.item(), abs=1e-6)


def test_boxes_are_kept_as_they_are():
    """The numbers themselves are held against pycocotools in the tests of the task."""
    task = Detection(2)
    found, true = map(list, zip(*GIVEN["boxes"]))
    wanted = task.metrics(task.read(found), task.check_targets(true), resamples=2)
    seen = fed(m.DetectionMetrics(task), found, true).compute()
    assert {name: each.item() for name, each in seen.items()} == {name: each.value for name, each in wanted.items()}


def test_shares_and_ratios_by_hand():
    yes, no = torch.tensor([True, False, False]), torch.tensor([False])
    assert value(fed(fed(m.RobustAccuracy(), yes), no)) == 0.75
    assert value(fed(m.AccuracyKept(), torch.tensor([True, True, False]), torch.tensor([True, False, True]))) == 0.5
    area = m.RobustnessArea((0, 1, 3))
    for budget, wrong in ((0, [False, False]), (1, [True, False]), (3, [True, True])):
        area.update(budget, torch.tensor(wrong))
    assert value(area) == pytest.approx((0.75 * 1 + 0.25 * 2) / 3)
    mce = fed(m.MeanCorruptionError({"fog": 0.5, "blur": 0.25}), "fog", torch.tensor([True, False, False, False]))
    with pytest.raises(InputError, match="no samples of blur"):
        mce.compute()
    assert value(fed(mce, "blur", torch.tensor([True, False]))) == pytest.approx((0.25 / 0.5 + 0.5 / 0.25) / 2)
    rce, relative = m.MeanCorruptionError({"fog": 0.5}, clean=0.1), m.RelativeError(["fog"])
    for metric in (rce, relative):
        metric.update(None, torch.tensor([True, False, False, False]))
        metric.update("fog", torch.tensor([True, True, True, False]))
    assert value(rce) == pytest.approx((0.75 - 0.25) / (0.5 - 0.1))
    assert value(relative) == pytest.approx(3)
    groups = fed(m.GroupScores(3, least=2), torch.tensor([1.0, 0, 1, 1, 0]), torch.tensor([0, 0, 1, 1, 2])).compute()
    assert {k: v.item() for k, v in groups.items()} == {"worst_group": 0.5, "best_group": 1, "largest_gap": 0.5}


def test_sums_that_are_equal_by_accident_stay_apart():
    """A collection merges metrics whose states are equal after the first batch."""
    sure = torch.tensor([[60.0, 0.0], [0.0, 60.0]])  # no loss at all
    kinds = {
        "a": m.BrierScore(),
        "b": m.NegativeLogLikelihood(),
        "c": m.ConfidentErrors(0.1),
        "d": m.ConfidentErrors(0.9),
    }
    together = theirs.MetricCollection(kinds)
    together.update(sure, torch.tensor([0, 1]))
    together.update(torch.tensor([[0.0, 1.0]]), torch.tensor([0]))
    loss = -torch.tensor([0.0, 1.0], dtype=torch.float64).log_softmax(0)[0]
    p = 1 - (-loss).exp()
    wanted = {"a": 2 * p * p / 3, "b": loss / 3, "c": 1 / 3, "d": 0.0}
    assert {k: v.item() for k, v in together.compute().items()} == pytest.approx(
        {k: float(v) for k, v in wanted.items()}
    )


def test_intervals_by_hand():
    low, high, y = torch.tensor([0.0, 0, 0]), torch.tensor([1.0, 2, 3]), torch.tensor([1.0, 3, -1])
    assert value(fed(m.IntervalCoverage(), low, high, y)) == pytest.approx(1 / 3)
    assert value(fed(m.IntervalWidth(), low, high)) == 2
    even = torch.linspace(0, 1, 1001)[:, None]
    held = fed(
        m.Miscoverage((0.5, 0.9)), torch.zeros(1001, 2, 1), torch.tensor([0.5, 0.9]).expand(1001, 2)[..., None], even
    )
    assert value(held) == 0  # no more than chance would show


WORKER = """
import sys
import torch
import torch.distributed as dist
from metric_cases import CASES, SAMPLES, computed, data
rank, meet, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
dist.init_process_group("gloo", init_method=f"file://{meet}", rank=rank, world_size=2)
found = data()
both = {name: computed(name, found, torch.arange(SAMPLES)[rank::2].split(20)) for name in CASES}
dist.destroy_process_group()
torch.save((both, {name: computed(name, found, [torch.arange(SAMPLES)]) for name in CASES}), f"{out}/{rank}.pt")
"""


@pytest.mark.slow
def test_two_processes_see_what_one_sees(tmp_path):
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n{WORKER}"
    words = [sys.executable, "-c", code]
    runs = [subprocess.Popen([*words, str(rank), str(tmp_path / "meet"), str(tmp_path)]) for rank in (0, 1)]
    assert [run.wait(timeout=240) for run in runs] == [0, 0]
    for rank in (0, 1):
        both, alone = torch.load(tmp_path / f"{rank}.pt")
        for name in CASES:
            assert both[name] == pytest.approx(alone[name], abs=1e-9), name
