"""Networks of every kind, brought as they are: audited from end to end, with the outputs that the raw module gives."""

import copy
from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.export import export
from torch.utils.data import DataLoader, TensorDataset

import deepwright as dw
from deepwright.checks import subject_from_loaders
from deepwright.core.boxes import Detections
from deepwright.core.tasks import Classification, Detection, Segmentation
from deepwright.data import Data, Split
from deepwright.nets import Exported, small_ssd

CHECKS = ("accuracy", "calibration", "fragility", "robustness", "corruptions", "ood")
LIMITS = {"attack_limit": 3, "corruption_limit": 2, "ood_limit": 10}
IMAGES = torch.rand(45, 3, 16, 16, generator=torch.Generator().manual_seed(1))
SERIES = torch.rand(45, 12, 2, generator=torch.Generator().manual_seed(2))
ROWS = torch.rand(45, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 1e6
LABELS = torch.arange(45) % 3
MAPS = (IMAGES[:, 0] * 3).long().clamp(max=2)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cells, self.head = nn.LSTM(2, 8, batch_first=True), nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.cells(x)[0][:, -1])


class UNet(nn.Module):
    """One level down and up again, with an auxiliary output as torchvision's have it."""

    def __init__(self):
        super().__init__()
        self.enter, self.down = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, 2, 1)
        self.up, self.leave = nn.ConvTranspose2d(8, 8, 2, 2), nn.Conv2d(16, 3, 1)

    def forward(self, x):
        first = self.enter(x).relu()
        again = self.up(self.down(first).relu())
        return {"out": self.leave(torch.cat([first, again], 1)), "aux": self.leave(torch.cat([first, first], 1))}


@dataclass
class Record:
    logits: torch.Tensor


class Told(nn.Module):
    """A network whose output has another form."""

    def __init__(self, network, form):
        super().__init__()
        self.network, self.form = network, form
        self.training = False

    def forward(self, x):
        return self.form(self.network(x))


def convolutional():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    ).eval()


def dense():
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)).eval()


def hugging_face(kind, config, **sizes):
    transformers = pytest.importorskip("transformers")
    return getattr(transformers, kind)(getattr(transformers, config)(num_labels=3, **sizes)).eval()


def lightning_module():
    lightning = pytest.importorskip("lightning")

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = convolutional()

        def forward(self, x):
            return self.net(x)

    return Module().eval()


VIT = {
    "image_size": 16,
    "patch_size": 8,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
}
RESNET = {"num_channels": 3, "embedding_size": 4, "hidden_sizes": [4, 8], "depths": [1, 1], "layer_type": "basic"}
NETWORKS = {
    "convolutional": (convolutional, IMAGES),
    "one-dimensional": (
        lambda: nn.Sequential(nn.Conv1d(12, 8, 1), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)).eval(),
        SERIES,
    ),
    "recurrent": (lambda: Recurrent().eval(), SERIES),
    "dense": (dense, ROWS),
    "vit": (lambda: hugging_face("ViTForImageClassification", "ViTConfig", **VIT), IMAGES),
    "resnet": (lambda: hugging_face("ResNetForImageClassification", "ResNetConfig", **RESNET), IMAGES),
    "lightning": (lightning_module, IMAGES),
    "static": (lambda: Exported.of(export(convolutional(), (IMAGES[:4],))), IMAGES),
    "script": (lambda: torch.jit.script(convolutional()), IMAGES),
    "frozen": (lambda: torch.jit.freeze(torch.jit.script(convolutional())), IMAGES),
    "compiled": (lambda: torch.compile(convolutional(), backend="eager"), IMAGES),
    "dictionary": (lambda: Told(convolutional(), lambda z: {"logits": z, "hidden": z * 2}), IMAGES),
    "record": (lambda: Told(convolutional(), Record), IMAGES),
    "tuple": (lambda: Told(convolutional(), lambda z: (z, z.new_zeros(len(z), 7))), IMAGES),
}


def made(name):
    torch.manual_seed(0)
    make, x = NETWORKS[name]
    return make(), x


def raw(model, x):
    """The class logits by hand."""
    with torch.no_grad():
        out = model(x)
    out = out["logits"] if isinstance(out, dict) else getattr(out, "logits", out)
    return out[0] if isinstance(out, tuple) else out


def batches(x, y):
    return DataLoader(TensorDataset(x, y), 20)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_audited_with_the_outputs_that_it_gives(name):
    model, x = made(name)
    x = x if name == "dense" else x.float()
    model = model.double() if name == "dense" else model
    split = (
        "test" if name == "dense" else None
    )  # whose rows are measured in deviations: its own are told by their order
    subject = subject_from_loaders(model, batches(x, LABELS), task=Classification(3), split=split, **LIMITS)
    report = dw.audit(subject, checks=CHECKS)
    assert not report.failed, [(f.check, f.summary) for f in report.findings if f.grade == "failed"]
    z = raw(model, x if split else subject.data.test.inputs())
    assert torch.allclose(subject.outputs(), z, rtol=1e-4, atol=1e-5)
    right = z.argmax(1) == (LABELS if split else subject.data.test.y)
    assert report["accuracy"].values["accuracy"].value == pytest.approx(float(right.double().mean()))


DTYPES = [
    *(("convolutional", dtype) for dtype in (torch.bfloat16, torch.float16, torch.float64)),
    *(("vit", dtype) for dtype in (torch.bfloat16, torch.float64)),
    ("resnet", torch.bfloat16),
    ("recurrent", torch.bfloat16),
    ("dense", torch.float16),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "dtype"), DTYPES)
def test_a_network_is_audited_in_its_own_dtype(name, dtype):
    model, x = made(name)
    x = x if dtype == torch.float64 else x.float()
    x = x / x.max()
    model = copy.deepcopy(model).to(dtype)
    report = dw.audit(model, batches(x, LABELS), checks=CHECKS, **LIMITS)
    assert not report.failed, [(f.check, f.summary) for f in report.findings if f.grade == "failed"]
    assert next(model.parameters()).dtype == dtype
    notes = [note for note in report.subject["notes"] if f"computes in {str(dtype).removeprefix('torch.')}" in note]
    assert len(notes) == 1
    assert "float32" in notes[0] or dtype == torch.float64
    subject = subject_from_loaders(model, batches(x, LABELS), split="test")
    assert subject.outputs().dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    want = torch.cat([raw(model, part.to(dtype)) for part in x.split(20)])
    assert torch.allclose(subject.outputs().double(), want.double(), atol=1e-6 if dtype == torch.float64 else 2e-2)


def test_float64_rows_stay_float64():
    torch.manual_seed(0)
    model = dense().double()
    offset = 1e9  # where float32 knows no fractions
    subject = subject_from_loaders(model, batches(ROWS / 1e6 + offset, LABELS), split="test")
    assert subject.data.test.x.dtype == torch.float64
    with torch.no_grad():
        assert torch.allclose(subject.outputs(), model(ROWS / 1e6 + offset), rtol=1e-9)


@pytest.mark.slow
def test_a_unet_with_an_auxiliary_output_is_audited():
    torch.manual_seed(0)
    model = UNet().eval()
    checks = ["accuracy", "robustness", "corruptions", "cost"]
    report = dw.audit(model, batches(IMAGES, MAPS), task=Segmentation(3), checks=checks, split="test", **LIMITS)
    assert not report.failed
    with torch.no_grad():
        right = model(IMAGES)["out"].argmax(1) == MAPS
    assert report["accuracy"].values["pixel_accuracy"].value == pytest.approx(float(right.double().mean()), abs=1e-6)


class Boxes(list):
    """Targets of which a split can take rows."""

    def __getitem__(self, rows):
        return Boxes(super().__getitem__(rows)) if isinstance(rows, slice) else super().__getitem__(rows)


@pytest.mark.slow
def test_the_houses_detector_is_audited():
    torch.manual_seed(0)
    model = small_ssd(2, 1, (24, 32)).eval()
    for head in model.heads:
        nn.init.normal_(head.bias, -1.0)
    x = torch.rand(12, 1, 24, 32)
    y = Boxes(Detections(torch.tensor([[2.0, 2.0, 20.0, 20.0]]), torch.tensor([i % 2])) for i in range(12))
    data = Data("boxes", "image", ("a", "b"), Split(x, y), Split(x, y), Split(x, y))
    report = dw.audit(model, data, task=Detection(2), checks=["accuracy", "cost"])
    assert not report.failed
    want = Detection(2).metrics(Detection(2).read(model.detect(x)), Detection(2).check_targets(y))
    assert report["accuracy"].values["map"].value == pytest.approx(want["map"].value)
