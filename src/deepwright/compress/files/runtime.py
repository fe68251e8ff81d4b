"""ONNX Runtime: sessions on the CPU, calls, and its own static quantiser."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from deepwright.compress.exporting import quiet
from deepwright.compress.files.external import require_own_data
from deepwright.compress.files.int8 import MINIMUM_SAMPLES, inputs_of
from deepwright.compress.files.requirements import require
from deepwright.core.errors import InputError


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
    require("onnxruntime", "export", "running ONNX")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if not fused:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if threads:
        options.intra_op_num_threads = threads
    require_own_data(data)
    source = data if isinstance(data, bytes) else str(data)
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no base of their own
        raise InputError("ONNX Runtime", given=str(error), expected="a file that it can run on the CPU") from error


def run(runtime: Any, inputs: tuple[Tensor, ...]) -> list[np.ndarray]:
    """One call of a session: its outputs, in order.

    Args:
        runtime: see `session`.
        inputs: in the order of the file's inputs, from any device.
    """
    feed = {i.name: x.detach().cpu().numpy() for i, x in zip(runtime.get_inputs(), inputs)}
    return runtime.run(None, feed)


def quantize_file(data: bytes, calibration: Iterable[Any], minimum: int = MINIMUM_SAMPLES) -> bytes:
    """An int8 file (symmetric weights with a scale a channel, int8 activations) from a float one, by ONNX Runtime.

    Args:
        data: a self-contained float ONNX file.
        calibration: batches of inputs (or of (inputs, labels)).
        minimum: fewer calibration samples are refused.

    Raises:
        InputError: too few calibration samples.
        MissingExtraError: onnxruntime or onnx is missing.
    """
    require("onnxruntime", "export", "quantising a file")
    require("onnx", "export", "quantising a file")
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.calibrate import CalibrationDataReader
    from onnxruntime.quantization.shape_inference import quant_pre_process

    batches = [inputs_of(b) for b in calibration]
    seen = sum(len(b) for b in batches)
    if seen < minimum:
        raise InputError("calibration", given=f"{seen} samples", expected=f"at least {minimum}")
    (name,) = [i.name for i in session(data).get_inputs()]

    class Reader(CalibrationDataReader):
        """One batch after the other."""

        def __init__(self) -> None:
            self.left = iter(batches)

        def get_next(self) -> Any:
            """The next feed, or None."""
            return next(({name: b.detach().cpu().numpy()} for b in self.left), None)

    with tempfile.TemporaryDirectory() as folder, quiet():
        raw, ready, done = (Path(folder) / f"{n}.onnx" for n in ("float", "ready", "int8"))
        raw.write_bytes(data)
        quant_pre_process(str(raw), str(ready))
        quantize_static(
            str(ready),
            str(done),
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QInt8,
            extra_options={"ActivationSymmetric": False, "WeightSymmetric": True},
        )
        return done.read_bytes()
