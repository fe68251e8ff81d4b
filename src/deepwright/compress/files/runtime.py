"""ONNX Runtime's own static quantiser."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepwright.compress.arguments import calibration_batches, require_type
from deepwright.compress.exporting import quiet
from deepwright.compress.files.int8 import MINIMUM_SAMPLES
from deepwright.core.errors import InputError
from deepwright.core.packages import require_package
from deepwright.nets.onnx_files import session


def _of_type(x: Tensor, kind: str) -> Tensor:
    """Calibration inputs in a file's own type."""
    wanted = {"tensor(float)": torch.float32, "tensor(double)": torch.float64, "tensor(int64)": torch.int64}.get(kind)
    if wanted is None or x.dtype == wanted:
        return x
    if not (x.is_floating_point() and wanted.is_floating_point):
        raise InputError("calibration", given=f"inputs of {x.dtype}", expected=f"{wanted}, as the file takes them")
    return x.to(wanted)


def quantize_file(data: bytes, calibration: Iterable[Any], minimum: int = MINIMUM_SAMPLES) -> bytes:
    """An int8 file (symmetric weights with a scale a channel, int8 activations) from a float one, by ONNX Runtime.

    Args:
        data: a self-contained float ONNX file.
        calibration: batches of inputs (or of (inputs, labels)).
        minimum: fewer calibration samples are refused.

    Raises:
        InputError: too few calibration samples, or of another shape or type; no ONNX file, or one of several inputs.
        MissingExtraError: onnxruntime or onnx is missing.
    """
    require_package("onnxruntime", "export", "quantising a file")
    require_package("onnx", "export", "quantising a file")
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.calibrate import CalibrationDataReader
    from onnxruntime.quantization.shape_inference import quant_pre_process

    require_type("data", data, bytes, "the bytes of an ONNX file")
    inputs = session(data).get_inputs()
    if len(inputs) != 1:
        raise InputError("data", given=f"a file of {len(inputs)} inputs", expected="one input")
    name, fixed = inputs[0].name, all(isinstance(n, int) for n in inputs[0].shape[1:])
    batches = calibration_batches(calibration, tuple(inputs[0].shape[1:]) if fixed else None, minimum)
    batches = [_of_type(batch, inputs[0].type) for batch in batches]

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
