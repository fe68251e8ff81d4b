"""Segmentation whose classes lie inside one another: losses, heads, measures and repairs that know the order.

Begin with an order and one loss; the network and the rest of the training stay as they are.

Example:
    >>> import torch
    >>> from deepwright.risk import ClassOrder, ContactNeighborLoss, InvalidContactRate, OrdinalSegmentationLoss
    >>> order = ClassOrder.chain(["background", "iris", "pupil"])
    >>> loss = OrdinalSegmentationLoss(terms={"contact": (ContactNeighborLoss(order), 10.0)})
    >>> labels = torch.tensor([[[0, 0, 2, 1, 0]]])
    >>> rate = InvalidContactRate(order)
    >>> rate.update(labels)
    >>> round(float(rate.compute()), 3)
    0.333

Sources: "Learning Ordinality in Semantic Segmentation", arXiv 2407.20959; "Ordinal Semantic Segmentation Applied to
Medical and Odontological Images", arXiv 2603.26736.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from deepwright.core.tasks import ClassOrder
from deepwright.risk.ordinal.allowed import AllowedContactRate
from deepwright.risk.ordinal.checking import FoundOrder, find_order, forbidden_pairs, require_order
from deepwright.risk.ordinal.combined import OrdinalSegmentationLoss
from deepwright.risk.ordinal.contact import ContactDistanceLoss, ContactNeighborLoss, TotalVariationLoss
from deepwright.risk.ordinal.decoding import decode, repair_labels
from deepwright.risk.ordinal.graded import CumulativeLinkLoss, OrdinalLogLoss, SoftLabelLoss, SquaredEMDLoss
from deepwright.risk.ordinal.heads import HardOrdinalHead, OrdinalEncodingHead, UnimodalHead, wrap_logits
from deepwright.risk.ordinal.unimodal import (
    EntropyTerm,
    ExpectedSquaredErrorLoss,
    OrderedNeighborLoss,
    QuasiUnimodalLoss,
)

if TYPE_CHECKING:
    from deepwright.risk.ordinal.measures import (
        ContainmentViolation,
        InvalidContactRate,
        OrdinalScores,
        UnimodalPixelRate,
    )
    from deepwright.risk.ordinal.surfaces import ordinal_inconsistency, surface_distances

__all__ = [
    "AllowedContactRate",
    "ClassOrder",
    "ContactDistanceLoss",
    "ContactNeighborLoss",
    "ContainmentViolation",
    "CumulativeLinkLoss",
    "EntropyTerm",
    "ExpectedSquaredErrorLoss",
    "FoundOrder",
    "HardOrdinalHead",
    "InvalidContactRate",
    "OrderedNeighborLoss",
    "OrdinalEncodingHead",
    "OrdinalLogLoss",
    "OrdinalScores",
    "OrdinalSegmentationLoss",
    "QuasiUnimodalLoss",
    "SoftLabelLoss",
    "SquaredEMDLoss",
    "TotalVariationLoss",
    "UnimodalHead",
    "UnimodalPixelRate",
    "decode",
    "find_order",
    "forbidden_pairs",
    "ordinal_inconsistency",
    "repair_labels",
    "require_order",
    "surface_distances",
    "wrap_logits",
]

LAZY = {
    **dict.fromkeys(("ContainmentViolation", "InvalidContactRate", "OrdinalScores", "UnimodalPixelRate"), "measures"),
    **dict.fromkeys(("ordinal_inconsistency", "surface_distances"), "surfaces"),
}
"""Names whose modules need torchmetrics, which comes with the first of them."""


def __getattr__(name: str) -> Any:
    if name in LAZY:
        return getattr(import_module(f"{__name__}.{LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
