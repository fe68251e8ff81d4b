"""Calls of the networks."""

import io
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from sklearn.linear_model import LogisticRegression
from torch import nn

import onnx_networks
from deepwright.core.boxes import Detections
from deepwright.core.texts import HashedTokens, joined_tokens, to_codes, to_tokens
from deepwright.nets import (
    SSD,
    BasicBlock,
    Bottleneck,
    DoubleConv,
    EfficientNetLite,
    Exported,
    FinalDetections,
    HuggingFace,
    Normalised,
    Output,
    ResNet,
    ScoresOnly,
    SSDDetector,
    UNet,
    anchor_boxes,
    as_network,
    cifar_resnet,
    fixed_batch,
    from_callable,
    from_estimator,
    imagenet_resnet,
    load,
    load_exported,
    load_hugging_face,
    load_torchscript,
    load_weights,
    match_anchors,
    mlp,
    open_onnx,
    read_card,
    read_weights,
    small_ssd,
    ssd_loss,
    weights_hidden,
)
from deepwright.nets.texts import Tokenized, TokenNetwork, WordTokenizer, of_strings, text_cnn
from entries import Entry, normal, uniform


def made(build, *shape):
    """Outputs of a network that was moved as a whole."""

    def call(device, dtype=torch.float32):
        torch.manual_seed(0)
        model = build().eval().to(device, dtype)
        with torch.no_grad():
            return model(uniform(2, *shape).to(device, dtype)), model

    return call


def normalised_there(device, dtype=torch.float32):
    """Wrapped where it lives already."""
    torch.manual_seed(0)
    network = mlp(4, 3).to(device, dtype)
    x = uniform(5, 4).to(device, dtype)
    plain, tensors = Normalised(network, [0.5] * 4, [0.2] * 4), Normalised(network, uniform(4), uniform(4, seed=1) + 1)
    with torch.no_grad():
        return plain(x), tensors(x), plain


def zoo(device):
    model = load("resnet8-mnist").to(device)
    with torch.no_grad():
        return model(uniform(2, 1, 28, 28).to(device)), model


def weights_loaded(device):
    """From a file into a network that lives on the device."""
    torch.manual_seed(0)
    stored = mlp(3, 2)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        save_file(stored.state_dict(), path)
        model = mlp(3, 2).to(device)
        load_weights(model, path)
        with torch.no_grad():
            return model(uniform(2, 3).to(device)), model


def weights_read(device):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        save_file({"weight": uniform(2, 3)}, path)
        return read_weights(path)


def exported(device):
    """A program is written on the CPU; its module moves as any."""
    torch.manual_seed(0)
    file = io.BytesIO()
    torch.export.save(torch.export.export(mlp(3, 2), (uniform(2, 3),)), file)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.pt2"
        path.write_bytes(file.getvalue())
        model = load_exported(path).to(device)
    with torch.no_grad():
        return model(uniform(2, 3).to(device)), model


def exported_for_one_size(device):
    """A fixed batch of 2, filled up for 3 rows."""
    torch.manual_seed(0)
    model = Exported.of(torch.export.export(mlp(3, 2), (uniform(2, 3),))).to(device)
    with torch.no_grad():
        return model(uniform(3, 3).to(device)), model, fixed_batch(model)


def transformer():
    """A vision transformer of random weights."""
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    return ViTForImageClassification(ViTConfig(image_size=8, patch_size=4, num_labels=3, **sizes)).eval()


def folder_loaded(device):
    with tempfile.TemporaryDirectory() as folder:
        transformer().save_pretrained(folder)
        model = load_hugging_face(folder).to(device)
        card = read_card(folder)
    with torch.no_grad():
        return model(uniform(2, 3, 8, 8).to(device)), model, card.kind


def script_loaded(device):
    """A script's tensors are C++'s own: the file is read on the CPU, and torch moves it."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.pt"
        torch.jit.script(mlp(3, 2)).save(str(path))
        model = load_torchscript(path, trust_file=True)
    with torch.no_grad():
        return model(uniform(2, 3)), weights_hidden(model)


def detections_there(device):
    model = as_network(detector(device)).network
    with torch.no_grad():
        return model(uniform(2, 1, 48, 64).to(device))


def detector(device, dtype=torch.float32):
    torch.manual_seed(0)
    model = small_ssd().eval()
    with torch.no_grad():
        for head in model.heads:
            head.weight *= 3
            head.bias += 2
    return model.to(device, dtype)


def final(device):
    model = small_ssd()
    with torch.no_grad():
        for i, p in enumerate(model.parameters()):
            p.copy_(0.2 * normal(*p.shape, seed=i))
    found = FinalDetections(model.to(device).eval(), score=0.01)(uniform(2, 1, 48, 64).to(device))
    return [(each.boxes, each.labels, each.scores) for each in found]


def detected(where):
    def call(device):
        model = detector(device)
        x = uniform(2, 1, 48, 64).to(device if where == "device" else "cpu")
        return model.detect(x, score=0.2)

    return call


def raw_and_empty(device):
    model = detector(device)
    with torch.no_grad():
        raw = model(uniform(2, 1, 48, 64).to(device))
    return raw, model.postprocess(raw, score=0.2), model.no_detections()


def features_there(device, dtype=torch.float32):
    """A detector over features that live on the device already."""
    torch.manual_seed(0)
    features = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 6, 3, 2, 1)).to(device, dtype)
    model = SSD(features, ("1", "2"), 2, 1, (16, 24))
    with torch.no_grad():
        return model(uniform(2, 1, 16, 24).to(device, dtype)), model


def truth(device):
    boxes = torch.tensor([[4.0, 6.0, 20.0, 30.0], [30.0, 10.0, 60.0, 40.0]], device=device)
    return [Detections(boxes, torch.tensor([0, 1], device=device)), Detections(boxes[:0], torch.zeros(0).long())]


def loss_of(where):
    def call(device):
        model = detector(device)
        raw = model(uniform(2, 1, 48, 64).to(device))
        loss = ssd_loss(raw, model.anchors, truth(device if where == "device" else "cpu"), (48, 64))
        return loss, torch.autograd.grad(loss, model.heads[0].bias)

    return call


def matched(device):
    anchors, _ = anchor_boxes([(4, 4), (2, 2)])
    boxes = torch.tensor([[0.1, 0.1, 0.4, 0.6], [0.5, 0.2, 0.9, 0.9]])
    there = anchors.to(device)
    return match_anchors(there, boxes.to(device)), match_anchors(there, boxes)


def onnx_twin(device, dtype=torch.float32):
    """The twin moves as any network; ONNX Runtime has agreed with it on the CPU."""
    network, shape = onnx_networks.made("perceptron")
    with tempfile.TemporaryDirectory() as folder:
        model = open_onnx(onnx_networks.write(network, shape, Path(folder) / "n.onnx")).to(device, dtype)
    with torch.no_grad():
        return model(uniform(5, 4).to(device, dtype)), model.twin


def _sums(x):
    return np.stack([x.sum(1), -x.sum(1)], 1)


def scores_only(make):
    """What is no torch is asked on the CPU; its scores are where the inputs were."""

    def call(device):
        model = make().to(device)
        x = uniform(5, 4).to(device)
        return model(x), ScoresOnly(_sums)(x)

    return call


def estimator():
    x = uniform(30, 4).double().numpy()
    return LogisticRegression().fit(x, x[:, 0] > 0.5)


DOUBLE = (torch.float64,)


def texts_read(device, dtype=torch.float32):
    """Strings and their code points, through the tokenizer to where the network lives."""
    texts = ["a good film", "a bad one, and long"]
    tokenizer = WordTokenizer.of(texts)
    torch.manual_seed(0)
    model = Tokenized(text_cnn(len(tokenizer), 2), tokenizer).eval().to(device, dtype)
    with torch.no_grad():
        return model(texts), model(to_codes(texts).to(device)), model.encode(texts), model


def tokens_read(device, dtype=torch.float32):
    """Ids with their mask, as rows that hold both, to a network there."""
    torch.manual_seed(0)
    model = TokenNetwork(text_cnn(6, 2).eval()).to(device, dtype)
    ids, mask = torch.tensor([[5, 4, 0], [1, 2, 3]]).to(device), torch.tensor([[1, 1, 0], [1, 1, 1]]).to(device)
    tokens = joined_tokens([to_tokens(ids, mask), to_tokens(ids[:, :2])])
    with torch.no_grad():
        return model(tokens), model.encode(tokens), model.real(tokens), HashedTokens(8).to(device, dtype)(tokens), model


def strings_read(device):
    """Code points on the device, asked of a function of strings: its scores come back there."""
    reader = of_strings(from_callable(lambda texts: np.array([[float(len(t)), 1.0] for t in texts])))
    return reader(to_codes(["a", "two"]).to(device))


ENTRIES = [
    Entry("TokenNetwork, to_tokens, joined_tokens, HashedTokens", tokens_read, dtypes=(torch.float64,)),
    Entry("of_strings, OfStrings", strings_read),
    Entry("Tokenized, WordTokenizer, text_cnn", texts_read, dtypes=(torch.float64, torch.bfloat16)),
    Entry("mlp", made(lambda: mlp(4, 3), 4), dtypes=(torch.float64, torch.bfloat16)),
    Entry("cifar_resnet", made(lambda: cifar_resnet(8), 3, 12, 12), dtypes=DOUBLE),
    Entry("imagenet_resnet", made(lambda: imagenet_resnet(18, classes=5), 3, 32, 32), dtypes=DOUBLE),
    Entry("ResNet of bottlenecks", made(lambda: ResNet(Bottleneck, (1, 1), (4, 8), stem="imagenet"), 3, 32, 32)),
    Entry("BasicBlock", made(lambda: BasicBlock(3, 4, 2), 3, 8, 8), dtypes=DOUBLE),
    Entry("Bottleneck", made(lambda: Bottleneck(3, 4, 2), 3, 8, 8), dtypes=DOUBLE),
    Entry("UNet", made(lambda: UNet(3, 4, (4, 8)), 3, 9, 12), dtypes=DOUBLE),
    Entry("DoubleConv", made(lambda: DoubleConv(3, 4), 3, 8, 8), dtypes=DOUBLE),
    Entry("EfficientNetLite", made(lambda: EfficientNetLite(1, 5), 3, 32, 32), dtypes=DOUBLE),
    Entry("Normalised", made(lambda: Normalised(cifar_resnet(8), [0.5] * 3, [0.2] * 3), 3, 12, 12), dtypes=DOUBLE),
    Entry("Normalised, around a network there", normalised_there, dtypes=(torch.float64, torch.bfloat16)),
    Entry("load", zoo),
    Entry("load_weights", weights_loaded),
    Entry("read_weights", weights_read, returns="cpu"),
    Entry("load_exported", exported),
    Entry("Exported, fixed_batch", exported_for_one_size),
    Entry("HuggingFace", made(lambda: HuggingFace(transformer()), 3, 8, 8), dtypes=DOUBLE),
    Entry("load_hugging_face, read_card", folder_loaded),
    Entry("load_torchscript, weights_hidden", script_loaded, returns="cpu"),
    Entry("as_network, a detector", detections_there),
    Entry("Output", made(lambda: Output(small_ssd(), "logits"), 1, 48, 64), dtypes=DOUBLE),
    Entry("open_onnx, OnnxNetwork", onnx_twin, dtypes=DOUBLE),
    Entry("from_estimator", scores_only(lambda: from_estimator(estimator()))),
    Entry("from_callable, ScoresOnly", scores_only(lambda: from_callable(_sums))),
    Entry("SSDDetector", made(lambda: SSDDetector(2, 0.5, image_size=(64, 96)), 1, 64, 96), dtypes=DOUBLE),
    Entry("SSD, over features there", features_there, dtypes=DOUBLE),
    Entry("SSD, postprocess, no_detections", raw_and_empty),
    Entry("SSD.detect", detected("device")),
    Entry("FinalDetections", final),
    Entry("SSD.detect, data on the CPU", detected("cpu"), returns="cpu"),
    Entry("ssd_loss", loss_of("device")),
    Entry("ssd_loss, boxes on the CPU", loss_of("cpu")),
    Entry("anchor_boxes, match_anchors", matched),
]
