"""What does it cost to run?"""

from __future__ import annotations

from typing import Any

from deepwright.checks.array_cost import array_cost
from deepwright.checks.findings.finding import Finding, NotApplicableError
from deepwright.checks.subjects.subject import Subject
from deepwright.compress import cost
from deepwright.core.results import Figure
from deepwright.core.spreading import alone
from deepwright.nets import weights_hidden
from deepwright.nets.texts import Tokenized, TokenNetwork


def check_cost(subject: Subject) -> Finding:
    """Parameters, bytes, MACs, peak activations and measured latency of one input; what a systolic array would take.

    Applies to every task; not to a network that another runtime runs, nor to a frozen TorchScript program, whose
    weights have become constants of its code.
    """
    if subject.data.kind == "graphs":
        raise NotApplicableError("what a graph costs depends on its nodes and edges, and no example is all of them")
    if not subject.has_gradients:
        why = "what the network is made of can't be looked at: parameters and multiply-accumulates aren't counted"
        return Finding.not_applicable("cost", why)
    if weights_hidden(subject.model):
        raise NotApplicableError("the weights of a frozen TorchScript program are constants of its code, not counted")
    model, x = subject.model, subject.data.test.inputs(slice(0, 1))
    if isinstance(model, Tokenized | TokenNetwork):  # what a tokenizer does isn't counted in products
        x = model.encode(x)
        model = model.network
    report = alone(lambda: cost(model, x, latency=True))
    assert report.latency is not None
    latency = report.latency
    values: dict[str, Any] = {
        "params": report.params,
        "param_bytes": report.param_bytes,
        "macs": report.macs,
        "elementwise_ops": report.elementwise_ops,
        "latency_ms": 1e3 * latency.median,
    }
    onnx = report.onnx_latency
    if onnx is not None:
        values["onnx_latency_ms"] = 1e3 * onnx.median
    if report.activation_bytes is not None:
        values["activation_bytes"] = report.activation_bytes
    arrays = array_cost(model, x)
    values |= arrays.values
    heavy = sorted(report.rows, key=lambda row: -row[4])[:12]
    figure = Figure(
        "bar",
        "Where the multiply-accumulates are",
        [{"name": "MACs", "x": [row[0] for row in heavy], "y": [float(row[4]) for row in heavy]}],
        "module",
        "MACs per input",
    )
    one = "one input" if report.batch == 1 else f"a full batch of {report.batch}, the only one it takes,"
    least = "at least " if report.not_counted else ""
    memory = f", {_bytes(report.activation_bytes)} of activations at the peak" if report.activation_bytes else ""
    runtime = f", {1e3 * onnx.median:.2f} ms in ONNX Runtime" if onnx is not None else ""
    return Finding(
        check="cost",
        grade="info",
        summary=f"{report.params:,} parameters ({_bytes(report.param_bytes)}), {least}{_millions(report.macs)} MACs "
        f"per input{memory}; {1e3 * latency.median:.2f} ms for {one} on {latency.threads} "
        f"thread{'s' * (latency.threads != 1)} of {latency.device} (quartiles {1e3 * latency.low:.2f} to "
        f"{1e3 * latency.high:.2f}){runtime}. {arrays.words} {report.note}".strip(),
        values=values,
        rule="Cost is reported, not judged: what is cheap depends on where it runs. Set a gate (latency_ms, macs, "
        "param_bytes) for your target.",
        remedy=_remedy(report.macs),
        tables=[report.table(), *arrays.tables],
        figures=[figure] if heavy and heavy[0][4] else [],
        lower_is_better=(
            "params",
            "param_bytes",
            "macs",
            "activation_bytes",
            "latency_ms",
            "onnx_latency_ms",
            "elementwise_ops",
            "array_cycles",
        ),
    )


def _remedy(macs: int) -> str:
    """A budget of what is counted: the same network's latency was seen to vary by 2.5 times from run to run."""
    if macs == 0:
        return "Nothing to do: no multiply-accumulate was counted, so there is no budget to set."
    return (
        f'Set a budget in deepwright.toml, e.g. `fail-on = ["cost.macs>{round(1.1 * macs)}"]`: an audit then fails '
        "where a network needs a tenth more multiply-accumulates than this one. Latencies vary too much between runs "
        "for such a gate, and compare only between networks that are measured in turns."
    )


def _millions(n: int) -> str:
    return f"{n / 1e6:.1f} million" if n >= 1e6 else f"{n:,}"


def _bytes(n: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= size:
            return f"{n / size:.1f} {unit}"
    return f"{n} bytes"
