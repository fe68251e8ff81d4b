"""Foreign graphs on a frozen graph encoder: prompts that weigh edges, their rivals, and pre-training.

Example:
    >>> from deepwright.graphs import motif_ood
    >>> from deepwright.ood import SSD, WeightedGIN, auroc, pretrain_simgrace
    >>> graphs = motif_ood(seed=0, n=30)
    >>> encoder = pretrain_simgrace(WeightedGIN(1), graphs.train, epochs=2)  # doctest: +SKIP
    >>> guard = SSD(encoder).fit(graphs.train)  # doctest: +SKIP
    >>> auroc(guard.score(graphs.test), guard.score(graphs.ood["clique"]))  # doctest: +SKIP
"""

from deepwright.ood.dgp.amplifying import AAGOD
from deepwright.ood.dgp.augmentations import AUGMENTATIONS, augmented
from deepwright.ood.dgp.baselines import SSD, FiveStatistics, WeisfeilerLehman
from deepwright.ood.dgp.drawings import draw_edges
from deepwright.ood.dgp.encoders import WeightedGIN, adapt_encoder, embed
from deepwright.ood.dgp.guards import GraphDetector
from deepwright.ood.dgp.heads import GraphSuite, LinearHead
from deepwright.ood.dgp.hierarchical import GOODD
from deepwright.ood.dgp.pretraining import pretrain_graphcl, pretrain_simgrace
from deepwright.ood.dgp.prompted import DGP
from deepwright.ood.dgp.prompts import EdgePrompt

__all__ = [
    "AAGOD",
    "AUGMENTATIONS",
    "DGP",
    "GOODD",
    "SSD",
    "EdgePrompt",
    "FiveStatistics",
    "GraphDetector",
    "GraphSuite",
    "LinearHead",
    "WeightedGIN",
    "WeisfeilerLehman",
    "adapt_encoder",
    "augmented",
    "draw_edges",
    "embed",
    "pretrain_graphcl",
    "pretrain_simgrace",
]
