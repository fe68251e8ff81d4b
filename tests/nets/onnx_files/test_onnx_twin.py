"""The torch twin of an ONNX file: the numbers of ONNX Runtime and of the torch network that it was written from."""

import copy

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from deepwright.core.errors import InputError
from deepwright.core.identity import digest
from deepwright.core.inference import has_gradients
from deepwright.nets import load
from deepwright.nets.onnx_files import open_onnx
from deepwright.nets.onnx_files.reading import read_graph
from onnx_networks import NETWORKS, made, write


def by_runtime(path, x):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: x.numpy()})[0])


def relative(a, b):
    return float((a - b).abs().max() / b.abs().max())


def gradient(network, x):
    x = x.clone().requires_grad_(True)
    return torch.autograd.grad(network(x).square().sum(), x)[0]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_twin_has_the_runtimes_numbers_and_the_originals_gradients(name, tmp_path):
    network, shape = made(name)
    path = write(network, shape, tmp_path / "n.onnx")
    found = open_onnx(path)
    assert has_gradients(found), found.notes
    x = torch.rand(6, *shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert relative(found(x), by_runtime(path, x)) < 1e-5
        assert relative(found(x), network(x)) < 1e-5
    assert relative(gradient(found, x), gradient(network, x)) < 1e-5
    assert sum(p.numel() for p in found.parameters()) >= 0.8 * sum(p.numel() for p in network.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_files_of_the_exporter_by_torch_export(name, tmp_path):
    network, shape = made(name)
    for free in (True, False):
        found = open_onnx(write(network, shape, tmp_path / f"{free}.onnx", free=free, dynamo=True))
        x = torch.rand(5, *shape)
        assert has_gradients(found), found.notes
        assert relative(found(x).detach(), network(x).detach()) < 1e-5
        assert relative(gradient(found, x), gradient(network, x)) < 1e-5


def test_a_fixed_batch_is_filled_up_and_cut(tmp_path):
    class OverTheBatch(nn.Module):
        def forward(self, x):
            return x.reshape(3, 2, 2).flip(1).reshape(3, 4) @ torch.eye(4)

    found = open_onnx(write(OverTheBatch(), (4,), tmp_path / "n.onnx", batch=3, free=False))
    assert found.interface.batch == 3  # the size is in the graph itself
    x = torch.rand(7, 4)
    assert torch.allclose(found(x), x.reshape(7, 2, 2).flip(1).reshape(7, 4))
    assert torch.allclose(gradient(found, x), 2 * x)


def test_a_size_that_only_the_header_fixes_is_free(tmp_path):
    network, shape = made("perceptron")
    found = open_onnx(write(network, shape, tmp_path / "n.onnx", free=False))
    assert found.interface.batch is None
    assert torch.allclose(found(torch.ones(5, 4)), network(torch.ones(5, 4)), atol=1e-6)


def test_double_precision_and_copies(tmp_path):
    network, shape = made("pools")
    found = open_onnx(write(network, shape, tmp_path / "n.onnx"))
    double = copy.deepcopy(found).double()
    x = torch.rand(2, *shape, dtype=torch.float64)
    assert torch.allclose(double(x), copy.deepcopy(network).double()(x), rtol=1e-6)  # weights were rounded once
    assert double(x).dtype == torch.float64
    assert digest(found) == digest(copy.deepcopy(found)) != digest(double)


@pytest.mark.parametrize("changed", ["net.onnx", "net.weights"])
def test_a_file_is_told_by_all_that_it_is_made_of(tmp_path, changed):
    network, shape = made("perceptron")
    model = onnx.load(str(write(network, shape, tmp_path / "one.onnx")))
    where = {"location": "net.weights", "size_threshold": 0}
    onnx.save(model, str(tmp_path / "net.onnx"), save_as_external_data=True, all_tensors_to_one_file=True, **where)
    before = read_graph(tmp_path / "net.onnx").digest
    assert before == read_graph(tmp_path / "net.onnx").digest
    if changed == "net.onnx":
        again = onnx.load(str(tmp_path / changed), load_external_data=False)
        again.graph.node[0].name = "another"
        onnx.save(again, str(tmp_path / changed))
    else:
        content = bytearray((tmp_path / changed).read_bytes())
        content[0] ^= 1
        (tmp_path / changed).write_bytes(content)
    assert read_graph(tmp_path / "net.onnx").digest != before


def file(path, nodes, inputs, outputs, constants=(), opset=17, **options):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(n, kind, shape) for n, kind, shape in inputs],
        [helper.make_tensor_value_info(n, kind, shape) for n, kind, shape in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9, **options)
    onnx.save(model, str(path))
    return path


ROW = ("x", TensorProto.FLOAT, ["n", 4])


def test_quantised_values_are_the_runtimes_and_let_gradients_through(tmp_path):
    rng = np.random.default_rng(0)
    weight = rng.integers(-127, 127, (4, 3)).astype(np.int8)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["w", "sw", "zw"], ["dw"], axis=1),
        helper.make_node("MatMul", ["d", "dw"], ["y"]),
    ]
    constants = [
        ("s", np.float32(0.05)),
        ("z", np.uint8(128)),
        ("w", weight),
        ("sw", np.array([0.01, 0.02, 0.03], np.float32)),
        ("zw", np.zeros(3, np.int8)),
    ]
    path = file(tmp_path / "q.onnx", nodes, [ROW], [("y", TensorProto.FLOAT, ["n", 3])], constants)
    found = open_onnx(path)
    assert has_gradients(found), found.notes
    x = torch.linspace(-9, 9, 40).reshape(10, 4)
    assert torch.allclose(found(x), by_runtime(path, x), atol=1e-5)
    inside = ((x / 0.05).round() + 128).clamp(0, 255) == (x / 0.05).round() + 128
    slope = torch.from_numpy(weight).float() * torch.tensor([0.01, 0.02, 0.03])
    point = x.clone().requires_grad_(True)
    (g,) = torch.autograd.grad(found(point).sum(), point)
    assert torch.allclose(g, inside * slope.sum(1), atol=1e-6)  # rounding passes gradients, clipping doesn't


def test_an_operator_without_a_twin_leaves_scores_only(tmp_path):
    attributes = {"coefficients": [1.0, 2.0, 0.0, 1.0, -1.0, 0.5, 0.0, 2.0], "intercepts": [0.5, -0.5]}
    node = helper.make_node(
        "LinearClassifier",
        ["x"],
        ["label", "y"],
        domain="ai.onnx.ml",
        classlabels_ints=[0, 1],
        post_transform="SOFTMAX",
        **attributes,
    )
    outputs = [("label", TensorProto.INT64, ["n"]), ("y", TensorProto.FLOAT, ["n", 2])]
    found = open_onnx(file(tmp_path / "ml.onnx", [node], [ROW], outputs))
    assert not has_gradients(found)
    assert "ai.onnx.ml.LinearClassifier" in found.notes[0]
    x = torch.rand(3, 4)
    z = x @ torch.tensor(attributes["coefficients"]).reshape(2, 4).T + torch.tensor([0.5, -0.5])
    assert torch.allclose(found(x), z.softmax(1), atol=1e-6)


def test_control_flow_leaves_scores_only(tmp_path):
    def branch(name, kind):
        out = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4])
        return helper.make_graph([helper.make_node(kind, ["x"], [name])], name, [], [out])

    node = helper.make_node("If", ["c"], ["y"], then_branch=branch("a", "Relu"), else_branch=branch("b", "Neg"))
    path = file(tmp_path / "if.onnx", [node], [ROW], [("y", TensorProto.FLOAT, ["n", 4])], [("c", np.array(True))])
    found = open_onnx(path)
    assert found.scores_only
    assert "If" in found.notes[0]
    x = torch.tensor([[-1.0, 0.0, 1.0, 2.0]])
    assert torch.equal(found(x), x.relu())


def test_a_twin_that_differs_is_not_used(tmp_path, monkeypatch):
    from deepwright.nets.onnx_files.operators import OPERATORS

    network, shape = made("perceptron")
    path = write(network, shape, tmp_path / "n.onnx")
    monkeypatch.setitem(OPERATORS, "Tanh", lambda node, x: torch.tanh(x) * 1.001)
    found = open_onnx(path)
    assert found.scores_only
    assert "differs from ONNX Runtime on random inputs" in found.notes[0]
    assert torch.allclose(found(torch.ones(2, 4)), network(torch.ones(2, 4)), atol=1e-6)


def test_real_inputs_are_compared_too(tmp_path, monkeypatch):
    """A difference that random inputs don't show: far away from them."""
    from deepwright.nets.onnx_files.operators import OPERATORS

    network, shape = made("perceptron")
    path = write(network, shape, tmp_path / "n.onnx")
    monkeypatch.setitem(OPERATORS, "Elu", lambda node, x: nn.functional.elu(x).clamp(max=50))
    assert not open_onnx(path).scores_only
    found = open_onnx(path, example=1000 * torch.rand(4, 4))
    assert found.scores_only
    assert "real inputs" in found.notes[0]


def test_channels_last_is_refused_with_words_and_turned_on_request(tmp_path):
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
        helper.make_node("GlobalAveragePool", ["t"], ["p"]),
        helper.make_node("Flatten", ["p"], ["y"]),
    ]
    shape = ("x", TensorProto.FLOAT, ["n", "h", "w", 3])
    path = file(tmp_path / "n.onnx", nodes, [shape], [("y", TensorProto.FLOAT, ["n", 3])])
    x = torch.rand(2, 3, 8, 9)
    with pytest.raises(InputError, match="channels last") as refused:
        open_onnx(path)(x)
    assert "channels_last=True" in str(refused.value)
    assert torch.allclose(open_onnx(path, channels_last=True)(x), x.mean((2, 3)), atol=1e-6)


def test_half_precision_and_pixels_of_eight_bits(tmp_path):
    half = [helper.make_node("Relu", ["x"], ["y"])]
    path = file(
        tmp_path / "h.onnx", half, [("x", TensorProto.FLOAT16, ["n", 4])], [("y", TensorProto.FLOAT16, ["n", 4])]
    )
    assert open_onnx(path)(torch.ones(2, 4)).dtype == torch.float16
    cast = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("GlobalAveragePool", ["f"], ["p"]),
        helper.make_node("Flatten", ["p"], ["y"]),
    ]
    path = file(
        tmp_path / "u.onnx", cast, [("x", TensorProto.UINT8, ["n", 1, 2, 2])], [("y", TensorProto.FLOAT, ["n", 1])]
    )
    found = open_onnx(path)
    assert found.scores_only  # whole numbers have no gradients
    assert found(torch.full((1, 1, 2, 2), 0.2)).item() == 51.0


def test_load_opens_a_file_by_its_ending(tmp_path):
    network, shape = made("perceptron")
    path = write(network, shape, tmp_path / "n.onnx")
    assert torch.allclose(load(str(path))(torch.ones(1, 4)), network(torch.ones(1, 4)), atol=1e-6)
    with pytest.raises(InputError, match="which has its own"):
        load(str(path), weights="w.safetensors")


def test_functions_of_a_file_are_taken_apart(tmp_path):
    body = [helper.make_node("Relu", ["a"], ["r"]), helper.make_node("Neg", ["r"], ["b"])]
    own = helper.make_function("mine", "Fall", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
    node = helper.make_node("Fall", ["x"], ["y"], domain="mine")
    path = file(tmp_path / "f.onnx", [node], [ROW], [("y", TensorProto.FLOAT, ["n", 4])], functions=[own])
    model = onnx.load(str(path))
    model.opset_import.append(helper.make_opsetid("mine", 1))
    onnx.save(model, str(path))
    found = open_onnx(path)
    assert has_gradients(found), found.notes
    x = torch.tensor([[-1.0, 0.0, 1.0, 2.0]])
    assert torch.equal(found(x), -x.relu())


def test_a_twin_can_be_exported_with_a_free_batch_size(tmp_path):
    """Shapes that the graph computes stay Python's, so that `torch.export` (memory, shrinking) can follow."""

    class Halves(nn.Module):
        def forward(self, x):
            return x.reshape(x.shape[0], x.shape[1] // 2, -1).mean(2)

    found = open_onnx(write(Halves(), (8,), tmp_path / "n.onnx"))
    sizes = ({0: torch.export.Dim("n")},)
    program = torch.export.export(found, (torch.rand(2, 8),), dynamic_shapes=sizes).module()
    x = torch.rand(5, 8)
    assert torch.allclose(program(x), Halves()(x))
