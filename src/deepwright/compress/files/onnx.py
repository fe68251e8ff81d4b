"""One way out: ONNX files that were run and compared before they are called done.

The float file comes from `torch.export`, the int8 file from the quantised program with QuantizeLinear and
DequantizeLinear around every integer operation. Both are checked by the format's own checker and then run in ONNX
Runtime against the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from deepwright.compress.arguments import calibration_batches, require_batch
from deepwright.compress.errors import OnnxError
from deepwright.compress.exporting import export_program, quiet
from deepwright.compress.files.comparison import compare
from deepwright.compress.files.int8 import MINIMUM_SAMPLES, quantize
from deepwright.compress.files.requirements import chosen_quantiser, require_export
from deepwright.compress.files.runtime import quantize_file
from deepwright.core.devices import to_model
from deepwright.core.errors import InputError
from deepwright.core.files import write_bytes
from deepwright.core.packages import require_package
from deepwright.core.requirements import require_network

OPSET = 18


@dataclass(frozen=True)
class Exported:
    """An ONNX file and how far it is from the network.

    Attributes:
        path: the file.
        size: its bytes.
        quant: None or "int8".
        error: largest difference to the network (float) or to the quantised program, relative to the largest output (to
            the float network where ONNX Runtime quantised, since there is no such program).
        agreement: share of elements within the tolerance (1e-4 relative; for int8 one step of the output's scale, with
            the runtime's own fusions off: they round between the operations that the file names).
        fused_error: the same as `error` with the runtime's fusions on, as it runs in earnest.
        batches: batch sizes that were run.
    """

    path: Path
    size: int
    quant: str | None
    error: float
    agreement: float
    fused_error: float
    batches: tuple[int, ...]


def export(
    model: nn.Module,
    example: Any,
    path: Path | str,
    *,
    quant: str | None = None,
    calibration: Iterable[Any] | None = None,
    dynamic_batch: bool = True,
    train: Callable[[nn.Module], object] | None = None,
    symmetric: bool = False,
    quantiser: str | None = None,
) -> Exported:
    """Write an ONNX file, run it, compare it.

    Args:
        model: left as found.
        example: a tensor or a tuple of them, batch first.
        path: the file to write.
        quant: None for float, "int8" for 8-bit weights and activations.
        calibration: batches of at least 128 inputs in all, for "int8".
        dynamic_batch: let the batch size be free.
        train: trains a copy that rounds as the file will; see `quantize`.
        symmetric: zero is the middle of every activation's range; see `quantize`.
        quantiser: "torchao" or "onnxruntime" (ONNX Runtime's own static quantiser on the float file: no training, no
            shared scales, but no torchao needed); by default the first that is installed.

    Raises:
        ExportError: the network can't be exported, or the file doesn't compute what the network does.
        InputError: arguments that aren't known or don't go together.
        MissingExtraError: onnx, onnxscript, onnxruntime or torchao is missing.
    """
    by_runtime = _chosen(quant, calibration, train, symmetric, quantiser) == "onnxruntime"
    require_export(quant is not None, quantiser)
    require_network(model)
    if example is None:
        raise InputError("example", given="None", expected="a tensor of inputs, or a tuple of them")
    example = to_model(example if isinstance(example, tuple) else (example,), model)
    sizes = (len(example[0]), 1, 7) if dynamic_batch else (len(example[0]),)
    require_batch(example, "example")
    like = tuple(example[0].shape[1:]) if dynamic_batch else None
    batches = [] if quant is None else calibration_batches(calibration, like, MINIMUM_SAMPLES)
    batches = [to_model(batch, model) for batch in batches]
    shown = (batches[0],) if batches else example
    reference: nn.Module = model
    with quiet():
        if quant and not by_runtime:
            reference = quantize(model, example, batches, dynamic_batch=dynamic_batch, train=train, symmetric=symmetric)
        data = onnx_bytes(export_program(reference, example, dynamic_batch=dynamic_batch))
    if by_runtime:
        data = quantize_file(data, batches)
        # no quantised program to hold the file against: what is reported is the quantisation's own error
        error, agreement = compare(reference, data, shown, sizes, "int8", fused=True, least=0.0)
        fused = error
    else:
        error, agreement = compare(reference, data, shown, sizes, quant, fused=not quant)
        fused = compare(reference, data, shown, sizes, quant, fused=True)[0] if quant else error
    write_bytes(path, data)
    return Exported(Path(path), len(data), quant, error, agreement, fused, sizes)


def _chosen(
    quant: str | None,
    calibration: Iterable[Any] | None,
    train: Callable[[nn.Module], object] | None,
    symmetric: bool,
    quantiser: str | None,
) -> str | None:
    """Who quantises, None for a float file; words that don't go together are refused."""
    if quant not in (None, "int8"):
        raise InputError("quant", given=repr(quant), expected="None or 'int8'")
    if quant is None:
        words = {"calibration": calibration, "train": train, "symmetric": symmetric or None, "quantiser": quantiser}
        given = [name for name, value in words.items() if value is not None]
        if given:
            raise InputError("export", given=f"{', '.join(given)} for a float file", expected="quant='int8' with them")
        return None
    if calibration is None:
        raise InputError("calibration", given="none", expected="batches of inputs, for quant='int8'")
    chosen = chosen_quantiser(quantiser)
    if chosen == "onnxruntime" and (train is not None or symmetric):
        raise InputError(
            "quantiser",
            given="'onnxruntime' with train or symmetric",
            expected="'torchao'",
            hint="pip install 'deepwright[quant]'",
        )
    return chosen


def onnx_bytes(program: Any, outputs: Sequence[str] | None = None) -> bytes:
    """An exported program as one self-contained ONNX file, checked.

    Args:
        program: see `export_program`.
        outputs: their names in the file; the exporter's own by default.

    Raises:
        OnnxError: ONNX has no form for an operation of it.
        MissingExtraError: onnx or onnxscript is missing.
    """
    for package in ("onnx", "onnxscript"):
        require_package(package, "export", "writing ONNX")
    import onnx

    try:
        written = torch.onnx.export(
            program, dynamo=True, external_data=False, opset_version=OPSET, verbose=False, output_names=outputs
        )
    except Exception as error:
        raise OnnxError(error) from error
    proto = written.model_proto  # type: ignore[union-attr]
    onnx.checker.check_model(proto)
    for node in proto.graph.node:  # stack traces and the like: nearly as large as a small network's weights
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*proto.graph.value_info, *proto.graph.input, *proto.graph.output, *proto.graph.initializer):
        del value.metadata_props[:]
    del proto.graph.metadata_props[:]
    return proto.SerializeToString()
