"""ONNX files compute what the network does, float and int8, at any batch size."""

import pytest
import torch
from networks import build, trained_like
from torch import nn

from deepwright.compress import ExportError, Plan, ShrinkGraph, export, quantize, shrink
from deepwright.compress.files import run, session
from deepwright.core.errors import InputError
from deepwright.core.fit import adamw, fit
from deepwright.data import load as load_data
from deepwright.nets import load


@pytest.mark.parametrize("name", ["mlp", "squeeze-excite", "dense", "transformer", "unet"])
def test_float_files(name, tmp_path):
    onnx = pytest.importorskip("onnx")
    model, example = build(name)
    before = {n: p.requires_grad for n, p in model.named_parameters()}
    written = export(model, example, tmp_path / "m.onnx")
    assert written.agreement == 1.0
    assert written.error < 1e-4
    assert written.size == (tmp_path / "m.onnx").stat().st_size
    onnx.checker.check_model(str(tmp_path / "m.onnx"))
    assert {n: p.requires_grad for n, p in model.named_parameters()} == before
    runtime = session(written.path)
    for size in (1, 7):
        x = tuple(e[:1].expand(size, *e.shape[1:]).contiguous() for e in example)
        with torch.no_grad():
            assert torch.allclose(torch.from_numpy(run(runtime, x)[0]), model(*x), atol=1e-4)


@pytest.mark.slow
def test_shrunk_and_quantised_digits(tmp_path):
    """Half the width, then int8: a quarter of the bytes of the shrunk file, decisions nearly all the same."""
    data, model = load_data("mnist"), load("resnet8-mnist")
    x = data.test.inputs(slice(0, 200))
    graph = ShrinkGraph.from_module(model, x[:2])
    small = shrink(model, Plan.of(graph, {g.name: range(g.size // 2) for g in graph.groups})).model
    calibration = [data.train.inputs(slice(0, 200))]
    for network in (model, small):
        whole = export(network, x[:2], tmp_path / "float.onnx")
        eighth = export(network, x[:2], tmp_path / "int8.onnx", quant="int8", calibration=calibration)
        assert eighth.agreement >= 0.999
        assert eighth.size < 0.5 * whole.size
        a = run(session(whole.path), (x,))[0].argmax(1)
        b = run(session(eighth.path), (x,))[0].argmax(1)
        assert (a == b).mean() > 0.97


def test_operands_of_a_sum_share_one_scale(tmp_path):
    onnx = pytest.importorskip("onnx")

    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(1, 4, 3), nn.Conv2d(1, 4, 3)

        def forward(self, x):
            return self.a(x) + self.b(x)

    torch.manual_seed(0)
    model = trained_like(Sum())
    x = torch.rand(2, 1, 8, 8)
    export(model, x, tmp_path / "s.onnx", quant="int8", calibration=[torch.rand(128, 1, 8, 8)])
    graph = onnx.load(str(tmp_path / "s.onnx")).graph
    made = {o: n for n in graph.node for o in n.output}
    (add,) = [n for n in graph.node if n.op_type == "Add"]
    scales = [made[i].input[1] for i in add.input]
    after = next(n for n in graph.node if n.op_type == "QuantizeLinear" and add.output[0] in n.input)
    values = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    values |= {n.output[0]: onnx.numpy_helper.to_array(n.attribute[0].t) for n in graph.node if n.op_type == "Constant"}
    assert len({float(values[s]) for s in (*scales, after.input[1])}) == 1


def test_bad_input(tmp_path):
    model, example = build("mlp")
    with pytest.raises(InputError, match="quant"):
        export(model, example, tmp_path / "m.onnx", quant="int4")
    with pytest.raises(InputError, match="calibration"):
        export(model, example, tmp_path / "m.onnx", quant="int8")
    with pytest.raises(InputError, match="at least 128"):
        quantize(model, example, [torch.rand(5, 5)])

    class Branching(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(ExportError, match=r"torch\.cond"):
        export(Branching(), torch.rand(2, 3), tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def trained_small():
    """A small network with norms and a spread of channel scales, trained on a task of its own."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, 2, 1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 16, 3),
    )
    x = torch.rand(400, 1, 8, 8)
    y = x.mean((1, 2, 3)).argsort().argsort() * 3 // 400
    fit(net, (x, y), epochs=3, batch_size=40, optimizer=adamw(3e-3), seed=0)
    return net.eval(), x, y


@pytest.mark.slow
def test_training_for_eight_bits(tmp_path):
    """A twin that trained as it will run fits its data better than one that was only rounded; its file is exact."""
    net, x, y = trained_small()
    before = {n: v.clone() for n, v in net.state_dict().items()}

    def train(twin):
        fit(twin, (x, y), epochs=4, batch_size=40, optimizer=adamw(3e-3), seed=1)

    calibration = [x[:200]]
    rounded = quantize(net, (x[:2],), calibration)
    trained = quantize(net, (x[:2],), calibration, train=train, symmetric=True)
    assert all(torch.equal(v, before[n]) for n, v in net.state_dict().items())
    assert not any("batch_norm" in str(n.target) for n in trained.graph.nodes)
    with torch.no_grad():
        a, b = (nn.functional.cross_entropy(m(x), y) for m in (rounded, trained))
    assert b < a
    assert (
        export(net, x[:2], tmp_path / "q.onnx", quant="int8", calibration=calibration, train=train).agreement >= 0.999
    )

    def diverge(twin):
        next(twin.parameters()).data.fill_(float("nan"))

    with pytest.raises(InputError, match="converges"):
        quantize(net, (x[:2],), calibration, train=diverge)


def test_the_runtimes_own_quantiser(tmp_path):
    """Without torchao: decisions are those of the float network, weights are int8."""
    onnx = pytest.importorskip("onnx")
    net, x, _ = trained_small()
    written = export(net, x[:2], tmp_path / "q.onnx", quant="int8", calibration=[x[:200]], quantiser="onnxruntime")
    assert written.error < 0.1
    with torch.no_grad():
        same = run(session(written.path), (x,))[0].argmax(1) == net(x).argmax(1).numpy()
    assert same.mean() > 0.95
    kinds = {i.data_type for i in onnx.load(str(written.path)).graph.initializer if len(i.dims) == 4}
    assert kinds == {onnx.TensorProto.INT8}
    with pytest.raises(InputError, match="torchao"):
        export(
            net,
            x[:2],
            tmp_path / "q.onnx",
            quant="int8",
            calibration=[x[:200]],
            quantiser="onnxruntime",
            symmetric=True,
        )
