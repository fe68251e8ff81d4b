"""Networks that stop early: cuts, heads, certified thresholds, and files for small machines (arXiv 2603.28149).

Example:
    >>> from deepwright.compress.exits import attach_exits, calibrate_exits
    >>> model = attach_exits(network, ['layer2'], x, exit_output='logits', outputs=10)  # doctest: +SKIP
"""

from deepwright.compress.exits.adaptive import (
    AdaptiveModel,
    BlankSkipLoss,
    ExitCost,
    ExitHead,
    VectorHead,
    attach_exits,
    calibrate_exits,
    expected_cost,
)
from deepwright.compress.exits.files import ExportedExit, export_exits
from deepwright.compress.exits.policy import CalibrationError, ExitPolicy, TemporalGate, certify, samples_needed
from deepwright.compress.exits.segments import Cut, CutError, Segments

__all__ = [
    "AdaptiveModel",
    "BlankSkipLoss",
    "CalibrationError",
    "Cut",
    "CutError",
    "ExitCost",
    "ExitHead",
    "ExitPolicy",
    "ExportedExit",
    "Segments",
    "TemporalGate",
    "VectorHead",
    "attach_exits",
    "calibrate_exits",
    "certify",
    "expected_cost",
    "export_exits",
    "samples_needed",
]
