"""What does it cost to run?"""

from __future__ import annotations

from typing import Any

from deepwright.checks.findings.finding import Finding
from deepwright.checks.subjects.subject import Subject
from deepwright.compress import cost
from deepwright.core.results import Figure


def check_cost(subject: Subject) -> Finding:
    """Parameters, bytes, MACs, peak activations and measured latency of one input.

    Applies to every task; not to a network that another runtime runs.
    """
    if not subject.has_gradients:
        why = "what the network is made of can't be looked at: parameters and multiply-accumulates aren't counted"
        return Finding.not_applicable("cost", why)
    report = cost(subject.model, subject.data.test.inputs(slice(0, 1)), latency=True)
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
    heavy = sorted(report.rows, key=lambda row: -row[4])[:12]
    figure = Figure(
        "bar",
        "Where the multiply-accumulates are",
        [{"name": "MACs", "x": [row[0] for row in heavy], "y": [float(row[4]) for row in heavy]}],
        "module",
        "MACs per input",
    )
    least = "at least " if report.not_counted else ""
    memory = f", {_bytes(report.activation_bytes)} of activations at the peak" if report.activation_bytes else ""
    runtime = f", {1e3 * onnx.median:.2f} ms in ONNX Runtime" if onnx is not None else ""
    return Finding(
        check="cost",
        grade="info",
        summary=f"{report.params:,} parameters ({_bytes(report.param_bytes)}), {least}{_millions(report.macs)} MACs "
        f"per input{memory}; {1e3 * latency.median:.2f} ms for one input on {latency.threads} thread(s) of "
        f"{latency.device} (quartiles {1e3 * latency.low:.2f} to "
        f"{1e3 * latency.high:.2f}){runtime}. {report.note}".strip(),
        values=values,
        rule="Cost is reported, not judged: what is cheap depends on where it runs. Set a gate (latency_ms, macs, "
        "param_bytes) for your target.",
        remedy=_remedy(1e3 * latency.median),
        tables=[report.table()],
        figures=[figure] if heavy and heavy[0][4] else [],
        lower_is_better=(
            "params",
            "param_bytes",
            "macs",
            "activation_bytes",
            "latency_ms",
            "onnx_latency_ms",
            "elementwise_ops",
        ),
    )


def _remedy(milliseconds: float) -> str:
    return (
        f'Set a budget in deepwright.toml, e.g. `fail-on = ["cost.latency_ms>{2 * milliseconds:.3g}"]`: an audit then '
        f"fails where one input takes twice as long as the {milliseconds:.3g} ms here. Latencies compare only "
        "between networks that are measured in turns."
    )


def _millions(n: int) -> str:
    return f"{n / 1e6:.1f} million" if n >= 1e6 else f"{n:,}"


def _bytes(n: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= size:
            return f"{n / size:.1f} {unit}"
    return f"{n} bytes"
