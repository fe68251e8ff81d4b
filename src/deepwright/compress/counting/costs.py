"""What a network costs: parameters, bytes, multiply-accumulates, peak activation memory, measured latency.

MACs are those of convolutions, linear maps and matrix products (attention's included), per module; normalisation,
pooling and element-wise work are counted apart. Memory is the peak of live activations over the exported graph.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.compress.arguments import require_batch, require_type, running
from deepwright.compress.counting.latency import Latency, measure_latency, onnx_latency
from deepwright.compress.counting.memory import peak_activation_bytes
from deepwright.compress.counting.products import Others, formulas
from deepwright.compress.exporting import plain_attention
from deepwright.core.devices import to_model
from deepwright.core.inference import evaluating
from deepwright.core.requirements import require_network
from deepwright.core.results import Table
from deepwright.nets import fixed_batch


@dataclass
class CostReport:
    """Totals and rows per module.

    Attributes:
        params: each storage counted once (tied weights).
        param_bytes: of these.
        buffer_bytes: running statistics and the like.
        macs: per input sample.
        elementwise_ops: outputs of other operations per sample, as a measure of the rest.
        activation_bytes: peak of live activations at `batch`, or None where the network can't be exported.
        nonzero: parameters that aren't zero (never a size).
        batch: samples of the example.
        latency: in eager mode, where it was asked for.
        onnx_latency: in ONNX Runtime, or None where it isn't installed or can't take the network.
        rows: (module, kind, params, bytes, macs) of the modules that hold parameters or do MACs.
        note: why something is missing.
        not_counted: operations that no rule knows: where there are any, `macs` are at least these.
    """

    params: int
    param_bytes: int
    buffer_bytes: int
    macs: int
    elementwise_ops: int
    activation_bytes: int | None
    nonzero: int
    batch: int
    latency: Latency | None = None
    onnx_latency: Latency | None = None
    rows: list[tuple[str, str, int, int, int]] = field(default_factory=list)
    note: str = ""
    not_counted: tuple[str, ...] = ()

    def table(self) -> Table:
        """Per module."""
        return Table(
            ["module", "kind", "params", "bytes", "MACs"], [list(row) for row in self.rows], "cost per module and input"
        )


def cost(
    model: nn.Module,
    example: Tensor,
    *,
    latency: bool = False,
    threads: int | None = None,
    min_run_time: float = 1.0,
) -> CostReport:
    """Count and measure.

    Args:
        model: left as found.
        example: an input batch (N, ...); MACs are reported per sample. A program for one batch size only is measured
            on a full batch of these.
        latency: measure it too, in eager mode and, where the extra `export` is installed, in ONNX Runtime.
        threads: pinned while measuring; the current number by default.
        min_run_time: seconds of measurement at least.

    Raises:
        InputError: an empty example, or one that the network doesn't take.
    """
    from torch.utils.flop_counter import FlopCounterMode

    require_network(model)
    require_type("example", example, Tensor, "one tensor of inputs")
    require_batch(example, "example")
    x = _full(to_model(example, model), fixed_batch(model))
    n = len(x)
    counter, others = FlopCounterMode(display=False, custom_mapping=formulas()), Others()
    with evaluating(model), torch.no_grad(), plain_attention(), running("example", x), counter, others:
        model(x)
    flops = counter.get_flop_counts()
    macs = counter.get_total_flops() // 2 // n
    peak, note = peak_activation_bytes(model, x)
    tensors = _storages(list(model.parameters()))
    report = CostReport(
        params=sum(t.numel() for t in tensors),
        param_bytes=sum(t.numel() * t.element_size() for t in tensors),
        buffer_bytes=sum(t.numel() * t.element_size() for t in _storages(list(model.buffers()))),
        macs=macs,
        elementwise_ops=others.outputs // n,
        activation_bytes=peak,
        nonzero=sum(int((t != 0).sum()) for t in tensors),
        batch=n,
        rows=_rows(model, flops, n),
        note=" ".join(part for part in (_at_least(others.unknown), note) if part),
        not_counted=tuple(sorted(others.unknown)),
    )
    if latency:
        report.latency = measure_latency(model, x, threads=threads, min_run_time=min_run_time)
        report.onnx_latency = onnx_latency(model, x, threads=threads, min_run_time=min_run_time)
    return report


def _full(x: Tensor, batch: int | None) -> Tensor:
    """Samples again and again up to a full batch, where only full ones are computed."""
    return x if batch is None else x[torch.arange(-(-len(x) // batch) * batch, device=x.device) % len(x)]


def _at_least(unknown: set[str]) -> str:
    return f"MACs are at least these: not counted {', '.join(sorted(unknown))}." if unknown else ""


def _storages(tensors: list[Tensor]) -> list[Tensor]:
    """One tensor for each storage."""
    return list({t.untyped_storage().data_ptr() if t.numel() else id(t): t for t in tensors}.values())


def _rows(model: nn.Module, flops: dict[str, dict[Any, int]], n: int) -> list[tuple[str, str, int, int, int]]:
    """A module's own MACs are its count less its children's, so that the rows add up to the total."""
    root = type(model).__name__
    counted = {
        name: sum(flops.get(f"{root}.{name}" if name else root, {}).values()) for name, _ in model.named_modules()
    }
    rows = []
    for name, module in model.named_modules():
        own = list(module.parameters(recurse=False))
        inside = sum(counted.get(f"{name}.{child}" if name else child, 0) for child, _ in module.named_children())
        macs = max(0, counted[name] - inside) // 2 // n
        if own or macs:
            params = sum(p.numel() for p in own)
            rows.append(
                (name or root, type(module).__name__, params, sum(p.numel() * p.element_size() for p in own), macs)
            )
    return rows
