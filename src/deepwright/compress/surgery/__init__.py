"""Plans over coupled units, cut out of the network and proved equal to the masked original.

Example:
    >>> import torch
    >>> from deepwright.compress.coupling import ShrinkGraph
    >>> from deepwright.compress.surgery import importance, plan, shrink
    >>> network = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
    >>> graph = ShrinkGraph.from_module(network, torch.rand(4, 6))
    >>> result = shrink(network, plan(graph, importance(graph), target={"macs": 0.5}))
    >>> result.model[0].out_features, result.verification.error < 1e-8
    (8, True)
"""

from deepwright.compress.surgery.batch_norms import recalibrate
from deepwright.compress.surgery.cutting import ShrinkResult, shrink
from deepwright.compress.surgery.dead import dead_units
from deepwright.compress.surgery.fusion import check_fusion, embed, extract
from deepwright.compress.surgery.index_maps import IndexMap, index_map_from_json, index_map_to_json
from deepwright.compress.surgery.latency import plan_for_latency
from deepwright.compress.surgery.masked_original import MaskedOriginal
from deepwright.compress.surgery.masking import MaskHandle, mask, mask_weights
from deepwright.compress.surgery.plans import Plan, kept_indices, plan
from deepwright.compress.surgery.proof import Verification, verify
from deepwright.compress.surgery.safety import freeze_unsafe, unsafe_groups
from deepwright.compress.surgery.scores import CRITERIA, GRADIENT_CRITERIA, gradient_scores, importance

__all__ = [
    "CRITERIA",
    "GRADIENT_CRITERIA",
    "IndexMap",
    "MaskHandle",
    "MaskedOriginal",
    "Plan",
    "ShrinkResult",
    "Verification",
    "check_fusion",
    "dead_units",
    "embed",
    "extract",
    "freeze_unsafe",
    "gradient_scores",
    "importance",
    "index_map_from_json",
    "index_map_to_json",
    "kept_indices",
    "mask",
    "mask_weights",
    "plan",
    "plan_for_latency",
    "recalibrate",
    "shrink",
    "unsafe_groups",
    "verify",
]
