"""An ONNX file of a stranger reads no file outside of its folder."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from deepwright.compress.files import run, session
from deepwright.core.errors import InputError


def model_with(location):
    """x + w, where w lies in a file."""
    w = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    w.external_data.add(key="location", value=location)
    value = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2]) for n in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", value[:1], value[1:], [w])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "inside").mkdir()
    for place in ("secret.bin", "inside/w.bin"):
        np.array([1.0, 2.0], np.float32).tofile(tmp_path / place)
    return tmp_path / "inside"


def test_weights_beside_the_file_are_read(folder):
    onnx.save(model_with("w.bin"), folder / "m.onnx")
    assert run(session(folder / "m.onnx"), (torch.ones(2),))[0].tolist() == [2.0, 3.0]


@pytest.mark.parametrize("location", ["../secret.bin", "../inside/../secret.bin", "/etc/passwd", "link.bin"])
def test_weights_elsewhere_are_refused(folder, location):
    (folder / "link.bin").symlink_to(folder.parent / "secret.bin")
    onnx.save(model_with(location), folder / "m.onnx")
    with pytest.raises(InputError, match="files of its own folder"):
        session(folder / "m.onnx")


def test_bytes_have_no_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(InputError, match=r"tensors in 'w\.bin'"):
        session(model_with("w.bin").SerializeToString())


def test_a_constant_of_a_branch_is_looked_at(folder):
    tensor = model_with("../secret.bin").graph.initializer[0]
    constant = helper.make_node("Constant", [], ["y"], value=tensor)
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])
    branch = helper.make_graph([constant], "b", [], [out])
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    condition = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    onnx.save(helper.make_model(helper.make_graph([node], "g", [condition], [out])), folder / "m.onnx")
    with pytest.raises(InputError, match="files of its own folder"):
        session(folder / "m.onnx")
