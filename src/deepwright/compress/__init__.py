"""Smaller networks that are proved equal to their masked originals, and what any network costs.

`ShrinkGraph` finds what can be removed together, `importance` and `plan` choose, `shrink` cuts and proves, `embed`
writes the small network back into the big one; `cost` counts and measures.

Example:
    >>> from deepwright.compress import ShrinkGraph, importance, plan, shrink
    >>> graph = ShrinkGraph.from_module(model, x)  # doctest: +SKIP
    >>> small = shrink(model, plan(graph, importance(graph), target={"macs": 0.5})).model  # doctest: +SKIP
"""

from deepwright.compress.cost import CostReport, Latency, cost, measure_latency, peak_activation_bytes
from deepwright.compress.engines import Engine, PymooEngine
from deepwright.compress.errors import (
    ExportError,
    FrozenAxisError,
    FusionError,
    OverPruneError,
    ShapeError,
    SurgeryError,
)
from deepwright.compress.evolve import Candidate, EvolutionaryPruner, SearchError
from deepwright.compress.exit_export import ExportedExit, export_exits
from deepwright.compress.exit_policy import CalibrationError, ExitPolicy, TemporalGate, certify, samples_needed
from deepwright.compress.exits import (
    AdaptiveModel,
    BlankSkipLoss,
    ExitCost,
    ExitHead,
    VectorHead,
    attach_exits,
    calibrate_exits,
    expected_cost,
)
from deepwright.compress.export import Exported, export
from deepwright.compress.front import ParetoResult, Picked
from deepwright.compress.fusion import check_fusion, embed, extract
from deepwright.compress.graph import Group, Member, ShrinkGraph, Unsupported
from deepwright.compress.importance import CRITERIA, gradient_scores, importance
from deepwright.compress.masking import MaskHandle, dead_units, mask, mask_weights
from deepwright.compress.plan import Plan, plan
from deepwright.compress.polynomial import CostPolynomial
from deepwright.compress.quantize import quantize
from deepwright.compress.recalibrate import recalibrate
from deepwright.compress.safety import freeze_unsafe, unsafe_groups
from deepwright.compress.search_state import StateMismatchError
from deepwright.compress.segments import Cut, CutError, Segments
from deepwright.compress.space import Accuracy, UnitSpace, WeightSpace, accuracy_on
from deepwright.compress.surgery import IndexMap, ShrinkResult, index_map_from_json, index_map_to_json, shrink
from deepwright.compress.targets import GAP8, Estimate, Layer, TargetProfile, expected_macs, layers
from deepwright.compress.verify import MaskedOriginal, Verification, verify

__all__ = [
    "CRITERIA",
    "GAP8",
    "Accuracy",
    "AdaptiveModel",
    "BlankSkipLoss",
    "CalibrationError",
    "Candidate",
    "CostPolynomial",
    "CostReport",
    "Cut",
    "CutError",
    "Engine",
    "Estimate",
    "EvolutionaryPruner",
    "ExitCost",
    "ExitHead",
    "ExitPolicy",
    "ExportError",
    "Exported",
    "ExportedExit",
    "FrozenAxisError",
    "FusionError",
    "Group",
    "IndexMap",
    "Latency",
    "Layer",
    "MaskHandle",
    "MaskedOriginal",
    "Member",
    "OverPruneError",
    "ParetoResult",
    "Picked",
    "Plan",
    "PymooEngine",
    "SearchError",
    "Segments",
    "ShapeError",
    "ShrinkGraph",
    "ShrinkResult",
    "StateMismatchError",
    "SurgeryError",
    "TargetProfile",
    "TemporalGate",
    "UnitSpace",
    "Unsupported",
    "VectorHead",
    "Verification",
    "WeightSpace",
    "accuracy_on",
    "attach_exits",
    "calibrate_exits",
    "certify",
    "check_fusion",
    "cost",
    "dead_units",
    "embed",
    "expected_cost",
    "expected_macs",
    "export",
    "export_exits",
    "extract",
    "freeze_unsafe",
    "gradient_scores",
    "importance",
    "index_map_from_json",
    "index_map_to_json",
    "layers",
    "mask",
    "mask_weights",
    "measure_latency",
    "peak_activation_bytes",
    "plan",
    "quantize",
    "recalibrate",
    "samples_needed",
    "shrink",
    "unsafe_groups",
    "verify",
]
