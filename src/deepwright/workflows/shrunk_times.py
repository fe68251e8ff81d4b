"""How long a network takes before and after shrinking: like against like, in turns, so that the noise is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from deepwright.checks import Finding
from deepwright.compress import Latency, measure_in_turns
from deepwright.core.statistics import Interval

Form = tuple[str, str]
"""("before" or "after", "torch", "ONNX float" or "ONNX int8")"""
_VALUES = {"torch": "latency_ms", "ONNX float": "onnx_latency_ms"}


def times(calls: Mapping[Form, Callable[[Tensor], Any]], one: Tensor) -> dict[Form, Latency]:
    """Each form's time for one input; all take turns.

    Args:
        calls: form -> what computes it.
        one: a single input.
    """
    named = {" ".join(form): form for form in calls}
    found = measure_in_turns({name: calls[form] for name, form in named.items()}, one)
    return {form: found[name] for name, form in named.items()}


def told(measured: Mapping[Form, Latency], goal: tuple[str, float]) -> list[str]:
    """What a reader must know: where it became slower, and whether a goal of milliseconds is met.

    Args:
        measured: see `times`.
        goal: ("latency-ms", milliseconds), or another goal that says nothing of time.
    """
    notes = []
    for form in ("torch", "ONNX float"):
        before, after = measured.get(("before", form)), measured.get(("after", form))
        if before is None or after is None:
            continue
        if after.low > before.high:
            notes.append(
                f"{form}: the shrunk network is {after.compare(before)} ({_ms(before)} before, {_ms(after)} after): "
                "fewer MACs aren't less time here; try widths of whole vectors (round_to=8, round_to=16)"
            )
        if form == "torch" and goal[0] == "latency-ms":
            met = "met" if after.median <= 1e-3 * goal[1] else "NOT met"
            notes.append(f"the goal of {goal[1]:.3g} ms is {met}: {_ms(after)} in torch on {after.device}")
    return notes


def _ms(latency: Latency) -> str:
    return f"{1e3 * latency.median:.3g} ms [{1e3 * latency.low:.3g}, {1e3 * latency.high:.3g}]"


def timed_together(
    before: Sequence[Finding], after: Sequence[Finding], measured: Mapping[Form, Latency]
) -> tuple[list[Finding], list[Finding]]:
    """Both audits' findings with times that were taken in turns, in place of each audit's own.

    An audit's own quartiles tell how a call varies within one second; minutes lie between the two audits.

    Args:
        before: findings of the network as it was.
        after: those of the shrunk one.
        measured: see `times`.
    """
    return [_timed(f, "before", measured) for f in before], [_timed(f, "after", measured) for f in after]


def _timed(finding: Finding, when: str, measured: Mapping[Form, Latency]) -> Finding:
    if finding.check != "cost" or finding.grade == "failed":
        return finding
    together = {
        value: measured[when, form]
        for form, value in _VALUES.items()
        if (when, form) in measured and value in finding.values
    }
    if not together:
        return finding
    values = {
        **finding.values,
        **{name: Interval(1e3 * t.median, 1e3 * t.low, 1e3 * t.high) for name, t in together.items()},
    }
    said = ", ".join(f"{name} {_ms(t)}" for name, t in together.items())
    return replace(finding, values=values, summary=f"{finding.summary} In turns with the other network: {said}.")
