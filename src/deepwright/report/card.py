"""A model card in the Hugging Face form: README.md whose head names the measured numbers (`model-index`)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from deepwright.checks.running import AuditReport
from deepwright.core.statistics import Interval
from deepwright.report.markdown import plain, summary_markdown
from deepwright.report.verdict import Number, five_numbers
from deepwright.report.words import ends_of, sentence, spread

MARK = "<!-- Written by deepwright audit. Delete this line to keep the file from being written anew. -->"
_TASKS = {
    "segmentation": "image-segmentation",
    "detection": "object-detection",
    "forecast": "time-series-forecasting",
    "graph classification": "graph-ml",
}
_KINDS = {"classification": ("image", "tabular", "text"), "regression": ("tabular",)}  # of inputs that the hub knows
_METRICS = {"auroc": "roc_auc", "map": "mean_average_precision"}  # what the hub calls them, where it says otherwise
_UNKNOWN = "Not stated: an audit can't know it."


def as_card(report: AuditReport) -> str:
    """The card: numbers with their intervals in the head, the summary below, and what only its makers can say.

    Args:
        report: of an audit.
    """
    head = "\n".join(_yaml({"tags": ["deepwright"], "model-index": [_index(report)]}))
    parts = [
        f"---\n{head}\n---",
        MARK,
        f"# {plain(report.subject['name'])}",
        f"## Intended use\n\n{_UNKNOWN}",
        f"## Training\n\n{_UNKNOWN}",
        f"## Evaluation on {plain(report.subject['data'])}\n\n{summary_markdown(report)}",
    ]
    return "\n\n".join(parts) + "\n"


def _index(report: AuditReport) -> dict[str, Any]:
    subject = report.subject
    name = _line(subject["data"])
    dataset = {
        "name": name,
        "type": re.sub(r"[^a-z0-9._/-]+", "-", name.lower()).strip("-") or "custom",
        "split": "test",
    }
    metrics = [_metric(number) for number in five_numbers(report.findings) if _known(number.value)]
    result = {"task": {"type": _task(subject)}, "dataset": dataset, "metrics": metrics}
    return {"name": _line(subject["name"]), "results": [result] if metrics else []}


def _task(subject: dict[str, Any]) -> str:
    """The hub's name for the task; "other" where it has none."""
    task, kind = str(subject.get("task", "classification")), str(subject["kind"])
    word = task.removeprefix("binary ").removeprefix("multi-label ")
    if word in _TASKS:
        return _TASKS[word]
    return f"{kind}-{word}" if kind in _KINDS.get(word, ()) else "other"


def _known(value: Any) -> bool:
    return all(map(math.isfinite, ends_of(value)))


def _metric(number: Number) -> dict[str, Any]:
    """A number as the hub reads it; where it has an interval, its name says so and its arguments hold the ends."""
    value = number.value
    metric = {"type": _METRICS.get(number.key, number.key), "value": value, "name": sentence(_line(number.name))}
    if isinstance(value, Interval):
        interval = spread(value, number.unit)
        note = f"; {number.note}" if number.note else ""
        metric |= {"value": value.value, "name": f"{metric['name']} (95 % interval {interval}{note})"}
        metric["args"] = {"interval": 0.95, "low": value.low, "high": value.high}
    return metric


def _line(words: Any) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in str(words)).split())


def _yaml(value: dict[str, Any], indent: str = "") -> Iterator[str]:
    """Lines of YAML: names and numbers as they are, texts between quotes, as JSON has them."""
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield f"{indent}{key}:"
            yield from _yaml(inner, indent + "  ")
        elif isinstance(inner, list):
            yield f"{indent}{key}:" if inner else f"{indent}{key}: []"
            for item in inner:
                lines = list(_yaml(item, indent + "  ")) if isinstance(item, dict) else [f"{indent}  {_scalar(item)}"]
                yield f"{indent}- {lines[0].strip()}"
                yield from lines[1:]
        else:
            yield f"{indent}{key}: {_scalar(inner)}"


def _scalar(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
