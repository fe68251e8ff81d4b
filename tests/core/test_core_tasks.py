"""Tasks against scikit-learn, torchmetrics, scipy and closed forms, and what each of them must refuse."""

import dataclasses
import math
import subprocess
import sys
import warnings
from collections import OrderedDict
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torchmetrics.functional as tm
from scipy import stats
from sklearn import metrics as sk
from torch import nn

from deepwright.core.boxes import Detections, mean_average_precision
from deepwright.core.errors import InputError
from deepwright.core.tasks import (
    ALL,
    Binary,
    Classification,
    Detection,
    DetectionBatch,
    Forecast,
    GraphClassification,
    MultiLabel,
    Regression,
    Segmentation,
    Task,
    infer,
    looks_like_log_probabilities,
    mean_score,
)
from deepwright.core.tasks.intervals import bootstrap, newcombe
from deepwright.core.tasks.matching import WeightedDetections
from deepwright.core.tasks.ranking import AveragePrecision, auroc
from deepwright.core.tasks.regression import errors


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=rng(seed))


def labels(high, *shape, seed=1):
    return torch.randint(0, high, shape, generator=rng(seed))


def boxes(n, seed):
    """Random detections of two classes, each beside a true box or alone."""
    g = rng(seed)
    images, truths = [], []
    for _ in range(n):
        k = int(torch.randint(0, 5, (), generator=g))
        low = torch.rand(k, 2, generator=g) * 40
        true = torch.cat([low, low + 8 + 10 * torch.rand(k, 2, generator=g)], 1)
        kind = torch.randint(0, 2, (k,), generator=g)
        moved = true + 2 * torch.randn(k, 4, generator=g).clamp(-1, 1)
        stray = torch.tensor([[50.0, 50.0, 60.0, 60.0]])
        guess, said = torch.cat([moved, stray]), torch.cat([kind, torch.tensor([0])])
        said = torch.where(torch.rand(k + 1, generator=g) < 0.2, 1 - said, said)
        images.append(Detections(guess, said, torch.rand(k + 1, generator=g)))
        truths.append(Detections(true, kind))
    return images, truths


CASES = {
    "classification": (Classification(5), normal(40, 5), labels(5, 40)),
    "graphs": (GraphClassification(3), normal(40, 3), labels(3, 40)),
    "one column": (Binary(), normal(40, 1), labels(2, 40)),
    "two columns": (Binary(threshold=0.3), normal(40, 2), labels(2, 40)),
    "multi-label": (MultiLabel(4), normal(40, 4), labels(2, 40, 4)),
    "regression": (Regression(2, tolerance=0.7), normal(40, 2), normal(40, 2, seed=1)),
    "forecast": (Forecast(6, 2, tolerance=1.2), normal(40, 6, 2), normal(40, 6, 2, seed=1)),
    "segmentation": (Segmentation(3, iou=0.2), normal(20, 3, 5, 4), labels(3, 20, 5, 4)),
    "one column segmentation": (Segmentation(2), normal(20, 1, 5, 4), labels(2, 20, 5, 4)),
    "detection": (Detection(2), *boxes(20, 3)),
}
TENSORS = [name for name in CASES if name != "detection"]


def read(name):
    task, out, y = CASES[name]
    return task, task.read(out, len(y)), task.check_targets(y, len(y))


# --- the protocol, for every task


@pytest.mark.parametrize("name", CASES)
def test_follows_the_protocol(name):
    assert isinstance(CASES[name][0], Task)


def test_every_task_has_a_case():
    assert {type(task) for task, _, _ in CASES.values()} == set(ALL)


@pytest.mark.parametrize("name", CASES)
def test_is_part_of_an_identity(name):
    task = CASES[name][0]
    same = type(task)(**{f.name: getattr(task, f.name) for f in dataclasses.fields(task)})
    assert task == same
    assert hash(task) == hash(same)
    assert task.identity() == same.identity()
    assert task.identity()["task"] == type(task).__name__


@pytest.mark.parametrize("name", CASES)
def test_gives_one_number_a_sample(name):
    task, out, y = read(name)
    for values in (task.loss(out, y), task.score(out, y), task.adversarial_loss(out, y)):
        assert values.shape == (task.size(y),)
        assert torch.isfinite(values).all()
    assert task.right(out, y).dtype == torch.bool


@pytest.mark.parametrize("name", CASES)
def test_samples_are_judged_alone(name):
    """A batch says of each sample what the sample alone says."""
    task, out, y = read(name)
    for function in (task.loss, task.right, task.score, task.adversarial_loss):
        whole = function(out, y)
        parts = [function(out[torch.tensor([i])], y[torch.tensor([i])]) for i in range(len(y))]
        assert torch.allclose(whole.double(), torch.cat(parts).double(), atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_joins_what_was_read_in_parts(name):
    task, out, y = read(name)
    joined = task.join([out[: len(y) // 3], out[len(y) // 3 :]])
    assert torch.equal(task.loss(joined, y), task.loss(out, y))


@pytest.mark.parametrize("name", CASES)
def test_scores_lie_between_0_and_1(name):
    task, out, y = read(name)
    assert ((task.score(out, y) >= 0) & (task.score(out, y) <= 1)).all()


@pytest.mark.parametrize("name", CASES)
def test_fooled_is_not_right(name):
    task, out, y = read(name)
    assert 0 < int(task.right(out, y).sum()) < len(y)
    assert torch.equal(task.fooled(out, y), ~task.right(out, y))
    assert torch.equal(task.fooled(out, y, target=y), task.right(out, y))


@pytest.mark.parametrize("name", TENSORS)
def test_nothing_is_fooled_by_nan(name):
    task, out, y = read(name)
    out = out.clone()
    out[3] = torch.nan
    assert not task.fooled(out, y)[3]


@pytest.mark.parametrize("name", TENSORS)
@pytest.mark.parametrize("targeted", [False, True])
def test_ascent_on_each_attack_loss_reaches_its_aim(name, targeted):
    """Steps along the gradient of what an attack raises end with all samples fooled."""
    task, start, y = read(name)
    aim = {"y": None, "target": y.roll(1, 0)} if targeted else {"y": y}
    for loss in task.attack_losses:
        out = start.clone().requires_grad_(True)
        for _ in range(400):
            (gradient,) = torch.autograd.grad(task.adversarial_loss(out, loss=loss, **aim).sum(), out)
            size = gradient.flatten(1).norm(dim=1).clamp_min(1e-12)
            step = 0.1 * gradient / size.reshape(-1, *[1] * (gradient.ndim - 1))
            out = (out + step).detach().requires_grad_(True)
        assert task.fooled(out, **aim).double().mean() > 0.95, loss


@pytest.mark.parametrize("name", CASES)
def test_an_unknown_attack_loss_is_refused(name):
    task, out, y = read(name)
    with pytest.raises(InputError, match=task.attack_losses[0]):
        task.adversarial_loss(out, y, loss="no such loss")


@pytest.mark.parametrize("name", CASES)
def test_an_attack_needs_an_aim(name):
    task, out, _ = read(name)
    with pytest.raises(InputError, match="neither"):
        task.adversarial_loss(out)


@pytest.mark.parametrize("name", CASES)
def test_each_metric_lies_in_its_interval_and_has_a_direction(name):
    task, out, y = read(name)
    found = task.metrics(out, y)
    assert task.headline in found
    assert set(found) <= {*task.higher_is_better, *task.lower_is_better}
    for value in found.values():
        assert value.low <= value.value <= value.high
        assert value.low < value.high


@pytest.mark.parametrize("name", CASES)
def test_one_sample_claims_nothing(name):
    task, out, y = read(name)
    first = next(i for i in range(len(y)) if name != "detection" or len(y[i]))
    for metric, value in task.metrics(out[first : first + 1], y[first : first + 1]).items():
        assert value.high - value.low > 0.6, metric


@pytest.mark.parametrize("name", CASES)
def test_the_trivial_predictor_knows_no_input(name):
    task, _, y = read(name)
    out = task.baseline(y, y)
    assert len(out) == len(y)
    assert task.chance(y) <= 1
    if name != "detection":
        assert torch.equal(out[:1].expand_as(out), out)


@pytest.mark.parametrize("name", TENSORS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(name, dtype):
    """Half precision is raised inside the loss; float64 stays."""
    task, out, y = CASES[name]
    out = out.to(dtype)
    read_out, y = task.read(out, len(y)), task.check_targets(y, len(y))
    assert read_out.dtype == dtype
    y = y.to(dtype) if y.is_floating_point() else y
    reference = task.loss(read_out.double(), y.double() if y.is_floating_point() else y)
    loss = task.loss(read_out, y)
    assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert torch.allclose(loss.double(), reference, rtol=1e-5)
    task.metrics(read_out, y)


@pytest.mark.parametrize("name", TENSORS)
def test_nothing_is_made_on_another_device_and_no_value_is_waited_for(name):
    """On the meta device a plain CPU tensor can't be mixed in, and no number can be read."""
    task, out, y = read(name)
    out, y = out.to("meta"), y.to("meta")
    for function in (task.loss, task.right, task.score, task.fooled, task.adversarial_loss):
        assert function(out, y).device.type == "meta"
    for loss in task.attack_losses:
        assert task.adversarial_loss(out, None, y, loss=loss).device.type == "meta"
    task.prediction(out), task.probabilities(out)
    raw = CASES[name][1].to("meta")
    assert task.read(raw, len(y), strict=False).device.type == "meta"


def test_importing_tasks_stays_light():
    code = (
        "import sys, deepwright.core.tasks\n"
        "print([m for m in ('torchmetrics', 'sklearn', 'matplotlib', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- what networks return


@pytest.mark.parametrize("name", TENSORS)
def test_reads_what_networks_return(name):
    task, out, y = CASES[name]
    expected = task.read(out, len(y))
    forms = [
        SimpleNamespace(logits=out),
        {"logits": out, "loss": torch.tensor(1.0)},
        OrderedDict(out=out, aux=out + 1),
        (torch.tensor(0.3), out),
        [out],
        {"anything": out},
        out.numpy(),
    ]
    for form in forms:
        assert torch.equal(task.read(form, len(y)), expected)


def test_two_heads_are_not_guessed():
    with pytest.raises(InputError, match="several of them fit"):
        Classification(3).read((normal(4, 3), normal(4, 3)), 4)


def test_features_beside_logits_are_told_apart():
    out = normal(4, 3)
    assert torch.equal(Classification(3).read((normal(4, 64), out), 4), out)


@pytest.mark.parametrize(
    ("task", "out", "words"),
    [
        (Classification(3), normal(9, 1), "Binary"),
        (Classification(3), normal(9, 7), r"Classification\(7\)"),
        (Classification(3), normal(9, 3, 4, 4), "Segmentation"),
        (Classification(3), normal(9, 6, 3), "sequence"),
        (Classification(3), labels(3, 9), "indices"),
        (Classification(3), normal(8, 3), "9 samples"),
        (Classification(3), "cat", "str"),
        (Classification(3), torch.tensor(1.0), "shape"),
        (Classification(3), normal(9, 3).index_fill(0, torch.tensor([4]), torch.nan), r"\[4\]"),
        (Binary(), normal(9, 3), r"Classification\(3\)"),
        (Binary(), normal(9, 1).index_fill(0, torch.tensor([2]), torch.inf), r"\[2\]"),
        (MultiLabel(4), normal(9, 5), "one column a label"),
        (Regression(), normal(9, 10), r"Regression\(outputs=10\)"),
        (Regression(2), normal(9, 2) * torch.nan, "NaN"),
        (Forecast(5, 2), normal(9, 2, 5), "transpose"),
        (Segmentation(3), normal(9, 4, 4, 3), "movedim"),
        (Detection(2), normal(9, 6), "list"),
        (Detection(2), [{"boxes": torch.zeros(0, 4)}] * 9, "labels"),
        (Detection(2), [{"boxes": [[1, 2, 3, 4]], "labels": [1], "scores": [0.4]}] * 9, "tensors"),
    ],
)
def test_outputs_that_a_task_cannot_read(task, out, words):
    with pytest.raises(InputError, match=words):
        task.read(out, 9)


# --- logits or probabilities


@pytest.mark.parametrize("classes", [2, 3, 10, 1000])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_softmax_rows_are_recognised(classes, dtype, scale):
    p = (scale * normal(60, classes)).softmax(1).to(dtype)
    for task in [Classification(classes), *([Binary()] if classes == 2 else [])]:
        with pytest.raises(InputError, match="outputs='probabilities'") as caught:
            task.read(p, 60)
        assert "outputs='logits'" not in str(caught.value)  # no check would take them as such


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_logits_are_not_taken_for_probabilities(seed, dtype):
    for n in (1, 2, 8, 60):
        for z in (normal(n, 3, seed=seed), torch.rand(n, 3, generator=rng(seed)), normal(n, 3, seed=seed).relu()):
            Classification(3).read(z.to(dtype), n)


@pytest.mark.parametrize(
    "z", [torch.eye(3), torch.tensor([[0.2, 0.5, 0.3]]), torch.full((50, 4), 0.25), torch.zeros(50, 4)]
)
def test_hand_made_logits_pass(z):
    assert torch.equal(Classification(z.shape[1]).read(z, len(z)), z)


def test_votes_of_many_samples_are_probabilities():
    with pytest.raises(InputError, match="probabilities"):
        Classification(3).read(torch.eye(3).repeat(20, 1), 60)


def test_logits_may_look_as_they_like_when_they_are_named():
    p = normal(60, 3).softmax(1)
    assert torch.equal(Classification(3, outputs="logits").read(p, 60), p)


@pytest.mark.parametrize("task", [Classification(4), Segmentation(4)])
def test_probabilities_read_as_their_logarithm(task):
    z = normal(30, 4, 6, 5) if isinstance(task, Segmentation) else normal(30, 4)
    task = dataclasses.replace(task, outputs="probabilities")
    assert torch.allclose(task.probabilities(task.read(z.softmax(1), 30)), z.softmax(1))


def test_a_probability_of_zero_stays_finite():
    z = Classification(2, outputs="probabilities").read(torch.eye(2), 2)
    assert torch.isfinite(z).all()
    assert torch.allclose(z.softmax(1), torch.eye(2))


def test_segmentation_sigmoids_are_recognised():
    with pytest.raises(InputError, match="probabilities"):
        Segmentation(2).read(normal(2, 1, 8, 8).sigmoid(), 2)


def test_segmentation_softmax_is_recognised():
    with pytest.raises(InputError, match="probabilities"):
        Segmentation(3).read(normal(2, 3, 8, 8).softmax(1), 2)


def test_log_probabilities_are_harmless():
    z = normal(30, 5)
    seen = z.log_softmax(1)
    assert looks_like_log_probabilities(seen)
    assert not looks_like_log_probabilities(z)
    for outputs in ("auto", "log-probabilities"):
        task = Classification(5, outputs=outputs)
        assert torch.allclose(task.probabilities(task.read(seen, 30)), z.softmax(1), atol=1e-6)


@pytest.mark.parametrize("outputs", ["probabilities", "log-probabilities"])
@pytest.mark.parametrize(
    ("task", "z"),
    [
        (Classification(3), normal(9, 3)),
        (Binary(), normal(9, 1)),
        (Binary(), normal(9, 2)),
        (MultiLabel(3), normal(9, 3)),
    ],
)
def test_logits_that_were_said_to_be_something_else(task, z, outputs):
    with pytest.raises(InputError, match="outputs='logits'"):
        dataclasses.replace(task, outputs=outputs).read(z, 9)


def test_one_sigmoid_column_is_recognised():
    with pytest.raises(InputError, match="probabilities"):
        Binary().read(normal(40, 1).sigmoid(), 40)
    with pytest.raises(InputError, match="probabilities"):
        MultiLabel(3).read(normal(40, 3).sigmoid(), 40)


@pytest.mark.parametrize("z", [torch.tensor([0.2, 0.7, 0.4]), normal(40), torch.full((40,), 0.4)])
def test_one_logit_column_passes(z):
    assert torch.equal(Binary().read(z, len(z))[:, 1], z)


@pytest.mark.parametrize(
    ("outputs", "change"), [("probabilities", torch.sigmoid), ("log-probabilities", nn.functional.logsigmoid)]
)
def test_sigmoids_read_back_as_logits(outputs, change):
    z = normal(40, 3)
    assert torch.allclose(MultiLabel(3, outputs=outputs).read(change(z), 40), z, atol=1e-5)
    assert torch.allclose(Binary(outputs=outputs).read(change(z[:, 0]), 40)[:, 1], z[:, 0], atol=1e-5)


def test_probabilities_keep_their_gradient():
    """d/dz of the loss through softmax and logarithm is p - one-hot."""
    z = normal(6, 3).requires_grad_(True)
    y = labels(3, 6)
    task = Classification(3, outputs="probabilities")
    (gradient,) = torch.autograd.grad(task.loss(task.read(z.softmax(1), 6), y).sum(), z)
    assert torch.allclose(gradient, z.softmax(1).detach() - nn.functional.one_hot(y, 3), atol=1e-6)


# --- targets


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64, torch.float16, torch.float64])
def test_whole_numbers_of_any_type_are_labels(dtype):
    y = Classification(3).check_targets(torch.tensor([[0], [2], [1]], dtype=dtype), 3)
    assert y.dtype == torch.int64
    assert y.tolist() == [0, 2, 1]


@pytest.mark.parametrize(
    ("task", "y", "words"),
    [
        (Classification(3), labels(3, 9) + 0.7, "regression"),
        (Classification(3), labels(3, 9) + 1, r"y - 1"),
        (Classification(3), labels(3, 9) - 1, "count from 0"),
        (Classification(3), nn.functional.one_hot(labels(3, 9)), "argmax"),
        (Classification(3), labels(2, 9, 3).index_fill(0, torch.tensor([0]), 1), r"MultiLabel\(3\)"),
        (Classification(3), labels(3, 9, 4, 4), "Segmentation"),
        (Classification(3), labels(2, 9).bool(), "Binary"),
        (Classification(3), labels(3, 8), "9 samples"),
        (Classification(3), torch.full((9,), torch.nan), "NaN"),
        (Classification(3), ["cat"] * 9, "map names"),
        (Classification(3), [[1, 2], [0]], "different lengths"),
        (Classification(3), torch.full((9,), 1e30), r"1e\+30"),
        (Binary(), labels(3, 9), "Classification"),
        (Binary(), 2 * labels(2, 9) - 1, r"\(y \+ 1\) // 2"),
        (Binary(), labels(2, 9) + 1, "y - 1"),
        (Binary(), labels(2, 9) * 0.5, "regression"),
        (MultiLabel(3), labels(2, 9), "Classification"),
        (MultiLabel(3), labels(3, 9, 3), "0 and 1"),
        (MultiLabel(3), labels(2, 9, 4), r"\(N, 3\)"),
        (Regression(2), normal(9), r"\(N, 2\)"),
        (Regression(), normal(9).index_fill(0, torch.tensor([5]), torch.nan), r"\[5\]"),
        (Regression(), labels(2, 9).bool(), "Binary"),
        (Forecast(4), normal(9, 5), r"\(N, 4, 1\)"),
        (Segmentation(3), labels(3, 9), "Classification"),
        (Segmentation(3), labels(3, 9, 4, 4) + 1, "count from 0"),
        (Segmentation(3, ignore_index=None), torch.full((9, 4, 4), 255), "255"),
        (Detection(2), [Detections(torch.tensor([[5.0, 5, 1, 9]]), torch.tensor([0]))] * 9, "turned round"),
        (Detection(2), [Detections(torch.tensor([[1.0, 1, 5, 9]]), torch.tensor([2]))] * 9, "background"),
    ],
)
def test_targets_that_a_task_refuses(task, y, words):
    with pytest.raises(InputError, match=words):
        task.check_targets(y, 9)


def test_targets_of_another_shape_never_broadcast():
    with pytest.raises(InputError, match="as the outputs"):
        errors(normal(5, 1), normal(5))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "make",
    [
        lambda: Classification(1),
        lambda: Classification(3.0),
        lambda: Classification(True),
        lambda: Regression(tolerance="wide"),
        lambda: Classification(3, names=("a", "b")),
        lambda: Classification(2, names=("a", "a")),
        lambda: Classification(3, outputs="softmax"),
        lambda: Binary(threshold=1.0),
        lambda: MultiLabel(0),
        lambda: Regression(0),
        lambda: Regression(2, tolerance=(1.0, -1.0)),
        lambda: Regression(2, tolerance=(1.0,) * 3),
        lambda: Segmentation(3, ignore_index=2),
        lambda: Segmentation(3, iou=0.0),
        lambda: Detection(0),
        lambda: Forecast(0),
        lambda: Detection(2, score_threshold=2.0),
        lambda: Forecast(3, tolerance=math.nan),
    ],
)
def test_tasks_that_cannot_be(make):
    with pytest.raises(InputError):
        make()


# --- metrics against references


def test_classification_equals_scikit_learn():
    out, y = normal(200, 7), labels(6, 200)  # class 6 never occurs
    found = Classification(7).metrics(out, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert found["balanced_accuracy"].value == pytest.approx(sk.balanced_accuracy_score(y, out.argmax(1)))
    assert found["accuracy"].value == pytest.approx(sk.accuracy_score(y, out.argmax(1)))
    assert found["top5_accuracy"].value == pytest.approx(sk.top_k_accuracy_score(y, out, k=5, labels=range(7)))


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("ties", [False, True])
def test_binary_equals_scikit_learn(threshold, ties):
    z, y = normal(150), labels(2, 150)
    z = (2 * z).round() / 2 if ties else z
    task = Binary(threshold=threshold)
    found = {name: value.value for name, value in task.metrics(task.read(z), y).items()}
    called = (z.double().sigmoid() > threshold).long()
    expected = {
        "accuracy": sk.accuracy_score(y, called),
        "auroc": sk.roc_auc_score(y, z),
        "average_precision": sk.average_precision_score(y, z),
        "f1": sk.f1_score(y, called),
        "sensitivity": sk.recall_score(y, called),
        "specificity": sk.recall_score(y, called, pos_label=0),
    }
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("y", "missing"), [(0, {"sensitivity", "auroc", "average_precision", "f1"}), (1, {"specificity", "auroc"})]
)
def test_what_one_label_cannot_define_is_absent(y, missing):
    task = Binary()
    found = task.metrics(task.read(normal(20)), torch.full((20,), y))
    assert set(task.higher_is_better) - set(found) == missing


def test_multi_label_equals_scikit_learn_and_torchmetrics():
    out, y = normal(120, 5) - 0.5, labels(2, 120, 5)
    y[:10] = 0  # rows without a label
    y[:, 4] = 0  # a label that never occurs
    out[:, 4] = -3.0  # nor is predicted
    found = {name: value.value for name, value in MultiLabel(5).metrics(out, y).items()}
    called = (out > 0).long()
    each = tm.classification.multilabel_average_precision(out, y, 5, average=None)
    expected = {
        "subset_accuracy": sk.accuracy_score(y, called),
        "label_accuracy": 1 - sk.hamming_loss(y, called),
        "micro_f1": sk.f1_score(y, called, average="micro"),
        "macro_f1": sk.f1_score(y, called, average="macro", zero_division=np.nan),
        "mean_average_precision": float(each[:4].mean()),
    }
    assert found == pytest.approx(expected, abs=1e-6)


def test_labels_that_never_occur_leave_no_average_precision():
    found = MultiLabel(3).metrics(-normal(20, 3).abs(), torch.zeros(20, 3, dtype=torch.long))
    assert set(found) == {"subset_accuracy", "label_accuracy"}
    assert found["subset_accuracy"].value == 1


def test_regression_equals_scikit_learn():
    out, y = normal(80, 3), normal(80, 3, seed=1) + 2 * normal(80, 3)
    found = {name: value.value for name, value in Regression(3).metrics(out, y).items()}
    expected = {
        "mae": sk.mean_absolute_error(y, out),
        "rmse": sk.root_mean_squared_error(y, out),
        "r2": sk.r2_score(y, out),
    }
    assert found == pytest.approx(expected, rel=1e-5)


def test_r2_of_large_numbers_keeps_its_digits():
    y = normal(80, 1, seed=1).double() + 1e6
    out = y + 0.1 * normal(80, 1).double()
    assert Regression().metrics(out, y)["r2"].value == pytest.approx(sk.r2_score(y, out), rel=1e-9)


def test_r2_of_constant_targets_is_absent():
    assert set(Regression().metrics(normal(9, 1), torch.ones(9, 1))) == {"mae", "rmse"}


def test_segmentation_equals_scikit_learn_and_torchmetrics():
    out, y = normal(6, 4, 9, 8), labels(3, 6, 9, 8)
    out[:, 3] = -9.0  # class 3 neither occurs nor is predicted
    y[labels(5, 6, 9, 8, seed=7) == 0] = 255
    task = Segmentation(4)
    kept = y != 255
    called, truth = out.argmax(1)[kept], y[kept]
    found = task.metrics(out, y)
    each = sk.jaccard_score(truth, called, average=None, labels=[0, 1, 2])
    assert found["mean_iou"].value == pytest.approx(each.mean())
    assert found["mean_iou"].value == pytest.approx(
        float(tm.classification.multiclass_jaccard_index(out.argmax(1), y, 3, ignore_index=255))
    )
    assert found["pixel_accuracy"].value == pytest.approx(sk.accuracy_score(truth, called))
    iou = task.class_iou(out, y)
    assert torch.allclose(iou[:3], torch.from_numpy(each))
    assert torch.isnan(iou[3])


def test_ignored_positions_change_nothing():
    out, y = normal(4, 3, 6, 6), labels(3, 4, 6, 6)
    y[:, :3] = 255
    task = Segmentation(3, iou=0.2)
    other = out.clone()
    other[:, :, :3] = 100 * normal(4, 3, 3, 6, seed=5)
    for function in (task.loss, task.right, task.score, task.adversarial_loss):
        assert torch.equal(function(out, y), function(other, y))
    assert task.metrics(out, y) == task.metrics(other, y)
    expected = nn.functional.cross_entropy(out, y, ignore_index=255, reduction="none").sum((1, 2)) / 18
    assert torch.allclose(task.loss(out, y), expected)


def test_an_image_without_a_position_that_counts_is_right():
    task, out, y = Segmentation(3), normal(2, 3, 4, 4), labels(3, 2, 4, 4)
    y[0] = 255
    assert task.right(out, y)[0]
    assert task.loss(out, y)[0] == 0
    assert task.score(out, y)[0] == 1
    with pytest.raises(InputError, match="positions that count"):
        task.metrics(out[:1], y[:1])


def test_segmentation_of_another_size_is_refused():
    with pytest.raises(InputError, match="resize"):
        Segmentation(3).loss(normal(2, 3, 4, 4), labels(3, 2, 8, 8))


@pytest.mark.parametrize("seed", range(5))
def test_detection_equals_core_boxes(seed):
    out, y = boxes(25, seed)
    task = Detection(2)
    found = task.metrics(task.read(out), task.check_targets(y))
    overlaps = [0.5 + 0.05 * i for i in range(10)]
    assert found["ap50"].value == pytest.approx(mean_average_precision(out, y, 0.5), abs=1e-12)
    assert found["map"].value == pytest.approx(mean_average_precision(out, y, overlaps), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_weighted_detection_equals_repeated_images(seed):
    """Images with weight 0 are left out, and doubled ones with scores of their own count twice."""
    out, y = boxes(12, seed)
    weights = torch.tensor([0.0, 1, 1, 0] * 3, dtype=torch.float64)
    kept = weights.nonzero().flatten().tolist()
    expected = mean_average_precision([out[i] for i in kept], [y[i] for i in kept], 0.5)
    assert float(WeightedDetections(out, y, [0.5])(weights[None])) == pytest.approx(expected, abs=1e-12)


def test_detection_without_objects_has_no_average_precision():
    out, y = boxes(3, 0)
    empty = [Detections(d.boxes[:0], d.labels[:0]) for d in y]
    assert Detection(2).metrics(DetectionBatch(out), DetectionBatch(empty)) == {}


def one_image(task, guess, truth):
    """The task's outcome for boxes given as (left, label, score) and (left, label), each 10 wide."""
    at = lambda rows: torch.tensor([[r[0], 0.0, r[0] + 10.0, 10.0] for r in rows]).reshape(-1, 4)  # noqa: E731
    out = Detections(at(guess), torch.tensor([g[1] for g in guess]).long(), torch.tensor([g[2] for g in guess]).float())
    y = Detections(at(truth), torch.tensor([t[1] for t in truth]).long())
    out, y = DetectionBatch([out]), DetectionBatch([y])
    return bool(task.right(out, y)), float(task.score(out, y)), float(task.loss(out, y))


@pytest.mark.parametrize(
    ("guess", "truth", "right", "score"),
    [
        ([(0, 0, 0.9)], [(1, 0)], True, 1.0),
        ([(0, 0, 0.4)], [(1, 0)], False, 0.0),  # not claimed
        ([(0, 1, 0.9)], [(1, 0)], False, 0.0),  # another class
        ([(0, 0, 0.9)], [(6, 0)], False, 0.0),  # too far away
        ([(0, 0, 0.9), (0, 0, 0.8)], [(0, 0)], True, 2 / 3),  # claimed twice
        ([(0, 0, 0.9)], [(0, 0), (30, 0)], False, 2 / 3),  # one is missed
        ([], [], True, 1.0),
        ([(0, 0, 0.9)], [], False, 0.0),
        ([(0, 0, 0.2)], [], True, 1.0),
    ],
)
def test_which_images_of_a_detector_are_right(guess, truth, right, score):
    found = one_image(Detection(2), guess, truth)
    assert found[0] == right
    assert found[1] == pytest.approx(score)


def test_the_loss_of_detections_by_hand():
    _, _, loss = one_image(Detection(2), [(0, 0, 0.9), (40, 1, 0.3)], [(0, 0), (20, 0)])
    assert loss == pytest.approx(-(math.log(0.9) + math.log(1e-6)) / 2 - math.log(0.7) / 2, rel=1e-5)


def test_the_loss_of_detections_has_a_gradient():
    out, y = boxes(4, 1)
    scores = [d.scores.requires_grad_(True) for d in out]
    task = Detection(2)
    task.adversarial_loss(task.read(out), task.check_targets(y)).sum().backward()
    assert sum(float(s.grad.abs().sum()) for s in scores) > 0


def test_detections_are_indexed_as_tensors_are():
    out, _ = boxes(5, 0)
    batch = DetectionBatch(out)
    mask = torch.tensor([True, False, True, False, False])
    assert [id(d) for d in batch[mask]] == [id(out[0]), id(out[2])]
    assert [id(d) for d in batch[torch.tensor([4, 1])]] == [id(out[4]), id(out[1])]
    assert batch[3] is out[3]
    assert len(batch[1:3]) == 2


def test_forecast_metrics_by_hand():
    history = torch.arange(12.0).reshape(1, 12, 1).repeat(2, 1, 1) * torch.tensor([1.0, 2.0]).reshape(2, 1, 1)
    y = torch.zeros(2, 3, 1)
    out = torch.tensor([[1.0, -1.0, 4.0], [0.0, 0.0, 0.0]])[..., None]
    task = Forecast(3, season=2).fitted(y + normal(2, 3, 1), history)
    assert task.scale == pytest.approx((3.0,))  # mean of |h_t - h_{t-2}|: 2 and 4
    found = task.metrics(out, y)
    assert found["mae"].value == pytest.approx(1.0)
    assert found["rmse"].value == pytest.approx(math.sqrt(18 / 6))
    assert found["mase"].value == pytest.approx(1 / 3)


def test_seasonal_naive_repeats_the_last_season():
    history = torch.tensor([[9.0, 9, 1, 2, 3]])
    task = Forecast(5, season=3)
    out = task.baseline(torch.zeros(1, 5, 1), torch.zeros(1, 5, 1), history)
    assert out[0, :, 0].tolist() == [1, 2, 3, 1, 2]


def test_no_scale_no_mase():
    assert "mase" not in Forecast(3).metrics(normal(9, 3, 1), normal(9, 3, 1, seed=1))


# --- right, chance, attack losses


def test_a_tolerance_is_asked_for():
    with pytest.raises(InputError, match="fitted"):
        Regression().right(normal(5, 1), normal(5, 1))


def test_each_output_has_its_tolerance():
    task = Regression(2, tolerance=(1.0, 10.0))
    gaps = torch.tensor([[0.9, 9.0], [1.1, 0.0], [0.0, 10.1]])
    assert task.right(gaps, torch.zeros(3, 2)).tolist() == [True, False, False]


def test_a_fitted_tolerance_is_what_the_median_reaches_half_of_the_time():
    y = normal(1001, 2).exp() * torch.tensor([1.0, 50.0])
    task = Regression(2).fitted(y)
    one = Regression(1, tolerance=task.tolerance[1])
    median = y[:, 1:].median(0).values.expand(1001, 1)
    assert float(one.right(median, y[:, 1:]).double().mean()) == pytest.approx(0.5, abs=0.001)
    assert Regression(2, tolerance=3.0).fitted(y).tolerance == 3.0


def test_constant_targets_have_no_tolerance():
    with pytest.raises(InputError, match="never varies"):
        Regression().fitted(torch.ones(9, 1))


@pytest.mark.parametrize("task", [Classification(3), GraphClassification(3)])
def test_chance_is_the_most_frequent_class(task):
    y = torch.tensor([0, 1, 1, 1, 2, 2])
    assert task.chance(y) == pytest.approx(0.5)
    assert task.chance(y, train=torch.tensor([2, 2, 0])) == pytest.approx(2 / 6)


def test_chance_of_a_binary_task_does_not_depend_on_the_threshold():
    y = torch.tensor([0, 0, 0, 1])
    assert [Binary(threshold=t).chance(y) for t in (0.1, 0.5, 0.9)] == [0.75] * 3


def test_no_constant_has_a_smaller_error_than_the_trivial_predictor():
    y = normal(51, 2).exp()
    task = Regression(2)
    best = task.headline_value(task.baseline(y, y), y)
    assert all(task.headline_value(c.expand_as(y), y) >= best - 1e-6 for c in (y.mean(0), *y[:, None].unbind()[:20]))


def test_trivial_frequencies_are_calibrated():
    y = torch.tensor([[1, 0], [1, 0], [0, 0], [1, 1]])
    p = MultiLabel(2).probabilities(MultiLabel(2).baseline(y, y))[0]
    assert p.tolist() == pytest.approx([3.5 / 5, 1.5 / 5])


def test_the_margin_is_above_zero_where_fooled():
    for name in ("classification", "one column", "two columns", "multi-label"):
        task, out, y = read(name)
        assert torch.equal(task.adversarial_loss(out, y, loss="margin") > 0, task.fooled(out, y))


def test_one_logit_equals_two():
    """A binary network with one column is judged and attacked as its twin with two."""
    z, y = normal(30), labels(2, 30)
    one, two = Binary().read(z), Binary().read(torch.stack([-z / 2, z / 2], 1))
    for loss in Binary().attack_losses:
        first, second = (Binary().adversarial_loss(out, y, loss=loss) for out in (one, two))
        assert torch.allclose(first, second, atol=1e-6)
    assert torch.allclose(
        Binary().loss(one, y), nn.functional.binary_cross_entropy_with_logits(z, y.float(), reduction="none"), atol=1e-6
    )


def test_dlr_by_hand_and_only_where_it_is_defined():
    out, y = torch.tensor([[4.0, 1.0, 2.0, 0.0]]), torch.tensor([0])
    task = Classification(4)
    assert float(task.adversarial_loss(out, y, loss="dlr")) == pytest.approx(-2 / 3)
    pair = task.adversarial_loss(out, y, torch.tensor([1]), loss="dlr")
    assert float(pair) == pytest.approx(-3 / (4 - 0.5))
    with pytest.raises(InputError, match="ce, margin"):
        Classification(2).adversarial_loss(normal(3, 2), labels(2, 3), loss="dlr")


def test_class_logits_are_there_where_one_class_is_right():
    has = {name for name in CASES if read(name)[0].class_logits(read(name)[1]) is not None}
    assert has == {"classification", "graphs", "one column", "two columns"}


# --- intervals


@pytest.mark.parametrize("n", [30, 300, 3000])
def test_the_bootstrap_agrees_with_scipy(n):
    values = normal(n).double().exp()
    ours = bootstrap(n, lambda w: {"mean": w @ values / w.sum(1)}, resamples=4000)["mean"]
    theirs = stats.bootstrap((values.numpy(),), np.mean, n_resamples=4000, method="BCa", rng=np.random.default_rng(0))
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.1 * width)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.1 * width)


def test_a_weighted_average_precision_is_that_of_repeated_samples():
    z, y = (2 * normal(40)).round(), labels(2, 40) == 1
    weights = labels(4, 5, 40, seed=3).double()
    ours = AveragePrecision(z, y)(weights)
    for row, w in zip(ours, weights):
        assert float(row) == pytest.approx(sk.average_precision_score(y, z, sample_weight=w))


def test_auroc_with_ties_equals_scikit_learn():
    z, y = (2 * normal(60)).round(), labels(2, 60) == 1
    assert auroc(z, y) == pytest.approx(sk.roc_auc_score(y, z))


def test_newcombe_covers_and_leaves_room_at_the_ends():
    """On normal scores with a true AUROC of 0.76, 95 % of the intervals hold it (binomial sd of 400 trials: 1.1 %)."""
    truth = float(stats.norm.cdf(1 / math.sqrt(2)))
    y = torch.arange(60) < 25
    held = 0
    for seed in range(400):
        found = newcombe(auroc(normal(60, seed=seed) + y, y), 25, 35)
        held += found.low <= truth <= found.high
    assert 0.92 < held / 400 <= 0.98
    assert newcombe(1.0, 5, 5).low < 0.75
    assert newcombe(1.0, 5, 5).high == 1.0
    assert newcombe(0.0, 5, 5).low == 0.0


def test_a_perfect_score_is_not_certain():
    task = Binary()
    y = torch.tensor([0] * 9 + [1] * 3)
    found = task.metrics(task.read(20.0 * y - 10), y)
    for name in task.higher_is_better:
        assert found[name].value == 1
        assert found[name].low < 0.85


def test_the_bootstrap_repeats_itself():
    task, out, y = read("regression")
    assert task.metrics(out, y, seed=3) == task.metrics(out, y, seed=3)
    assert task.metrics(out, y, seed=3) != task.metrics(out, y, seed=4)


def test_the_mean_of_outcomes_gets_wilsons_interval():
    assert mean_score(torch.tensor([1.0, 0.0, 1.0])).low == pytest.approx(
        stats.binomtest(2, 3).proportion_ci(method="wilson").low
    )
    found = mean_score(torch.rand(50, generator=rng()))
    assert 0.05 < found.high - found.low < 0.25


# --- the task that is seen


@pytest.mark.parametrize(
    ("out", "y", "task"),
    [
        (normal(9, 4), labels(4, 9), Classification(4)),
        (normal(9, 4), labels(4, 9, 1).double(), Classification(4)),
        (normal(9, 2), labels(2, 9), Classification(2)),
        (normal(9, 1), labels(2, 9), Binary()),
        (normal(9), labels(2, 9).bool(), Binary()),
        (normal(9, 4), labels(2, 9, 4), MultiLabel(4)),
        (normal(9, 1), normal(9), Regression()),
        (normal(9), normal(9, 1), Regression()),
        (normal(9, 1), labels(80, 9).float() + 3, Regression()),
        (normal(9, 3), normal(9, 3), Regression(3)),
        (normal(9, 5, 2), normal(9, 5, 2), Forecast(5, 2)),
        (normal(9, 4, 6, 5), labels(4, 9, 6, 5), Segmentation(4)),
        (normal(9, 1, 6, 5), labels(2, 9, 1, 6, 5), Segmentation(2)),
        (normal(9, 4, 6, 5), labels(4, 9, 6, 5).index_fill(1, torch.tensor([0]), -100), Segmentation(4, (), -100)),
        (SimpleNamespace(logits=normal(9, 4)), labels(4, 9), Classification(4)),
        (*boxes(9, 2), Detection(2)),
    ],
)
def test_the_task_is_seen_and_reads_what_it_was_seen_on(out, y, task):
    assert infer(out, y) == task
    task.read(out, 9)
    task.check_targets(y, 9)


@pytest.mark.parametrize(
    ("out", "y", "words"),
    [
        (normal(9, 4), labels(4, 9) + 1, "y - 1"),
        (normal(9, 4), labels(9, 9) + 0.7, r"outputs \(9, 4\).*targets \(9,\)"),
        (normal(9, 4), nn.functional.one_hot(labels(4, 9), 4), "argmax"),
        (normal(9, 1), 2 * labels(2, 9) - 1, r"\(y \+ 1\) // 2"),
        (labels(4, 9), labels(4, 9), "int64"),
        (normal(9, 4), normal(8, 4), "8, 4"),
        (normal(9, 4, 6, 5), labels(9, 9, 6, 5) + 3, "255"),
        (normal(9, 4, 6, 5), normal(9, 6, 5), "name it"),
        (normal(9, 1), torch.full((9,), torch.nan), "finite"),
        (normal(9, 4), ["cat"] * 9, "numbers"),
    ],
)
def test_what_fits_no_task_is_refused_with_what_was_seen(out, y, words):
    with pytest.raises(InputError, match=words):
        infer(out, y)


@pytest.mark.parametrize("method", ["loss", "right", "score", "metrics", "adversarial_loss"])
@pytest.mark.parametrize(
    ("task", "out", "y"),
    [
        (Classification(3), torch.zeros(6, 3), torch.zeros(1, dtype=torch.long)),
        (Binary(), torch.zeros(6, 2), torch.zeros(1, dtype=torch.long)),
        (MultiLabel(2), torch.zeros(6, 2), torch.zeros(1, 2, dtype=torch.long)),
        (Regression(tolerance=0.1), torch.zeros(6, 1), torch.zeros(1, 1)),
        (Segmentation(3), torch.zeros(6, 3, 2, 2), torch.zeros(1, 2, 2, dtype=torch.long)),
    ],
    ids=["classes", "binary", "labels", "numbers", "positions"],
)
@pytest.mark.usefixtures("unchecked")
def test_fewer_targets_than_outputs_do_not_broadcast(task, out, y, method):
    with pytest.raises(InputError, match="1 for 6 outputs"):
        getattr(task, method)(out, y)


@pytest.mark.parametrize("labels", [[True, False], np.array([True, False])], ids=["list", "array"])
def test_booleans_are_no_classes_however_they_come(labels):
    with pytest.raises(InputError, match="Binary"):
        Classification(2).check_targets(labels)


def test_an_image_with_nothing_labelled_is_refused():
    """It would count as right whatever the network says."""
    y = torch.zeros(3, 2, 2, dtype=torch.long)
    y[1] = 255
    with pytest.raises(InputError, match=r"samples \[1\] without a position that counts"):
        Segmentation(3).check_targets(y)
    with pytest.raises(InputError, match=r"samples \[0, 1, 2\] without a position that counts"):
        Segmentation(3).check_targets(torch.full_like(y, 255))
    assert torch.equal(Segmentation(3).label_maps(y), y)  # for what skips such images
    y[0, 0] = 255
    with pytest.raises(InputError, match="divide masks of 0 and 255 by 255"):
        Segmentation(3).label_maps(y)
