"""Pictures as a folder's own image processor prepares them: the same numbers, from files and Arrow folders."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from deepwright.core.errors import InputError
from deepwright.core.resizing import Resizing
from deepwright.data import load
from deepwright.nets import read_card
from deepwright.workflows import SubjectOptions
from deepwright.workflows.subjects import build_subject

transformers = pytest.importorskip("transformers")
SHAPES = [(30, 40), (41, 23), (17, 17), (64, 20), (25, 26), (9, 33)]
PROCESSORS = {
    "ViT": {"size": {"height": 14, "width": 18}},
    "ViT, nearest": {"kind": "ViT", "size": {"height": 16, "width": 16}, "resample": 0},
    "ViT, pixels to 255": {"kind": "ViT", "size": {"height": 16, "width": 16}, "do_rescale": False},
    "ViT, not normalised": {"kind": "ViT", "size": {"height": 16, "width": 16}, "do_normalize": False},
    "CLIP": {"size": {"shortest_edge": 18}, "crop_size": {"height": 15, "width": 16}},
    "CLIP, beyond the edge": {"kind": "CLIP", "size": {"shortest_edge": 11}, "crop_size": {"height": 16, "width": 15}},
    "CLIP, not resized": {"kind": "CLIP", "do_resize": False, "crop_size": {"height": 16, "width": 16}},
    "ConvNext": {"size": {"shortest_edge": 16}, "crop_pct": 0.8},
    "ConvNext, warped": {"kind": "ConvNext", "size": {"shortest_edge": 384}},
    "MobileNetV2": {"size": {"shortest_edge": 19}, "crop_size": {"height": 16, "width": 16}},
    "Levit": {"size": {"shortest_edge": 16}, "crop_size": {"height": 16, "width": 16}},
    "PoolFormer": {"size": {"shortest_edge": 16}, "crop_size": {"height": 16, "width": 16}, "crop_pct": 0.7},
    "DeiT": {"size": {"height": 20, "width": 20}, "crop_size": {"height": 16, "width": 16}},
    "Segformer": {  # which never crops
        "size": {"height": 20, "width": 18},
        "do_center_crop": True,
        "crop_size": {"height": 16, "width": 16},
    },
    "EfficientNet": {"size": {"height": 16, "width": 16}, "include_top": True},
}


def pictures():
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (*shape, 3), dtype=np.uint8)) for shape in SHAPES]


def processor(name):
    options = dict(PROCESSORS[name])
    kind = options.pop("kind", name)
    return getattr(transformers, f"{kind}ImageProcessorPil")(**options)


class Pixels(nn.Module):
    """Gives what it gets."""

    def forward(self, x):
        return x


@pytest.fixture
def folder(tmp_path):
    """Class folders of pictures of all sizes, and the pictures in the order in which they are read."""
    for i, picture in enumerate(pictures()):
        (tmp_path / "photos" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        picture.save(tmp_path / "photos" / "ab"[i % 2] / f"{i}.png")
    return tmp_path


@pytest.mark.parametrize("name", PROCESSORS)
def test_pixels_are_those_of_the_processor(folder, name):
    from deepwright.nets import Normalised

    theirs = processor(name)
    theirs.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"architectures": ["ViTForImageClassification"]}))
    card = read_card(folder)
    assert card.unfollowed == ()
    network = Normalised(Pixels(), list(card.mean), list(card.std)) if card.mean else Pixels()
    data = load(folder / "photos", resizing=card.resizing, mode="RGB", split="test")
    order = [int(str(file).split("/")[-1].removesuffix(".png")) for file in data.test.columns["file"]]
    want = theirs([pictures()[i] for i in order], return_tensors="pt")["pixel_values"]
    got = network(data.test.inputs())
    assert got.shape == want.shape
    assert float((got - want).abs().max()) <= 1e-5 * max(1.0, float(want.abs().max()))


def model(folder):
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    vit = transformers.ViTForImageClassification(
        transformers.ViTConfig(image_size=16, patch_size=8, num_labels=2, initializer_range=0.5, **sizes)
    ).eval()
    vit.save_pretrained(folder)
    return vit


def test_outputs_from_files_and_datasets_are_the_owners(folder):
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    vit, theirs = model(folder / "vit"), processor("CLIP, beyond the edge")
    theirs.crop_size = {"height": 16, "width": 16}
    theirs.save_pretrained(folder / "vit")
    kinds = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    rows = {"image": pictures(), "label": [i % 2 for i in range(6)]}
    datasets.Dataset.from_dict(rows, features=kinds).save_to_disk(str(folder / "arrow"))
    for source in ("photos", "arrow"):
        data = str(folder / source)
        subject = build_subject(SubjectOptions(str(folder / "vit"), data=data, split="test"), trains=False)
        with torch.no_grad():
            want = vit(**theirs(pictures(), return_tensors="pt")).logits
        order = [int("".join(c for c in str(f) if c.isdigit())) for f in subject.data.test.columns["file"]]
        assert torch.allclose(subject.outputs(), want[order], atol=1e-5), source
        assert subject.bounds == (0.0, 1.0)
        assert not any("isn't followed" in note for note in subject.data.notes)


def test_a_size_of_ones_own_is_told(folder):
    model(folder / "vit")
    processor("CLIP").save_pretrained(folder / "vit")
    options = SubjectOptions(str(folder / "vit"), data=str(folder / "photos"), split="test", size=16)
    notes = build_subject(options, trains=False).data.notes
    assert any("as --size says" in note for note in notes)


def test_streamed_pictures_are_the_same(folder):
    how = {"resizing": Resizing(20, (16, 14), 2), "mode": "RGB", "split": "test"}
    held, streamed = (load(folder / "photos", stream=stream, **how).test.inputs() for stream in (False, True))
    assert torch.equal(held, streamed)


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        ({"size": {"height": 0, "width": 4}}, "size"),
        ({"size": "large"}, "size"),
        ({"size": 16, "resample": 9}, "resample"),
        ({"size": 16, "image_processor_type": "ConvNextImageProcessor", "crop_pct": 0}, "crop_pct"),
        ({"size": 16, "do_center_crop": True, "crop_size": [1, 2, 3]}, "crop_size"),
    ],
)
def test_sizes_that_are_none_are_refused(tmp_path, pixels, words):
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["ViTForImageClassification"]}))
    said = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said | pixels))
    with pytest.raises(InputError, match=words):
        read_card(tmp_path)
