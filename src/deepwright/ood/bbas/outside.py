"""Outside the Box: is the input outside every box of the class that the network names?"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from deepwright.core.features import Activations
from deepwright.ood.bbas.detector import BBAS


class OutsideTheBox(BBAS):
    """1 when the activations are outside every box of the predicted class, else 0. Source: arXiv 1911.09032."""

    def __init__(
        self, layers: Sequence[str] | None = None, n_clusters: int = 5, use: str = "label", seed: int = 0
    ) -> None:
        super().__init__(layers, n_clusters=n_clusters, kind="count", aggregate=False, use=use, seed=seed)

    def _score(self, acts: Activations) -> Tensor:
        return (super()._score(acts) > 0).float()
