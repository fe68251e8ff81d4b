"""ONNX files of a stranger: read without running, refused in words."""

import os

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from deepwright.core.errors import InputError
from deepwright.nets.onnx_files import open_onnx


def saved(path, nodes, constants=(), opset=17, change=lambda model: None):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["a", "b"])],
        list(constants),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def outside(location, **more):
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4])
    weight.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        weight.external_data.add(key=key, value=str(value))
    return weight


ADD = [helper.make_node("Add", ["x", "w"], ["y"])]
CIRCLE = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]


def shaped(*sizes):
    return numpy_helper.from_array(np.array(sizes, np.int64), "shape")


@pytest.mark.parametrize("place", ["../secret.bin", "/etc/passwd", "a/../../secret.bin"])
def test_weights_from_outside_of_the_folder(place, tmp_path):
    (tmp_path / "in").mkdir()
    np.zeros(4, np.float32).tofile(tmp_path / "secret.bin")
    with pytest.raises(InputError, match="files of its own folder"):
        open_onnx(saved(tmp_path / "in" / "n.onnx", ADD, [outside(place)]))


def test_weights_by_a_link_out_of_the_folder(tmp_path):
    (tmp_path / "in").mkdir()
    np.zeros(4, np.float32).tofile(tmp_path / "secret.bin")
    os.symlink(tmp_path / "secret.bin", tmp_path / "in" / "w.bin")
    with pytest.raises(InputError, match="files of its own folder"):
        open_onnx(saved(tmp_path / "in" / "n.onnx", ADD, [outside("w.bin")]))


def test_weights_that_are_missing_or_too_short(tmp_path):
    with pytest.raises(InputError, match="isn't there"):
        open_onnx(saved(tmp_path / "n.onnx", ADD, [outside("w.bin")]))
    np.zeros(2, np.float32).tofile(tmp_path / "w.bin")
    with pytest.raises(InputError, match="cannot read"):
        open_onnx(saved(tmp_path / "n.onnx", ADD, [outside("w.bin", length=16)]))


@pytest.mark.parametrize(
    ("nodes", "constants"),
    [
        ([*CIRCLE, helper.make_node("Relu", ["b"], ["y"])], []),
        (ADD, []),
        ([helper.make_node("NoSuchOperator", ["x"], ["y"])], []),
        ([helper.make_node("Relu", ["x"], ["x"]), helper.make_node("Relu", ["x"], ["y"])], []),
    ],
    ids=["a circle", "no initialiser", "no such operator", "a name twice"],
)
def test_graphs_that_cannot_run(nodes, constants, tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        open_onnx(saved(tmp_path / "n.onnx", nodes, constants))


BOMBS = {
    "ConstantOfShape": ([helper.make_node("ConstantOfShape", ["shape"], ["y"])], [shaped(1 << 20, 1 << 20)]),
    "Expand": (
        [helper.make_node("Expand", ["w", "shape"], ["y"])],
        [numpy_helper.from_array(np.ones((1, 4), np.float32), "w"), shaped(1 << 40, 4)],
    ),
    "Tile": ([helper.make_node("Tile", ["x", "shape"], ["y"])], [shaped(1 << 40, 1)]),
    "Pad": ([helper.make_node("Pad", ["x", "shape"], ["y"])], [shaped(0, 0, 0, 1 << 40)]),
    "made at run time": (
        [
            helper.make_node("Shape", ["x"], ["s"]),
            helper.make_node("Mul", ["s", "shape"], ["t"]),
            helper.make_node("ConstantOfShape", ["t"], ["y"]),
        ],
        [shaped(1 << 30, 1 << 30)],
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_tensors_that_no_memory_is_meant_to_hold(name, tmp_path):
    nodes, constants = BOMBS[name]
    with pytest.raises(InputError, match="numbers in one tensor"):
        open_onnx(saved(tmp_path / "n.onnx", nodes, constants))


def test_an_initialiser_that_says_more_than_it_holds(tmp_path):
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1 << 20, 1 << 20])
    with pytest.raises(InputError, match="numbers in one tensor"):
        open_onnx(saved(tmp_path / "n.onnx", ADD, [weight]))
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[100], raw_data=b"\0" * 16)
    with pytest.raises(InputError, match="cannot read"):
        open_onnx(saved(tmp_path / "n.onnx", ADD, [weight]))


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x04\x95pickle", b"\x08\x09" * 1000])
def test_what_is_no_onnx(content, tmp_path):
    (tmp_path / "n.onnx").write_bytes(content)
    with pytest.raises(InputError):
        open_onnx(tmp_path / "n.onnx")


def test_flipped_bytes_never_crash(tmp_path):
    rng = np.random.default_rng(0)
    weight = numpy_helper.from_array(rng.random((4, 3)).astype(np.float32), "w")
    whole = saved(tmp_path / "n.onnx", [helper.make_node("MatMul", ["x", "w"], ["y"])], [weight]).read_bytes()
    for position in rng.integers(0, len(whole), 40):
        broken = bytearray(whole)
        broken[position] ^= int(rng.integers(1, 256))
        (tmp_path / "b.onnx").write_bytes(bytes(broken))
        try:
            open_onnx(tmp_path / "b.onnx")
        except InputError:
            continue


def test_several_inputs_and_labels_alone_are_refused(tmp_path):
    def two(model):
        model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [4]))

    with pytest.raises(InputError, match="2 inputs"):
        open_onnx(saved(tmp_path / "n.onnx", ADD, change=two))

    def whole(model):
        model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64

    with pytest.raises(InputError, match="labels alone"):
        open_onnx(saved(tmp_path / "n.onnx", [helper.make_node("ArgMax", ["x"], ["y"], axis=1)], change=whole))


def test_no_such_file(tmp_path):
    with pytest.raises(InputError, match="expected: a file"):
        open_onnx(tmp_path / "none.onnx")


assert onnx  # the extra is installed with the tests
