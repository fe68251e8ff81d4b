"""New last layers on cached embeddings: ERM, retraining, AFR, DFR, JTT, GroupDRO and CVaR-DRO behind one interface."""

from deepwright.shift.last_layer.retraining import AFR, DFR, ERM, LastLayerRetrain
from deepwright.shift.last_layer.worst_case import JTT, CVaRDRO, GroupDRO, GroupDROLoss, JTTSampler

__all__ = ["AFR", "DFR", "ERM", "JTT", "CVaRDRO", "GroupDRO", "GroupDROLoss", "JTTSampler", "LastLayerRetrain"]
