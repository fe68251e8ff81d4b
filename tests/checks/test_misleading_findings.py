"""What a finding says is what it was graded by, and what can't be judged isn't."""

import dataclasses
import math
import re

import numpy as np
import pytest
import subjects
import torch
from torch import nn

from deepwright.checks import Subject, audit, metric_tables
from deepwright.checks.calibrations.boxes import _boxes
from deepwright.checks.cost import _remedy
from deepwright.core.boxes import Detections, box_iou
from deepwright.core.errors import InputError
from deepwright.core.statistics import Interval
from deepwright.core.tasks import (
    Binary,
    Classification,
    Detection,
    DetectionBatch,
    MultiLabel,
    Regression,
    Segmentation,
)
from deepwright.report.verdict import ASIDE, first_things, sentence_of, side

RNG = subjects.generator


class Answers(nn.Module):
    """A function of the inputs as a network."""

    def __init__(self, answer):
        super().__init__()
        self.one, self.answer = nn.Parameter(torch.ones(1)), answer

    def forward(self, x):
        return self.answer(x) * self.one


def of_rows(answer, x, y, task, **more):
    return Subject(Answers(answer), subjects.data("tabular", x, y), task=task, **{**subjects.QUICK, **more})


@pytest.mark.parametrize("where", [0.3, 1.0, 1.7])
def test_a_constant_network_has_no_skill_wherever_it_stands(where):
    """Exponential noise: the mean isn't the best constant, and others than the median hold more within a tolerance."""
    x = torch.randn(300, 4, generator=RNG())
    y = torch.empty(300, 1).exponential_(generator=RNG(1))
    subject = of_rows(lambda z: z[:, :1] * 0 + where, x, y, Regression())
    for finding in audit(subject, checks=["accuracy", "robustness", "corruptions"]).findings:
        assert finding.grade in ("D", "E", "info"), finding.summary
        assert finding.grade == "info" or not {"A", "B", "C"} & set(finding.could_be), finding.rule
        assert finding.check != "corruptions" or finding.remedy.startswith("Nothing to train against"), finding.remedy


def test_a_threshold_does_not_move_the_grade():
    x = torch.randn(450, 4, generator=RNG())
    y = (x[:, 0] + 0.5 * torch.randn(450, generator=RNG(1)) > 0).long()
    found = []
    for threshold in (0.5, 0.02):
        subject = of_rows(lambda z: 4 * z[:, :1], x, y, Binary(threshold=threshold))
        report = audit(subject, checks=["accuracy", "calibration"])
        found.append((report["accuracy"], report["calibration"]))
    (half, _), (moved, calibration) = found
    assert moved.grade == half.grade
    assert moved.number("accuracy_at_a_half") == half.number("accuracy") > moved.number("accuracy") + 0.05
    right = f"{half.number('accuracy'):.1%}"
    assert f"right on {right}" in moved.summary
    assert f"right on {right} (a threshold of 0.5)" in calibration.summary


def test_probabilities_of_zero_are_said_and_no_temperature_is_fitted_to_them():
    x, y = torch.randn(300, 4, generator=RNG()), torch.arange(300) % 2
    y[:250] = (x[:250, 0] > 0).long()
    hard = lambda z: torch.stack([(z[:, 0] <= 0).float(), (z[:, 0] > 0).float()], 1)  # noqa: E731
    subject = of_rows(hard, x, y, Classification(2, outputs="probabilities"))
    wrong = int((~subject.right).sum())
    found = audit(subject, checks=["calibration"])["calibration"]
    assert found.number("nll") == math.inf
    assert f"label of {wrong} of {len(subject.right)} test samples got a probability of 0" in found.summary


def test_labels_ruled_out_have_no_temperature_and_no_likelihood():
    x = torch.randn(300, 4, generator=RNG())
    y = (x[:, :2] + 0.5 * torch.randn(300, 2, generator=RNG(1)) > 0).long()
    subject = of_rows(lambda z: (z[:, :2] > 0).float(), x, y, MultiLabel(2, outputs="probabilities"))
    wrong = int((subject.task.prediction(subject.outputs()) != subject.data.test.y).sum())
    found = audit(subject, checks=["calibration"])["calibration"]
    assert wrong
    assert found.number("nll") == math.inf
    assert f"truth of {wrong} of {subject.data.test.y.numel()} test labels got a probability of 0" in found.summary
    assert "which no temperature changes" in found.summary
    assert "temperature" not in found.values


class Found(nn.Module):
    """The same boxes in every picture, without a gradient."""

    def __init__(self, boxes, scores):
        super().__init__()
        self.one, self.boxes, self.scores = nn.Parameter(torch.ones(1)), boxes, scores

    def forward(self, x):
        labels = torch.zeros(len(self.boxes), dtype=torch.long)
        return [{"boxes": self.boxes, "labels": labels, "scores": self.scores} for _ in x]


def of_pictures(found, truth, scores=(0.9, 0.8), classes=("a",)):
    """A detector that finds the same in all of twelve pictures of 16 x 16 pixels."""
    boxes, true = torch.tensor(found), torch.tensor(truth)
    each = Detections(true, torch.zeros(len(true), dtype=torch.long))
    data = subjects.data("image", torch.rand(12, 3, 16, 16, generator=RNG()), DetectionBatch([each] * 12), classes)
    network = Found(boxes, torch.tensor(scores[: len(boxes)]))
    return Subject(network, data, task=Detection(len(classes)), **subjects.QUICK)


def test_the_overlap_of_a_box_is_that_with_its_match():
    found, truth = [[0.0, 0, 10, 10], [0.0, 1, 10, 11]], [[0.0, 0, 10, 10], [0.0, 3, 10, 13]]
    subject = of_pictures(found, truth)
    own = float(box_iou(torch.tensor(found), torch.tensor(truth))[1, 1])
    assert _boxes(subject, "test").overlap[:2].tolist() == pytest.approx([1.0, own])


def quantiles(levels, answer):
    x = torch.randn(300, 4, generator=RNG())
    y = x[:, :2] + torch.randn(300, 2, generator=RNG(1))
    return of_rows(answer, x, y, Regression(2, spread="quantiles", levels=levels))


def test_quantiles_that_cross_or_do_not_pair_are_said():
    crossed = quantiles((0.1, 0.9), lambda z: torch.stack([z[:, :2] + 1.3, z[:, :2] - 1.3], -1))
    found = audit(crossed, checks=["calibration"])["calibration"]
    assert f"cross on {len(crossed.data.test)} of" in found.summary
    assert found.number("width_80") == pytest.approx(2.6 / float(crossed.data.test.y.std(0).mean()), rel=0.05)
    unpaired = quantiles((0.1, 0.5, 0.8), lambda z: z[:, :2, None] + torch.tensor([-1.3, 0, 0.8]))
    found = audit(unpaired, checks=["calibration"])["calibration"]
    assert "one of its quantiles 0.1, 0.5, 0.8 pair" in found.summary
    assert "claims no uncertainty" not in found.summary


def test_intervals_are_corrected_in_the_units_of_each_output():
    subject = quantiles((0.1, 0.9), lambda z: z[:, :2, None] + torch.tensor([[-0.5, 0.5], [-4.0, 4.0]]))
    found = audit(subject, checks=["calibration"])["calibration"]
    assert re.match(r"Widen both ends by 0\.\d+ for output 0; pull both ends in by 2\.\d+ for output 1", found.remedy)


def test_no_correction_where_the_parts_disagree():
    subject = quantiles((0.1, 0.9), lambda z: z[:, :2, None] + torch.tensor([-0.8, 0.8]))
    drawn = subject.data.validation
    narrow = dataclasses.replace(drawn, y=subject.outputs("validation").mean(-1))  # all lie within: too wide for these
    subject.data = dataclasses.replace(subject.data, validation=narrow)
    found = audit(subject, checks=["calibration"])["calibration"]
    assert "too narrow" in found.summary
    assert "another direction" in found.remedy


def test_borders_of_some_pictures_say_of_how_many(monkeypatch):
    x = torch.rand(12, 1, 8, 8, generator=RNG())
    data = subjects.data("image", x, (x[:, 0] > 0.5).long(), ("a", "b"))
    subject = Subject(Answers(lambda z: torch.cat([0.5 - z, z - 0.5], 1)), data, task=Segmentation(2), **subjects.QUICK)
    for most, said in ((10**6, "an empty boundary F1 was not measured"), (300, "boundary F1 on 2 of 6 test samples")):
        monkeypatch.setattr(metric_tables, "_BORDERS", most)
        assert said in audit(subject, checks=["accuracy"])["accuracy"].tables[0].caption


@pytest.mark.parametrize("value", [180.0, 1000.0, -1000.0])
def test_a_spread_that_no_number_holds_is_refused(value):
    with pytest.raises(InputError, match=r"samples \[1\], whose deviation is 0 or infinite"):
        Regression(spread="log-variance").read(torch.tensor([[0.0, 0.0], [0.0, value]]))


def test_an_r2_that_many_resamples_lack_has_no_interval():
    y = torch.zeros(40, 1)
    y[0] = 1.0
    assert not Regression().metrics(y * 0.9, y)["r2"].known
    assert Regression().metrics(y * 0.9, torch.randn(40, 1, generator=RNG()))["r2"].known


def test_masks_of_black_and_white_are_refused():
    masks = 255 * torch.randint(0, 2, (3, 4, 4), generator=RNG())
    with pytest.raises(InputError, match="divide masks of 0 and 255 by 255"):
        Segmentation(2).check_targets(masks)


def test_attacks_do_not_apply_to_a_detector_without_gradients():
    found = audit(of_pictures([[0.0, 0, 8, 8]], [[0.0, 0, 8, 9]]), checks=["robustness"])["robustness"]
    assert found.grade == "n/a", found.summary
    assert "no gradient leads" in found.summary


def test_classes_without_samples_and_strange_boxes_are_said():
    report = audit(of_pictures([[0.0, 0, 8, 8]], [[0.0, 0, 0.5, 0.5]], classes=("a", "b")), checks=["accuracy"])
    assert "within 0..1" in report["accuracy"].summary
    assert report["accuracy"].number("classes_without_samples") == 1
    assert "1 class has no test sample" in sentence_of(report.findings)
    found = audit(of_pictures([[0.0, 0, 8, 8]], [[0.0, 0, 17, 5]]), checks=["accuracy"])["accuracy"]
    assert "6 of 6 true boxes reach outside of their pictures of 16 x 16 pixels" in found.summary


def test_what_is_only_reported_is_judged_by_nobody():
    x = torch.randn(300, 4, generator=RNG())
    y = (x[:, 0] > 0).long()
    x[250:270] = x[:20]
    y[250:270] = y[:20]
    subject = of_rows(lambda z: torch.stack([-3 * z[:, 0], 3 * z[:, 0] + z[:, 1]], 1), x, y, Classification(2))
    columns = {"site": np.array(["a", "b"] * 75)}
    subject.groups, subject.data = (
        "site",
        subjects.replaced(subject.data, test=subjects.replaced(subject.data.test, columns=columns)),
    )
    report = audit(subject, checks=["duplicates", "labels", "slices", "drift", "groups"])
    assert {f.check for f in report.findings if f.values and f.grade == "info"} >= {"drift", "groups", "labels"}
    assert {side(f) for f in report.findings if f.grade == "info"} == {ASIDE}
    said = sentence_of(report.findings)
    assert "learned by heart" in said
    assert "judged" not in said
    assert [f.check for f in first_things(report.findings)] == ["duplicates"]


def test_numbers_on_the_page_are_short():
    assert f"{Interval(1 / 3, 0.25, 0.5)}" == str(Interval(1 / 3, 0.25, 0.5)) == "0.3333 [0.25, 0.5]"


def test_no_gate_is_advised_on_a_network_without_operations():
    assert "macs>" not in _remedy(0)
