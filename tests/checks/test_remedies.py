"""Every remedy that is printed runs on the subject that gets it, and says what it changes."""

import functools
import math
import re
import tomllib
from types import SimpleNamespace

import pytest
import subjects
import torch
from torch import nn

from deepwright import adversarial, checks, corruptions, ood, risk, workflows
from deepwright.checks import Subject, audit, evaluate
from deepwright.data import Split
from deepwright.risk import ece
from deepwright.workflows import AuditOptions

QUICK = SimpleNamespace(suite=functools.partial(adversarial.suite, steps=2), PGD=adversarial.PGD)  # not 5,000 queries


def run(remedy, subject):
    """Each piece of Python in a remedy, in order; its values."""
    few = slice(0, 3)
    names = {
        "subject": subject,
        "x": subject.data.test.inputs(few),
        "y": subject.data.test.y[few],
        "step": 7,
        "adversarial": QUICK,
        "checks": checks,
        "corruptions": corruptions,
        "ood": ood,
        "risk": risk,
        "torch": torch,
        "math": math,
    }
    if subject.has_classes:
        names["logits"] = subject.logits()[few]
    found = []
    for code in re.findall(r"`([^`]+)`", remedy):
        if code.startswith("fail-on"):
            found.append(tomllib.loads(code)["fail-on"])
            continue
        name, assigned, value = code.partition(" = ")
        if assigned and name.isidentifier():
            names[name] = eval(value, names)
        else:
            found.append(eval(code, names))
    return found


def pictures():
    x = torch.rand(90, 1, 8, 8, generator=subjects.generator(3))
    y = (x[:, 0, :, :4].mean((1, 2)) > x[:, 0, :, 4:].mean((1, 2))).long()
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    with torch.no_grad():
        half = torch.ones(8, 8)
        half[:, 4:] = -1
        model[1].weight.copy_(torch.stack([-half.flatten(), half.flatten()]) * 0.6)
        model[1].bias.zero_()
    return Subject(model.eval(), subjects.data("image", x, y, ("left", "right")), **subjects.LIMITS)


@pytest.fixture(scope="module")
def of_pictures():
    made = pictures()
    return made, audit(made, checks=["accuracy", "calibration", "fragility", "robustness", "corruptions", "ood"])


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n == "detection")) for n in subjects.MAKERS]
)
def test_every_remedy_runs_on_its_subject(audited, name):
    subject, report = audited(name)
    for finding in report.findings:
        if finding.check != "cost":
            run(finding.remedy, subject)


def test_every_remedy_of_pictures_runs(of_pictures):
    subject, report = of_pictures
    assert "Compose" in report["corruptions"].remedy
    for finding in report.findings:
        run(finding.remedy, subject)


def test_the_gate_that_cost_advises_passes_today(audited):
    _, report = audited("classification")
    (conditions,) = run(report["cost"].remedy, audited("classification")[0])
    assert [gate.failed for gate in evaluate(conditions, report.findings)] == [False]


def test_what_an_attack_is_said_to_leave_is_an_upper_bound(audited):
    """The advice is given with the task and the box of the data: rows of a table aren't pixels."""
    subject, report = audited("multi-label")
    found = run(report["robustness"].remedy, subject)[0]
    assert found.x_adv.shape == subject.data.test.x[:3].shape
    assert "bounds=(-math.inf, math.inf)" in report["robustness"].remedy


def test_a_temperature_that_is_advised_changes_the_error_as_it_says():
    model, x = subjects.linear(4, 3), subjects.rows(900)
    y = subjects.noisy(model(x).detach()).argmax(1)
    made = subjects.data("tabular", x, y, ("a", "b", "c"))
    subject = Subject(nn.Sequential(model, subjects.Times(6.0)).eval(), made)
    found = audit(subject, checks=["calibration"])["calibration"]
    (logits,) = run(found.remedy, subject)
    assert ece(logits, made.test.y) == pytest.approx(found.number("ece_after_temperature"), abs=0.01)
    assert found.number("ece_after_temperature") < found.number("ece")


def test_an_order_that_is_advised_brings_the_accuracy_that_it_says():
    model, made, task = subjects.classification()
    rolled = subjects.replaced(made, **{p: Split(s.x, (s.y + 1) % 3) for p, s in parts(made)})
    subject = Subject(model, rolled, task=task)
    found = audit(subject, checks=["accuracy"])["accuracy"]
    (labels,) = run(found.remedy, subject)
    right = float((subject.logits().argmax(1) == labels).double().mean())
    assert torch.equal(labels, made.test.y)
    assert right > found.number("accuracy") + 0.3
    assert "in another order" in found.summary


def parts(made):
    return [(p, getattr(made, p)) for p in ("train", "validation", "test")]


def test_no_detector_is_advised_at_chance():
    """Random labels and a random network: nothing tells anything apart."""
    x = torch.randn(150, 4, generator=subjects.generator(1))
    foreign = torch.randn(60, 4, generator=subjects.generator(9))
    model, made, task = subjects.classification()
    same = subjects.replaced(subjects.data("tabular", x, model(x).argmax(1), made.classes), ood={"own rows": foreign})
    subject = Subject(model, same, task=task, **subjects.LIMITS)
    subject.__dict__["ood"] = {"own rows": foreign}  # only these, which are drawn as the test data are
    found = audit(subject, checks=["ood"])["ood"]
    assert found.number("auroc_mean") < 0.65
    assert "nothing to put beside it" in found.remedy
    assert run(found.remedy, subject) == []


def test_a_detector_that_is_advised_is_better_than_confidence():
    """Foreign rows lie far out where the network is surest: confidence takes them for its own, distances don't."""
    model, made, task = subjects.classification()
    out = model.weight[0] / model.weight[0].norm() - (model.weight[1] + model.weight[2]) / 10
    foreign = (20 * out + 0.5 * torch.randn(60, 4, generator=subjects.generator(9))).detach()
    subject = Subject(model, subjects.replaced(made, ood={"far out": foreign}), task=task, **subjects.LIMITS)
    subject.__dict__["ood"] = {"far out": foreign}
    found = audit(subject, checks=["ood"])["ood"]
    best = re.search(r"Put (\w+) beside", found.remedy)[1]
    assert found.number("auroc_mean") < 0.5
    assert found.number(f"auroc_{best}_mean") > 0.9
    run(found.remedy, subject)


class Brightness(nn.Module):
    """Dark pictures are its first output, bright ones its second; folders name them the other way round."""

    def __init__(self):
        super().__init__()
        self.level = nn.Parameter(torch.tensor([0.3, 0.7]))

    def forward(self, x):
        return -20 * (x.mean((1, 2, 3))[:, None] - self.level).abs()


def test_a_file_of_classes_in_the_advised_order_mends_an_audit_of_folders(image_folder, tmp_path):
    options = {"data": image_folder, "split": "test", "checks": ["accuracy"], "out": None}
    found = workflows.audit(AuditOptions(Brightness().eval(), **options))
    remedy = found["accuracy"].remedy
    order = eval(re.search(r"order = (\[.*?\])", remedy)[1])
    file = tmp_path / "classes.txt"
    file.write_text("\n".join(found.subject["class_names"][k] for k in order))
    assert found["accuracy"].number("accuracy") == 0
    assert "--classes FILE" in remedy
    mended = workflows.audit(AuditOptions(Brightness().eval(), classes=file, **options))
    assert mended["accuracy"].number("accuracy") == 1
