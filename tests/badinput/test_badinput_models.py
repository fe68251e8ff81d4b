"""Bad input at the doors of models: folders, programs, scripts, checkpoints, outputs."""

import json

import torch
from refusals import Bad, command, over
from torch import nn
from torch.export import export

import deepwright as dw
from deepwright.nets import (
    Exported,
    FinalDetections,
    HuggingFace,
    Output,
    load_hugging_face,
    load_torchscript,
    mlp,
    read_card,
    read_weights,
)
from deepwright.workflows import SubjectOptions

NET = nn.Linear(4, 3)


def folder(config, **files):
    """A folder with a configuration, as a stranger may have written it."""

    def made(tmp):
        (tmp / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
        for name, text in files.items():
            (tmp / name.replace("__", ".")).write_text(text)
        return str(tmp)

    return made


def opened(made, by=dw.load_model):
    return lambda tmp: by(made(tmp))


def scripted(tmp):
    torch.jit.script(NET).save(str(tmp / "net.pt"))
    return str(tmp / "net.pt")


NAMED = {"architectures": ["ViTForImageClassification"], "model_type": "vit"}
PIXELS = {"image_mean": [0.5], "image_std": [0.5], "rescale_offset": True}

ROWS = [
    Bad("a folder without a configuration", lambda tmp: dw.load_model(str(tmp)), ("without config.json",)),
    Bad("a configuration that is no JSON", opened(folder("{")), ("cannot read", "config.json")),
    Bad("a configuration that is a list", opened(folder("[1]")), ("list", "an object")),
    Bad("a configuration without a class", opened(folder({"model_type": "vit"})), ("architectures", "None")),
    Bad("a class that is no name", opened(folder({"architectures": ["os.system('x')"]})), ("architectures",)),
    Bad("a folder of a class that nobody has", opened(folder({"architectures": ["Evil"]})), ("weights", "without any")),
    Bad("quantised weights", opened(folder(NAMED | {"quantization_config": {"bits": 4}})), ("quantised", "factory")),
    Bad("kernels of elsewhere", opened(folder(NAMED | {"kernel_config": {"a": "b"}})), ("kernels from elsewhere",)),
    Bad(
        "a backbone of elsewhere, deep inside",
        opened(folder(NAMED | {"inner": [{"use_pretrained_backbone": True}]})),
        ("use_pretrained_backbone", "weights from elsewhere"),
    ),
    Bad("a folder of pickled weights", opened(folder(NAMED, pytorch_model__bin="x")), ("a pickle", "save_pretrained")),
    Bad("safetensors that aren't", opened(folder(NAMED, model__safetensors="x")), ("cannot read", "safetensors")),
    Bad("pixels with an offset", opened(folder(NAMED, preprocessor_config__json=json.dumps(PIXELS))), ("an offset",)),
    Bad("a card of no folder", lambda tmp: read_card(tmp / "gone"), ("cannot read", "config.json")),
    Bad("a model of no folder", lambda tmp: load_hugging_face(tmp / "gone"), ("cannot read", "config.json")),
    Bad("weights of a folder without any", lambda tmp: read_weights(tmp), ("model.safetensors",)),
    Bad("a script that nobody trusts", lambda tmp: dw.load_model(scripted(tmp)), ("your rights", "--trust-file")),
    Bad("a script that isn't there", lambda tmp: load_torchscript(tmp / "gone.pt"), ("does not exist",)),
    Bad("trust beside a zoo name", lambda tmp: command("audit", "resnet8-mnist", "--trust-file"), ("--trust-file",)),
    Bad("trust beside a network", lambda tmp: SubjectOptions(NET, data="digits", trust_file=True), ("trust_file",)),
    Bad("an ONNX file", lambda tmp: dw.load_model("net.onnx"), ("net.onnx", "a file")),
    Bad("a pickled pipeline", lambda tmp: dw.load_model("pipeline.pkl"), ("a pickle", "ONNX")),
    Bad("a checkpoint for a network", lambda tmp: command("audit", "it.ckpt", "--data", "digits"), ("a checkpoint",)),
    Bad("a layer as a model of transformers", lambda tmp: HuggingFace(NET), ("Linear", "PreTrainedModel")),
    Bad("an output of no network", lambda tmp: Output("net", 0), ("str", "nn.Module")),
    Bad("a third output of two", lambda tmp: Output(nn.LSTM(2, 2), 2)(torch.zeros(1, 1, 2)), ("2", "0..1")),
    Bad("a detector that is none", lambda tmp: FinalDetections(NET), ("Linear", "SSD")),
    Bad(
        "a program of two inputs",
        lambda tmp: Exported.of(export(nn.Bilinear(2, 2, 2), (torch.ones(1, 2), torch.ones(1, 2)))),
        ("2 inputs", "one tensor"),
    ),
    Bad(
        "rows of another width for a program",
        lambda tmp: Exported.of(export(mlp(3, 2), (torch.ones(2, 3),)))(torch.ones(2, 4)),
        ("(2, 4)", "input of the exported program"),
    ),
]

test_it_is_refused = over(ROWS)
