"""ONNX's own test cases, for every operator that has a twin: the numbers of its reference implementation."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.nets.onnx_files.node import UnsupportedError
from deepwright.nets.onnx_files.operators import OPERATORS
from deepwright.nets.onnx_files.reading import graph_of
from deepwright.nets.onnx_files.twin import OnnxTwin, missing_operators

# Where runtimes and torch agree with each other and not with the reference, or the case is of an opset beyond ours.
ELSEWHERE = {
    "test_averagepool_2d_ceil_last_window_starts_on_pad",
    "test_resize_downsample_scales_linear_align_corners",
    "test_resize_downsample_scales_cubic_align_corners",
    "test_reduce_max_empty_set",
    "test_reduce_max_empty_set_bool",
    "test_reduce_min_empty_set",
}


def cases():
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = collect_testcases(None)
    for case in found:
        kinds = {node.op_type for node in case.model.graph.node} if case.model is not None else {""}
        if kinds <= {*OPERATORS, "Constant"} and case.name not in ELSEWHERE:
            yield case


def close(a, b):
    tolerance = 1e-3 if b.dtype == np.float16 else 1e-5
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    return a.shape == b.shape and np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)


@pytest.mark.slow
def test_every_operator_gives_the_reference_numbers():
    right, covered, wrong = 0, set(), []
    for case in cases():
        graph = graph_of(Path(case.name), case.model)
        if missing_operators(graph):
            continue
        for inputs, outputs in case.data_sets:
            try:
                given = [torch.from_numpy(np.array(x)) for x in inputs]
                with torch.no_grad():
                    got = OnnxTwin(graph)(*given[: len(graph.inputs)])
            except (UnsupportedError, TypeError):
                continue  # a form that is refused in words; numbers of types that torch lacks
            except InputError as error:
                wrong.append(f"{case.name}: {error}")
                continue
            got = got if isinstance(got, tuple) else (got,)
            if all(close(a, np.array(b)) for a, b in zip(got, outputs)):
                right += 1
                covered |= {node.op_type for node in case.model.graph.node}
            else:
                wrong.append(case.name)
    assert wrong == []
    assert right > 800
    assert len(covered & set(OPERATORS)) > 100
