"""What the checks say of each task: numbers against references, tables, and what nothing was measured on."""

import math
from dataclasses import replace

import numpy as np
import pytest
import subjects
import torch
import torchmetrics.functional as tm
from torch import nn

from deepwright.checks import Subject, audit
from deepwright.core.boxes import Detections
from deepwright.core.errors import InputError
from deepwright.core.tasks import Binary, Detection, DetectionBatch, MultiLabel, Regression, Segmentation
from deepwright.data import Data, Split
from deepwright.risk import fragility_index, misjudgment


def out_of(subject, part="test"):
    return subject.outputs(part)


def table(finding, first):
    """Rows of the table whose first column is so called, by their first entry."""
    rows = next(t for t in finding.tables if t.columns[0] == first)
    return {row[0]: dict(zip(rows.columns, row)) for row in rows.rows}


def test_pixels_are_calibrated_as_torchmetrics_has_it(audited):
    subject, report = audited("segmentation")
    p = out_of(subject).softmax(1)
    expected = tm.classification.multiclass_calibration_error(p, subject.data.test.y, 2, n_bins=15)
    assert report["calibration"].number("ece") == pytest.approx(float(expected), abs=1e-6)


def test_labels_are_calibrated_as_torchmetrics_has_it(audited):
    subject, report = audited("multi-label")
    p = out_of(subject).sigmoid()
    expected = tm.classification.binary_calibration_error(p.flatten(), subject.data.test.y.flatten(), n_bins=15)
    assert report["calibration"].number("ece") == pytest.approx(float(expected), abs=1e-6)
    rows = table(report["calibration"], "label")
    assert rows["1"]["share that has it"] == pytest.approx(float(subject.data.test.y[:, 1].double().mean()))


@pytest.mark.slow
def test_boxes_are_calibrated_by_their_precision(audited):
    subject, report = audited("detection")
    out, y = out_of(subject), subject.data.test.y
    hits = torch.tensor([torch.equal(a.boxes, b.boxes) for a, b in zip(out, y)])  # left or right half: all or nothing
    score = torch.cat([image.scores for image in out])
    expected = tm.classification.binary_calibration_error(score, hits.long(), n_bins=15)
    assert report["calibration"].number("ece") == pytest.approx(float(expected), abs=1e-5)
    assert report["calibration"].number("overconfidence") == pytest.approx(
        float(score.mean() - hits.double().mean()), abs=1e-5
    )


def test_a_network_of_numbers_alone_claims_nothing(audited):
    subject, report = audited("regression")
    found = report["calibration"]
    assert found.grade == "info"
    assert "does not claim" not in found.summary
    assert found.summary.startswith("The network claims no uncertainty; this is what conformal intervals would be")
    gap = (out_of(subject, "validation") - subject.data.validation.y).abs().double()
    n = len(gap)
    half = gap.sort(0).values[math.ceil((n + 1) * 0.8) - 1]
    assert found.number("conformal_width_80") == pytest.approx(
        float((2 * half / subject.data.test.y.std(0, correction=0)).mean()), rel=1e-5
    )
    inside = (out_of(subject) - subject.data.test.y).abs() <= half
    assert found.number("conformal_coverage_80") == pytest.approx(float(inside.double().mean()))


class Spread(nn.Module):
    """A mean, and the deviation that it claims."""

    def __init__(self, mean, deviation):
        super().__init__()
        self.mean, self.deviation = mean, deviation

    def forward(self, x):
        mean = self.mean(x)
        return mean, torch.full_like(mean, self.deviation)


@pytest.mark.parametrize(("deviation", "grades"), [(0.8, "AB"), (0.1, "E")])
def test_claimed_intervals_are_judged_by_their_coverage(deviation, grades):
    model, x = subjects.linear(4, 1), torch.randn(900, 4, generator=subjects.generator(1))
    made = subjects.data("tabular", x, subjects.noisy(model(x).detach()))
    subject = Subject(Spread(model, deviation).eval(), made, task=Regression(spread="deviation"))
    report = audit(subject, checks=["accuracy", "calibration"])
    assert report["calibration"].grade in grades
    y = made.test.y
    inside = (model(made.test.x).detach() - y).abs() <= 1.644854 * deviation
    assert report["calibration"].number("coverage_90") == pytest.approx(float(inside.double().mean()))
    assert report["calibration"].number("width_90") == pytest.approx(2 * 1.644854 * deviation, rel=1e-5)
    assert report["accuracy"].number("crps") < report["accuracy"].number("baseline_crps")
    assert "crps" in report["accuracy"].lower_is_better


def test_fragility_of_labels_is_that_of_all_decisions(audited):
    subject, report = audited("multi-label")
    z, y = out_of(subject), subject.data.test.y
    two = torch.stack([torch.zeros_like(z), z], -1)
    xi = misjudgment(two.reshape(-1, 2), y.reshape(-1))
    assert report["fragility"].number("fi") == pytest.approx(float(fragility_index(xi, input="xi")))
    one = fragility_index(two[:, 2], y[:, 2])
    assert table(report["fragility"], "label")["2"]["FI"] == pytest.approx(float(one))


def test_fragility_of_pixels_is_that_of_all_of_them(audited):
    subject, report = audited("segmentation")
    flat = out_of(subject).movedim(1, -1).reshape(-1, 2)
    expected = fragility_index(flat, subject.data.test.y.reshape(-1))
    assert report["fragility"].number("fi") == pytest.approx(float(expected), rel=1e-6)


def test_what_the_index_does_not_fit_says_why(audited):
    assert "margins between classes" in audited("regression")[1]["fragility"].summary
    assert "objects that aren't found" in audited("detection")[1]["fragility"].summary


@pytest.mark.parametrize(("name", "own"), [("multi-label", True), ("segmentation", True), ("detection", True)])
def test_foreign_inputs_are_judged_by_what_the_task_states(audited, name, own):
    found = audited(name)[1]["ood"]
    assert ("auroc_worst" in found.values) == own
    assert found.grade in ("A", "B", "C", "D", "E", "info")


def test_numbers_alone_state_no_confidence(audited):
    found = audited("regression")[1]["ood"]
    assert found.grade == "info"
    assert "states no confidence" in found.rule
    assert found.number("auroc_MDS_mean") > 0.9  # far beyond the range


def test_each_label_has_its_metrics(audited):
    from sklearn.metrics import average_precision_score, precision_score, roc_auc_score

    subject, report = audited("multi-label")
    z, y = out_of(subject).numpy(), subject.data.test.y.numpy()
    rows = table(report["accuracy"], "label")
    for k in range(3):
        assert rows[str(k)]["average precision"] == pytest.approx(average_precision_score(y[:, k], z[:, k]))
        assert rows[str(k)]["AUROC"] == pytest.approx(roc_auc_score(y[:, k], z[:, k]))
        assert rows[str(k)]["precision"] == pytest.approx(precision_score(y[:, k], z[:, k] > 0))


def test_each_output_has_its_errors(audited):
    from sklearn.metrics import r2_score

    subject, report = audited("regression")
    z, y = out_of(subject).numpy(), subject.data.test.y.numpy()
    rows = table(report["accuracy"], "output")
    for i in range(2):
        assert rows[f"output {i}"]["root mean squared error"] == pytest.approx(
            np.sqrt(((z - y)[:, i] ** 2).mean()), rel=1e-5
        )
        assert rows[f"output {i}"]["R²"] == pytest.approx(r2_score(y[:, i], z[:, i]), rel=1e-5)


def test_each_class_of_pixels_has_its_metrics(audited):
    from sklearn.metrics import f1_score, jaccard_score

    subject, report = audited("segmentation")
    called, y = out_of(subject).argmax(1).flatten().numpy(), subject.data.test.y.flatten().numpy()
    rows = table(report["accuracy"], "class")
    assert rows["bright"]["IoU"] == pytest.approx(jaccard_score(y, called))
    assert rows["bright"]["Dice"] == pytest.approx(f1_score(y, called))


def test_what_has_no_test_sample_is_said():
    model, made, task = subjects.multilabel()
    y = made.test.y.clone()
    y[:, 1] = 0
    silent = replace(made, classes=("red", "round", "small"), test=Split(made.test.x, y))
    found = audit(Subject(model, silent, task=task), checks=["accuracy"])["accuracy"]
    assert "1 of 3 labels have no positive among the test samples and aren't in it: round." in found.summary
    assert table(found, "label")["round"]["average precision"] is None

    model, made, _ = subjects.segmentation()
    wide = nn.Sequential(model, nn.ConstantPad3d((0, 0, 0, 0, 0, 1), -50.0)).eval()
    three = replace(made, classes=("dark", "bright", "never"))
    found = audit(Subject(wide, three, task=Segmentation(3)), checks=["accuracy"])["accuracy"]
    assert "have no pixel among the test samples and aren't in it: never." in found.summary
    rows = table(found, "class")
    assert set(rows) == {"dark", "bright"}
    assert all(0 <= row["95 % from"] <= row["IoU"] <= row["95 % to"] <= 1 for row in rows.values())


def test_a_threshold_for_a_sensitivity_is_chosen_on_validation_samples():
    model, made, task = subjects.binary()
    subject = Subject(model, made, task=task, sensitivity=0.95)
    chosen = task.at_sensitivity(subject.outputs("validation"), made.validation.y, 0.95)
    assert subject.task == chosen != task
    found = audit(subject, checks=["accuracy"])["accuracy"]
    p = torch.sigmoid(model(made.test.x).detach()[:, 0])
    called = p[made.test.y == 1] > chosen.threshold
    assert found.number("sensitivity") == pytest.approx(float(called.double().mean()))
    assert f"threshold of {chosen.threshold:.3g} (chosen on {len(made.validation)} validation samples" in found.summary
    seen = replace(made, seen_validation=True)
    with pytest.raises(InputError, match="never saw"):
        Subject(model, seen, task=task, sensitivity=0.95)
    model, made, task = subjects.regression()
    with pytest.raises(InputError, match="beside a regression"):
        Subject(model, made, task=task, sensitivity=0.95)


def test_the_metric_of_the_field_is_told_under_attack_and_perturbation(audited):
    for name, words in {"regression": "Mean absolute error", "segmentation": "Mean IoU", "detection": "(mAP)"}.items():
        _, report = audited(name)
        for check in ("robustness", "corruptions"):
            assert words.lower() in report[check].summary.lower()
        before, after = (report["corruptions"].number(f"{when}_headline") for when in ("clean", "mean"))
        assert (after > before) == (name == "regression")


def test_a_detector_that_finds_nothing():
    class Silent(nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = nn.Parameter(torch.zeros(1))

        def forward(self, x):
            empty = Detections(torch.zeros(0, 4), torch.zeros(0).long(), torch.zeros(0))
            return [empty for _ in x]

    _, made, task = subjects.detection()
    report = audit(Subject(Silent(), made, task=task, **subjects.LIMITS), checks=["accuracy", "calibration", "ood"])
    assert report["calibration"].grade == "n/a"
    assert report["accuracy"].number("map") == 0
    assert [f.check for f in report.findings if f.grade == "failed"] == []


def test_data_of_boxes_are_a_detection():
    _, made, _ = subjects.detection()
    parts = {
        part: Split(getattr(made, part).x, DetectionBatch(getattr(made, part).y))
        for part in ("train", "validation", "test")
    }
    subject = Subject(subjects.Finder(), Data("boxes", "detection", ("thing",), **parts))
    assert subject.task == Detection(1)
    assert subject.data.kind == "image"
    assert subject.class_names == ("thing",)


def test_one_label_is_still_a_multi_label():
    model, x = subjects.linear(4, 1), subjects.rows()
    made = subjects.data("tabular", x, (subjects.noisy(model(x).detach()) > 0).long())
    checks = ["accuracy", "calibration", "fragility", "robustness", "corruptions", "ood"]
    report = audit(Subject(model.eval(), made, task=MultiLabel(1), **subjects.LIMITS), checks=checks)
    assert [f"{f.check}: {f.summary}" for f in report.findings if f.grade == "failed"] == []


def test_binary_says_its_operating_points(audited):
    subject, report = audited("binary")
    rows = next(t for t in report["accuracy"].tables if t.columns[0] == "threshold").rows
    p = torch.sigmoid(subject.model(subject.data.test.x).detach()[:, 0])
    y = subject.data.test.y
    at = {row[0]: row for row in rows}
    assert at[0.3][1] == pytest.approx(float((p[y == 1] > 0.3).double().mean()))
    assert at[0.7][2] == pytest.approx(float((p[y == 0] <= 0.7).double().mean()))
    assert isinstance(subject.task, Binary)


class Quantiles(nn.Module):
    """The sum of a row, with quantiles around it whose distance is asked for."""

    def __init__(self, grows, ends=(-1.645, 0, 1.645)):
        super().__init__()
        self.line = nn.Linear(3, 1)
        nn.init.ones_(self.line.weight)
        self.grows, self.ends = grows, ends

    def forward(self, x):
        width = 1 + self.grows * x.norm(dim=1, keepdim=True)
        return self.line(x) + width * torch.tensor(self.ends)


def test_a_spread_tells_foreign_inputs_by_its_size_on_known_ones():
    x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    y = x.sum(1, keepdim=True) + torch.randn(200, 1, generator=torch.Generator().manual_seed(1))
    task = Regression(spread="quantiles", levels=(0.05, 0.5, 0.95))
    found = {g: audit(Quantiles(g).eval(), [(x, y)], task=task, checks=["ood"])["ood"] for g in (0.0, 0.3)}
    assert found[0.3].number("auroc_worst") > 0.99  # far rows have far wider intervals
    assert found[0.0].number("auroc_worst") == 0.5  # all are as wide, but for rounding


def test_quantiles_in_another_order_than_their_levels_are_not_graded():
    x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    y = x.sum(1, keepdim=True) + torch.randn(200, 1, generator=torch.Generator().manual_seed(1))
    task = Regression(spread="quantiles", levels=(0.05, 0.5, 0.95))
    turned = Quantiles(0.0, ends=(1.645, 0, -1.645)).eval()
    found = audit(turned, [(x, y)], task=task, checks=["calibration"])["calibration"]
    assert found.grade == "info"
    assert "cross on 140 of 140" in found.rule
