"""ONNX Runtime on the CPU: sessions and calls."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.packages import require_package
from deepwright.nets.onnx_files.external import require_own_data


def session(data: bytes | Path | str, threads: int | None = None, fused: bool = True) -> Any:
    """An ONNX Runtime session on the CPU.

    Args:
        data: a file's bytes, or its path.
        threads: of one operation; the runtime's own choice by default.
        fused: let the runtime fuse operations; else they run one by one as the file has them.

    Raises:
        MissingExtraError: onnxruntime is missing.
        InputError: the runtime doesn't take the file: an operation that it lacks in this precision, a damaged file;
            a file that reads tensors from outside of its folder.
    """
    require_package("onnxruntime", "export", "running ONNX")
    import onnxruntime

    source = _source(data)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised, and told by us
    if not fused:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if threads:
        options.intra_op_num_threads = threads
    require_own_data(source)
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no base of their own
        missing = re.search(r"find an implementation for (\w+)", str(error))
        if missing:
            raise InputError(
                "ONNX Runtime",
                given=f"no implementation of {missing.group(1)} in this network's precision",
                expected="operations that it has on the CPU",
                hint="write the file in float32: export(model.float(), ...)",
            ) from error
        raise InputError(
            "ONNX Runtime", given=str(error)[:300], expected="a file that it can run on the CPU"
        ) from error


def _source(data: bytes | Path | str) -> bytes | str:
    """A file's bytes, or its path."""
    if isinstance(data, bytes):
        return data
    if not isinstance(data, str | Path):
        raise InputError("ONNX file", given=type(data).__name__, expected="a file's bytes, or its path")
    if not Path(data).is_file():
        raise InputError("ONNX file", given=str(data), expected="a file")
    return str(data)


def run(runtime: Any, inputs: tuple[Tensor, ...]) -> list[np.ndarray]:
    """One call of a session: its outputs, in order.

    Args:
        runtime: see `session`.
        inputs: in the order of the file's inputs, from any device.
    """
    feed = {i.name: x.detach().cpu().numpy() for i, x in zip(runtime.get_inputs(), inputs)}
    return runtime.run(None, feed)
