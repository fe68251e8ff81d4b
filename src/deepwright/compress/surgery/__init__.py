"""Plans over coupled units, cut out of the network and proved equal to the masked original.

Example:
    >>> from deepwright.compress.surgery import importance, plan, shrink
    >>> small = shrink(model, plan(graph, importance(graph), target={'macs': 0.5})).model  # doctest: +SKIP
"""

from deepwright.compress.surgery.batch_norms import recalibrate
from deepwright.compress.surgery.cutting import IndexMap, ShrinkResult, index_map_from_json, index_map_to_json, shrink
from deepwright.compress.surgery.fusion import check_fusion, embed, extract
from deepwright.compress.surgery.masking import MaskHandle, dead_units, mask, mask_weights
from deepwright.compress.surgery.plans import Plan, plan
from deepwright.compress.surgery.proof import MaskedOriginal, Verification, verify
from deepwright.compress.surgery.safety import freeze_unsafe, unsafe_groups
from deepwright.compress.surgery.scores import CRITERIA, gradient_scores, importance

__all__ = [
    "CRITERIA",
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
    "mask",
    "mask_weights",
    "plan",
    "recalibrate",
    "shrink",
    "unsafe_groups",
    "verify",
]
