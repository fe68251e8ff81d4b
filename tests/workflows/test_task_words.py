"""From the command line's words to a report, for each task: a network, its data on disk, and `--task` or nothing."""

import csv
import json
import sys

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from sklearn.datasets import load_breast_cancer
from torch import nn
from torch.nn import functional as F

from deepwright.cli import main
from deepwright.core.errors import InputError
from deepwright.core.tasks import Binary, Detection, MultiLabel, Regression, Segmentation
from deepwright.data import make_scenes
from deepwright.workflows import AuditOptions, SubjectOptions, audit, build_subject

NETWORKS = '''
import torch
from torch import nn
from deepwright.nets import FinalDetections, mlp, small_ssd


class UNet(nn.Module):
    """Two levels with one skip."""

    def __init__(self, classes=3, channels=3):
        super().__init__()
        self.down, self.deep = nn.Conv2d(channels, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.up, self.head = nn.Conv2d(24, 8, 3, padding=1), nn.Conv2d(8, classes, 1)

    def forward(self, x):
        a = torch.relu(self.down(x))
        b = torch.relu(self.deep(nn.functional.max_pool2d(a, 2)))
        b = nn.functional.interpolate(b, size=a.shape[2:], mode="nearest")
        return self.head(torch.relu(self.up(torch.cat([a, b], 1))))


def unet():
    torch.manual_seed(0)
    return UNet()


def grey_unet():
    return UNet(2, 1)


def colour_ssd():
    return FinalDetections(small_ssd(2, 3, (24, 32)))


def ssd():
    torch.manual_seed(0)
    return FinalDetections(small_ssd(2), score=0.015, limit=8)


def one_logit():
    torch.manual_seed(0)
    return nn.Sequential(nn.BatchNorm1d(30), nn.Linear(30, 1))


def one_number():
    torch.manual_seed(0)
    return mlp(3, 1)


def three_labels():
    torch.manual_seed(0)
    return mlp(3, 3)


def two_moments():
    torch.manual_seed(0)
    return nn.Sequential(mlp(3, 2), Positive())


class Positive(nn.Module):
    def forward(self, x):
        return torch.cat([x[:, :1], nn.functional.softplus(x[:, 1:]) + 0.1], 1)
'''


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "task_networks.py").write_text(NETWORKS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("task_networks", None)
    return tmp_path


NUMBERS, LABELS = ("price",), ("red", "round", "new")


def table(path, targets=NUMBERS, n=60):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 3))
    with path.open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["a", "b", "c", *targets])
        for row in x:
            price = row @ [1, -2, 0.5] + 0.1 * rng.normal()
            out.writerow([*row, *([price] if targets == NUMBERS else (int(value > 0) for value in row))])
    return path


def streets(root, n=20):
    """Pictures whose upper half is sky, with a car here and there."""
    rng = np.random.default_rng(1)
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    for i in range(n):
        image = rng.integers(0, 60, (24, 32, 3)).astype(np.uint8)
        mask = np.zeros((24, 32), np.uint8)
        image[:12, :, 2] += 150
        mask[12:] = 1
        left = int(rng.integers(0, 24))
        image[14:20, left : left + 8, 0] += 180
        mask[14:20, left : left + 8] = 2
        mask[:1] = 255
        Image.fromarray(image).save(root / "images" / f"{i:02d}.png")
        Image.fromarray(mask).save(root / "masks" / f"{i:02d}.png")
    return root


def scenes(root, n=24):
    made = make_scenes(n, empty=0.3, seed=3)
    root.mkdir()
    marks = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "bottle"}, {"id": 2, "name": "can"}]}
    for i, (picture, truth) in enumerate(zip(made.images, made.truth)):
        Image.fromarray((picture[0] * 255).round().byte().numpy()).save(root / f"{i:02d}.png")
        marks["images"].append({"id": i, "file_name": f"{i:02d}.png"})
        for (x1, y1, x2, y2), label in zip(truth.boxes.tolist(), truth.labels.tolist()):
            marks["annotations"].append({"image_id": i, "category_id": label + 1, "bbox": [x1, y1, x2 - x1, y2 - y1]})
    (root / "marks.json").write_text(json.dumps(marks))
    return root


def patients(path):
    x, y = load_breast_cancer(return_X_y=True)
    with path.open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow([*(f"x{i}" for i in range(30)), "benign"])
        out.writerows([*row, label] for row, label in zip(x.tolist(), y.tolist()))
    return path


def built(model, data, **options):
    return build_subject(SubjectOptions(f"task_networks:{model}", data=data, **options), trains=False)


def test_the_task_is_told_by_the_data(here):
    assert built("ssd", scenes(here / "coco")).task == Detection(2, ("bottle", "can"))
    assert built("unet", streets(here / "streets")).task == Segmentation(3, ("0", "1", "2"))
    labels = built("three_labels", table(here / "l.csv", LABELS), target=LABELS)
    assert (labels.task, labels.class_names) == (MultiLabel(3, ("red", "round", "new")), ("red", "round", "new"))
    numbers = built("one_number", table(here / "t.csv"), target="price", task="regression")
    assert isinstance(numbers.task, Regression)
    assert numbers.data.scale is not None  # the subject's rows are in deviations, the network gets them as they are


def test_one_logit_with_a_threshold(here):
    made = built("one_logit", patients(here / "p.csv"), target="benign", task="binary", threshold=0.3)
    assert made.task == Binary(("0", "1"), threshold=0.3)
    assert built("one_logit", here / "p.csv", target="benign", threshold=0.3).task.threshold == 0.3


@pytest.mark.parametrize(
    ("model", "data", "options", "words"),
    [
        ("grey_unet", scenes, {}, ("detection", "segmentation")),
        ("colour_ssd", streets, {"task": "segmentation"}, ("segmentation", "detection")),
        ("three_labels", table, {"target": "price", "task": "regression"}, ("3", "1")),
        ("one_number", table, {"target": "price"}, ("--task regression",)),
    ],
)
def test_a_network_of_another_task_is_refused_with_what_it_looks_like(here, model, data, options, words):
    place = data(here / ("t.csv" if data is table else "data"))
    with pytest.raises(InputError) as refusal:
        built(model, place, **options)
    assert [word for word in words if word not in str(refusal.value)] == []


def trained(name, loss, x, y, steps=150):
    """The network of that name, fitted for a moment, and its weights on disk."""
    import task_networks

    net = getattr(task_networks, name)()
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(net(x), y).backward()
        optimizer.step()
    torch.save(net.state_dict(), f"{name}.pt")


def audited(*words):
    result = CliRunner().invoke(main, ["audit", *map(str, words), "--attack-limit", "6", "--corruption-limit", "6"])
    assert result.exit_code == 0, result.output
    with open("report/report.json") as stream:
        report = json.load(stream)
    assert [f["summary"] for f in report["findings"] if f["grade"] == "failed"] == []
    return {f["check"]: f for f in report["findings"]}


@pytest.mark.slow
def test_one_logit_whole(here):
    place = patients(here / "p.csv")
    x, y = (torch.as_tensor(v).float() for v in load_breast_cancer(return_X_y=True))
    trained("one_logit", lambda out, y: F.binary_cross_entropy_with_logits(out[:, 0], y), x, y)
    words = ("task_networks:one_logit", "--weights", "one_logit.pt", "--data", place, "--target", "benign")
    found = audited(*words, "--task", "binary", "--sensitivity", "0.99")
    assert "for a sensitivity of 99%" in found["accuracy"]["summary"]
    assert found["accuracy"]["values"]["auroc"]["value"] > 0.97


@pytest.mark.slow
def test_numbers_whole(here):
    found = audited("--data", table(here / "t.csv", n=300), "--target", "price", "--task", "regression")
    assert found["accuracy"]["values"]["r2"]["value"] > 0.9  # an MLP that is trained on the spot
    assert "conformal intervals" in found["calibration"]["summary"]
    assert found["fragility"]["grade"] == "n/a"


@pytest.mark.slow
def test_labels_whole(here):
    words = ("--data", table(here / "t.csv", LABELS, 300), "--target", "red", "--target", "round", "--target", "new")
    found = audited(*words)
    assert found["accuracy"]["values"]["mean_average_precision"]["value"] > 0.9
    left_out = {name for name, f in found.items() if f["grade"] == "n/a"}
    assert left_out <= {"labels", "slices", "drift", "groups"}  # about classes, so few samples, no column
    assert {f["grade"] for f in found.values()} <= set("ABCDE") | {"info", "n/a"}


@pytest.mark.slow
def test_streets_whole(here):
    data = built("unet", streets(here / "streets", 40)).data
    x, y = data.train.inputs(), data.train.y
    trained("unet", lambda out, y: F.cross_entropy(out, y, ignore_index=255), x, y, 120)
    found = audited("task_networks:unet", "--weights", "unet.pt", "--data", "streets", "--classes", "sky,road,car")
    assert found["accuracy"]["values"]["mean_iou"]["value"] > 0.8
    assert "Mean IoU falls" in found["corruptions"]["summary"]
    assert found["ood"]["values"]["auroc_BBAS_mean"]["value"] > 0.5


@pytest.mark.slow
def test_scenes_whole(here):
    found = audited("task_networks:ssd", "--data", scenes(here / "coco"))
    assert "Does not apply" in found["fragility"]["summary"]
    assert found["corruptions"]["values"]["clean_error"]["value"] > 0


def test_a_spread_from_python(here):
    subject = built("two_moments", table(here / "t.csv"), target="price", task=Regression(spread="deviation"))
    found = audit(AuditOptions(subject, checks=("accuracy", "calibration"), out=None))
    assert "coverage_90" in found["calibration"].values
    assert isinstance(subject.model, nn.Module)
