"""Whether an ONNX file computes what a network does: run on several batches, at other batch sizes too."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.compress.errors import MismatchError
from deepwright.core.inference import evaluating
from deepwright.core.randomness import generator
from deepwright.nets.onnx_files import run, session

LEAST_AGREEMENT = 0.97


def compare(
    reference: nn.Module,
    data: bytes,
    example: tuple[Tensor, ...],
    sizes: tuple[int, ...],
    quant: str | None,
    fused: bool,
    least: float | None = None,
) -> tuple[float, float]:
    """Run both on batches of each size.

    A quantised program rounds after every layer, so that a last bit can become a step, and steps add up with depth: a
    ResNet-20 disagrees with itself by more than a step in 0.5 % of its outputs when the batch size changes. The share
    is therefore reported, and only below `LEAST_AGREEMENT` is the file taken for wrong.

    Args:
        reference: the network, or the quantised program.
        data: the file.
        example: inputs, whose rows the batches are drawn from.
        sizes: of the batches.
        quant: None or "int8".
        fused: let the runtime fuse operations.
        least: the smallest share that is accepted; by default all of them, for int8 `LEAST_AGREEMENT` (none where the
            runtime fuses).

    Returns:
        The largest difference relative to the largest output, and the share of elements within the tolerance.

    Raises:
        MismatchError: a smaller share, or outputs that aren't finite.
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
            limit = step * 1.01 if step is not None else _rounding(b) * max(1.0, float(np.abs(b).max()))
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


def _rounding(b: np.ndarray) -> float:
    """The relative difference that a network's own precision explains: 1e-4, in half precision eight roundings."""
    return max(1e-4, 8 * float(np.finfo(b.dtype).eps)) if np.issubdtype(b.dtype, np.floating) else 1e-4


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
