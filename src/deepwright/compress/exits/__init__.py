"""Networks that stop early: cuts, heads, certified thresholds, and files for small machines (arXiv 2603.28149).

Example:
    >>> import torch
    >>> from deepwright.compress.exits import Segments, attach_exits, expected_cost
    >>> network = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
    >>> x = torch.rand(4, 6)
    >>> [cut.name for cut in Segments(network, x).cuts()]  # where a head can go
    ['0', '1']
    >>> model = attach_exits(network, ["1"], x, exit_output="logits", outputs=3).eval()
    >>> answers, left = model(x, thresholds=[2.0], return_exit=True)  # no probability is 2: nobody leaves
    >>> left.tolist()
    [1, 1, 1, 1]
    >>> expected_cost(model, left).worth
    False
"""

from deepwright.compress.exits.adaptive import AdaptiveModel, attach_exits
from deepwright.compress.exits.calibration import calibrate_exits, head_logits
from deepwright.compress.exits.costs import ExitCost, expected_cost, path_macs
from deepwright.compress.exits.files import ExportedExit, export_exits
from deepwright.compress.exits.heads import ExitHead, VectorHead
from deepwright.compress.exits.losses import BlankSkipLoss
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
    "head_logits",
    "path_macs",
    "samples_needed",
]
