"""What is missing is said before any work, with the extra that brings it."""

import importlib.util

import pytest
import torch
from networks import build

from deepwright.compress import export, require_export
from deepwright.compress.files import quantize_file, session
from deepwright.core.errors import InputError, MissingExtraError


@pytest.fixture
def without(monkeypatch):
    """Packages that are not installed for the length of a test."""
    find = importlib.util.find_spec

    def hide(*packages):
        hidden = lambda name, package=None: None if name.partition(".")[0] in packages else find(name, package)  # noqa: E731
        monkeypatch.setattr(importlib.util, "find_spec", hidden)

    return hide


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_files_name_the_extra_that_they_need(without, package):
    without(package)
    with pytest.raises(MissingExtraError, match=r"deepwright\[export\]"):
        require_export()


def test_eight_bits_by_torchao_name_their_extra(without):
    without("torchao")
    with pytest.raises(MissingExtraError, match=r"deepwright\[quant\]"):
        require_export(int8=True, quantiser="torchao")


def test_the_runtime_quantises_where_torchao_is_missing(without):
    without("torchao")
    require_export(int8=True)


@pytest.mark.parametrize("call", [lambda: session(b""), lambda: quantize_file(b"", [torch.rand(128, 5)])])
def test_the_runtime_is_asked_for_by_name(without, call):
    without("onnxruntime")
    with pytest.raises(MissingExtraError, match="onnxruntime"):
        call()


def test_words_for_eight_bits_are_refused_for_a_float_file(tmp_path):
    with pytest.raises(InputError, match="symmetric for a float file"):
        export(*build("mlp"), tmp_path / "m.onnx", symmetric=True)
