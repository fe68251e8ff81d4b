"""Models of transformers, built here from tiny configurations, and the folders that they save."""

import json
import shutil
import sys

import pytest
import torch

import deepwright as dw
from deepwright.core.errors import InputError
from deepwright.core.identity import digest
from deepwright.data import Data, Split
from deepwright.nets import HuggingFace, as_network, is_own, load, load_hugging_face, read_card
from deepwright.workflows import SubjectOptions
from deepwright.workflows.subjects import build_subject

transformers = pytest.importorskip("transformers")
TINY = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8, "num_labels": 3}


def vit(**options):
    torch.manual_seed(0)
    config = transformers.ViTConfig(image_size=16, patch_size=8, **(TINY | options))
    return transformers.ViTForImageClassification(config).eval()


def bert(**options):
    torch.manual_seed(0)
    config = transformers.BertConfig(vocab_size=50, max_position_embeddings=20, **(TINY | options))
    return transformers.BertForSequenceClassification(config).eval()


def resnet():
    torch.manual_seed(0)
    sizes = {"embedding_size": 4, "hidden_sizes": [4, 8], "depths": [1, 1], "layer_type": "basic", "num_labels": 3}
    return transformers.ResNetForImageClassification(transformers.ResNetConfig(num_channels=3, **sizes)).eval()


@pytest.fixture
def pixels():
    return torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def ids():
    found = torch.randint(1, 50, (4, 9), generator=torch.Generator().manual_seed(2))
    found[1, 5:] = 0
    return found


def saved(model, folder, **options):
    model.save_pretrained(folder, **options)
    return folder


def images(x):
    y = torch.arange(len(x)) % 3
    whole = Split(x, y)
    return Data("pictures", "image", ("a", "b", "c"), whole, whole, whole)


def test_pixels_come_in_as_pixel_values(pixels):
    for model in (vit(), resnet()):
        assert torch.equal(HuggingFace(model)(pixels), model(pixel_values=pixels).logits)


def test_token_ids_come_in_with_the_mask_of_their_padding(ids):
    model = bert()
    network = HuggingFace(model)
    assert torch.equal(network(ids), model(input_ids=ids, attention_mask=(ids != 0).long()).logits)
    assert torch.allclose(network(ids)[1:2], network(ids[1:2, :5]), atol=1e-6)  # padding says nothing
    assert not torch.allclose(network(ids)[1:2], model(input_ids=ids[1:2]).logits, atol=1e-6)
    assert torch.equal(HuggingFace(model, pad=7)(ids), model(input_ids=ids, attention_mask=(ids != 7).long()).logits)


def test_gradients_reach_the_pixels(pixels):
    x = pixels.requires_grad_(True)
    HuggingFace(vit())(x).sum().backward()
    assert float(x.grad.abs().max()) > 0


def test_a_map_comes_in_the_size_of_the_picture():
    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        num_encoder_blocks=1,
        depths=[1],
        sr_ratios=[1],
        hidden_sizes=[8],
        patch_sizes=[7],
        strides=[4],
        num_attention_heads=[1],
        mlp_ratios=[2],
        decoder_hidden_size=8,
        num_labels=3,
    )
    model, x = transformers.SegformerForSemanticSegmentation(config).eval(), torch.rand(2, 3, 32, 32)
    small = model(x).logits
    assert small.shape == (2, 3, 8, 8)
    want = torch.nn.functional.interpolate(small, (32, 32), mode="bilinear", align_corners=False)
    assert torch.equal(HuggingFace(model)(x), want)


def test_what_it_does_not_take_is_refused_by_name(pixels, ids):
    with pytest.raises(InputError, match=r"inputs of BertForSequenceClassification.*float32.*token ids"):
        HuggingFace(bert())(pixels)
    with pytest.raises(InputError, match=r"inputs of ViTForImageClassification.*int64.*pixel_values, floats"):
        HuggingFace(vit())(ids)
    with pytest.raises(InputError, match=r"token ids; given: shape \(9,\)"):
        HuggingFace(bert())(ids[0])
    with pytest.raises(InputError, match="PreTrainedModel of transformers"):
        HuggingFace(torch.nn.Linear(2, 2))
    body = transformers.ViTModel(transformers.ViTConfig(image_size=16, patch_size=8, **TINY)).eval()
    with pytest.raises(InputError, match="body without a head"):
        HuggingFace(body)(pixels)


def test_a_model_is_audited_as_it_is(pixels):
    model = vit().bfloat16()
    x = torch.cat([pixels] * 6)
    report = dw.audit(model, images(x), checks=["accuracy", "ood"], ood_limit=10)
    assert report.subject["network"] == "ViTForImageClassification"
    assert report.subject["notes"][-1].startswith("the network computes in bfloat16")
    right = model(pixel_values=x.bfloat16()).logits.argmax(1) == torch.arange(30) % 3
    assert report["accuracy"].values["accuracy"].value == pytest.approx(float(right.double().mean()))
    assert not report.failed


@pytest.mark.parametrize("make", [vit, bert, resnet])
@pytest.mark.parametrize("size", ["5GB", "2KB"])
def test_a_folder_gives_the_model_that_was_saved(make, size, tmp_path, pixels, ids):
    model = make().to(torch.bfloat16 if make is resnet else torch.float32)
    folder = saved(model, tmp_path / "there", max_shard_size=size)
    assert (folder / "model.safetensors.index.json").exists() == (size == "2KB")
    x = ids if make is bert else pixels.to(next(model.parameters()).dtype)
    loaded = load(str(folder))
    assert not loaded.training
    assert torch.equal(loaded(x), HuggingFace(model)(x))
    assert next(loaded.parameters()).dtype == next(model.parameters()).dtype


def test_a_network_is_the_same_wherever_its_folder_lies(tmp_path):
    """An audit goes on under another spelling of the path, and after the folder was moved."""
    folder = saved(bert(), tmp_path / "there")
    loaded, moved = load_hugging_face(folder), load_hugging_face(shutil.copytree(folder, tmp_path / "moved"))
    assert loaded.folder != moved.folder
    assert digest(loaded) == digest(moved) != digest(load_hugging_face(saved(bert(num_labels=2), tmp_path / "other")))


def test_the_normalisation_of_a_folder_is_put_inside(tmp_path, pixels):
    model = vit()
    folder = saved(model, tmp_path)
    said = {"do_rescale": True, "rescale_factor": 2 / 255, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.4]}
    (folder / "preprocessor_config.json").write_text(json.dumps(said | {"do_normalize": True, "size": {"height": 16}}))
    mean, std = (torch.tensor(said[key])[:, None, None] for key in ("image_mean", "image_std"))
    want = model((255 * pixels * said["rescale_factor"] - mean) / std).logits
    assert torch.allclose(load_hugging_face(folder)(pixels), want, atol=1e-5)
    said["do_flip_channel_order"] = True
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    with pytest.raises(InputError, match="channels in another order"):
        load_hugging_face(folder)


def test_a_folder_says_its_size_and_the_order_of_its_classes(tmp_path):
    model = vit(
        id2label={0: "dog", 1: "tabby, tabby cat", 2: "ant"}, label2id={"dog": 0, "tabby, tabby cat": 1, "ant": 2}
    )
    card = read_card(saved(model, tmp_path / "m"))
    assert (card.size, card.channels, card.preprocessed) == (16, 3, False)
    assert card.labels == (("dog",), ("tabby, tabby cat", "tabby", "tabby cat"), ("ant",))
    from PIL import Image

    for i, name in enumerate(("ant", "dog", "tabby")):  # not the order of the outputs
        (tmp_path / "data" / name).mkdir(parents=True)
        for k in range(4):
            Image.new("RGB", (20, 20), (40 * i, 20 * k, 7)).save(tmp_path / "data" / name / f"{k}.png")
    options = SubjectOptions(str(tmp_path / "m"), data=tmp_path / "data", split="test")
    subject = build_subject(options, trains=False)
    assert subject.data.shape == (3, 16, 16)
    assert subject.data.test.y.unique().tolist() == [0, 1, 2]
    assert [name.split(",")[0] for name in subject.class_names] == ["dog", "tabby", "ant"]
    assert torch.equal(subject.outputs(), model(subject.data.test.inputs()).logits)


def test_nothing_is_fetched_and_no_code_of_a_folder_runs(tmp_path, monkeypatch):
    import socket

    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    folder = saved(vit(), tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    told = {"auto_map": {"AutoModelForImageClassification": "evil.Evil"}, "_attn_implementation": "some/kernels"}
    (folder / "config.json").write_text(json.dumps(config | told))
    load(str(folder))
    assert not (tmp_path / "ran").exists()
    refusals = {
        "quantised weights": {"quantization_config": {"quant_method": "bitsandbytes"}},
        "weights from elsewhere": {"use_pretrained_backbone": True},
        "Evil, which is no model": {"architectures": ["Evil"]},
        "AutoModel, which is no model": {"architectures": ["AutoModel"]},
        "architectures": {"architectures": []},
    }
    for said, change in refusals.items():
        (folder / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(InputError, match=said):
            load(str(folder))
    assert "evil" not in sys.modules


def test_weights_of_a_folder_that_do_not_fit_are_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = saved(vit(), tmp_path)
    state = load_file(folder / "model.safetensors")
    save_file({k: v for k, v in state.items() if k != "classifier.bias"}, folder / "model.safetensors")
    with pytest.raises(InputError, match=r"missing keys: classifier\.bias"):
        load(str(folder))
    save_file(state | {"extra": torch.ones(1)}, folder / "model.safetensors")
    with pytest.raises(InputError, match="unexpected keys: extra"):
        load(str(folder))
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"pytorch_model\.bin, a pickle.*save_pretrained"):
        load(str(folder))


def test_weights_of_a_folder_go_into_a_factorys_model(tmp_path, pixels, monkeypatch):
    model = vit()
    source = "import transformers\n\ndef make():\n    return transformers.ViTForImageClassification(CONFIG)\n"
    (tmp_path / "my_own_vit.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    import my_own_vit

    my_own_vit.CONFIG = model.config
    weights = saved(model, tmp_path / "weights", max_shard_size="2KB")
    assert torch.equal(load("my_own_vit:make", weights)(pixels), model(pixels).logits)


def test_words_that_name_folders(tmp_path):
    assert not is_own("resnet8-mnist")
    assert is_own(str(tmp_path))
    with pytest.raises(InputError, match=r"a folder without config\.json"):
        load(str(tmp_path))
    assert as_network(vit()).network.takes_tokens is False


PIXELS = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}


@pytest.mark.parametrize(
    "given",
    [
        {"rescale_factor": "x"},
        {"rescale_factor": 0},
        {"image_mean": "abc"},
        {"image_mean": None},
        {"image_mean": [float("nan")] * 3},
        {"image_std": [0, 0, 0]},
        {"image_std": None},
    ],
    ids=str,
)
def test_preprocessing_that_is_no_number_is_refused(given, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["ViTForImageClassification"]}))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(PIXELS | given))
    with pytest.raises(InputError, match=next(iter(given))):
        read_card(tmp_path)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"feature_extractor_type": "MobileViTFeatureExtractor", "size": 8}, "in another order"),
        ({"image_processor_type": "ViTImageProcessor", "size": 8}, "no image_mean"),
        ({"do_normalize": True, "do_rescale": True, "image_mean": [0.5]}, "no image_std"),
    ],
    ids=str,
)
def test_preprocessing_without_its_numbers_is_not_passed_over(given, words, tmp_path):
    """Old folders leave to the processor's class what it does by itself."""
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["ViTForImageClassification"]}))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"do_resize": True} | given))
    with pytest.raises(InputError, match=words):
        read_card(tmp_path)


@pytest.mark.parametrize("given", ["x", None, 0, True])
def test_channels_that_are_no_number_are_refused(given, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["A"], "num_channels": given}))
    with pytest.raises(InputError, match="num_channels"):
        read_card(tmp_path)


def test_what_is_not_followed_of_the_preprocessing_is_named(tmp_path, pixels):
    folder = saved(vit(), tmp_path)
    followed = {"do_resize": True, "size": {"height": 16, "width": 16}, "resample": 2, "do_center_crop": True}
    other = {"image_processor_type": "NewImageProcessor", "size": {"longest_edge": 20}, "do_pad": True}
    for pre, words in ((followed, []), (other, ["NewImageProcessor", "longest_edge", "do_pad"])):
        (folder / "preprocessor_config.json").write_text(json.dumps(PIXELS | pre))
        assert [any(word in said for said in read_card(folder).unfollowed) for word in words] == [True] * len(words)
        subject = build_subject(SubjectOptions(str(folder), data=images(pixels)), trains=False)
        assert any("isn't followed" in note for note in subject.data.notes) == bool(words)


def test_more_layers_than_weights_are_refused_before_they_are_built(tmp_path):
    folder = saved(bert(), tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 10**7}))
    with pytest.raises(InputError, match="num_hidden_layers"):
        load(str(folder))


def test_weights_of_another_shape_are_named(tmp_path):
    folder = saved(vit(), tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"id2label": {"0": "a", "1": "b"}, "label2id": {}}))
    with pytest.raises(InputError, match=r"another shape: classifier.* of shape \(3,"):
        load(str(folder))


def test_token_ids_that_the_model_has_not_are_refused(ids):
    network = HuggingFace(bert())
    for wrong, words in ((ids + 49, "0..49"), (ids - 1, "0..49"), (ids.repeat(1, 3), "at most 20")):
        with pytest.raises(InputError, match="token ids") as refusal:
            network(wrong)
        assert words in str(refusal.value)
    with pytest.raises(InputError, match="pad"):
        HuggingFace(bert(), pad=-1)


def test_asking_whether_a_network_is_pretrained_loads_nothing(monkeypatch):
    """The package loads its models, for seconds, when a name is asked of it; others import its top alone."""

    class Lazy:
        def __getattr__(self, name):
            raise AssertionError(f"{name} was loaded")

    monkeypatch.setitem(sys.modules, "transformers", Lazy())
    monkeypatch.delitem(sys.modules, "transformers.modeling_utils", raising=False)
    network = torch.nn.Linear(2, 2)
    assert as_network(network)[0] is network
