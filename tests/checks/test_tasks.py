"""An audit of every task: each check a number that plain torch and scikit-learn give too, or why it doesn't apply."""

import math

import numpy as np
import pytest
import sklearn.metrics
import subjects
import torch
from torch import nn

from deepwright.checks import Finding, NotApplicableError, Subject, audit, subject_from_loaders
from deepwright.checks.findings.measurable import bounds_of
from deepwright.core.errors import InputError
from deepwright.core.tasks import Binary, Classification, MultiLabel, Regression, Segmentation
from deepwright.data import Data, Split

FEW = {"slices", "drift", "groups"}  # so few samples, and no column is named
CLASSES = {"calibration", "fragility", "ood", "labels"}
APPLY = {  # what each task leaves out
    "classification": FEW,
    "binary": FEW,
    "multi-label": FEW | {"labels"},
    "regression": FEW | {"fragility", "labels"},
    "segmentation": FEW | {"labels"},
    "detection": FEW | {"fragility", "labels"},
    "forecast": FEW | CLASSES,  # its network has no layer that could be watched
    "graphs": FEW | {"corruptions", "ood"},
}


def test_every_task_is_audited():
    from deepwright.core.tasks import ALL

    assert {type(subjects.MAKERS[name]()[2]) for name in APPLY} == set(ALL)


@pytest.mark.parametrize("name", APPLY)
def test_no_check_fails(audited, name):
    _, report = audited(name)
    assert [f"{f.check}: {f.summary}" for f in report.findings if f.grade == "failed"] == []


@pytest.mark.parametrize("name", APPLY)
def test_gates_know_every_value_and_its_bounds(audited, name):
    _, report = audited(name)
    for finding in report.findings:
        for value in finding.values:
            low, high = bounds_of(finding.check, value) or (math.nan, math.nan)
            assert low <= finding.number(value) <= high, f"{finding.check}.{value}"


@pytest.mark.parametrize("name", APPLY)
def test_what_does_not_apply_says_why(audited, name):
    _, report = audited(name)
    silent = {f.check for f in report.findings if f.grade == "n/a"}
    assert silent == APPLY[name]
    for check in silent:
        assert report[check].summary.startswith("Does not apply: ")
        assert report[check].values == {}


@pytest.mark.parametrize("name", APPLY)
def test_what_applies_has_numbers(audited, name):
    _, report = audited(name)
    assert [f.check for f in report.findings if f.grade != "n/a" and not f.values] == []


@pytest.mark.parametrize("name", APPLY)
def test_the_report_is_drawn(audited, name):
    from deepwright.report import render

    _, report = audited(name)
    assert report.findings[0].summary.split(";")[0][:20] in render(report)


def raw(subject):
    with torch.no_grad():
        return subject.model(subject.data.test.x)


def test_binary_against_scikit_learn(audited):
    subject, report = audited("binary")
    z, y = raw(subject)[:, 0].numpy(), subject.data.test.y.numpy()
    found = report["accuracy"]
    assert found.number("accuracy") == pytest.approx(sklearn.metrics.accuracy_score(y, z > 0))
    assert found.number("auroc") == pytest.approx(sklearn.metrics.roc_auc_score(y, z))
    assert found.number("f1") == pytest.approx(sklearn.metrics.f1_score(y, z > 0))
    assert found.number("sensitivity") == pytest.approx(sklearn.metrics.recall_score(y, z > 0))


def test_binary_calibration_is_that_of_two_columns(audited):
    _, report = audited("binary")
    model, made, _ = subjects.binary()
    two = nn.Sequential(model, nn.ConstantPad1d((1, 0), 0.0)).eval()
    same = audit(
        Subject(two, Data("made up", "tabular", ("no", "yes"), made.train, made.validation, made.test)),
        checks=["calibration", "fragility"],
    )
    of_the_event = {"ece_of_the_event"}  # which two classes don't have
    assert report["calibration"].values.keys() - same["calibration"].values.keys() == of_the_event
    assert all(report["calibration"].values[name] == value for name, value in same["calibration"].values.items())
    assert report["fragility"].values == same["fragility"].values


def test_the_threshold_decides():
    model, made, _ = subjects.binary()
    strict = Subject(model, made, task=Binary(threshold=0.9))
    p = torch.sigmoid(raw(strict)[:, 0])
    expected = float(((p > 0.9).long() == made.test.y).double().mean())
    assert audit(strict, checks=["accuracy"])["accuracy"].number("accuracy") == expected


def test_multi_label_against_scikit_learn(audited):
    subject, report = audited("multi-label")
    z, y = raw(subject).numpy(), subject.data.test.y.numpy()
    found = report["accuracy"]
    assert found.number("mean_average_precision") == pytest.approx(sklearn.metrics.average_precision_score(y, z))
    assert found.number("micro_f1") == pytest.approx(sklearn.metrics.f1_score(y, z > 0, average="micro"))
    assert found.number("score") == pytest.approx(((z > 0) == y).mean())


def test_multi_label_baseline_ranks_nothing(audited):
    subject, report = audited("multi-label")
    assert report["accuracy"].number("baseline_mean_average_precision") == pytest.approx(
        float(subject.data.test.y.double().mean())
    )


def test_regression_against_scikit_learn(audited):
    subject, report = audited("regression")
    z, y = raw(subject).numpy(), subject.data.test.y.numpy()
    found = report["accuracy"]
    assert found.number("mae") == pytest.approx(sklearn.metrics.mean_absolute_error(y, z), rel=1e-5)
    assert found.number("r2") == pytest.approx(sklearn.metrics.r2_score(y, z), rel=1e-5)
    constant = np.broadcast_to(subject.data.train.y.median(0).values.numpy(), y.shape)
    assert found.number("baseline_mae") == pytest.approx(sklearn.metrics.mean_absolute_error(y, constant), rel=1e-5)


def test_an_open_tolerance_comes_from_the_training_targets(audited):
    subject, report = audited("regression")
    train = subject.data.train.y
    tolerance = (train - train.median(0).values).abs().median(0).values
    right = ((raw(subject) - subject.data.test.y).abs() <= tolerance).all(1)
    assert report["accuracy"].number("within_tolerance") == pytest.approx(float(right.double().mean()))


def test_regression_is_graded_by_its_error_over_the_constant_one():
    model, made, task = subjects.regression()
    zero = nn.Linear(4, 2)
    nn.init.zeros_(zero.weight)
    nn.init.zeros_(zero.bias)
    grades = [audit(Subject(m, made, task=task), checks=["accuracy"])["accuracy"].grade for m in (model, zero)]
    assert grades[0] == "A"
    assert grades[1] in "DE"


def test_segmentation_against_scikit_learn(audited):
    subject, report = audited("segmentation")
    called, y = raw(subject).argmax(1).flatten().numpy(), subject.data.test.y.flatten().numpy()
    found = report["accuracy"]
    assert found.number("pixel_accuracy") == pytest.approx((called == y).mean())
    assert found.number("mean_iou") == pytest.approx(sklearn.metrics.jaccard_score(y, called, average="macro"))


def test_forecast_baseline_repeats_the_end(audited):
    subject, report = audited("forecast")
    last = subject.data.test.x[:, -1:, :].expand(-1, 3, -1)
    assert report["accuracy"].number("baseline_mae") == pytest.approx(
        float((last - subject.data.test.y).abs().mean()), rel=1e-5
    )


def test_corruptions_are_judged_by_the_task(audited):
    subject, report = audited("regression")
    some = subject.data.test.take(12, 0)
    with torch.no_grad():
        error = 1 - subject.task.score(subject.model(some.x), some.y).mean()
    assert report["corruptions"].number("clean_error") == pytest.approx(float(error))


def test_robust_regression_is_what_the_attack_leaves(audited):
    """A linear network's worst case within a box is known: each output moves by eps times the sum of its weights."""
    subject, report = audited("regression")
    some = subject.data.test.take(16, 0)
    eps, slope = 0.4, subject.model.weight.detach().abs().sum(1)
    with torch.no_grad():
        gap = (subject.model(some.x) - some.y).abs()
    worst = (gap + eps * slope <= torch.tensor(subject.task.tolerance)).all(1)
    assert report["robustness"].number("robust_accuracy_at_0.4") == pytest.approx(float(worst.double().mean()))


@pytest.mark.parametrize(
    ("name", "attacks"),
    [
        ("classification", "APGD-CE and APGD-DLR"),
        ("binary", "APGD-CE and APGD-MARGIN"),  # two classes have no DLR
        ("regression", "APGD on squared error and APGD on absolute error"),
        ("detection", "APGD on cross-entropy"),
        ("segmentation", "PGD on cross-entropy, SegPGD, CosPGD and PGD on margin"),
    ],
)
def test_the_attacks_are_called_what_they_are(audited, name, attacks):
    assert f"({attacks}, L-inf" in audited(name)[1]["robustness"].summary


def test_a_constant_answer_is_the_same_under_attack(audited):
    subject, report = audited("regression")
    some = subject.data.test.take(16, 0)
    constant = subject.data.train.y.mean(0).expand(16, -1)
    right = subject.task.right(constant, some.y).double().mean()
    assert report["robustness"].number("baseline_area") == pytest.approx(float(right))


def test_budgets_of_series_are_in_deviations_of_each_channel(audited):
    found = audit(subjects.subject("forecast", eps=(0.05, 0.1)), checks=["robustness"])["robustness"]
    assert found.grade in "ABCDE"
    assert found.number("robust_accuracy_at_0.1") <= found.number("clean_accuracy")


# -- what a subject takes and refuses -----------------------------------------------------------------------------


def test_logits_of_a_task_without_classes():
    with pytest.raises(NotApplicableError, match="regression has no logits"):
        subjects.subject("regression").logits()


def test_a_check_that_needs_logits_does_not_apply_to_a_regression():
    def check_own(subject):
        return Finding("own", "info", "", {"mean": float(subject.logits().mean())})

    found = audit(subjects.subject("regression"), checks=[check_own])["own"]
    assert found.grade == "n/a"
    assert "regression has no logits" in found.summary


def test_data_of_label_maps_are_a_segmentation():
    model, made, _ = subjects.segmentation()
    maps = Data("roads", "segmentation", ("dark", "bright"), made.train, made.validation, made.test)
    assert Subject(model, maps).task == Segmentation(2)


def test_data_without_classes_need_a_task():
    model, made, _ = subjects.regression()
    with pytest.raises(InputError, match="what the outputs mean"):
        Subject(model, made)


def test_one_logit_for_two_classes_is_binary():
    model, made, _ = subjects.binary()
    named = Data("made up", "tabular", ("no", "yes"), made.train, made.validation, made.test)
    assert isinstance(Subject(model, named).task, Binary)


def test_a_task_of_other_classes_than_the_data():
    model, made, _ = subjects.classification()
    with pytest.raises(InputError, match="one for each class"):
        Subject(model, made, task=Classification(4))


def test_a_softmax_is_not_read_as_logits():
    model, made, _ = subjects.classification()
    with pytest.raises(InputError, match="look like probabilities"):
        Subject(nn.Sequential(model, nn.Softmax(1)), made)


def test_probabilities_that_are_named_are_read():
    model, made, _ = subjects.classification()
    checks = ["accuracy", "calibration", "fragility"]
    named = Subject(nn.Sequential(model, nn.Softmax(1)), made, task=Classification(3, outputs="probabilities"))
    found, plain = audit(named, checks=checks), audit(Subject(model, made), checks=checks)
    for check in checks:
        assert {k: found[check].number(k) for k in found[check].values} == pytest.approx(
            {k: plain[check].number(k) for k in plain[check].values}, rel=1e-4, abs=1e-5
        )


def test_log_probabilities_are_read_and_said():
    model, made, _ = subjects.classification()
    found = audit(Subject(nn.Sequential(model, nn.LogSoftmax(1)), made), checks=["accuracy", "calibration"])
    plain = audit(Subject(model, made), checks=["accuracy", "calibration"])
    assert found["calibration"].number("ece") == pytest.approx(plain["calibration"].number("ece"))
    assert any("log-probabilities" in note for note in found.subject["notes"])
    assert plain.subject["notes"] == []


def test_classes_of_one_name_bear_their_numbers():
    model, made, _ = subjects.classification()
    data = Data("two cranes", "tabular", ("crane", "ship", "crane"), made.train, made.validation, made.test)
    assert Subject(model, data).class_names == ("crane (0)", "ship", "crane (2)")


def test_one_sample_is_measured_and_not_graded():
    model, made, task = subjects.classification()
    one = Data("one", "tabular", made.classes, made.train, made.validation, made.test.take(1))
    report = audit(Subject(model, one, task=task, **subjects.LIMITS))
    assert {f.check: f.summary for f in report.findings if f.grade == "failed"} == {}
    assert {f.grade for f in report.findings} == {"info", "n/a"}


def test_a_sigmoid_is_read_where_it_is_named():
    model, made, _ = subjects.binary()
    found = Subject(nn.Sequential(model, nn.Sigmoid()), made, task=Binary(("no", "yes"), outputs="probabilities"))
    plain = Subject(model, made, task=Binary(("no", "yes")))
    assert torch.allclose(found.logits(), plain.logits(), rtol=1e-2, atol=1e-2)


class Wrapped(nn.Module):
    """Logits among other things."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return {"logits": self.model(x), "hidden": x}


@pytest.mark.parametrize("form", ["double", "bfloat16", "dict", "softmax"])
def test_networks_of_other_forms(form):
    model, made, task = subjects.classification()
    if form in ("double", "bfloat16"):
        model = model.to(getattr(torch, "float64" if form == "double" else form))
    if form == "dict":
        model = Wrapped(model)
    if form == "softmax":
        model, task = nn.Sequential(model, nn.Softmax(1)), Classification(3, outputs="probabilities")
    subject = Subject(model.eval(), made, task=task, **subjects.LIMITS)
    report = audit(subject, checks=["accuracy", "robustness", "corruptions", "ood"])
    assert [f"{f.check}: {f.summary}" for f in report.findings if f.grade == "failed"] == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("classification", Classification),
        ("binary", Binary),
        ("multi-label", MultiLabel),
        ("regression", Regression),
        ("segmentation", Segmentation),
    ],
)
def test_the_task_of_loaders_is_seen(name, kind):
    model, made, _ = subjects.MAKERS[name]()
    found = subject_from_loaders(model, made.test.batches(20), made.train.batches(20))
    assert type(found.task) is kind


def test_fractions_are_never_cut_to_classes():
    model, made, _ = subjects.classification()
    y = made.test.y + 0.7
    with pytest.raises(InputError):
        subject_from_loaders(model, [(made.test.x, y)])


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"attack_limit": -1}, "attack_limit"),
        ({"corruption_limit": 0}, "corruption_limit"),
        ({"ood_limit": 1.5}, "ood_limit"),
        ({"eps": ()}, "eps"),
        ({"eps": (0.2, 0.1)}, "eps"),
        ({"eps": (0.1, float("nan"))}, "eps"),
        ({"eps": (-0.1, 0.1)}, "eps"),
        ({"task": "regression"}, "task"),
    ],
)
def test_options_that_make_no_sense(options, message):
    model, made, _ = subjects.classification()
    with pytest.raises(InputError, match=message):
        Subject(model, made, **options)


def test_unknown_options_are_named():
    model, made, _ = subjects.classification()
    with pytest.raises(InputError, match="attack_limit"):
        audit(model, made.test.batches(20), attack_limits=3)


def test_a_subject_takes_nothing_beside_it():
    model, made, _ = subjects.classification()
    with pytest.raises(InputError, match="seed"):
        audit(Subject(model, made), seed=3)


def test_targets_are_brought_into_form():
    model, made, _ = subjects.regression()
    one = nn.Sequential(model, nn.Linear(2, 1)).eval()
    flat = {p: Split(getattr(made, p).x, getattr(made, p).y[:, 0]) for p in ("train", "validation", "test")}
    found = Subject(one, Data("made up", "tabular", (), **flat), task=Regression())
    assert found.data.test.y.shape == (60, 1)
