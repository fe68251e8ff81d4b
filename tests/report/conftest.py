"""A report in which every word is hostile or endless."""

import pytest
import torch

from deepwright.checks import Finding, Gate
from deepwright.checks.running import AuditReport
from deepwright.core.pictures import Strip, strips
from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval

EVIL = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>"
_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
LONG = "a_name_without_any_break_" * 12


@pytest.fixture
def report():
    figures = [
        Figure(
            "line",
            EVIL,
            [
                {
                    "name": EVIL,
                    "x": [0, 1, 2],
                    "y": [1.0, 0.5, float("nan")],
                    "low": [0.9, 0.4, 0.1],
                    "high": [1, 0.6, 0.2],
                }
            ],
            EVIL,
            EVIL,
        ),
        Figure("bar", "bars", [{"name": "a", "x": [EVIL, "b"], "y": [1.0, 2.0]}]),
        Figure("heatmap", "heat", [{"rows": [EVIL], "columns": ["c"], "values": [[0.5]]}]),
        Figure("images", "pictures", [{"png": _PNG, "caption": EVIL, "note": EVIL}]),
        strips(EVIL, [Strip(EVIL, torch.rand(2, 3, 8, 8), [EVIL, LONG], EVIL)], note=EVIL),
    ]
    names = [EVIL if i == 3 else f"row {i}" for i in range(12)] + ["=1+1", "-3", "- x", "@a", 'a "b", c', "\uff1d2"]
    table = Table(["name", "number"], [[name, float(i % 7)] for i, name in enumerate(names)], EVIL)
    finding = Finding(
        "evil",
        "B",
        EVIL,
        {EVIL: Interval(0.5, 0.4, 0.6), "inf": float("inf")},
        EVIL,
        f"{EVIL} `{EVIL * 2}`",
        [table],
        figures,
    )
    subject = {
        "name": EVIL,
        "network": EVIL,
        "parameters": 3,
        "data": EVIL,
        "kind": "image",
        "input": [1, 2],
        "classes": 2,
        "class_names": [EVIL],
        "train": 1,
        "validation": 1,
        "test": 1,
        "device": "cpu",
        "notes": [EVIL],
    }
    long = LONG
    wide = Finding(long, "failed", long, {long: 1.0}, long, long, [Table([long], [[long]], long)])
    silent = Finding.not_applicable("ood", "no classes")
    graded = Finding(
        "robustness",
        "E",
        "Easily fooled.",
        {"clean_accuracy_kept": Interval(0.1, 0.05, 0.15), "robust_accuracy_at_8/255": Interval(0.1, 0.05, 0.15)},
        "A rule.",
        "Run `adversarial.suite('standard', 0.3, task=subject.baseline_task)(subject.network, x, y)` first.",
        could_be=("D",),
        higher_is_better=("clean_accuracy_kept",),
        figures=[
            Figure("bar", "b", [{"name": "a", "x": [LONG, "b"], "y": [1e7, 2.0], "low": [1, 1], "high": [2e7, 3]}])
        ],
    )
    comparison = Table(
        ["check", "value", "before", "after", "difference", "verdict"],
        [["robustness", "clean_accuracy_kept", 0.2, 0.1, -0.1, EVIL], ["robustness", "grade", "D", "E", None, "worse"]],
        EVIL,
    )
    return AuditReport(
        subject, [finding, wide, graded, silent], [Gate("fi>0.5", 0.7, True), Gate(long, long, True)], comparison
    )


@pytest.fixture
def evil():
    """The hostile words."""
    return EVIL
