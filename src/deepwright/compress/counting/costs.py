"""What a network costs: parameters, bytes, multiply-accumulates, peak activation memory, measured latency.

MACs are those of convolutions, linear maps and matrix products (attention's included), per module; normalisation,
pooling and element-wise work are counted apart. Memory is the peak of live activations over the exported graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.inference import device_of, evaluating
from deepwright.core.results import Table


@dataclass(frozen=True)
class Latency:
    """Seconds per call: median and quartiles, at a batch size, on so many threads."""

    median: float
    low: float
    high: float
    batch: int
    threads: int
    device: str
    repeats: int

    def compare(self, other: Latency) -> str:
        """How this one stands to another, in words; no speed-up is claimed where the quartiles overlap."""
        if self.low <= other.high and other.low <= self.high:
            return "no measurable difference"
        ratio = other.median / self.median
        interval = f"{other.low / self.high:.2f}-{other.high / self.low:.2f}"
        return f"{ratio:.2f}x faster ({interval})" if ratio > 1 else f"{1 / ratio:.2f}x slower"


@dataclass
class CostReport:
    """Totals and rows per module.

    Attributes:
        params, param_bytes: each storage counted once (tied weights).
        buffer_bytes: running statistics and the like.
        macs: per input sample.
        elementwise_ops: outputs of other operations per sample, as a measure of the rest.
        activation_bytes: peak of live activations at `batch`, or None where the network can't be exported.
        nonzero: parameters that aren't zero (never a size).
        rows: (module, kind, params, bytes, macs) of the modules that hold parameters or do MACs.
        latency: in eager mode; onnx_latency: in ONNX Runtime, or None where it isn't installed or can't take the network.
        note: why something is missing.
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
        example: an input batch (N, ...); MACs are reported per sample.
        latency: measure it too, in eager mode and, where the extra `export` is installed, in ONNX Runtime.
        threads: pinned while measuring; the current number by default.
        min_run_time: seconds of measurement at least.

    Raises:
        InputError: an empty example, or one that the network doesn't take.
    """
    from torch.utils.flop_counter import FlopCounterMode

    n = len(example)
    if n == 0:
        raise InputError("example", given="an empty batch", expected="at least one input")
    x = example.to(device_of(model))
    counter = FlopCounterMode(display=False, custom_mapping=_cpu_attention())
    elementwise = _Elementwise()
    with evaluating(model), torch.no_grad(), _without_fused_attention():
        try:
            with counter, elementwise:
                model(x)
        except RuntimeError as error:
            raise InputError(
                "example",
                given=f"shape {tuple(x.shape)}: {str(error).splitlines()[0]}",
                expected="a batch that the network takes",
            ) from error
    flops = counter.get_flop_counts()
    macs = counter.get_total_flops() // 2 // n
    peak, note = peak_activation_bytes(model, x)
    tensors = _storages(list(model.parameters()))
    report = CostReport(
        params=sum(t.numel() for t in tensors),
        param_bytes=sum(t.numel() * t.element_size() for t in tensors),
        buffer_bytes=sum(t.numel() * t.element_size() for t in _storages(list(model.buffers()))),
        macs=macs,
        elementwise_ops=elementwise.count // n,
        activation_bytes=peak,
        nonzero=sum(int((t != 0).sum()) for t in tensors),
        batch=n,
        rows=_rows(model, flops, n),
        note=note,
    )
    if latency:
        report.latency = measure_latency(model, x, threads=threads, min_run_time=min_run_time)
        report.onnx_latency = onnx_latency(model, x, threads=threads, min_run_time=min_run_time)
    return report


def onnx_latency(
    model: nn.Module, x: Tensor, *, threads: int | None = None, min_run_time: float = 1.0
) -> Latency | None:
    """Latency of the network's ONNX file in ONNX Runtime on the CPU; None where that can't be had."""
    from deepwright.compress.files.int8 import exported, quiet
    from deepwright.compress.files.onnx import onnx_bytes, run, session

    threads = threads or torch.get_num_threads()
    try:
        with quiet():
            runtime = session(onnx_bytes(exported(model, (x,), dynamic_batch=False)), threads)
    except (InputError, RuntimeError):
        return None
    return measure_latency(lambda batch: run(runtime, (batch,)), x, threads=threads, min_run_time=min_run_time)


def _cpu_attention() -> dict[Any, Callable[..., int]]:
    """The CPU's fused attention, which torch's counter doesn't know."""
    from torch.utils.flop_counter import sdpa_flop_count

    def flops(query: Any, key: Any, value: Any, *rest: Any, **options: Any) -> int:
        return sdpa_flop_count(query, key, value)

    return {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: flops}


@contextmanager
def _without_fused_attention() -> Iterator[None]:
    """Fused transformer kernels hide their matrix products from the counter: count the plain ones."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def measure_latency(
    model: Callable[[Tensor], Any], x: Tensor, *, threads: int | None = None, min_run_time: float = 1.0
) -> Latency:
    """Median and quartiles of a call's time, after five calls of warming up; CUDA is waited for."""
    from torch.utils.benchmark import Timer

    threads = threads or torch.get_num_threads()
    was_training = [m for m in model.modules() if m.training] if isinstance(model, nn.Module) else []
    for module in was_training:
        module.training = False
    try:
        with torch.no_grad():
            for _ in range(5):
                model(x)
            timer = Timer("model(x)", globals={"model": model, "x": x}, num_threads=threads)
            measured = timer.blocked_autorange(min_run_time=min_run_time)
    finally:
        for module in was_training:
            module.training = True
    times = torch.tensor(measured.times, dtype=torch.float64)
    low, middle, high = torch.quantile(times, torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)).tolist()
    return Latency(middle, low, high, len(x), threads, str(x.device), len(times) * measured.number_per_run)


def _storages(tensors: list[Tensor]) -> list[Tensor]:
    """One tensor for each storage."""
    return list({t.untyped_storage().data_ptr() if t.numel() else id(t): t for t in tensors}.values())


def _rows(model: nn.Module, flops: dict[str, dict[Any, int]], n: int) -> list[tuple[str, str, int, int, int]]:
    root = type(model).__name__
    rows = []
    for name, module in model.named_modules():
        own = list(module.parameters(recurse=False))
        leaf = not list(module.children())
        key = f"{root}.{name}" if name else root
        macs = sum(flops.get(key, {}).values()) // 2 // n if leaf else 0
        if own or macs:
            params = sum(p.numel() for p in own)
            rows.append(
                (name or root, type(module).__name__, params, sum(p.numel() * p.element_size() for p in own), macs)
            )
    return rows


class _Elementwise(torch.utils._python_dispatch.TorchDispatchMode):
    """Counts outputs of operations that aren't views, convolutions or matrix products."""

    _MAC_OPS = ("convolution", "addmm", "mm", "bmm", "baddbmm", "linear", "attention")

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__ if hasattr(func, "overloadpacket") else ""
        is_view = any(r.alias_info is not None and not r.alias_info.is_write for r in func._schema.returns)
        if not is_view and not any(op in name for op in self._MAC_OPS):
            for value in out if isinstance(out, tuple | list) else (out,):
                if isinstance(value, Tensor):
                    self.count += value.numel()
        return out


def peak_activation_bytes(model: nn.Module, x: Tensor) -> tuple[int | None, str]:
    """Peak bytes of live activations (input included) in the exported graph's order, or None and the reason.

    A tensor lives from the node that makes it to its last use; views and in-place results share their source's storage.
    """
    try:
        with evaluating(model), torch.no_grad():
            program = torch.export.export(model, (x,))
    except Exception as error:
        return None, f"peak activation memory unknown: torch.export failed ({str(error).splitlines()[0][:160]})"
    graph = program.graph
    inputs = set(program.graph_signature.user_inputs)
    storage: dict[Any, Any] = {}
    size: dict[Any, int] = {}
    last: dict[Any, int] = {}
    nodes = list(graph.nodes)
    for i, node in enumerate(nodes):
        if node.op == "placeholder" and node.name not in inputs:
            continue
        if node.op in ("placeholder", "call_function"):
            source = _aliased(node)
            storage[node] = storage.get(source, node) if source is not None else node
            if storage[node] is node:
                size[node] = _bytes(node.meta.get("val"))
        for used in node.all_input_nodes:
            if used in storage:
                last[storage[used]] = i
    alive, peak = 0, 0
    ends: dict[int, list[Any]] = {}
    for owner, i in last.items():
        ends.setdefault(i, []).append(owner)
    for i, node in enumerate(nodes):
        if node in size:
            alive += size[node]
        peak = max(peak, alive)
        for owner in ends.get(i, []):
            alive -= size.get(owner, 0)
    return peak, ""


def _aliased(node: Any) -> Any:
    """The node whose storage this one's result shares, if any."""
    if node.op != "call_function":
        return None
    if "getitem" in str(node.target):
        return node.args[0] if not isinstance(node.args[0].meta.get("val"), tuple | list) else None
    schema = getattr(node.target, "_schema", None)
    if schema is None or not schema.returns or schema.returns[0].alias_info is None:
        return None
    return node.args[0] if node.args and hasattr(node.args[0], "op") else None


def _bytes(value: Any) -> int:
    if isinstance(value, Tensor):
        return math.prod(value.shape) * value.element_size()
    return 0
