"""One way out: ONNX files that were run and compared before they are called done.

The float file comes from `torch.export`, the int8 file from the quantised program with QuantizeLinear and
DequantizeLinear around every integer operation. Both are checked by the format's own checker and then run in ONNX
Runtime against the network on several batches, at other batch sizes too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.compress.errors import ExportError, MismatchError
from deepwright.compress.files.int8 import MINIMUM_SAMPLES, exported, quantize, quiet
from deepwright.core.errors import InputError, MissingExtraError
from deepwright.core.files import write_bytes
from deepwright.core.inference import device_of, evaluating
from deepwright.core.randomness import generator

OPSET = 18
LEAST_AGREEMENT = 0.97


@dataclass(frozen=True)
class Exported:
    """An ONNX file and how far it is from the network.

    Attributes:
        path: the file; size: its bytes.
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
        train, symmetric: see `quantize`.
        quantiser: "torchao" or "onnxruntime" (ONNX Runtime's own static quantiser on the float file: no training, no shared
            scales, but no torchao needed); by default the first that is installed.

    Raises:
        ExportError: the network can't be exported, or the file doesn't compute what the network does.
        InputError: arguments.
        MissingExtraError: onnx, onnxscript, onnxruntime or torchao is missing.
    """
    if quant not in (None, "int8"):
        raise InputError("quant", given=repr(quant), expected="None or 'int8'")
    if quant and calibration is None:
        raise InputError("calibration", given="none", expected="batches of inputs, for quant='int8'")
    if quantiser not in (None, "torchao", "onnxruntime"):
        raise InputError("quantiser", given=repr(quantiser), expected="'torchao' or 'onnxruntime'")
    by_runtime = quant is not None and (quantiser or _installed_quantiser()) == "onnxruntime"
    if by_runtime and (train is not None or symmetric):
        raise InputError(
            "quantiser", given="'onnxruntime' with train or symmetric", expected="'torchao'", hint="pip install torchao"
        )
    example = example if isinstance(example, tuple) else (example,)
    device = device_of(model)
    example = tuple(e.to(device) for e in example)
    reference: nn.Module = model
    shown = example
    with quiet():
        if quant:
            assert calibration is not None
            calibration = list(calibration)
            first = calibration[0]
            shown = (first[0] if isinstance(first, list | tuple) else first,)
            if not by_runtime:
                reference = quantize(
                    model, example, calibration, dynamic_batch=dynamic_batch, train=train, symmetric=symmetric
                )
        program = exported_program(reference, example, dynamic_batch)
        data = onnx_bytes(program)
    sizes = (len(example[0]), 1, 7) if dynamic_batch else (len(example[0]),)
    if by_runtime:
        assert calibration is not None
        data = quantize_file(data, calibration)
        # no quantised program to hold the file against: what is reported is the quantisation's own error
        error, agreement = _compare(reference, data, shown, sizes, "int8", fused=True, least=0.0)
        write_bytes(path, data)
        return Exported(Path(path), len(data), quant, error, agreement, error, sizes)
    error, agreement = _compare(reference, data, shown, sizes, quant, fused=not quant)
    fused = _compare(reference, data, shown, sizes, quant, fused=True)[0] if quant else error
    write_bytes(path, data)
    return Exported(Path(path), len(data), quant, error, agreement, fused, sizes)


def _installed_quantiser() -> str:
    import importlib.util

    return "torchao" if importlib.util.find_spec("torchao") else "onnxruntime"


def quantize_file(data: bytes, calibration: Iterable[Any], minimum: int = MINIMUM_SAMPLES) -> bytes:
    """An int8 file (symmetric weights with a scale a channel, int8 activations) from a float one, by ONNX Runtime.

    Args:
        data: a self-contained float ONNX file.
        calibration: batches of inputs (or of (inputs, labels)).
        minimum: fewer calibration samples are refused.
    """
    import tempfile

    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.calibrate import CalibrationDataReader
    from onnxruntime.quantization.shape_inference import quant_pre_process

    batches = [b[0] if isinstance(b, list | tuple) else b for b in calibration]
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
            str(ready), str(done), Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
            weight_type=QuantType.QInt8, activation_type=QuantType.QInt8,
            extra_options={"ActivationSymmetric": False, "WeightSymmetric": True},
        )  # fmt: skip
        return done.read_bytes()


def exported_program(model: nn.Module, example: tuple[Any, ...], dynamic_batch: bool) -> Any:
    """The program of a network or of a quantised graph module (whose mode is fixed)."""
    if not isinstance(model, torch.fx.GraphModule):
        return exported(model, example, dynamic_batch)
    shapes = tuple({0: torch.export.Dim("batch", min=1)} for _ in example) if dynamic_batch else None
    if dynamic_batch:
        example = tuple(torch.cat([e, e]) if len(e) == 1 else e for e in example)
    try:
        return torch.export.export(model, example, dynamic_shapes=shapes)
    except Exception as error:
        raise ExportError(error) from error


def onnx_bytes(program: Any) -> bytes:
    """An exported program as one self-contained ONNX file, checked."""
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(str(error.name), "export", "writing ONNX") from error
    try:
        written = torch.onnx.export(program, dynamo=True, external_data=False, opset_version=OPSET, verbose=False)
    except Exception as error:
        raise ExportError(error) from error
    proto = written.model_proto  # type: ignore[union-attr]
    onnx.checker.check_model(proto)
    for node in proto.graph.node:  # stack traces and the like: nearly as large as a small network's weights
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*proto.graph.value_info, *proto.graph.input, *proto.graph.output, *proto.graph.initializer):
        del value.metadata_props[:]
    del proto.graph.metadata_props[:]
    return proto.SerializeToString()


def session(data: bytes | Path | str, threads: int | None = None, fused: bool = True) -> Any:
    """An ONNX Runtime session on the CPU; `fused=False` runs the file's operations one by one as they are written."""
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "export", "running ONNX") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if not fused:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if threads:
        options.intra_op_num_threads = threads
    source = data if isinstance(data, bytes) else str(data)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def run(runtime: Any, inputs: tuple[Tensor, ...]) -> list[np.ndarray]:
    """One call of a session."""
    feed = {i.name: x.detach().cpu().numpy() for i, x in zip(runtime.get_inputs(), inputs)}
    return runtime.run(None, feed)


def _compare(
    reference: nn.Module,
    data: bytes,
    example: tuple[Tensor, ...],
    sizes: tuple[int, ...],
    quant: str | None,
    fused: bool,
    least: float | None = None,
) -> tuple[float, float]:
    """(largest relative difference, share of elements within the tolerance) over batches of each size.

    A quantised program rounds after every layer, so that a last bit can become a step, and steps add up with depth: a
    ResNet-20 disagrees with itself by more than a step in 0.5 % of its outputs when the batch size changes. The share is
    therefore reported, and only below `LEAST_AGREEMENT` is the file taken for wrong.
    """
    runtime = session(data, fused=fused)
    step = _output_step(data) if quant else None
    worst, scale, close, total = 0.0, 0.0, 0, 0
    for i, size in enumerate((*sizes, 32 if quant and len(sizes) > 1 else sizes[0])):
        batch = _resized(example, size, i, noise=quant is None)
        wanted = _outputs(reference, batch)
        for a, b in zip(run(runtime, batch), wanted):
            scale = max(scale, float(np.abs(b).max()))
            gap = np.abs(a - b)
            worst = max(worst, float(gap.max()))
            limit = step * 1.01 if step is not None else 1e-4 * max(1.0, float(np.abs(b).max()))
            close, total = close + int((gap <= limit).sum()), total + gap.size
    agreement, expected = close / max(total, 1), LEAST_AGREEMENT if quant else 1.0
    if least is None:
        least = 0.0 if quant and fused else expected
    if agreement < least or not np.isfinite(worst):
        raise MismatchError(
            "the ONNX file differs from the network",
            given=f"{100 * (1 - agreement):.2f} % of the outputs are off, by up to {worst:.3g}",
            expected=f"at most {100 * (1 - expected):.2f} % beyond "
            + ("one step of the output's scale" if quant else "1e-4"),
            hint="nothing was written; please report the network",
        )
    return worst / max(scale, 1e-12), agreement


def _outputs(reference: nn.Module, batch: tuple[Tensor, ...]) -> list[np.ndarray]:
    """The reference's tensors, in eval mode (a graph module has one mode)."""
    with torch.no_grad():
        if isinstance(reference, torch.fx.GraphModule):
            out = reference(*batch)
        else:
            with evaluating(reference):
                out = reference(*batch)
    return [v.detach().cpu().numpy() for v in torch.utils._pytree.tree_leaves(out) if isinstance(v, Tensor)]


def _resized(example: tuple[Tensor, ...], size: int, seed: int, noise: bool) -> tuple[Tensor, ...]:
    """Rows of the example, with noise where it is random itself, at another batch size."""
    rng = generator(seed, "onnx")
    out = []
    for e in example:
        rows = torch.randint(0, len(e), (size,), generator=rng).to(e.device)
        x = e[rows]
        if x.is_floating_point() and noise:
            x = x + 0.1 * x.std() * torch.randn(x.shape, generator=rng).to(x)
        out.append(x)
    return tuple(out)


def _output_step(data: bytes) -> float:
    """The scale of the last dequantisation before an output (0.0 when there is none: then outputs must be equal)."""
    import onnx

    model = onnx.load_from_string(data)
    scales = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
    scales |= {
        n.output[0]: onnx.numpy_helper.to_array(n.attribute[0].t)
        for n in model.graph.node
        if n.op_type == "Constant" and n.attribute[0].HasField("t")
    }
    makers = {out: n for n in model.graph.node for out in n.output}
    steps = []
    for output in model.graph.output:
        node = makers.get(output.name)
        while node is not None and node.op_type not in ("DequantizeLinear", "Gemm", "MatMul", "Conv"):
            node = makers.get(node.input[0])
        if node is not None and node.op_type == "DequantizeLinear" and node.input[1] in scales:
            steps.append(float(np.max(scales[node.input[1]])))
    return max(steps, default=1e-4)
